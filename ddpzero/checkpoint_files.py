"""The files of one checkpoint folder: written with their checksums, sealed by a manifest, read back only if whole.

Called by checkpoint.py; knows nothing of ranks, and is light to import. Arrays are safetensors, the rest is JSON.
"""

from __future__ import annotations

import json
import os
import platform
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero import __version__

CHECKPOINTS_FOLDER = "checkpoints"
PARTIAL_PREFIX = ".partial-"  # of folders that are being written or removed
MANIFEST_FILE = "manifest.json"
FORMAT = 1

_CHUNK_BYTES = 16 << 20
# safetensors' names of the types that samples may have.
_SAFETENSORS_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
_NUMPY_NAMES = {name: dtype for dtype, name in _SAFETENSORS_NAMES.items()}


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or is not whole. The message is one sentence."""


@dataclass(frozen=True)
class FileRecord:
    """What the manifest knows of a file."""

    size_bytes: int
    crc32: int


@dataclass(frozen=True)
class Manifest:
    """The seal of a checkpoint, written last.

    model: its name, as the folder's. counters: equal on all ranks; learner_step orders checkpoints. world_size: of the
    ranks that saved it. versions: of the programs that did.
    """

    model: str
    counters: dict[str, Any]
    world_size: int
    files: dict[str, FileRecord]
    versions: dict[str, str]
    saved_at: str

    @property
    def age(self) -> tuple[float, str]:
        """Sorts checkpoints of one run from old to new. Never by a file's time: copying a folder changes that."""
        return self.counters["learner_step"], self.saved_at


class _CheckedWriter:
    """A file that is being written, with its size and CRC-32 so far."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.size_bytes = 0
        self.crc32 = 0

    def write(self, data: Any) -> int:
        """Write bytes, or any buffer of them."""
        view = memoryview(data)
        self._file.write(view)
        self.size_bytes += view.nbytes
        self.crc32 = zlib.crc32(view, self.crc32)
        return view.nbytes

    def flush(self) -> None:
        """Asked for by torch.save; `write_file` flushes at the end."""


def write_file(path: Path, write: Callable[[Any], object]) -> FileRecord:
    """Let `write(file)` fill a new file and see it safely on the disk; returns what the manifest should say of it."""
    with open(path, "wb") as file:
        writer = _CheckedWriter(file)
        write(writer)
        file.flush()
        os.fsync(file.fileno())
    return FileRecord(writer.size_bytes, writer.crc32)


def write_bytes(path: Path, data: bytes) -> FileRecord:
    """Write a small file that is in memory already."""
    return write_file(path, lambda file: file.write(data))


def write_json(path: Path, value: Any) -> FileRecord:
    """Write a JSON-able value."""
    return write_bytes(path, json.dumps(value, indent=1).encode())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> FileRecord:
    """Stream arrays as safetensors: gigabytes need no second copy in memory."""
    header: dict[str, Any] = {}
    offset = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": _SAFETENSORS_NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def write(file: Any) -> None:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in arrays.values():
            if array.size:  # memoryview cannot flatten an empty array
                file.write(np.ascontiguousarray(array).data.cast("B"))

    return write_file(path, write)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Map a file of `write_arrays` into memory, read-only: rows are read when they are used."""
    with open(path, "rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    start = 8 + header_bytes
    content = np.memmap(path, dtype=np.uint8, mode="r")
    return {
        name: content[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]]
        .view(_NUMPY_NAMES[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
    }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Seal a folder, with a checksum over the manifest itself."""
    content = {"format": FORMAT, **asdict(manifest)}
    write_json(folder / MANIFEST_FILE, {"crc32": _crc32_of_json(content), "content": content})


def read_manifest(folder: Path) -> Manifest:
    """Return a folder's manifest. Raises CheckpointError if there is none or it is not as it was written."""
    path = folder / MANIFEST_FILE
    try:
        document = json.loads(path.read_bytes())
        content = document["content"]
        is_whole = document["crc32"] == _crc32_of_json(content)
        file_format = content.pop("format")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{path} is truncated or corrupted.") from None
    if not is_whole:
        raise CheckpointError(f"{path} does not match its own checksum: it is corrupted.")
    if file_format != FORMAT:
        raise CheckpointError(
            f"{path} has format {file_format}, this ddpzero {__version__} reads format {FORMAT}: use the ddpzero "
            f"that wrote it ({content.get('versions', {}).get('ddpzero', 'unknown')})."
        )
    content["files"] = {name: FileRecord(**record) for name, record in content["files"].items()}
    return Manifest(**content)


def check_file(folder: Path, name: str, record: FileRecord) -> None:
    """Raise CheckpointError unless the file is byte by byte what the manifest says."""
    path = folder / name
    crc32 = 0
    check_size(folder, name, record)
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                crc32 = zlib.crc32(chunk, crc32)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None
    if crc32 != record.crc32:
        raise CheckpointError(f"{path} does not match its checksum: it is corrupted.")


def check_size(folder: Path, name: str, record: FileRecord) -> None:
    """Raise CheckpointError unless the file is there in its full length."""
    path = folder / name
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None
    if size_bytes != record.size_bytes:
        raise CheckpointError(
            f"{path} has {size_bytes} bytes instead of {record.size_bytes}: it is truncated or was changed."
        )


def newest_first(folder: Path) -> list[Path]:
    """Return a run's checkpoints by the counters in their manifests; those without a readable one come first."""
    ages: list[tuple[bool, Any, Path]] = []
    for path in folder.glob("[!.]*/"):
        try:
            ages.append((False, read_manifest(path).age, path))
        except CheckpointError:
            ages.append((True, (), path))
    return [path for _, _, path in sorted(ages, reverse=True)]


def latest_checkpoint(run_dir: Path) -> Path | None:
    """Return the newest checkpoint whose files all have their sizes, or None. Quick: reads no content."""
    for path in newest_first(run_dir / CHECKPOINTS_FOLDER):
        with suppress(CheckpointError):
            for name, record in read_manifest(path).files.items():
                check_size(path, name, record)
            return path
    return None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder (new, renamed, removed) survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def new_manifest(
    model: str, counters: Mapping[str, Any], world_size: int, files: Mapping[str, FileRecord]
) -> Manifest:
    """Return the manifest of a checkpoint that is made now, by this program."""
    versions = {name: version(name) for name in ("torch", "numpy")}
    versions |= {"ddpzero": __version__, "python": platform.python_version()}
    saved_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Manifest(model, dict(counters), world_size, dict(files), versions, saved_at)


def _crc32_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
