"""The files of one checkpoint folder: written with checksums, sealed by a manifest, and verified when they are read.

A manifest of 0 ranks belongs to a model (models.py): only weights and config, not the state of a training. Called by
checkpoint.py; knows nothing about ranks, and is light to import. Arrays are safetensors, the rest is JSON.
"""

from __future__ import annotations

import json
import os
import platform
import stat
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero import __version__
from ddpzero.system.guarded_files import (
    SAFETENSORS_NAMES,
    UnreadableFileError,
    is_count,
    is_finite_number,
    printable,
    read_json,
)
from ddpzero.system.json_text import json_text

CHECKPOINTS_FOLDER = "checkpoints"
# Names folders that are being written or removed.
PARTIAL_PREFIX = ".partial-"
# A folder beside the checkpoints; it is hidden, so that no run resumes from its content.
PASSED_OVER_FOLDER = ".passed-over"
MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
TRAINER_FILE = "trainer.pt"
CONFIG_FILE = "config.yaml"
# Since 2, checkpoints name the shards of their samples (shard.py). A model has no samples.
FORMAT = 2
_FORMAT_OF_MODELS = 1

_CHUNK_BYTES = 16 << 20


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or is damaged. The message is one sentence."""


@dataclass(frozen=True)
class FileRecord:
    """The manifest's entry for one file."""

    size_bytes: int
    crc32: int


@dataclass(frozen=True)
class Manifest:
    """The list of a checkpoint's files, written last.

    model: the checkpoint's name and its folder's. counters: equal on all ranks; learner_step orders checkpoints.
    world_size: number of ranks that saved it; 0 for a model. versions: of ddpzero, Python, torch and numpy then.
    grown_from: the model that `ddpzero grow` enlarged; "" for none.
    """

    model: str
    counters: dict[str, Any]
    world_size: int
    files: dict[str, FileRecord]
    versions: dict[str, str]
    saved_at: str
    grown_from: str = ""

    @property
    def age(self) -> tuple[float, str]:
        """A sort key for the checkpoints of one run, old to new. Not a file's time: copying a folder changes that."""
        return self.counters["learner_step"], self.saved_at

    @property
    def saved_by(self) -> str:
        """The program and the date that saved it, for people: "ddpzero 0.1.0 on 2026-11-22"."""
        day = printable(self.saved_at[: len("2026-11-22")])
        return (
            f"ddpzero {printable(self.versions.get('ddpzero', 'of an unknown version'))} on {day}"
        )


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
        """Do nothing: torch.save calls this method, and `write_file` flushes at the end."""


def write_file(path: Path, write: Callable[[Any], object]) -> FileRecord:
    """Let `write(file)` fill a new file, sync it to disk, and return its entry for the manifest."""
    with open(path, "wb") as file:
        writer = _CheckedWriter(file)
        write(writer)
        file.flush()
        os.fsync(file.fileno())
    return FileRecord(writer.size_bytes, writer.crc32)


def write_bytes(path: Path, data: bytes) -> FileRecord:
    """Write a small file from memory."""
    return write_file(path, lambda file: file.write(data))


def write_json(path: Path, value: Any) -> FileRecord:
    """Write a JSON-able value."""
    return write_bytes(path, json_text(value, indent=1).encode())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> FileRecord:
    """Stream arrays to a safetensors file, without a second copy in memory."""
    header: dict[str, Any] = {}
    offset = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": SAFETENSORS_NAMES[array.dtype.name],
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
            # memoryview cannot flatten an empty array.
            if array.size:
                file.write(np.ascontiguousarray(array).data.cast("B"))

    return write_file(path, write)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest, with a checksum over the manifest itself."""
    file_format = FORMAT if manifest.world_size else _FORMAT_OF_MODELS
    content = {"format": file_format, **asdict(manifest)}
    write_json(folder / MANIFEST_FILE, {"crc32": _crc32_of_json(content), "content": content})


def read_manifest(folder: Path) -> Manifest:
    """Return a folder's manifest. Raises CheckpointError if it is missing or damaged."""
    path = folder / MANIFEST_FILE
    try:
        document = read_json(path)
        content = document["content"]
        is_whole = document["crc32"] == _crc32_of_json(content)
        file_format = content["format"]
    except UnreadableFileError as error:
        raise CheckpointError(str(error)) from None
    except (KeyError, TypeError, IndexError, RecursionError):
        raise CheckpointError(f"{path} is truncated or corrupted.") from None
    if not is_whole:
        raise CheckpointError(f"{path} does not match its own checksum: it is corrupted.")
    if not (is_count(file_format) and 1 <= file_format <= FORMAT):
        raise CheckpointError(
            f"{path} has format {str(file_format)[:20]}, this ddpzero {__version__} reads up to {FORMAT}: use the "
            f"ddpzero that wrote it ({_known_versions(content).get('ddpzero', 'unknown')})."
        )
    if problem := _problem_of_manifest(content):
        raise CheckpointError(f"{path} is not a manifest: {problem}.")
    return Manifest(
        model=content["model"],
        counters=content["counters"],
        world_size=content["world_size"],
        files={name: FileRecord(**record) for name, record in content["files"].items()},
        versions=_known_versions(content),
        saved_at=content["saved_at"],
        grown_from=content.get("grown_from", ""),
    )


def _problem_of_manifest(content: Mapping[str, Any]) -> str:
    """Return what is wrong with a manifest's values, which may have any type; "" if they are valid."""
    model, counters = content.get("model"), content.get("counters")
    if (
        not (isinstance(model, str) and model.isprintable() and 0 < len(model) <= 255)
        or "/" in model
    ):
        return "its model has no valid folder name"
    if not (isinstance(counters, dict) and is_count(counters.get("learner_step"))):
        return "its counters have no learner_step"
    for name, value in counters.items():
        if not (isinstance(value, bool) or (is_finite_number(value) and value >= 0)):
            return f"its counter {name[:80]} is {str(value)[:80]}"
    if not isinstance(content.get("saved_at"), str):
        return "its saved_at is missing"
    if not isinstance(content.get("grown_from", ""), str):
        return "its grown_from is no name"
    world_size, files = content.get("world_size"), content.get("files")
    if not (is_count(world_size) and isinstance(files, dict)):
        return "its world_size or its files are missing"
    # Compare the number first: a forged world_size must not make file_names allocate memory.
    if len(files) != num_files(world_size) or files.keys() != set(file_names(world_size)):
        return f"its files do not match {world_size} ranks"
    for name, record in files.items():
        is_record = isinstance(record, dict) and record.keys() == {"size_bytes", "crc32"}
        if not (is_record and all(is_count(value) for value in record.values())):
            return f"it lacks the size or the checksum of {name}"
    return ""


def _known_versions(content: Mapping[str, Any]) -> dict[str, str]:
    versions = content.get("versions")
    if not isinstance(versions, dict):
        return {}
    return {name: version[:80] for name, version in versions.items() if isinstance(version, str)}


def replay_file(rank: int) -> str:
    return f"replay-rank{rank}.safetensors"


def rank_file(rank: int) -> str:
    return f"rank{rank}.json"


def num_files(world_size: int) -> int:
    """Return the number of files that a manifest of world_size ranks lists."""
    return 3 + 2 * world_size if world_size else 2


def file_names(world_size: int) -> list[str]:
    """Return the names of the files in a checkpoint of world_size ranks, without the manifest."""
    if world_size == 0:
        return [WEIGHTS_FILE, CONFIG_FILE]
    own = [name(rank) for rank in range(world_size) for name in (replay_file, rank_file)]
    return [WEIGHTS_FILE, TRAINER_FILE, CONFIG_FILE, *own]


def check_file(folder: Path, name: str, record: FileRecord) -> None:
    """Raise CheckpointError unless the file has the size and the checksum in the manifest."""
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
    """Raise CheckpointError unless the file exists and has the size in the manifest."""
    path = folder / name
    try:
        status = path.stat()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{path} is not a regular file.")
    size_bytes = status.st_size
    if size_bytes != record.size_bytes:
        raise CheckpointError(
            f"{path} has {size_bytes} bytes instead of {record.size_bytes}: it was truncated or changed."
        )


def newest_first(folder: Path) -> list[Path]:
    """Return a run's checkpoints, newest first by the counters in their manifests; those with no readable manifest
    precede all others.
    """
    ages: list[tuple[bool, Any, Path]] = []
    for path in folder.glob("[!.]*/"):
        try:
            ages.append((False, read_manifest(path).age, path))
        except CheckpointError:
            ages.append((True, (), path))
    return [path for _, _, path in sorted(ages, reverse=True)]


def sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that new, renamed and removed names survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def new_manifest(
    model: str, counters: Mapping[str, Any], world_size: int, files: Mapping[str, FileRecord]
) -> Manifest:
    """Return the manifest of a checkpoint that this process saves now."""
    versions = {name: version(name) for name in ("torch", "numpy")}
    versions |= {"ddpzero": __version__, "python": platform.python_version()}
    saved_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Manifest(model, dict(counters), world_size, dict(files), versions, saved_at)


def _crc32_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
