"""Validates uploaded games, in a process of its own: nothing that a client says is trusted.

A game counts if its file can be read, its length is allowed, its moves are legal, its result is that of the rules, its
targets are those of the result and its policies distributions over legal moves (episodes/verification.py), and the
weights that it says it was played with are those of a recent model. Whether it was sent before, the database knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.episodes.verification import problems_of
from ddpzero.run.shard import Shard, StoredEpisode
from ddpzero.serve.archive import problem_of_archive
from ddpzero.serve.upload_content import hash_of, read_content
from ddpzero.system.errors import UserError, in_one_line
from ddpzero.system.guarded_files import UnreadableFileError
from ddpzero.system.json_text import json_text

# Characters of a reason.
_MAX_REASON = 300


@dataclass(frozen=True)
class Limits:
    """What a game must be. versions: of the weights of recent models."""

    min_plies: int
    max_plies: int
    max_games: int
    max_unpacked_bytes: int
    versions: frozenset[int]


@dataclass(frozen=True)
class ValidGame:
    """index: in its upload, from 0. hash: of everything in it."""

    index: int
    hash: str
    num_samples: int


@dataclass(frozen=True)
class Examination:
    """What became of the games of an upload. problem: of the whole of it, as a sentence; "" if it can be read.

    rejected: the index of each rejected game, and the rest of a sentence about it.
    """

    problem: str = ""
    valid: list[ValidGame] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # They quote what the upload contains, and the database keeps them.
        object.__setattr__(self, "problem", self.problem[:_MAX_REASON])
        rejected = [(index, reason[:_MAX_REASON]) for index, reason in self.rejected]
        object.__setattr__(self, "rejected", rejected)

    @property
    def num_games(self) -> int:
        return len(self.valid) + len(self.rejected)


class Validator:
    """Validates the games of one run. config: of the run, as contributors play it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        settings = settings_from_dict(with_defaults(config))
        self._game = {"name": settings.game.name, **settings.game.parameters}
        self.algorithm: CompleteAlgorithm = load_algorithm(settings)

    def examine(self, content: bytes, limits: Limits) -> Examination:
        """Return which games of an upload are valid. content: of the file."""
        if problem := problem_of_archive(content, limits.max_unpacked_bytes, limits.max_games):
            return Examination(f"the upload is refused: {problem}.")
        try:
            shard = read_content(content)
        except UnreadableFileError as error:
            return Examination(f"the upload cannot be read: {_reason(error)}")
        if problem := self._problem_of_shard(shard, limits):
            return Examination(f"the upload is refused: {problem}.")
        problems = dict(problems_of(shard, self.algorithm))
        if 0 in problems:
            return Examination(f"the upload is refused: {problems[0]}")
        valid, rejected = [], []
        for index, episode in enumerate(shard.episodes):
            problem = problems.get(index + 1) or self._problem_of_game(shard, episode, limits)
            if problem:
                rejected.append((index, problem))
            else:
                num_samples = episode.rows.stop - episode.rows.start
                valid.append(ValidGame(index, hash_of(shard, episode), num_samples))
        return Examination("", valid, rejected)

    def _problem_of_shard(self, shard: Shard, limits: Limits) -> str:
        if not shard.episodes:
            return "it contains no games"
        if len(shard.episodes) > limits.max_games:
            return f"it contains {len(shard.episodes)} games, and {limits.max_games} are allowed"
        config = shard.description.get("config")
        played = config.get("game") if isinstance(config, dict) else None
        if not isinstance(played, dict) or any(
            played.get(name) != value for name, value in self._game.items()
        ):
            return f"its games are of other rules than {json_text(self._game)}"
        return ""

    def _problem_of_game(self, shard: Shard, episode: StoredEpisode, limits: Limits) -> str:
        facts = self.algorithm.facts_of_episode(episode.info)
        if facts is None or not facts.is_ended_by_rules:
            return "is not over by the rules."
        if facts.length < limits.min_plies:
            return f"has {facts.length} plies; the least is {limits.min_plies}."
        if facts.length > limits.max_plies:
            return f"has {facts.length} plies; the most is {limits.max_plies}."
        versions = set(np.unique(shard.columns["weights_version"][episode.rows]).tolist())
        if not versions:
            return "has no samples."
        if versions - limits.versions:
            return "was played with a model that is unknown here or too old."
        return ""


def examine(content: bytes, limits: Limits, config: str) -> Examination:
    """Return which games of an upload are valid. config: of the run, as JSON; a process loads the last one once."""
    return _validator(config).examine(content, limits)


@lru_cache(maxsize=1)
def _validator(config: str) -> Validator:
    return Validator(json.loads(config))


def _reason(error: UserError) -> str:
    """Return the reason in an UnreadableFileError without the name of the temporary file."""
    return in_one_line(error).partition(" cannot be read: ")[2] or "it is damaged."
