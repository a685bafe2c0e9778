"""Episodes that an untrained network has played once: the source of benchmarks that measure all but self-play.

    record()         plays some, and keeps them in a shard (run/shard.py)
    recorded_spec()  an actor that sends them again and again, as fast as its rank takes them in

An actor of this file imports no torch, and computes nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ddpzero.actors import ActorSpec
from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.shard import Shard, StoredEpisode, read_shard, write_shard
from ddpzero.settings import Settings, SimulatedSettings

# Enough for varied samples, yet played in seconds.
_NUM_SAMPLES = 2_000
_MAX_GAMES = 32
_EPISODES_AT_ONCE = 4
_FAST = SimulatedSettings(batch_latency_ms=0.0, positions_per_second=1e9, noise=0.0)


def record(settings: Settings, seed: int, path: Path) -> None:
    """Let one actor play, with a device that costs no time if the algorithm has one; write a shard to `path`.

    Raises UserError if no episode ends within three minutes.
    """
    # Imports torch, which an actor of this file does not need.
    from ddpzero.bench.self_play import playing, wait_until_all_play

    actors = replace(settings.actors, num_games=min(settings.actors.num_games, _MAX_GAMES))
    episodes: list[Episode] = []
    with playing(_with_fast_evaluator(replace(settings, actors=actors)), 1, seed) as pool:
        wait_until_all_play(pool)
        while sum(episode.num_samples for episode in episodes) < _NUM_SAMPLES:
            episodes += pool.poll(0.1)
    write_shard(path, _shard_of(episodes))


def recorded_episodes(path: Path) -> list[Episode]:
    """Return the recorded episodes."""
    shard = read_shard(path)
    return [
        Episode(
            {name: c[stored.rows] for name, c in shard.columns.items() if name != HELD_OUT},
            stored.info,
        )
        for stored in shard.episodes
    ]


def recorded_spec(path: Path) -> ActorSpec:
    """Return how to make an actor that sends the episodes of `record`."""
    return ActorSpec("ddpzero.bench.recorded:make_recorded_actor", {"path": path})


def make_recorded_actor(*, path: Path, rank: int, actor_index: int, seed: int) -> RecordedActor:
    """Make the actor in its process; each begins with another episode."""
    episodes = recorded_episodes(path)
    first = (rank + actor_index) % len(episodes)
    return RecordedActor(itertools.cycle([*episodes[first:], *episodes[:first]]))


class RecordedActor:
    """See Actor in actors/spec.py. episodes: never ends."""

    def __init__(self, episodes: Iterator[Episode]) -> None:
        self._episodes = episodes

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        """Take weights, as every actor does."""

    def play(self) -> list[Episode]:
        """Return the next episodes; the pool waits for its rank when they are sent."""
        return list(itertools.islice(self._episodes, _EPISODES_AT_ONCE))

    def start_round(self, num_episodes: int, round_seed: int) -> None:
        raise AssertionError("a recorded actor plays no rounds")

    @property
    def round_done(self) -> bool:
        return True

    def take_metrics(self) -> dict[str, float]:
        return {}


def _with_fast_evaluator(settings: Settings) -> Settings:
    from ddpzero.algorithms.loader import load_algorithm

    actors, algorithm = settings.actors, load_algorithm(settings)
    has_one = algorithm.evaluator_spec(actors, "cpu", _FAST, is_repeatable=False) is not None
    return replace(settings, evaluator="simulated" if has_one else "local", simulated=_FAST)


def _shard_of(episodes: list[Episode]) -> Shard:
    rows = np.cumsum([0, *(episode.num_samples for episode in episodes)])
    columns = {
        name: np.concatenate([episode.columns[name] for episode in episodes])
        for name in episodes[0].columns
    }
    columns[HELD_OUT] = np.zeros(rows[-1], np.bool_)
    stored = [
        StoredEpisode(episode.info, "", slice(int(first), int(end)))
        for episode, first, end in zip(episodes, rows, rows[1:], strict=False)
    ]
    return Shard(columns, stored, {"run": "benchmark"})
