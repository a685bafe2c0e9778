"""Damaged and hostile requests: nothing is accepted, nothing ends in a traceback, and memory does not grow."""

from __future__ import annotations

import io
import logging
import random
import secrets
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from ddpzero.remote.messages import API_PATH
from tests.serve.material import material, model_name, upload_of
from tests.serve.servers import serving

NUM_UPLOADS = 300
MAX_GROWTH_MIB = 50


def flipped(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 2, 20, 200])):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def cut(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.sample(range(len(content)), 2))
    return rng.choice([content[:start], content[end:], content[:start] + content[end:]])


def with_other_arrays(content: bytes, rng: random.Random) -> bytes:
    """Replace an array by another one: of any dtype, any size, or none."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = rng.choice(list(arrays))
    match rng.randrange(8):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = arrays[name][: len(arrays[name]) // 2]
        case 2:
            arrays[name] = arrays[name].astype(rng.choice([np.float64, np.int8, np.complex64]))
        case 3:
            arrays[name] = np.full(arrays[name].shape, np.nan)
        case 4:
            arrays[name] = arrays[name].astype(f"S{rng.randrange(1, 5)}")
        case 5:
            whole = np.frombuffer(arrays[name].tobytes(), np.uint8).copy()
            whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            arrays[name] = np.frombuffer(whole.tobytes(), arrays[name].dtype).reshape(
                arrays[name].shape
            )
        case 6:
            arrays[name] = np.array(rng.randrange(2**40))
        case 7:
            arrays[name + "x"] = arrays[name]
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def pickled(content: bytes, rng: random.Random) -> bytes:
    file = io.BytesIO()
    np.savez(file, description=np.array([{"a": print}], object), allow_pickle=True)
    return file.getvalue()


def claiming(content: bytes, rng: random.Random) -> bytes:
    """An array whose header claims more than it has."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        size = 2 ** rng.randrange(20, 60)
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({size},), }}"
        text = header.encode().ljust(117) + b"\n"
        archive.writestr(
            "sample.x.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        )
    return file.getvalue()


def test_mutated_uploads_count_nothing(tmp_path, caplog):
    rng = random.Random(1)
    good = upload_of(material(), material().episodes[:10], tmp_path / "x.npz")
    with serving(tmp_path, quarantine_mib=1.0) as server, caplog.at_level(logging.WARNING):
        server.push(1)
        # What a mutation leaves as it was is a repetition.
        assert server.upload(good).json()["accepted"] == 10
        (validator,) = psutil.Process().children(recursive=True)[-1:]
        before = psutil.Process().memory_info().rss + validator.memory_info().rss
        for number in range(NUM_UPLOADS):
            mutate = (flipped, cut, with_other_arrays, pickled, claiming)[number % 5]
            answer = server.upload(mutate(good, rng))
            assert answer.status_code in (200, 422), answer.text
            if answer.status_code == 200:
                found = answer.json()
                # A value of a search with another bit cannot be told from a real one, but its game was there before.
                assert found["accepted"] == 0 and found["rejected"] <= 10, found
            else:
                assert len(answer.json()["error"]) > 10
        grown = psutil.Process().memory_info().rss + validator.memory_info().rss - before
        assert grown < MAX_GROWTH_MIB << 20
        assert sum(f.stat().st_size for f in (tmp_path / "quarantine").iterdir()) <= 1 << 20
        assert server.upload(good).json()["repeated"] == 10
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("where", ["games", "models", "matches", "files", "run", "tasks", "x"])
def test_odd_requests_are_refused(server, caplog, where):
    rng = random.Random(where)
    names = ["..", "%2e%2e", "%00", "a" * 5000, "'; DROP TABLE users; --", "\u202e", "0" * 32]
    with caplog.at_level(logging.WARNING):
        for name in names:
            for method in ("GET", "PUT", "POST", "DELETE", "PATCH"):
                body = rng.choice([b"", b"{", b"[" * 10_000, b'{"kinds": 1}', b"\xff" * 100])
                answer = server.client.request(
                    method,
                    f"{API_PATH}/{where}/{name}",
                    params={"model": model_name(1), "after": rng.choice(["x", "-1", "9" * 30])},
                    content=body,
                    headers=rng.choice([server.alice, server.learner]),
                )
                assert answer.status_code in (400, 403, 404, 405, 413, 422), answer.text
                assert isinstance(answer.json()["error"], str)
    assert not [record for record in caplog.records if record.exc_info]


def test_odd_messages_are_refused(server, caplog):
    task = secrets.token_hex(16)
    bodies = [
        b"{",
        b"[" * 100_000,
        b'{"task": 1}',
        b'{"task": "%s", "moves": [[1e400]], "seconds": NaN}' % task.encode(),
        b'{"task": "%s", "moves": {"a": 1}, "seconds": 1}' % task.encode(),
        b'{"task": "%s", "moves": [], "seconds": 1}' % task.encode(),
    ]
    with caplog.at_level(logging.WARNING):
        for body in bodies:
            answer = server.client.put(
                f"{API_PATH}/matches/{task}", content=body, headers=server.alice
            )
            assert answer.status_code in (400, 422), answer.text
        long = b'{"kinds": ["' + b"x" * (5 << 20) + b'"]}'
        assert server.client.post(
            f"{API_PATH}/tasks", content=long, headers=server.alice
        ).status_code in (400, 413)
    assert not [record for record in caplog.records if record.exc_info]


def test_odd_tokens_are_refused(tmp_path):
    odd = [
        "",
        "Bearer",
        "Bearer " + "x" * 5000,
        "bearer \u00e9".encode(),
        "Basic eDp5",
        "Bearer a b",
    ]
    with serving(tmp_path) as server:
        for token in odd:
            answer = server.client.get(f"{API_PATH}/run", headers={"Authorization": token})
            assert answer.status_code == 401, (token, answer.text)
        many = {f"X-Odd-{number}": "x" * 100 for number in range(500)}
        assert server.client.get(f"{API_PATH}/run", headers=many).status_code == 401


def test_an_upload_may_be_written_nowhere_else(server, tmp_path):
    """Names of members of an archive are no paths."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("../../evil.npy", "/tmp/evil.npy", "C:\\evil.npy"):
            archive.writestr(name, b"x")
    assert server.upload(file.getvalue()).status_code == 422
    assert not (Path(server.folder).parent / "evil.npy").exists()
