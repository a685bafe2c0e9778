"""Uploads that would stop a server or fill its memory: they are refused or set aside, and the others are not."""

from __future__ import annotations

import bz2
import io
import os
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from ddpzero.remote.messages import API_PATH
from ddpzero.run.shard import read_shard
from ddpzero.serve.archive import problem_of_archive
from ddpzero.serve.database import uploads
from ddpzero.serve.game_files import games_path
from ddpzero.serve.upload_content import read_content
from ddpzero.system.guarded_files import UnreadableFileError
from tests.serve.material import material, model_name, upload_of
from tests.serve.servers import ServerOfTest, serving

MAX_UNPACKED = 64 << 20


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as archive:
        return {name: archive[name] for name in archive.files}


def archive_of(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def text(content: str) -> np.ndarray:
    return np.frombuffer(content.encode(), np.uint8)


def good(tmp_path: Path) -> bytes:
    return upload_of(material(), material().episodes[:2], tmp_path / "good.npz")


def join_waiting(server: ServerOfTest) -> int:
    assert server.client.portal is not None
    return server.client.portal.call(server.parts.joiner.join_waiting)


def with_method(method: int, data: bytes, claimed: int) -> bytes:
    """Return an archive of one member, compressed in some way, that claims another size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("sample.x.npy", data)
    forged = bytearray(file.getvalue())
    central = forged.rfind(b"PK\x01\x02")
    for start, method_at, size_at in ((0, 8, 22), (central, 10, 24)):
        struct.pack_into("<H", forged, start + method_at, method)
        struct.pack_into("<L", forged, start + size_at, claimed)
    return bytes(forged)


def test_only_methods_of_compression_whose_output_is_limited_are_read():
    content = with_method(zipfile.ZIP_BZIP2, bz2.compress(bytes(1 << 20)), 128)
    with pytest.raises(UnreadableFileError, match="compressed in another way"):
        read_content(content)


def test_what_would_be_parsed_or_built_is_limited_before(tmp_path):
    arrays = arrays_of(good(tmp_path))
    lists = "[" + ",".join(["[]"] * 2_000_000) + "]"
    many = 100_000
    for changes, name in [
        ({"description": text(f'{{"format":1,"models":["a"],"x":{lists}}}')}, "description"),
        ({"episode.info": text(f'{{"x":{lists}}}\n{{}}')}, "episode.info"),
        ({"episode.num_samples": np.zeros(many, np.int8)}, "episode.num_samples"),
    ]:
        content = archive_of({**arrays, **changes})
        problem = problem_of_archive(content, MAX_UNPACKED, max_games=500)
        assert problem == f"its {name} is too large for 500 games"
    assert problem_of_archive(good(tmp_path), MAX_UNPACKED, max_games=2) == ""


def die(*arguments: object) -> None:
    os._exit(1)


def test_an_upload_that_kills_its_validator_is_refused(tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as server:
        server.push(1)
        with monkeypatch.context() as patch:
            patch.setattr("ddpzero.serve.uploads.examine", die)
            answer = server.upload(good(tmp_path))
        assert answer.status_code == 422 and "cannot be read" in answer.json()["error"]
        assert server.upload(good(tmp_path)).json()["accepted"] == 2


def test_an_upload_that_cannot_be_joined_is_set_aside_and_the_others_are_joined(tmp_path, caplog):
    folder = tmp_path / "server"
    folder.mkdir()
    of = material()
    with serving(folder) as server:
        server.push(1)
        for number in range(3):
            content = upload_of(of, of.play(2, seed=40 + number), tmp_path / "x.npz")
            assert server.upload(content).json()["accepted"] == 2
        engine = server.parts.collection.engine
        with engine.begin() as connection:
            connection.execute(
                uploads.update().where(uploads.c.id == 2).values(payload=b"no games at all")
            )
        assert join_waiting(server) == 3
        with engine.begin() as connection:
            rows = connection.execute(sa.select(uploads.c.file, uploads.c.payload)).fetchall()
        assert [row.file for row in rows] == [1, -1, 2]
        assert bytes(rows[1].payload) == b"no games at all"
        assert "Its 2 accepted games are set aside" in caplog.text
        assert len(read_shard(games_path(folder, 1)).episodes) == 2
        assert len(read_shard(games_path(folder, 2)).episodes) == 2
        assert join_waiting(server) == 0


def test_the_joiner_survives_any_error(tmp_path, monkeypatch, caplog):
    folder = tmp_path / "server"
    folder.mkdir()
    with serving(folder, shard_seconds=0.1) as server:
        server.push(1)
        with monkeypatch.context() as patch:
            patch.setattr("ddpzero.serve.joiner.waiting_bytes", lambda engine: 1 / 0)
            time.sleep(1.5)
        assert "cannot be written to a file now" in caplog.text
        assert server.upload(good(tmp_path)).json()["accepted"] == 2
        until = time.monotonic() + 30
        while not games_path(folder, 1).exists():
            assert time.monotonic() < until
            time.sleep(0.1)


def test_games_that_wait_are_written_before_the_config_changes(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    other = material("algorithm.value_lambda=0.5")
    with serving(folder) as server:
        server.push(1)
        assert server.upload(good(tmp_path)).json()["accepted"] == 2
        answer = server.client.put(
            f"{API_PATH}/models/{model_name(2)}",
            content=other.numbered(2),
            headers=server.learner,
        )
        assert answer.status_code == 200, answer.text
        assert len(read_shard(games_path(folder, 1)).episodes) == 2
        content = upload_of(other, other.play(2, weights_version=2), tmp_path / "x.npz")
        assert server.upload(content, model=model_name(2)).json()["accepted"] == 2
        assert join_waiting(server) == 1
        first, second = (read_shard(games_path(folder, number)) for number in (1, 2))
        assert second.columns.keys() - first.columns.keys() == {"lambda_value", "lambda_draw"}
        assert second.description["config"]["algorithm"]["value_lambda"] == 0.5
