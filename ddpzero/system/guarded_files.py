"""Reads files that may be damaged or forged: JSON, YAML, .npz, safetensors, torch's.

Every fault of a file becomes an UnreadableFileError, one sentence with its path: no other exception leaves this module,
nothing in a file is executed, and no memory is allocated because of what a header claims. Called by all code that reads
run folders, checkpoints and recorded games; it does not check what the content means. Light to import.
"""

from __future__ import annotations

import json
import logging
import math
import stat
import zipfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard, TypeVar

import numpy as np
import yaml

from ddpzero.system.errors import UserError

if TYPE_CHECKING:
    import torch

_Row = TypeVar("_Row")

logger = logging.getLogger(__name__)

# For documents that are parsed as a whole: a config has a few kilobytes, the manifest of a thousand ranks has 200.
MAX_DOCUMENT_BYTES = 4 << 20
MAX_NPZ_BYTES = 2 << 30
_MAX_HEADER_BYTES = 1 << 20
# Python unpacks the other methods of compression without a limit, whatever size a member claims.
_NPZ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_REASON_CHARACTERS = 200
_SCALARS = (bool, int, float, str, type(None))

# The dtypes that arrays may have, and their names in safetensors.
SAFETENSORS_NAMES = {
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
_NUMPY_NAMES = {name: dtype for dtype, name in SAFETENSORS_NAMES.items()}


class UnreadableFileError(UserError):
    """A file is missing, damaged or in another format. The message is one sentence with the path."""


def read_bytes(path: Path, max_bytes: int = MAX_DOCUMENT_BYTES) -> bytes:
    """Return the content of a regular file of at most max_bytes."""
    with _open(path) as file, _guard(path, "readable"):
        content = file.read(max_bytes + 1)
        _require(len(content) <= max_bytes, path, f"has more than {max_bytes} bytes")
        return content


def read_json(path: Path) -> Any:
    """Return a JSON document. NaN and Infinity, which Python's parser accepts, are refused."""
    content = read_bytes(path)
    with _guard(path, "JSON"):
        return _JSON.decode(content.decode())


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML mapping of plain values with text as keys. Aliases are refused: a few can expand to gigabytes."""
    content = read_bytes(path)
    with _guard(path, "YAML"):
        document = yaml.load(content.decode(), Loader=_PlainLoader)
        is_plain = isinstance(document, dict) and _is_plain(document, (str,), _SCALARS)
    _require(is_plain, path, "contains no config, which is a mapping of names to plain values")
    return document


def read_npz(
    path: Path, is_wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, np.ndarray]:
    """Return the arrays in an .npz file, of numbers or text in the machine's byte order. is_wanted: by name; all."""
    with _open(path) as file, _guard(path, "an .npz of plain arrays"):
        archive = zipfile.ZipFile(file)
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        _require(len(set(names)) == len(names), path, "contains two arrays with the same name")
        is_known = all(member.compress_type in _NPZ_METHODS for member in members)
        _require(is_known, path, "is compressed in another way than numpy does")
        total_bytes = sum(member.file_size for member in members)
        _require(
            total_bytes <= MAX_NPZ_BYTES,
            path,
            f"contains arrays of {total_bytes / 2**30:.3g} GiB, and the limit is {MAX_NPZ_BYTES >> 30} GiB",
        )
        return {
            name: _read_member(path, archive, member)
            for name, member in zip(names, members, strict=True)
            if is_wanted(name)
        }


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """Map the arrays of a safetensors file into memory, read-only: rows are read on use."""
    with _open(path) as file, _guard(path, "a safetensors file"):
        file_bytes = path.stat().st_size
        header_bytes = int.from_bytes(file.read(8), "little")
        is_possible = header_bytes <= min(file_bytes - 8, _MAX_HEADER_BYTES)
        _require(is_possible, path, f"claims a header of {header_bytes} bytes")
        header = _JSON.decode(file.read(header_bytes).decode())
        _require(isinstance(header, dict), path, "has a header that is no object")
        header.pop("__metadata__", None)
        content = np.memmap(path, dtype=np.uint8, mode="r", offset=0)[8 + header_bytes :]
        arrays, end = {}, 0
        for name, entry in header.items():
            arrays[name] = _mapped_array(path, name, entry, content, end)
            end += arrays[name].nbytes
        _require(end == len(content), path, f"has arrays of {end} bytes in {len(content)}")
        return arrays


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file."""
    from safetensors.torch import load_file

    with _open(path), _guard(path, "a safetensors file"):
        return load_file(path)


def read_torch(path: Path) -> Any:
    """Return the content of a file of torch.save: only nested dicts and lists of CPU tensors, numbers and text."""
    import torch

    with _open(path) as file, _guard(path, "a state that torch saved", say_why=False):
        _require(zipfile.is_zipfile(file), path, "is not a state that torch saved")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            sizes = [(member.file_size, member.compress_size) for member in archive.infolist()]
        # torch does not compress: only a forged file claims members larger than the file.
        is_stored = all(size == compressed for size, compressed in sizes)
        is_honest = is_stored and sum(size for size, _ in sizes) <= path.stat().st_size
        _require(is_honest, path, "claims to be larger than it is")
        state = torch.load(path, map_location="cpu", weights_only=True)
        is_plain = _is_plain(state, (str, int), (*_SCALARS, torch.Tensor))
        is_plain = is_plain and all(map(is_dense, _tensors_in(state)))
    _require(is_plain, path, "contains something other than dense tensors, numbers and text")
    return state


def parse_json_line(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a line; None if the line is not one."""
    try:
        row = _JSON.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def read_rows(
    path: Path,
    parse: Callable[[bytes], _Row | None],
    key_of: Callable[[_Row], Hashable] = id,
) -> list[_Row]:
    """Return what `parse` makes of the lines of a file, in their order, each key once; nothing if there is no file.

    Lines of which it makes None, because they are damaged, are skipped with a warning, as are repeated keys.
    """
    rows: dict[Hashable, _Row] = {}
    num_lines = 0
    try:
        with open(path, "rb") as lines:
            for line in lines:
                num_lines += 1
                row = parse(line)
                if row is not None:
                    rows.setdefault(key_of(row), row)
    except FileNotFoundError:
        return []
    if num_lines > len(rows):
        logger.warning(
            "%s: skipped %d of %d lines, which are damaged or repeated.",
            path,
            num_lines - len(rows),
            num_lines,
        )
    return list(rows.values())


def is_count(value: Any) -> TypeGuard[int]:
    """Return whether a value from a file is an integer of at least 0 that fits into 64 bits."""
    return type(value) is int and 0 <= value < 2**63


def is_finite_number(value: Any) -> bool:
    """Return whether a value from a file is a finite int or float, not a bool."""
    return type(value) in (int, float) and abs(value) < 2.0**63


def is_dense(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has memory for each of its elements: a few bytes can be expanded to any shape."""
    import torch

    if tensor.layout is not torch.strided or tensor.device.type == "meta":
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def printable(text: str) -> str:
    """Return foreign text without control codes and broken Unicode, so that a terminal only displays it."""
    return "".join(c if c.isprintable() else "?" for c in text)


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, which share nodes: a small file could expand to any size in memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a finite number")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file only: a pipe would wait for a writer, and a device has no end."""
    with _guard(path, "readable"):
        _require(stat.S_ISREG(path.stat().st_mode), path, "is not a regular file")
        # Not a with statement here: errors of the block below are not errors of opening.
        file = open(path, "rb")  # noqa: SIM115
    with file:
        yield file


@contextmanager
def _guard(path: Path, kind: str, say_why: bool = True) -> Iterator[None]:
    """Turn any exception of a reader into an UnreadableFileError: "PATH cannot be read: it is not KIND (WHY)."

    say_why: False for readers whose messages contain advice that does not apply.
    """
    try:
        yield
    except UnreadableFileError:
        raise
    except OSError as error:
        reason = error.strerror or _first_line(error)
        raise UnreadableFileError(f"{path} cannot be read: {reason}.") from None
    except RecursionError:
        raise UnreadableFileError(f"{path} cannot be read: it is nested too deeply.") from None
    # Readers raise almost anything: KeyError, MemoryError, SyntaxError.
    except Exception as error:
        why = f" ({_first_line(error)})" if say_why else ""
        raise UnreadableFileError(f"{path} cannot be read: it is not {kind}{why}.") from None


def _require(condition: bool, path: Path, problem: str) -> None:
    if not condition:
        raise UnreadableFileError(f"{path} cannot be read: it {problem}.")


def _first_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return printable(text[:_MAX_REASON_CHARACTERS]).rstrip(".")


def _is_plain(value: Any, keys: tuple[type, ...], leaves: tuple[type, ...]) -> bool:
    """Return whether a value consists of mappings with keys of these types, lists, tuples, and `leaves`."""
    if isinstance(value, Mapping):
        keys_are_plain = all(isinstance(key, keys) for key in value)
        return keys_are_plain and all(_is_plain(entry, keys, leaves) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(entry, keys, leaves) for entry in value)
    return isinstance(value, leaves)


def _tensors_in(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from _tensors_in(entry)
    elif not isinstance(value, _SCALARS):
        yield value


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return one array of an .npz file after checking that its header matches its size in the archive."""
    name = member.filename
    _require(name.endswith(".npy"), path, f"contains {name}, which is not an array (.npy)")
    with _guard(path / name, "an array"):
        with archive.open(member) as file:
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[np.lib.format.read_magic(file)]
            shape, _, dtype = read_header(file)
            is_plain = dtype.kind in "biufcSUmM"
            _require(is_plain, path, f"contains {name} of {dtype}, not of numbers or text")
            num_bytes = math.prod(shape) * dtype.itemsize
            _require(
                file.tell() + num_bytes == member.file_size,
                path,
                f"contains {name} of {dtype}{list(shape)}, but {member.file_size - file.tell()} bytes for it",
            )
        with archive.open(member) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _mapped_array(path: Path, name: str, entry: Any, content: np.ndarray, start: int) -> np.ndarray:
    """Return the array of a header's entry, which must begin at `start`, the end of the previous array."""
    dtype = np.dtype(_NUMPY_NAMES[entry["dtype"]])
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    # An array with rows of zero bytes could claim any number of them.
    is_shape = all(is_count(size) for size in shape) and all(size > 0 for size in shape[1:])
    _require(is_shape, path, f"has {name} of shape {str(shape)[:80]}")
    num_bytes = math.prod(shape) * dtype.itemsize
    is_there = (begin, end) == (start, start + num_bytes) and end <= len(content)
    _require(is_there, path, f"has {name} at an offset that contradicts its shape or its neighbors")
    return content[begin:end].view(dtype).reshape(shape)
