"""pytest plugin of ci/coverage.sh: puts the library at $WHIR_INSTRUMENTED in place of the installed core."""

from __future__ import annotations

import importlib.machinery
import os
import sys
import types

NAME = "whir_node._core"
module = types.ModuleType(NAME)
module.__spec__ = importlib.machinery.ModuleSpec(NAME, None, origin=os.environ["WHIR_INSTRUMENTED"])
sys.modules[NAME] = module
