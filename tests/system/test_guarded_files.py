"""Damaged and forged files: one sentence with the path, no other exception, no memory that only a header claims."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ddpzero.system.guarded_files import (
    UnreadableFileError,
    map_arrays,
    parse_json_line,
    read_json,
    read_npz,
    read_tensors,
    read_torch,
    read_yaml,
)

TIB = 2**40


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An array file whose header says anything."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def claim(shape: str, dtype: str = "<i8") -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"


def archive(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape: Any, begin: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def saved_by_torch(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def compressed_anew(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    return archive(members, zipfile.ZIP_DEFLATED)


ANYTHING = (
    b"",
    b"\x00",
    b"\xff" * 300,
    b"PK\x03\x04",
    b"\x80\x02}.",
    pickle.dumps({"a": 1}),
    b"[]",
)

DAMAGED: dict[Callable[[Path], Any], tuple[bytes, ...]] = {
    read_json: (
        *ANYTHING[:-1],
        b"[" * 100_000,
        b'{"a": NaN}',
        b"[Infinity]",
        b"9" * 5000,
        b" " * 5_000_000,
    ),
    read_yaml: (
        *ANYTHING,
        b"[" * 3000,
        b"{" * 3000,
        b"a: &x [1]\nb: [*x, *x]",
        b"a: 2026-99-99",
        b"a: 2026-01-01",
        b"? [1]\n: 2",
        b"1: 2",
        b"a: =",
        b"a: !!python/object/apply:os.mkdir [boom]",
        b"a: " + b"9" * 5000,
        b"just words",
    ),
    read_npz: (
        *ANYTHING,
        archive({"a": npy(claim("(1,)"), bytes(8))}),
        archive({"a.npy": b"no array"}),
        archive({"a.npy": npy(claim(f"({7 * TIB},)"))}),
        archive({"a.npy": npy(claim("(2,)"), bytes(8))}),
        archive({"a.npy": npy(claim("(1,)"), bytes(16))}),
        archive({"a.npy": npy(claim("(-1,)"), bytes(8))}),
        archive({"a.npy": npy(claim("(1,)", "|O"), bytes(8))}),
        archive({"a.npy": npy(claim("(1,)", "|V8"), bytes(8))}),
        archive({"a.npy": npy("(" * 110)}),
        archive({"a.npy": npy(claim("(1,)"), bytes(8), b"\x09\x00")}),
        archive({"a.npy": b"", "a": b""}),
    ),
    map_arrays: (
        *ANYTHING,
        safetensors([]),
        safetensors({"a": None}),
        safetensors({"a": entry([1], 0, 8)}, bytes(8)),
        safetensors({"a": entry([2], 4, 12)}, bytes(12)),
        safetensors({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, bytes(4)),
        safetensors({"a": entry([1], 0, 4)}, bytes(8)),
        safetensors({"a": entry([TIB], 0, 4 * TIB)}, bytes(8)),
        safetensors({"a": entry([TIB, 0], 0, 0)}),
        safetensors({"a": entry([-1, -1], 0, 4)}, bytes(4)),
        safetensors({"a": entry([True], 0, 4)}, bytes(4)),
        safetensors({"a": entry([1.0], 0, 4)}, bytes(4)),
        safetensors({"a": entry(["1"], 0, 4)}, bytes(4)),
        safetensors({"a": entry([1], 0, 4, "BF16")}, bytes(4)),
        safetensors({"a": entry([1], 0, 4, [])}, bytes(4)),
        b"\xff" * 8 + b"{}",
    ),
    read_tensors: (
        *ANYTHING,
        safetensors({"a": entry([2], 0, 4)}, bytes(4)),
        safetensors({"a": entry([TIB], 0, 4 * TIB)}, bytes(8)),
        safetensors({"a": entry([2**62, 4], 0, 4)}, bytes(4)),
        b"\xff" * 8 + b"{}",
    ),
    read_torch: (
        *ANYTHING,
        archive({"a/data.pkl": b"", "a/version": b"3"}),
        saved_by_torch({"a": {1, 2}}),
        saved_by_torch({"a": torch.zeros(1).expand(10**9)}),
        saved_by_torch({"a": [torch.eye(3).to_sparse()]}),
        saved_by_torch({"a": torch.zeros(3, device="meta")}),
        saved_by_torch({"a": torch.Size([3]), "b": torch.float32}),
        saved_by_torch(np.float64(1.0)),
        saved_by_torch(Path("x")),
        compressed_anew(saved_by_torch({"a": torch.zeros(1_000_000)})),
        saved_by_torch({"a": torch.zeros(1000)}).replace(
            b"M\xe8\x03", struct.pack("<cH", b"M", 65_535)
        ),
    ),
}


@pytest.mark.parametrize(
    ("read", "content"),
    [
        pytest.param(read, content, id=f"{read.__name__}-{index}")
        for read, contents in DAMAGED.items()
        for index, content in enumerate(contents)
    ],
)
def test_what_is_damaged_or_forged_is_one_sentence_with_the_path(
    tmp_path: Path, read: Callable[[Path], Any], content: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError) as raised:
        read(path)
    sentence = str(raised.value)
    assert sentence.startswith(f"{path}") and sentence.endswith(".") and "\n" not in sentence
    assert "weights_only" not in sentence
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize("read", list(DAMAGED), ids=lambda read: read.__name__)
@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path), lambda path: None]
)
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, read: Callable[[Path], Any], make: Callable[[Path], None]
) -> None:
    make(tmp_path / "file")
    with pytest.raises(UnreadableFileError, match="file cannot be read: "):
        read(tmp_path / "file")


WHOLE: dict[Callable[[Path], Any], bytes] = {
    read_json: json.dumps({"a": [1, 2.5, None, "x"], "b": {"c": True}}).encode(),
    read_yaml: b"a: [1, 2.5, null, x]\nb: {c: true}\n",
    read_npz: archive({"a.npy": npy(claim("(2,)"), bytes(16))}, zipfile.ZIP_DEFLATED),
    map_arrays: safetensors({"a": entry([2, 1], 0, 8), "b": entry([0, 3], 8, 8)}, bytes(8)),
    read_torch: saved_by_torch({"a": [torch.zeros(3), 1, 2.5, None, "x"]}),
}


@pytest.mark.parametrize("read", list(WHOLE), ids=lambda read: read.__name__)
def test_bytes_changed_at_random_are_read_or_told(
    tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    path, numbers = tmp_path / "file", random.Random(0)
    path.write_bytes(WHOLE[read])
    read(path)
    num_told = 0
    for _ in range(200):
        content = bytearray(WHOLE[read])
        for _ in range(numbers.choice((1, 3))):
            content[numbers.randrange(len(content))] = numbers.randrange(256)
        path.write_bytes(content[: numbers.choice((len(content), numbers.randrange(len(content))))])
        try:
            read(path)
        except UnreadableFileError:
            num_told += 1
    assert num_told > 50


def test_memory_is_not_taken_because_a_header_claims_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    zeros = archive({"a.npy": npy(claim(f"({TIB},)"), bytes(80_000_000))}, zipfile.ZIP_DEFLATED)
    for read, content in ((read_npz, zeros), (map_arrays, b"\xff" * 7 + b"\x7f" + b"{}")):
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(UnreadableFileError):
            read(path)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak_bytes < 5_000_000


def test_an_archive_that_really_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, a=np.zeros(1_000_000))
    monkeypatch.setattr("ddpzero.system.guarded_files.MAX_NPZ_BYTES", 4_000_000)
    with pytest.raises(UnreadableFileError, match=r"contains arrays of 0\.00745 GiB"):
        read_npz(path)


def test_arrays_of_another_byte_order_are_turned(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.arange(5, dtype=">i4"))
    array = read_npz(tmp_path / "a.npz")["a"]
    assert array.dtype == np.dtype("=i4") and array.tolist() == [0, 1, 2, 3, 4]


def test_what_a_checkpoint_has_comes_back(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(3.0)}
    save_file(tensors, tmp_path / "w")
    assert torch.equal(read_tensors(tmp_path / "w")["a"], tensors["a"])
    state = {"layers": [{0: torch.arange(3.0)}], "n": 3, "none": None}
    (tmp_path / "t").write_bytes(saved_by_torch(state))
    assert read_torch(tmp_path / "t")["layers"][0][0].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a": NaN}'])
def test_a_line_that_is_no_object_is_none(line: bytes) -> None:
    assert parse_json_line(line) is None
