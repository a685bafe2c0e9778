"""An experiment with everything that it names found and checked, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.ablation.experiment import Experiment
from ddpzero.bench.ablation.verdicts import check_judge
from ddpzero.games import Game, TeamGame
from ddpzero.run.finder import find_run, nearest_runs
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, require
from ddpzero.training.offline import read_samples


@dataclass(frozen=True)
class Plan:
    """settings: of each variant. game: of the first one. source: the run or checkpoint that replay_of names."""

    experiment: Experiment
    settings: Mapping[str, Settings]
    game: Game | TeamGame
    source: Path | None


def prepare(experiment: Experiment) -> Plan:
    """Compose the settings, find the runs and the positions. Raises UserError for whatever does not fit."""
    settings = experiment.compose()
    source = _source(experiment)
    first = load_algorithm(settings[experiment.first])
    for variant, of_variant in settings.items():
        try:
            algorithm = load_algorithm(of_variant)
            check_judge(experiment.judge, algorithm, first)
            if source is not None:
                # It may lack a column that the variant trains on.
                read_samples(source, algorithm.sample_spec())
        except UserError as error:
            raise UserError(f"variant {variant}: {error}") from None
    return Plan(experiment, settings, first.game, source)


def _source(experiment: Experiment) -> Path | None:
    if experiment.replay_of is None:
        return None
    found = find_run(experiment.replay_of)
    require(
        found is not None,
        f"replay_of={experiment.replay_of}: there is no such run.{nearest_runs(experiment.replay_of)}",
    )
    return found
