"""The YAML file of an ablation, checked before anything is trained. bench/README.md explains its keys.

mode: online
base: [+experiment=quick]
variants:
  base: []
  sharp: [search.value_scale=0.3]
seeds: [0, 1]
minutes: 5
judge:
  positions: {files: connect_four_hard, simulations: [0, 64]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ddpzero.arena.judging import BEST, KEEPS, KEEPS_WHERE_IT_MATTERS
from ddpzero.config.hydra import compose_settings
from ddpzero.config.overrides import quoted
from ddpzero.config.strict import as_group, convert, make_dataclass
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import read_yaml

# An ablation sets these itself.
_OWN_KEYS = (
    *("run_name", "runs_dir", "seed", "learner.max_minutes", "learner.max_epochs"),
    *("learner.max_samples", "learner.max_episodes", "checkpoint.at_minutes"),
)
# The opponent that stands for the first variant.
BASE = "base"
# What judge.positions counts.
FIGURES = (KEEPS, KEEPS_WHERE_IT_MATTERS, BEST)
# In these lists a single entry may stand alone.
_LISTS = ("base", "seeds", "minutes", "figures")


@dataclass(frozen=True)
class PositionsJudge:
    """files: solved positions, by path or by name in the package. simulations: each number is one judgment.

    A variant whose player does not search is judged once, as one with 0 simulations.
    """

    files: tuple[str, ...]
    simulations: tuple[int, ...] = (0, 64)

    def __post_init__(self) -> None:
        require(
            bool(self.files),
            "judge.positions.files is empty: name solved positions, as in connect_four_hard (`ddpzero judge --list`).",
        )
        require(
            bool(self.simulations) and min(self.simulations) >= 0,
            f"judge.positions.simulations={list(self.simulations)} must be whole numbers from 0 on, at least one; 0 is "
            "the network alone.",
        )


@dataclass(frozen=True)
class MatchesJudge:
    """opponents: players as in `ddpzero match`, or "base" for the first variant with the same seed and minutes.

    simulations: per move of the trained agents; None: as in their config, and in team games.
    """

    opponents: tuple[str, ...] = (BASE,)
    games: int = 200
    simulations: int | None = None

    def __post_init__(self) -> None:
        require(
            self.games >= 2 and self.games % 2 == 0,
            f"judge.matches.games={self.games} must be even and at least 2, because each start is played twice, with "
            "sides swapped.",
        )
        require(
            bool(self.opponents),
            f"judge.matches.opponents is empty: name players, as in {BASE} or rollout:100.",
        )
        require(
            self.simulations is None or self.simulations >= 0,
            f"judge.matches.simulations={self.simulations} must be at least 0, the network alone.",
        )


@dataclass(frozen=True)
class Judge:
    """At least one of the two."""

    positions: PositionsJudge | None = None
    matches: MatchesJudge | None = None

    @property
    def needs_first(self) -> bool:
        """Whether the other variants play against the first one."""
        return self.matches is not None and BASE in self.matches.opponents

    def __post_init__(self) -> None:
        require(
            bool(self.positions or self.matches),
            "judge is empty: give positions, as in judge: {positions: {files: connect_four_hard}}, or matches.",
        )


class CellKey(NamedTuple):
    """One training of an ablation."""

    variant: str
    seed: int

    @property
    def run_name(self) -> str:
        return f"{self.variant}-seed{self.seed}"


@dataclass(frozen=True)
class Experiment:
    """An ablation as its file describes it.

    base: settings of all variants. variants: the settings that each one adds; the others are compared with the first.
    minutes: training time after which each training is judged; the last one ends it. steps: instead of minutes, the
    number of updates. replay_of: mode offline: the run or checkpoint whose replay buffer all variants train on.
    config_dir: as --config-dir of training. title: the game's name in the tables of launch/strength.sh; figures: of
    positions, those that these tables show (arena/judging.py), empty for all.
    """

    variants: dict[str, Any]
    judge: Judge
    mode: Literal["online", "offline"] = "online"
    base: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    minutes: tuple[float, ...] = ()
    steps: int | None = None
    replay_of: str | None = None
    config_dir: str | None = None
    title: str = ""
    figures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(
            bool(self.variants), "variants is empty: name at least one, as in variants: {base: []}."
        )
        for name in self.variants:
            require(
                name.replace("-", "").replace("_", "").replace(".", "").isalnum()
                and name[0] not in "-.",
                f"variants.{name} names a folder: use letters, digits, '.', '_' and '-'.",
            )
        require(
            bool(self.seeds) and len(set(self.seeds)) == len(self.seeds) and min(self.seeds) >= 0,
            f"seeds={list(self.seeds)} must be different whole numbers from 0 on.",
        )
        require(
            bool(self.minutes) != (self.steps is not None),
            f"minutes={list(self.minutes)} and steps={self.steps}: give one of them.",
        )
        require(
            all(a < b for a, b in zip((0.0, *self.minutes), self.minutes, strict=False)),
            f"minutes={list(self.minutes)} must be positive and ascend.",
        )
        require(
            (self.mode == "offline") == (self.replay_of is not None),
            f"mode={self.mode} and replay_of={self.replay_of}: offline trains on the replay buffer of the run in "
            "replay_of; online needs none.",
        )
        for figure in self.figures:
            require(
                figure in FIGURES,
                f"figures={list(self.figures)}: {figure!r} is not one of {', '.join(FIGURES)}.",
            )
        for word in (*self.base, *(word for words in self.variants.values() for word in words)):
            key = word.lstrip("+~").partition("=")[0]
            require(
                key not in _OWN_KEYS,
                f"{word}: an ablation sets {key} itself; remove it. seeds, minutes and steps are keys of the file.",
            )

    @property
    def first(self) -> str:
        """The variant with which the others are compared."""
        return next(iter(self.variants))

    @property
    def points(self) -> tuple[float | None, ...]:
        """The minutes of training after which each training is judged; (None,) for its end after `steps`."""
        return self.minutes or (None,)

    def cells(self) -> Iterator[CellKey]:
        """Yield all trainings, interleaved by seed, so that a slow hour of the machine affects all variants."""
        for seed in self.seeds:
            for variant in self.variants:
                yield CellKey(variant, seed)

    def words(self, cell: CellKey, settings: Settings, runs_dir: Path) -> list[str]:
        """Return the settings of one training, as words of the command line. settings: of its variant."""
        limits: dict[str, Any] = dict.fromkeys(
            ("max_epochs", "max_minutes", "max_samples", "max_episodes"), "null"
        )
        if self.steps is not None:
            limits["max_epochs"] = self.steps // settings.learner.epoch_steps
        else:
            limits["max_minutes"] = self.minutes[-1]
        earlier = ",".join(map(str, self.minutes[:-1]))
        return [
            *self._words_of_variant(cell.variant),
            *(f"learner.{name}={value}" for name, value in limits.items()),
            f"checkpoint.at_minutes=[{earlier}]",
            # The arena must not remove the models that are judged later.
            "arena.max_models=100000",
            f"seed={cell.seed}",
            f"runs_dir={quoted(str(runs_dir))}",
            f"run_name={cell.run_name}",
        ]

    def compose(self) -> dict[str, Settings]:
        """Return the settings of each variant, so that a mistake shows before the first training. Raises UserError."""
        return {name: self._compose_variant(name) for name in self.variants}

    def _words_of_variant(self, variant: str) -> list[str]:
        return [*self.base, *self.variants[variant]]

    def _compose_variant(self, variant: str) -> Settings:
        # Without a limit, a learning rate schedule is refused.
        words = [*self._words_of_variant(variant), "learner.max_minutes=1"]
        try:
            settings = compose_settings(words, self.config_dir)
        except UserError as error:
            raise UserError(f"variant {variant}: {error}") from None
        steps, epoch_steps = self.steps, settings.learner.epoch_steps
        require(
            steps is None or (steps >= 1 and steps % epoch_steps == 0),
            f"steps={steps} must be a multiple of the {epoch_steps} updates of an epoch of variant {variant}: change "
            "it, or set learner.steps_per_epoch.",
        )
        return settings

    def to_json(self) -> dict[str, Any]:
        """Return the experiment as plain values, which describe what finished trainings depend on."""
        return asdict(self)

    def without_cells(self) -> Experiment:
        """Return the experiment without what may change later: variants and seeds, and what only tables use."""
        first = {self.first: self.variants[self.first]}
        return replace(self, variants=first, seeds=(0,), title="", figures=())


def read_experiment(file: Path) -> Experiment:
    """Read the file of an ablation. Raises UserError with the file and the key."""
    values = read_yaml(file)
    try:
        return experiment_from(values)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def experiment_from(values: Mapping[str, Any]) -> Experiment:
    """Convert and check the content of the file. Raises UserError."""
    values = dict(values)
    for name in _LISTS:
        if name in values:
            values[name] = _as_list(values[name])
    variants = as_group(values.get("variants", {}), "variants")
    values["variants"] = {
        name: list(convert(_as_list(words), tuple[str, ...], f"variants.{name}"))
        for name, words in variants.items()
    }
    judge = as_group(values.get("judge", {}), "judge")
    for name, key in (
        ("positions", "files"),
        ("positions", "simulations"),
        ("matches", "opponents"),
    ):
        group = judge.get(name)
        if isinstance(group, Mapping) and key in group:
            judge[name] = {**group, key: _as_list(group[key])}
    values["judge"] = judge
    try:
        experiment: Experiment = make_dataclass(Experiment, values, "ablation")
    except UserError as error:
        raise UserError(str(error).replace("ablation.", "")) from None
    return experiment


def _as_list(value: Any) -> Any:
    """Return a list, also for a single value; an empty one for None."""
    return value if isinstance(value, list) else [] if value is None else [value]
