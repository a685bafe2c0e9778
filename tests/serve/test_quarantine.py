"""The room that rejected uploads take."""

from __future__ import annotations

from pathlib import Path

from ddpzero.serve.quarantine import Quarantine


def names(quarantine: Quarantine) -> set[str]:
    return {path.stem for path in quarantine.folder.iterdir()}


def test_small_files_count_as_what_they_take_on_disk(tmp_path):
    quarantine = Quarantine(tmp_path, 10 * 8192)
    quarantine.folder.mkdir()
    for number in range(30):
        quarantine.keep("alice", str(number), b"x")
    assert names(quarantine) == {f"alice-{number}" for number in range(20, 30)}


def test_files_of_an_earlier_server_make_room_first(tmp_path):
    earlier = Quarantine(tmp_path, 3 * 8192)
    earlier.folder.mkdir()
    for number in range(3):
        earlier.keep("alice", str(number), b"x")
    quarantine = Quarantine(tmp_path, 3 * 8192)
    quarantine.keep("bob", "0", b"x")
    quarantine.keep("bob", "1", b"x")
    assert names(quarantine) == {"alice-2", "bob-0", "bob-1"}
    quarantine.keep("bob", "2", bytes(100_000))
    assert names(quarantine) == set()


def test_the_folder_is_listed_once(tmp_path, monkeypatch):
    quarantine = Quarantine(tmp_path, 1 << 20)
    quarantine.folder.mkdir()
    listed: list[Path] = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: listed.append(self) or iterdir(self))
    for number in range(10):
        quarantine.keep("alice", str(number), b"x")
    assert len(listed) == 1
