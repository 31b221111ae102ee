"""The one format of a recording: a compressed npz of int16 counts and what they mean, and an index of a folder of them.

    RecordingError(ValueError)        names the file and the field
    ├── RecordingFileError            not a readable npz, or a key is missing
    ├── RecordingFieldError           a value that cannot be: NaN, dead axis, rate, unit, dtype, shape
    ├── RecordingIndexError           recordings.csv is missing or broken, or contradicts an npz
    └── DataFolderError               no data folder, or no such data set in it

A data set is a folder with `recordings.csv` and the npz files that it lists (`file` is relative to the folder). Keys of an
npz: `x` int16 (n, channels); `scale`, `offset` float32 per channel, physical value = x * scale + offset; `fs` Hz; `unit`
(g, m/s^2 or V); `channels`; `label` (coarse); `sublabel` (fine); `rpm` (NaN when unknown). Ours also hold `load` and
`condition`, so that a file can stand alone; where they are absent they come from the index. Optional, written where known:
`machine`, `sensor`, `mounting`, `bearing` (texts), `full_scale` (the sensor's range in `unit`) and `accepted` (texts: what
was wrong on import and taken all the same).
"""

from __future__ import annotations

import csv
import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.contract import Unit

INDEX_NAME: Final = "recordings.csv"
UNITS: Final[dict[str, Unit]] = {"g": Unit.G, "m/s^2": Unit.MPS2, "V": Unit.VOLT}
RATE_MAX_HZ: Final = 10e6

_COLUMNS: Final = (
    "file",
    "label",
    "sublabel",
    "rpm",
    "load",
    "condition_id",
    "fs_hz",
    "n_samples",
    "channels",
    "unit",
    "source_path",
)
_TEXTS: Final = {"machine": "machine", "sensor": "sensor_name", "mounting": "mounting", "bearing": "bearing"}  # key: attribute
_KEYS: Final = ("x", "scale", "offset", "fs", "unit", "channels", "label", "sublabel", "rpm")


class RecordingError(ValueError):
    """A recording cannot be used; `file` and `field` say where, the text says why."""

    def __init__(self, file: Path | str, field: str, reason: str) -> None:
        self.file = str(file)
        self.field = field
        self.reason = reason
        super().__init__(f"{file}: {field}: {reason}" if field else f"{file}: {reason}")


class RecordingFileError(RecordingError):
    """The file is not a whole npz of this format."""


class RecordingFieldError(RecordingError):
    """A field holds a value that no recording can have."""


class RecordingIndexError(RecordingError):
    """The index is missing, broken, or says something else than the file."""


class DataFolderError(RecordingError):
    """There is no data folder, or it lacks the data set asked for."""


@dataclass(frozen=True)
class SensorFacts:
    """What a node must know of the sensor behind a recording; the fields of `whir_sensor_info_t`."""

    name: str
    rate_mhz: int
    bandwidth_hz: int
    range_milli: int
    noise_ug_rthz: int
    lsb_nano: int
    unit: Unit
    channels: int


@dataclass(frozen=True, eq=False)
class Recording:
    """One measurement at one condition: samples int16 (n, channels), physical value = samples * scale + offset."""

    name: str
    samples: NDArray[np.int16]
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    rate_hz: float
    unit: str
    channels: tuple[str, ...]
    label: str
    sublabel: str
    rpm: float
    condition: str = ""
    load: str = ""
    machine: str = ""
    sensor_name: str = ""
    mounting: str = ""
    bearing: str = ""
    full_scale: float = math.nan
    accepted: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz

    @property
    def lsb_nano(self) -> int:
        """One count common to all channels, in 1e-9 unit: that of the coarsest channel, so that nothing overflows."""
        return max(1, round(float(self.scale.max()) * 1e9))

    def physical(self) -> NDArray[np.float64]:
        """Values in `unit`, (n, channels)."""
        return self.samples.astype(np.float64) * self.scale + self.offset

    def counts(self, lsb_nano: int) -> NDArray[np.int16]:
        """Samples in counts of `lsb_nano`, int16 (n, channels), without the offset: the mean is removed later anyway.

        Raises RecordingFieldError where a count does not fit 16 bits.
        """
        if lsb_nano < 1:
            raise RecordingFieldError(self.name, "lsb_nano", f"{lsb_nano} is not a positive count")
        scaled = np.rint(self.samples * (self.scale.astype(np.float64) * 1e9 / lsb_nano))
        if scaled.min() < -32768 or scaled.max() > 32767:
            over = np.abs(scaled).max()
            raise RecordingFieldError(self.name, "x", f"reaches {over:.0f} counts of {lsb_nano}e-9 {self.unit}, over 16 bits")
        return scaled.astype(np.int16)

    def sensor(self, name: str = "replay") -> SensorFacts:
        """Facts for conditioning. A file does not tell bandwidth and noise: half the rate and the least noise are taken."""
        return SensorFacts(
            name=name,
            rate_mhz=round(self.rate_hz * 1000),
            bandwidth_hz=int(self.rate_hz / 2),
            range_milli=max(1, int(32767 * self.lsb_nano / 1e6)),
            noise_ug_rthz=1,
            lsb_nano=self.lsb_nano,
            unit=UNITS[self.unit],
            channels=len(self.channels),
        )


@dataclass(frozen=True)
class IndexRow:
    """One line of recordings.csv; `file` is relative to the folder."""

    file: str
    label: str
    sublabel: str
    rpm: float
    load: str
    condition: str
    rate_hz: float
    samples: int
    channels: tuple[str, ...]
    unit: str
    source: str

    @classmethod
    def of(cls, rec: Recording, file: str, source: str) -> IndexRow:
        return cls(
            file=file,
            label=rec.label,
            sublabel=rec.sublabel,
            rpm=rec.rpm,
            load=rec.load,
            condition=rec.condition,
            rate_hz=rec.rate_hz,
            samples=len(rec.samples),
            channels=rec.channels,
            unit=rec.unit,
            source=source,
        )


def check(rec: Recording, file: Path | str) -> None:
    """Raise RecordingFieldError, naming `file`, for the first field that cannot be right."""

    def wrong(field: str, reason: str) -> RecordingFieldError:
        return RecordingFieldError(file, field, reason)

    if rec.samples.dtype != np.int16:
        hint = ""
        if np.issubdtype(rec.samples.dtype, np.floating) and not np.isfinite(rec.samples).all():
            hint = ", and holds NaN or infinity"
        raise wrong("x", f"is {rec.samples.dtype}, not int16{hint}")
    if rec.samples.ndim != 2 or 0 in rec.samples.shape:
        raise wrong("x", f"has shape {rec.samples.shape}, not (samples, channels)")
    count = rec.samples.shape[1]
    for field, value in (("scale", rec.scale), ("offset", rec.offset)):
        if value.shape != (count,):
            raise wrong(field, f"has shape {value.shape} for {count} channels")
        if not np.isfinite(value).all():
            raise wrong(field, "holds NaN or infinity")
    if (rec.scale <= 0).any():
        raise wrong("scale", f"{rec.scale.min():g} is not positive")
    if len(rec.channels) != count:
        raise wrong("channels", f"names {len(rec.channels)} channels, x has {count}")
    if any(not channel or len(channel.split()) != 1 for channel in rec.channels):
        raise wrong("channels", f"{rec.channels} must be words; the index separates them by blanks")
    if not math.isfinite(rec.rate_hz) or not 0 < rec.rate_hz <= RATE_MAX_HZ:
        raise wrong("fs", f"{rec.rate_hz:g} Hz is not a sampling rate")
    if rec.unit not in UNITS:
        raise wrong("unit", f"{rec.unit!r} is not one of {', '.join(UNITS)}")
    if math.isinf(rec.rpm) or rec.rpm < 0:
        raise wrong("rpm", f"{rec.rpm:g} is not a speed (NaN when unknown)")
    if math.isinf(rec.full_scale) or rec.full_scale <= 0:
        raise wrong("full_scale", f"{rec.full_scale:g} is not a range (NaN when unknown)")
    if not rec.label:
        raise wrong("label", "is empty")
    for channel, low, high in zip(rec.channels, rec.samples.min(axis=0), rec.samples.max(axis=0), strict=True):
        if low == high:
            raise wrong("x", f"axis {channel} is dead: every sample is {low}")


def load(path: Path | str) -> Recording:
    """Read one npz. When its folder or the one above has an index that lists it, the two must agree."""
    path = Path(path)
    for folder in (path.parent, path.parent.parent):
        if (folder / INDEX_NAME).is_file():
            wanted = path.relative_to(folder).as_posix()
            row = next((row for row in read_index(folder) if row.file == wanted), None)
            return _load(path, row)
    return _load(path, None)


def load_folder(folder: Path | str) -> Iterator[Recording]:
    """Read all recordings of a data set in the order of its index."""
    folder = Path(folder)
    for row in read_index(folder):
        yield _load(folder / row.file, row)


def save(rec: Recording, path: Path | str) -> None:
    """Write one npz; the same recording gives the same bytes."""
    path = Path(path)
    check(rec, path)
    arrays: dict[str, Any] = {
        "x": rec.samples,
        "scale": rec.scale.astype(np.float32),
        "offset": rec.offset.astype(np.float32),
        "fs": np.float64(rec.rate_hz),
        "unit": np.array(rec.unit),
        "channels": np.array(rec.channels),
        "label": np.array(rec.label),
        "sublabel": np.array(rec.sublabel),
        "rpm": np.float64(rec.rpm),
        "load": np.array(rec.load),
        "condition": np.array(rec.condition),
    }
    arrays |= {key: np.array(getattr(rec, name)) for key, name in _TEXTS.items() if getattr(rec, name)}
    if not math.isnan(rec.full_scale):
        arrays["full_scale"] = np.float64(rec.full_scale)
    if rec.accepted:
        arrays["accepted"] = np.array(rec.accepted)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_index(folder: Path | str) -> list[IndexRow]:
    """Read recordings.csv of a data set."""
    path = Path(folder) / INDEX_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecordingIndexError(path, "", "no such file; a data set is a folder with this index") from None
    except UnicodeDecodeError as error:
        raise RecordingIndexError(path, "", f"not UTF-8: {error.reason}") from None
    reader = csv.DictReader(text.splitlines())
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or [])]
    if missing:
        raise RecordingIndexError(path, missing[0], "column is missing")
    rows = [_index_row(path, number, line) for number, line in enumerate(reader, start=2)]
    if not rows:
        raise RecordingIndexError(path, "", "lists no recording")
    return rows


def write_index(folder: Path | str, rows: Iterable[IndexRow]) -> None:
    """Write recordings.csv of a data set."""
    with (Path(folder) / INDEX_NAME).open("w", encoding="utf-8", newline="") as file:
        file.write(_index_lines([_COLUMNS, *map(_index_cells, rows)]))


def append_index(folder: Path | str, row: IndexRow) -> None:
    """Add a line to recordings.csv, which begins with its head; in one write, so that no half a line stays of it."""
    path = Path(folder) / INDEX_NAME
    lines = [_index_cells(row)] if path.is_file() else [_COLUMNS, _index_cells(row)]
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(_index_lines(lines))


def _index_lines(lines: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()


def _index_cells(row: IndexRow) -> tuple[object, ...]:
    return (
        row.file,
        row.label,
        row.sublabel,
        "" if math.isnan(row.rpm) else f"{row.rpm:.10g}",
        row.load,
        row.condition,
        f"{row.rate_hz:.10g}",
        row.samples,
        " ".join(row.channels),
        row.unit,
        row.source,
    )


def data_root() -> Path | None:
    """The folder of data sets: $WHIR_DATA, else ../shared/data beside the repository or the current folder, else None."""
    named = os.environ.get("WHIR_DATA")
    if named:
        if not Path(named).is_dir():
            raise DataFolderError(named, "WHIR_DATA", "is not a folder")
        return Path(named)
    for base in (Path(__file__).resolve().parents[2], Path.cwd()):
        candidate = base.parent / "shared" / "data"
        if candidate.is_dir():
            return candidate
    return None


def data_set(name: str) -> Path:
    """The folder of one data set by name; DataFolderError says in one line what to do when it is not there."""
    root = data_root()
    if root is None:
        raise DataFolderError("WHIR_DATA", "", f"no data folder: set it to the folder that holds {name}/{INDEX_NAME}")
    if not (root / name / INDEX_NAME).is_file():
        raise DataFolderError(root / name, "", f"no {INDEX_NAME} there; `whir data list` shows the data sets that exist")
    return root / name


def data_sets(root: Path) -> list[Path]:
    """Folders under `root` that hold an index, by name."""
    return sorted(folder for folder in root.iterdir() if (folder / INDEX_NAME).is_file())


def _load(path: Path, row: IndexRow | None) -> Recording:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in _KEYS if key not in archive.files]
            if missing:
                raise RecordingFileError(path, missing[0], "key is missing")
            values = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise RecordingFileError(path, "", "no such file") from None
    except RecordingError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, TypeError, AttributeError) as error:
        raise RecordingFileError(path, "", f"not a whole npz: {error}") from None
    rec = Recording(
        name=path.stem,
        samples=values["x"],
        scale=_numbers(path, "scale", values["scale"]).astype(np.float32),
        offset=_numbers(path, "offset", values["offset"]).astype(np.float32),
        rate_hz=_number(path, "fs", values["fs"]),
        unit=_text(path, "unit", values["unit"]),
        channels=tuple(str(channel) for channel in np.atleast_1d(values["channels"])),
        label=_text(path, "label", values["label"]),
        sublabel=_text(path, "sublabel", values["sublabel"]),
        rpm=_number(path, "rpm", values["rpm"]),
        condition=_text(path, "condition", values["condition"]) if "condition" in values else (row.condition if row else ""),
        load=_text(path, "load", values["load"]) if "load" in values else (row.load if row else ""),
        full_scale=_number(path, "full_scale", values["full_scale"]) if "full_scale" in values else math.nan,
        accepted=tuple(str(text) for text in np.atleast_1d(values["accepted"])) if "accepted" in values else (),
        **{name: _text(path, key, values[key]) for key, name in _TEXTS.items() if key in values},
    )
    check(rec, path)
    if row is not None:
        _agree(rec, path, row)
    return rec


def _agree(rec: Recording, path: Path, row: IndexRow) -> None:
    """The index and the npz state the same facts."""
    pairs: tuple[tuple[str, object, object], ...] = (
        ("label", rec.label, row.label),
        ("sublabel", rec.sublabel, row.sublabel),
        ("fs", round(rec.rate_hz, 3), round(row.rate_hz, 3)),
        ("n_samples", len(rec.samples), row.samples),
        ("channels", rec.channels, row.channels),
        ("unit", rec.unit, row.unit),
        ("load", rec.load, row.load),
        ("condition_id", rec.condition, row.condition),
    )
    for field, here, there in pairs:
        if here != there:
            raise RecordingIndexError(path, field, f"{here!r} in the file, {there!r} in {INDEX_NAME}")
    if not (math.isnan(rec.rpm) and math.isnan(row.rpm)) and not math.isclose(rec.rpm, row.rpm, rel_tol=1e-5):
        raise RecordingIndexError(path, "rpm", f"{rec.rpm:g} in the file, {row.rpm:g} in {INDEX_NAME}")


def _index_row(path: Path, number: int, line: dict[str, str | None]) -> IndexRow:
    def text(column: str) -> str:
        value = line[column]
        if value is None:
            raise RecordingIndexError(path, column, f"line {number} is short")
        return value

    def real(column: str) -> float:
        try:
            return float(text(column))
        except ValueError:
            raise RecordingIndexError(path, column, f"line {number}: {text(column)!r} is not a number") from None

    samples = real("n_samples")
    if not samples.is_integer():
        raise RecordingIndexError(path, "n_samples", f"line {number}: {samples:g} is not a count")
    return IndexRow(
        file=text("file"),
        label=text("label"),
        sublabel=text("sublabel"),
        rpm=real("rpm") if text("rpm") else math.nan,
        load=text("load"),
        condition=text("condition_id"),
        rate_hz=real("fs_hz"),
        samples=int(samples),
        channels=tuple(text("channels").split()),
        unit=text("unit"),
        source=text("source_path"),
    )


def _numbers(path: Path, key: str, value: NDArray[Any]) -> NDArray[np.float64]:
    if not np.issubdtype(value.dtype, np.number):
        raise RecordingFieldError(path, key, f"is {value.dtype}, not a number")
    return np.atleast_1d(value).astype(np.float64)


def _number(path: Path, key: str, value: NDArray[Any]) -> float:
    numbers = _numbers(path, key, value)
    if numbers.size != 1:
        raise RecordingFieldError(path, key, f"has {numbers.size} values, not one")
    return float(numbers.item())


def _text(path: Path, key: str, value: NDArray[Any]) -> str:
    if value.size != 1 or value.dtype.kind not in "US":
        raise RecordingFieldError(path, key, f"is not one text ({value.dtype}, {value.size} values)")
    return str(value.item())
