"""Verifies stored games: their files, their values, and each move by the rules. Nothing in a file is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.episodes.source import EpisodeReader
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.replay.sample import check_columns, check_values
from ddpzero.run.shard import Shard, read_shard
from ddpzero.system.errors import UserError


@dataclass
class Verdict:
    """What is wrong in some shards. problems: a sentence each. num_loose: samples whose episodes are unknown."""

    num_shards: int = 0
    num_games: int = 0
    num_samples: int = 0
    num_loose: int = 0
    problems: list[str] = field(default_factory=list)


def verify(paths: list[Path]) -> Iterator[Verdict]:
    """Verify shards; yield the verdict after each."""
    verdict, reader = Verdict(), EpisodeReader()
    for path in paths:
        verdict.num_shards += 1
        try:
            shard = read_shard(path)
            algorithm = reader.algorithm(path, shard)
        except UserError as error:
            verdict.problems.append(str(error))
            yield verdict
            continue
        verdict.num_samples += shard.num_samples
        verdict.num_games += len(shard.episodes)
        if not shard.episodes:
            verdict.num_loose += shard.num_samples
        verdict.problems += [
            f"{path}: the episode {number} {problem}" if number else f"{path}: {problem}"
            for number, problem in problems_of(shard, algorithm)
        ]
        yield verdict


def problems_of(shard: Shard, algorithm: CompleteAlgorithm) -> Iterator[tuple[int, str]]:
    """Yield what is wrong in a shard: the number of an episode, from 1, and a sentence that goes on after it.

    The number 0 stands for all episodes; its problem is a whole sentence, and the last one.
    """
    spec = algorithm.sample_spec()
    columns = {name: column for name, column in shard.columns.items() if name != HELD_OUT}
    try:
        check_columns(spec, columns)
    except ValueError as error:
        yield 0, str(error)
        return
    has_wrong_values = False
    try:
        check_values(spec, columns)
    except ValueError as error:
        has_wrong_values = True
        if not shard.episodes:
            yield 0, str(error)
            return
    for number, episode in enumerate(shard.episodes, start=1):
        of_episode = {name: column[episode.rows] for name, column in columns.items()}
        problem = ""
        if has_wrong_values and episode.rows.stop > episode.rows.start:
            try:
                check_values(spec, of_episode)
            except ValueError as error:
                problem = f"has a {error}"
        if problem := problem or algorithm.problem_of_episode(episode.info, of_episode):
            yield number, problem
