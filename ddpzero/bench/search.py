"""Benchmarks the search with uniform evaluations or with a network. Called by `ddpzero bench search`.

With a network, untrained or that of a run (init_from=RUN), the main result is the fraction of the bare forward rate:
positions that the search evaluates per second, divided by the rate of the same network on prepared planes. Both are
measured alternately, in slices so short that other processes slow down both alike. There is no evaluation cache: each
evaluated position is a forward pass.

Beside it stand single searches, as in play (search/thinking.py), in slices of their own: their simulations per CPU
second as a fraction of those in lockstep, and the time until they have a first thing to show. "new_position": each
begins where nothing was seen before. "one_game": each follows from the one before, and what is known of it is kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from ddpzero.algorithms.alphazero.memory import bench_needs
from ddpzero.bench.one_game import OneGame, OneGameSample
from ddpzero.evaluators.base import Evaluator
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.rate import bare_forward_rate
from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.games import Game, load_game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.networks import make_network
from ddpzero.run.initial_weights import chosen_weights
from ddpzero.search import Search, SearchSettings
from ddpzero.search.forest import ROOT
from ddpzero.search.rounds import propose_leaves
from ddpzero.search.tree import is_search_finished, set_root
from ddpzero.settings import Settings
from ddpzero.system.devices import choose_device
from ddpzero.system.errors import require
from ddpzero.system.machine import usable_memory
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.memory import check_memory
from ddpzero.training.actor_devices import choose_actor_device

_SLICE_SECONDS = 0.25


def bench_search(
    settings: Settings, evaluator: str = "uniform", seconds: float = 10.0, seed: int = 0
) -> list[Measurement]:
    """Search in actors.num_games slots for `seconds`; return medians over slices of that time.

    A search that has made all its simulations restarts at once, as in self-play, so that batches stay full.
    evaluator: "uniform" or "network". On a CPU the network uses actors.num_threads. On a GPU two groups of searches
    alternate, as in an actor: the tree work of one overlaps the forward pass of the other.
    """
    require(
        evaluator in ("uniform", "network"),
        f"evaluator={evaluator} is not known: choose uniform or network.",
    )
    search = settings.sections.get("search")
    if not isinstance(search, SearchSettings):
        raise ValueError(f"algorithm={settings.algorithm} has no tree search to measure.")
    require(
        search.num_simulations > 0,
        "search.num_simulations=0 searches nothing: give it a budget, 200 for example.",
    )
    game = load_game(**settings.game.arguments)
    network_settings = settings.sections["network"] if evaluator == "network" else None
    num_games = settings.actors.num_games
    check_memory(bench_needs(game, search, network_settings, num_games), usable_memory())
    if evaluator == "uniform":
        searches = EndlessSearches(game, search, num_games, 1, seed)
        samples = measure(searches, UniformEvaluator(game, searches.max_batch), seconds)
        conditions: dict[str, Any] = {"evaluator": evaluator}
    else:
        samples, of_network = _measure_with_network(settings, game, search, seconds, seed)
        conditions = {"evaluator": evaluator, **of_network}
    conditions |= {**asdict(search), "num_games": num_games}
    conditions |= {**game_settings(game.parameters), "seconds": seconds, "seed": seed}
    return [
        Measurement("search", game.name, name, value, unit, conditions)
        for name, value, unit in _medians(samples)
    ]


def _measure_with_network(
    settings: Settings, game: Game, search: SearchSettings, seconds: float, seed: int
) -> tuple[list[Sample], dict[str, Any]]:
    """Measure with a network, untrained without init_from; return the samples and the network's conditions."""
    actors, network_settings = settings.actors, settings.sections["network"]
    device = _device(settings)
    num_groups = 2 if device != "cpu" and actors.num_games > 1 else 1
    searches = EndlessSearches(game, search, actors.num_games, num_groups, seed)
    torch.set_num_threads(actors.num_threads)
    torch.manual_seed(seed)
    points = search.points_scale(game)
    module = make_network(game, network_settings, ("score",) if points else ())
    if settings.init_from:
        weights = chosen_weights(settings.init_from, Path(settings.runs_dir), module.state_dict())
        module.load_state_dict(weights)
    network = NetworkEvaluator(
        module,
        game,
        max_batch=searches.max_batch,
        num_slots=num_groups,
        device=device,
        precision=actors.precision,
        compile=actors.compile,
        cuda_graphs=actors.cuda_graphs,
        points_scale=points,
    )
    conditions = {
        "blocks": network_settings.blocks,
        "channels": network_settings.channels,
        "init_from": settings.init_from,
        "precision": str(network.inference.dtype).removeprefix("torch."),
        "device": device,
        "num_threads": actors.num_threads,
    }
    singles = {
        name: OneGame(game, search, module, device, actors.precision, seed, keeps_tree)
        for name, keeps_tree in (("new_position", False), ("one_game", True))
    }
    return measure(searches, network, seconds, network, singles), conditions


class EndlessSearches:
    """Endless searches in one or more groups; each group has its own slot of the evaluator."""

    def __init__(
        self, game: Game, settings: SearchSettings, num_games: int, num_groups: int, seed: int
    ):
        rng = np.random.default_rng(seed)
        sizes = [len(part) for part in np.array_split(np.arange(num_games), num_groups)]
        self._groups = [Search(game, settings, size) for size in sizes]
        self._positions = [game.random_positions(size, rng) for size in sizes]
        # Simulations of finished searches.
        self._num_finished = 0

    @property
    def max_batch(self) -> int:
        return max(group.max_batch for group in self._groups)

    @property
    def num_simulations(self) -> int:
        """The number of simulations that have been made so far."""
        running = sum(int(group.forest.trees["num_finished"].sum()) for group in self._groups)
        return self._num_finished + running

    def begin(self, evaluator: Evaluator) -> None:
        """Submit the first leaves of every group."""
        for slot, group in enumerate(self._groups):
            group.start(self._positions[slot])
            group.submit_leaves(evaluator, slot)

    def advance(self, evaluator: Evaluator) -> int:
        """Advance every group by one round; return the number of submitted positions."""
        num_submitted = 0
        for slot, group in enumerate(self._groups):
            group.absorb_leaves(evaluator, slot)
            self._num_finished += group.batch.propose_with(
                restart_and_propose, 0, self._positions[slot], evaluator.observations(slot)
            )
            num_leaves = group.batch.num_leaves
            if num_leaves > 0:
                evaluator.submit(slot, num_leaves)
            num_submitted += num_leaves
        return num_submitted


@compiled(cache=True)
def restart_and_propose(rules, forest, config, cache, weights_version, positions, observations):
    """Restart finished searches at `positions` [G, P], then propose leaves as `propose_leaves` does.

    Returns (leaves in the batch, simulations of the finished searches).
    """
    num_games = positions.shape[0]
    num_simulations = 0
    for slot in range(num_games):
        if is_search_finished(forest, config, slot):
            num_simulations += forest.trees[slot].num_finished
            contract.copy_position(rules, positions[slot], forest.positions[slot, ROOT])
            set_root(rules, forest, slot)
    num_leaves = propose_leaves(
        rules, forest, config, cache, weights_version, num_games, observations
    )
    return num_leaves, num_simulations


@dataclass(frozen=True)
class Sample:
    """Measurements of one slice of searching, and of the bare network and of single games right after it.

    cpu_seconds: of this thread. num_evaluated: positions. forward_per_second: 0 without a network. singles: by name,
    none without a network.
    """

    seconds: float
    cpu_seconds: float
    num_simulations: int
    num_evaluated: int
    forward_per_second: float
    singles: Mapping[str, OneGameSample] = field(default_factory=dict)


def measure(
    games: EndlessSearches,
    evaluator: Evaluator,
    seconds: float,
    network: NetworkEvaluator | None = None,
    singles: Mapping[str, OneGame] | None = None,
) -> list[Sample]:
    """Return samples taken for `seconds`; with `network`, part of the time measures its bare forward rate.

    singles: each takes another part.
    """
    games.begin(evaluator)
    # Warm up: compiles, and fills the processor's caches.
    _take_sample(games, evaluator, network, singles or {})
    deadline = time.perf_counter() + seconds
    samples = [_take_sample(games, evaluator, network, singles or {})]
    while time.perf_counter() < deadline:
        samples.append(_take_sample(games, evaluator, network, singles or {}))
    return samples


def _take_sample(
    games: EndlessSearches,
    evaluator: Evaluator,
    network: NetworkEvaluator | None,
    singles: Mapping[str, OneGame],
) -> Sample:
    num_simulations, num_evaluated = games.num_simulations, 0
    started, cpu_started = time.perf_counter(), time.thread_time()
    while time.perf_counter() < started + _SLICE_SECONDS:
        num_evaluated += games.advance(evaluator)
    return Sample(
        seconds=time.perf_counter() - started,
        cpu_seconds=time.thread_time() - cpu_started,
        num_simulations=games.num_simulations - num_simulations,
        num_evaluated=num_evaluated,
        forward_per_second=bare_forward_rate(network, games.max_batch, _SLICE_SECONDS)
        if network
        else 0.0,
        singles={name: single.sample(_SLICE_SECONDS) for name, single in singles.items()},
    )


def _medians(samples: list[Sample]) -> list[tuple[str, float, str]]:
    """Return the results of a benchmark: name, value, unit."""
    figures = [
        (
            "simulations_per_second",
            median(sample.num_simulations / sample.seconds for sample in samples),
            "1/s",
        )
    ]
    if samples[0].forward_per_second == 0:
        # The same rate without the influence of other programs on the core.
        rates = [sample.num_simulations / sample.cpu_seconds for sample in samples]
        return [*figures, ("simulations_per_cpu_second", median(rates), "1/s")]
    forward = median(sample.forward_per_second for sample in samples)
    fraction = median(
        sample.num_evaluated / sample.seconds / sample.forward_per_second for sample in samples
    )
    figures += [("forward_per_second", forward, "1/s"), ("fraction_of_forward", fraction, "")]
    for name in samples[0].singles:
        figures += _medians_of_single(name, samples)
    return figures


def _medians_of_single(name: str, samples: list[Sample]) -> list[tuple[str, float, str]]:
    singles = [sample.singles[name] for sample in samples]
    rates = [single.num_simulations / single.cpu_seconds for single in singles]
    fractions = [
        rate / (sample.num_simulations / sample.cpu_seconds)
        for rate, sample in zip(rates, samples, strict=True)
    ]
    first = 1000 * median(single.first_seconds for single in singles)
    return [
        (f"{name}_simulations_per_cpu_second", median(rates), "1/s"),
        (f"{name}_fraction_of_lockstep", median(fractions), ""),
        (f"{name}_first_result", first, "ms"),
    ]


def _device(settings: Settings) -> str:
    """Return the device of an actor in training: actors.device, else that of the learner."""
    own = choose_device(settings.device, local_rank=0, local_world_size=1)
    return str(choose_actor_device(settings.actors, own, local_rank=0))
