"""The body of an AlphaZero actor: many games in lockstep, searched by one evaluator, handed out when they end.

Lives in an actor process (ddpzero/actors); never talks to other processes itself.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.lockstep import LockstepGames
from ddpzero.algorithms.alphazero.selfplay import IDLE
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.evaluators import NetworkEvaluator
from ddpzero.games import Game, load_game
from ddpzero.games.random_bits import new_random_states
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.precision import Precision
from ddpzero.replay import Episode
from ddpzero.search.cache import new_cache
from ddpzero.search.settings import SearchSettings

# A slice of play ends after so long, so that the process looks for news from its rank.
_SLICE_SECONDS = 0.1
_NO_LIMIT = -1


class AlphaZeroActor:
    """Plays; see ddpzero/actors for the contract of an actor's methods."""

    def __init__(
        self,
        game: Game,
        search: SearchSettings,
        settings: AlphaZeroSettings,
        auxiliary: Collection[str],
        evaluator: NetworkEvaluator,
        num_games: int,
        num_groups: int,
        cache_megabytes: float,
        seed: int,
    ):
        self._evaluator = evaluator
        self._cache = new_cache(game, cache_megabytes)
        sizes = [len(part) for part in np.array_split(np.arange(num_games), num_groups)]
        self._groups = [
            LockstepGames(game, search, settings, auxiliary, self._cache, slot, size)
            for slot, size in enumerate(sizes)
            if size > 0
        ]
        self._weights_version = 0
        self._counts: dict[str, float] = {}
        self._num_games_to_start = 0
        self._restart(seed)

    def receive(self, arrays: Mapping[str, np.ndarray], weights_version: int) -> None:
        """Play with new weights from now on."""
        for group in self._groups:
            self._collect(group)
        self._evaluator.load_weights(arrays)
        self._weights_version = weights_version

    def play(self) -> list[Episode]:
        """Advance all games for about a tenth of a second; returns the games that ended."""
        if self._num_games_to_start == 0 and self.round_done:
            return []
        episodes: list[Episode] = []
        started = time.perf_counter()
        while time.perf_counter() - started < _SLICE_SECONDS and not self.round_done:
            for group in self._groups:
                self._collect(group)
                finished = group.take_finished()
                if finished:
                    episodes.extend(finished)
                    self._fill_places(group)
                num_simulations = group.propose(
                    self._evaluator.observations(group.slot), self._weights_version
                )
                self._count("simulations", num_simulations)
                self._count("evaluations", group.num_leaves)
                if group.num_leaves > 0:
                    with _Timer(self, "forward"):
                        self._evaluator.submit(group.slot, group.num_leaves)
        self._count("seconds", time.perf_counter() - started)
        return episodes

    def start_round(self, num_episodes: int, round_seed: int) -> None:
        """Drop all games and play exactly num_episodes new ones, determined by the seed and the weights alone."""
        for group in self._groups:
            self._collect(group)
            group.record.stages[:] = IDLE
        self._cache.versions[:] = -1
        self._restart(round_seed, num_episodes)

    @property
    def round_done(self) -> bool:
        """No game is running and none is to start: only at the end of a round."""
        return self._num_games_to_start == 0 and all(
            (group.record.stages == IDLE).all() for group in self._groups
        )

    def figures(self) -> dict[str, float]:
        """Counts and seconds since the last call."""
        look_ups, hits = self._cache.counts
        self._cache.counts[:] = 0
        figures = {**self._counts, "cache_look_ups": float(look_ups), "cache_hits": float(hits)}
        self._counts = {}
        return figures

    def _restart(self, seed: int, num_episodes: int = _NO_LIMIT) -> None:
        states = new_random_states(seed, sum(len(g.record.stages) for g in self._groups))
        self._num_games_to_start = num_episodes
        for group in self._groups:
            num_places = len(group.record.stages)
            group.forest.random_states[:] = states[:num_places]
            states = states[num_places:]
            self._fill_places(group)

    def _fill_places(self, group: LockstepGames) -> None:
        for place in np.flatnonzero(group.record.stages == IDLE):
            if self._num_games_to_start == 0:
                break
            if self._num_games_to_start > 0:
                self._num_games_to_start -= 1
            group.start_game(int(place))

    def _collect(self, group: LockstepGames) -> None:
        if group.num_leaves == 0:
            return
        with _Timer(self, "forward"):
            logits, outcomes = self._evaluator.collect(group.slot)
        group.absorb(self._evaluator.observations(group.slot), logits, outcomes)

    def _count(self, name: str, amount: float) -> None:
        self._counts[name] = self._counts.get(name, 0.0) + amount


class _Timer:
    """Adds wall seconds and this process's CPU seconds to an actor's figures."""

    def __init__(self, actor: AlphaZeroActor, name: str):
        self._actor = actor
        self._name = name

    def __enter__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._actor._count(f"seconds_{self._name}", time.perf_counter() - self._wall)
        self._actor._count(f"cpu_seconds_{self._name}", time.process_time() - self._cpu)


def make_actor(
    *,
    game: Mapping[str, Any],
    network: NetworkSettings,
    search: SearchSettings,
    settings: AlphaZeroSettings,
    loss: LossSettings,
    num_games: int,
    device: str,
    precision: Precision,
    compile: bool,
    cache_megabytes: float,
    rank: int,
    actor_index: int,
    seed: int,
) -> AlphaZeroActor:
    """Make an actor in its process. game: arguments of `load_game`; rank and actor_index are part of the seed."""
    loaded = load_game(**game)
    auxiliary = loss.auxiliary(loaded)
    # Two groups overlap tree work with the network where the network runs elsewhere.
    num_groups = 2 if device.startswith("cuda") and num_games > 1 else 1
    max_batch = -(-num_games // num_groups) * search.leaves_per_round
    evaluator = NetworkEvaluator(
        make_network(loaded, network, auxiliary),
        loaded,
        max_batch=max_batch,
        num_slots=num_groups,
        device=device,
        precision=precision,
        compile=compile,
        points_scale=search.points_scale(loaded),
    )
    return AlphaZeroActor(
        loaded,
        search,
        settings,
        auxiliary,
        evaluator,
        num_games,
        num_groups,
        cache_megabytes,
        seed,
    )
