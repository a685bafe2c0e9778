"""A run of a few seconds: the learner of one rank as a training builds it, fed with recorded episodes.

Benchmarks call its methods themselves, so nothing is reported or saved by the clock, and there are no matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from ddpzero.bench.recorded import recorded_spec
from ddpzero.config.conversion import settings_to_dict
from ddpzero.run.folder import claim_run_folder
from ddpzero.run.progress import Progress
from ddpzero.run.ranks import Ranks
from ddpzero.run.record import RunRecord
from ddpzero.settings import Settings
from ddpzero.settings.limits import MAX_SECONDS
from ddpzero.system.signals import StopSignal
from ddpzero.training.learner import Learner, build_learner
from ddpzero.training.metrics import metrics_of_run
from ddpzero.training.reports import Outlets
from ddpzero.training.state import RunState

_MAX_MIN_SAMPLES = 2_000


def short_run_settings(settings: Settings, runs_dir: Path) -> Settings:
    """Return the settings of such a run: those given, without what happens by the clock or beside it."""
    return replace(
        settings,
        runs_dir=str(runs_dir),
        init_from=None,
        actors=replace(settings.actors, num_actors=1, min_effort=1.0, max_effort=1.0),
        replay=replace(
            settings.replay,
            min_samples=min(settings.replay.min_samples, _MAX_MIN_SAMPLES),
            min_samples_per_insert=None,
            max_samples_per_insert=None,
        ),
        arena=replace(settings.arena, num_workers=0),
        judge=replace(settings.judge, file=None),
        release=replace(settings.release, rule="always"),
        checkpoint=replace(settings.checkpoint, interval_minutes=MAX_SECONDS / 60, at_minutes=()),
        logging=replace(
            settings.logging,
            interval_seconds=MAX_SECONDS,
            interval_episodes=None,
            csv=False,
            wandb=False,
        ),
    )


@contextmanager
def started_learner(
    settings: Settings, ranks: Ranks, stop: StopSignal, recording: Path
) -> Iterator[Learner]:
    """Build the learner of this rank within the block and begin the run, all ranks together.

    settings: of short_run_settings. recording: of `record`, for its only actor. A run of the same folder is resumed.
    """
    run_dir = Path(settings.runs_dir) / settings.run_name
    config = settings_to_dict(settings)
    torch.set_num_threads(settings.learner.num_threads)
    with ExitStack() as stack:
        stack.enter_context(claim_run_folder(run_dir, ranks))
        progress = stack.enter_context(Progress(enabled=False))
        record = stack.enter_context(RunRecord(run_dir, ranks, 0, metrics_of_run(settings)))
        outlets = Outlets(run_dir, record, progress)
        state = RunState(settings.learner, ranks, stop)
        spec = recorded_spec(recording)
        learner = build_learner(settings, config, state, outlets, stack, spec)
        learner.reports.write_start(config, learner.pool)
        learner.publish()
        yield learner
