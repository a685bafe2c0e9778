"""The learner's loop of a run on random samples, without the run: for benchmarks of the learner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpzero.actors import WeightsChannel
from ddpzero.bench.noise import noise
from ddpzero.bench.slices import LoopRates, compare_loops
from ddpzero.run.progress import Progress
from ddpzero.run.ranks import join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.settings import DataSettings, Settings
from ddpzero.system.signals import StopSignal
from ddpzero.system.temporary_folder import temporary_folder
from ddpzero.training.checkpointing import Checkpointing
from ddpzero.training.divergence_guard import DivergenceGuard
from ddpzero.training.intake import Intake
from ddpzero.training.learner import Learner, repeatable
from ddpzero.training.parts import build_parts, open_store
from ddpzero.training.played_weights import PlayedWeights
from ddpzero.training.reports import Outlets, Reports
from ddpzero.training.state import RunState

# Enough to spread batches over memory as in a run, yet generated quickly.
_MAX_SAMPLES = 50_000


def measure_loops(settings: Settings, seconds: float, seed: int = 0) -> LoopRates:
    """Compare the loop of a run with a bare one, which updates on the same batch again and again."""
    with learner_of_noise(settings, seed) as learner:
        updater, batch = learner.parts.updater, learner.parts.feeder.take()

        def as_in_a_run() -> None:
            learner.take_in_episodes()
            learner.update()

        def bare() -> None:
            updater.update(batch, settings.learner.learning_rate)

        return compare_loops(as_in_a_run, bare, learner.state.ranks.device, seconds)


@contextmanager
def learner_of_noise(settings: Settings, seed: int) -> Iterator[Learner]:
    """Make the learner of a run, with random samples in its buffer and actors that never finish an episode."""
    with temporary_folder("bench-learner-") as folder, ExitStack() as stack:
        ranks = stack.enter_context(join_ranks(settings.device))
        num_samples = min(settings.replay.capacity, _MAX_SAMPLES)
        replay = replace(settings.replay, capacity=num_samples, min_samples=num_samples)
        settings = replace(settings, seed=seed, replay=replay, data=DataSettings())
        settings = repeatable(settings, ranks.device)
        run_dir = folder / settings.run_name
        state, parts = RunState(settings.learner, ranks, StopSignal()), build_parts(settings, ranks)
        stack.callback(parts.feeder.close)
        parts.buffer.add(noise(parts.buffer.spec, num_samples, np.random.default_rng(seed)))
        store = stack.enter_context(open_store(settings, {}, ranks, run_dir))
        channel = stack.enter_context(WeightsChannel(*parts.updater.possible_actor_weights()))
        outlets = Outlets(run_dir, RunRecord(run_dir, ranks), Progress(enabled=False))
        actors: Any = SimpleNamespace(num_actors=1, has_heard=False, poll=lambda seconds: [])
        rate = settings.learner.learning_rate
        yield Learner(
            settings=settings,
            config={},
            state=state,
            parts=parts,
            intake=Intake(actors, None, 0.0, store, parts.buffer, parts.balance, 0.0),
            checkpointing=Checkpointing(run_dir, settings, {}, parts, state, store),
            guard=DivergenceGuard(parts.updater, parts.feeder, state, rate),
            reports=Reports(settings.logging, parts, state, outlets),
            pool=actors,
            channel=channel,
            arena=None,
            gate=None,
            played_weights=PlayedWeights(parts.updater, run_dir, plays_best=False),
            balancer=None,
        )
