"""The finished games of a contributor on their way to the server: on disk from the moment they are finished.

    finished/<number>-<random>.npz   games as they finish, some in each file
    batches/<id>.npz                 games of some of these files, to be uploaded under this id
    refused/<id>.npz                 batches that the server will not take

A batch's id is that of its content, and it names the files that it was made of: after a kill at any moment, no game is
lost, and none is in two batches. A batch is removed once the server has answered. All of its files have the same
description, so games of different runs, or of one whose config changed, are never in one batch.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.shard import Shard, StoredEpisode, read_shard, write_shard
from ddpzero.system.guarded_files import UnreadableFileError
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import remove

_FINISHED, _BATCHES, _REFUSED = "finished", "batches", "refused"
_PARTS = "parts"
# Of a file's description, added when it is written.
_OF_SHARD = ("format", "models")
_ID_LENGTH = 32
_DIGITS = 8
_GAMES_PER_FILE = 25
# That are not sent yet.
_MAX_BATCHES = 3


@dataclass(frozen=True)
class Batch:
    """Games to be uploaded. model: the newest one that played them."""

    id: str
    model: str
    num_games: int
    path: Path


@dataclass(frozen=True)
class _Finished:
    """A file of finished games. description: as JSON."""

    path: Path
    num_games: int
    size_bytes: int
    description: str


class Spool:
    """The folder of one contributor. Used from one thread.

    num_finished: games that are in no batch yet. refused_bytes: of files that the server will not take, or that are
    damaged; one that somebody removes counts until the next start. description: of the run, for each file; see
    shard.py.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self._folder = folder
        self._description = json_text(dict(description))
        for name in (_FINISHED, _BATCHES, _REFUSED):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for leftover in (folder / name).glob(".partial-*"):
                remove(leftover)
        self._batches = {batch.id: batch for batch in self._read_batches()}
        self._finished = self._read_finished()
        numbers = [int(file.path.stem[:_DIGITS]) for file in self._finished]
        self._next_number = max(numbers, default=-1) + 1
        refused = (folder / _REFUSED).iterdir()
        self.refused_bytes = sum(path.stat().st_size for path in refused)

    @property
    def num_finished(self) -> int:
        return sum(file.num_games for file in self._finished)

    @property
    def batches(self) -> list[Batch]:
        """All batches that are not sent, the oldest first."""
        return list(self._batches.values())

    @property
    def size_bytes(self) -> int:
        """The size of everything that is not sent. Refused batches count: a server could fill the disk with them."""
        in_batches = sum(batch.path.stat().st_size for batch in self._batches.values())
        return self.refused_bytes + in_batches + sum(file.size_bytes for file in self._finished)

    def add(self, episodes: Sequence[Episode], model: str) -> None:
        """Keep finished games. Raises OSError if the disk is full."""
        for start in range(0, len(episodes), _GAMES_PER_FILE):
            part = episodes[start : start + _GAMES_PER_FILE]
            # Never the name of an earlier file: a batch that is not sent yet may name that one.
            name = f"{self._next_number:0{_DIGITS}d}-{secrets.token_hex(8)}.npz"
            path = self._folder / _FINISHED / name
            games = [(episode.columns, episode.info, model) for episode in part]
            size_bytes = write_shard(path, _shard(games, json.loads(self._description)))
            self._next_number += 1
            self._finished.append(_Finished(path, len(part), size_bytes, self._description))

    def make_batches(
        self, num_games: int, max_games: int, max_bytes: int, is_last: bool = False
    ) -> None:
        """Make batches of about num_games games. If games are finished faster than they are sent, there are at most a
        few batches, and they are as large as the server allows.

        max_games, max_bytes: of a batch. is_last: also of fewer games that are left.
        """
        while files := self._next_files(num_games, is_last):
            if len(self._batches) >= _MAX_BATCHES:
                return
            num_finished = sum(file.num_games for file in files)
            most = max_games if num_finished >= 2 * num_games else min(num_games, max_games)
            parts: list[_Finished] = []
            count = size_bytes = 0
            for file in files:
                is_too_large = (
                    count + file.num_games > max_games or size_bytes + file.size_bytes > max_bytes
                )
                if count >= most or (parts and is_too_large):
                    break
                parts.append(file)
                count, size_bytes = count + file.num_games, size_bytes + file.size_bytes
            self._make_batch(parts)

    def remove(self, batch: Batch) -> None:
        """Forget a batch that the server has counted."""
        batch.path.unlink(missing_ok=True)
        del self._batches[batch.id]

    def refuse(self, batch: Batch) -> None:
        """Set a batch aside that the server will not take."""
        self.refused_bytes += batch.path.stat().st_size
        batch.path.replace(self._folder / _REFUSED / batch.path.name)
        del self._batches[batch.id]

    def _next_files(self, num_games: int, is_last: bool) -> list[_Finished]:
        """Return the files of which the next batch is made, of one description; none if there are too few games."""
        for description in dict.fromkeys(file.description for file in self._finished):
            files = [file for file in self._finished if file.description == description]
            is_enough = sum(file.num_games for file in files) >= num_games
            # There will be no more games of another description.
            if is_last or is_enough or description != self._description:
                return files
        return []

    def _make_batch(self, parts: Sequence[_Finished]) -> None:
        """Make a batch of files of one description."""
        games = []
        for part in parts:
            shard = read_shard(part.path)
            for episode in shard.episodes:
                columns = {
                    name: column[episode.rows]
                    for name, column in shard.columns.items()
                    if name != HELD_OUT
                }
                games.append((columns, episode.info, episode.model))
        names = [part.path.name for part in parts]
        digest = hashlib.sha256(json_text(names).encode())
        for part in parts:
            digest.update(part.path.read_bytes())
        batch_id = digest.hexdigest()[:_ID_LENGTH]
        path = self._folder / _BATCHES / f"{batch_id}.npz"
        description = json.loads(parts[0].description)
        write_shard(path, _shard(games, {**description, _PARTS: names}))
        self._batches[batch_id] = Batch(batch_id, games[-1][2], len(games), path)
        for part in parts:
            self._finished.remove(part)
            part.path.unlink()

    def _read_batches(self) -> list[Batch]:
        """Return the batches that were not sent; finish the making of one that a kill interrupted."""
        batches = []
        paths = (self._folder / _BATCHES).glob("*.npz")
        for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns):
            try:
                shard = read_shard(path, with_samples=False)
                parts = [str(name) for name in shard.description[_PARTS]]
            except (UnreadableFileError, KeyError, TypeError):
                path.replace(self._folder / _REFUSED / path.name)
                continue
            for name in parts:
                if Path(name).name == name:
                    (self._folder / _FINISHED / name).unlink(missing_ok=True)
            if shard.episodes:
                batches.append(
                    Batch(path.stem, shard.episodes[-1].model, len(shard.episodes), path)
                )
        return batches

    def _read_finished(self) -> list[_Finished]:
        finished = []
        for path in sorted((self._folder / _FINISHED).glob("[0-9]" * _DIGITS + "-*.npz")):
            try:
                shard = read_shard(path, with_samples=False)
                own = {k: v for k, v in shard.description.items() if k not in _OF_SHARD}
                finished.append(
                    _Finished(path, len(shard.episodes), path.stat().st_size, json_text(own))
                )
            except UnreadableFileError:
                path.replace(self._folder / _REFUSED / path.name)
        return finished


def _shard(
    games: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, Any], str]],
    description: Mapping[str, Any],
) -> Shard:
    """games: columns, info and model of each."""
    names = list(games[0][0])
    columns = {name: np.concatenate([of_game[name] for of_game, _, _ in games]) for name in names}
    episodes, first = [], 0
    for of_game, info, model in games:
        last = first + len(of_game[names[0]])
        episodes.append(StoredEpisode(dict(info), model, slice(first, last)))
        first = last
    columns[HELD_OUT] = np.zeros(first, np.bool_)
    return Shard(columns, episodes, description)
