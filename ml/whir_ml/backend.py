"""TensorFlow, set up once: quiet, deterministic, and imported only where it is needed.

Import `keras` and `tf` from here and nowhere else, so that no module can switch determinism on too late.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what Keras prints and C++ writes off the terminal; it comes back on stderr when the block fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile("w+") as log:
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            with contextlib.redirect_stdout(log):
                yield
        except BaseException:
            log.seek(0)
            os.write(saved[1], log.read().encode())
            raise
        finally:
            for target, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, target)
                os.close(copy)


with quiet():
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    tf.config.experimental.enable_op_determinism()
    # One thread: these networks are too small for more, and several trainings may run side by side.
    with contextlib.suppress(RuntimeError):  # someone else has used TensorFlow already
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)

__all__ = ["keras", "quiet", "tf"]
