"""The content of uploads: read, and joined to files of games. Runs in a validator (validators.py)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.checkpoint_files import sync_folder
from ddpzero.run.shard import Shard, StoredEpisode, read_shard, write_shard
from ddpzero.system.json_text import json_text

# The rank adds it, and it means nothing on another machine.
_ACTOR_INDEX = "actor_index"
_HASH_LENGTH = 32
_POLICY_STEPS = 64
# Policies of equal shares, 1/n, are not where two steps meet.
_SHIFT = 0.3


def read_content(content: bytes) -> Shard:
    """Read the content of a file of episodes. Raises UnreadableFileError."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        file.write(content)
        file.flush()
        shard = read_shard(Path(file.name))
    for episode in shard.episodes:
        episode.info.pop(_ACTOR_INDEX, None)
    return shard


def hash_of(shard: Shard, episode: StoredEpisode) -> str:
    """Return a hash of what makes a valid game another one: its moves, the weights that played it, and its policies.

    Policies count in steps, and the other numbers not at all: whoever sends a game twice could change them a little.
    """
    info = episode.info
    moves = json_text([info.get(name) for name in ("board", "restart_ply", "moves")])
    digest = hashlib.sha256(moves.encode())
    for name in ("weights_version", "policy_target"):
        if name in shard.columns:
            column = shard.columns[name][episode.rows]
            if column.dtype.kind == "f":
                column = np.floor(column.astype(np.float32) * _POLICY_STEPS + _SHIFT).astype(
                    np.int16
                )
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:_HASH_LENGTH]


@dataclass(frozen=True)
class AcceptedUpload:
    """The content of an upload, the indices of its games that count, and the model that played them."""

    content: bytes
    taken: Sequence[int]
    model: str


def join_uploads(
    uploads: Sequence[AcceptedUpload], path: Path, description: Mapping[str, Any]
) -> tuple[int, int, str]:
    """Write the accepted games of some uploads to one file; return its samples, its size in bytes and its sha256.

    Raises UnreadableFileError or ValueError if an upload cannot be read or its columns are not those of the others.
    """
    columns: dict[str, list[np.ndarray]] = {}
    episodes: list[StoredEpisode] = []
    num_samples, spec = 0, None
    for upload in uploads:
        shard = read_content(upload.content)
        found = {name: (c.dtype, c.shape[1:]) for name, c in sorted(shard.columns.items())}
        spec = spec or found
        if found != spec:
            raise ValueError("uploads of different sample specs cannot be joined")
        for index in upload.taken:
            episode = shard.episodes[index]
            of_episode = {name: column[episode.rows] for name, column in shard.columns.items()}
            length = len(of_episode.pop(HELD_OUT))
            for name, column in of_episode.items():
                columns.setdefault(name, []).append(column)
            rows = slice(num_samples, num_samples + length)
            episodes.append(StoredEpisode(episode.info, upload.model, rows))
            num_samples += length
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    # Which games are held out is for each learner to decide.
    whole[HELD_OUT] = np.zeros(num_samples, np.bool_)
    size_bytes = write_shard(path, Shard(whole, episodes, description))
    # The content of the uploads leaves the database after this.
    sync_folder(path.parent)
    return num_samples, size_bytes, hashlib.sha256(path.read_bytes()).hexdigest()
