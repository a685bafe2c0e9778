"""All settings of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ddpzero.settings.arena import ArenaSettings, JudgeSettings, ReleaseSettings
from ddpzero.settings.collect import CollectSettings
from ddpzero.settings.records import (
    CheckpointSettings,
    LoggingSettings,
    StoreSettings,
    SweepSettings,
)
from ddpzero.settings.training import (
    SELF_PLAY,
    ActorSettings,
    DataSettings,
    LearnerSettings,
    ReplaySettings,
    SimulatedSettings,
)
from ddpzero.system.errors import require

# A file's name may have 255 bytes: a model's name also contains the size of its networks and two counters, and
# checkpoint_files.py adds a prefix of up to 20 bytes.
_MAX_RUN_NAME_BYTES = 150


@dataclass(frozen=True)
class GameSettings:
    """The game of a run.

    name: a game of ddpzero, or any name if `source` is the game's file. parameters: of the game (rows, size, ...).
    """

    name: str
    source: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `load_any_game` for this game."""
        return {"name": self.name, "source": self.source, **self.parameters}


@dataclass(frozen=True)
class Settings:
    """All settings of one run.

    algorithm: the plugin's module, or the absolute path of its .py file.
    sections: the plugin's settings, by the names that it declares ("network", "search", ...).
    evaluator: where the positions of actors are evaluated: "local", in each actor; "shared", in one process for all
        actors of a rank; "simulated", there and with no network; "auto", shared for several actors on a GPU.
    init_from: start with the weights of another run or checkpoint, "RUN" or "RUN@EPISODE"; see initial_weights.py.
    """

    run_name: str
    runs_dir: str
    seed: int
    device: Literal["auto", "cpu", "cuda", "mps"]
    algorithm: str
    sections: dict[str, Any]
    game: GameSettings
    actors: ActorSettings
    replay: ReplaySettings
    learner: LearnerSettings
    checkpoint: CheckpointSettings
    logging: LoggingSettings
    arena: ArenaSettings = field(default_factory=ArenaSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    data: DataSettings = field(default_factory=DataSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    collect: CollectSettings = field(default_factory=CollectSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    evaluator: Literal["auto", "local", "shared", "simulated"] = "auto"
    simulated: SimulatedSettings = field(default_factory=SimulatedSettings)
    init_from: str | None = None

    @property
    def waits_for_verdicts(self) -> bool:
        """Whether each round waits for the match of its model, which the workers of all ranks play."""
        return self.learner.schedule == "rounds" and self.release.rule != "always"

    @property
    def has_actors(self) -> bool:
        """Whether actors of the run play games."""
        return SELF_PLAY in self.data.sources and self.actors.num_actors != 0

    def __post_init__(self) -> None:
        require(self.seed >= 0, f"seed={self.seed} must be 0 or more.")
        require(
            bool(self.runs_dir), "runs_dir='' names no folder: write runs_dir=runs, for instance."
        )
        require(
            self.init_from != "",
            "init_from='' names no run: write init_from=RUN, or null to begin from nothing.",
        )
        require(
            len(self.run_name.encode()) <= _MAX_RUN_NAME_BYTES,
            f"run_name={self.run_name[:20]}... has {len(self.run_name)} letters: models are named after the run, and a "
            f"file's name has room for {_MAX_RUN_NAME_BYTES} of them.",
        )
        allowed = "letters, digits, '.', '_' and '-'"
        require(
            bool(self.run_name)
            and self.run_name[0] not in ".-"
            and all(c.isalnum() or c in "._-" for c in self.run_name),
            f"run_name={self.run_name!r} names a folder in {self.runs_dir}: use {allowed}, and begin with a "
            "letter or digit.",
        )
        plays_rounds = self.learner.schedule == "rounds"
        require(
            not plays_rounds or SELF_PLAY in self.data.sources,
            f"data.sources={list(self.data.sources)} plays no games, and learner.schedule=rounds alternates between "
            f"playing and training: add {SELF_PLAY}, or use schedule=concurrent.",
        )
        self._check_collect()
        require(
            len(self.data.sources) == 1 or self.learner.batch_size >= 2,
            f"learner.batch_size={self.learner.batch_size} has no room for {len(self.data.sources)} data.sources.",
        )
        require(
            plays_rounds or self.replay.min_samples <= self.replay.capacity,
            f"replay.min_samples={self.replay.min_samples} is above replay.capacity={self.replay.capacity}: "
            "learning would never start. Lower min_samples or raise capacity.",
        )
        require(
            plays_rounds or self.learner.batch_size <= self.replay.capacity,
            f"learner.batch_size={self.learner.batch_size} is above replay.capacity={self.replay.capacity}: "
            "raise capacity.",
        )
        actor_device = self.device if self.actors.device == "auto" else self.actors.device
        require(
            self.release.rule == "always" or self.arena.num_workers >= 1,
            f"release.rule={self.release.rule} needs matches: set arena.num_workers to at least 1.",
        )
        for path, precision, device in (
            ("learner.precision", self.learner.precision, self.device),
            ("actors.precision", self.actors.precision, actor_device),
        ):
            require(
                not (precision == "float16" and device == "cpu"),
                f"{path}=float16 does not pay on a CPU (device=cpu): use auto, float32 or bfloat16.",
            )
        # PyTorch scales losses with numbers in float64, which Apple's GPUs lack.
        require(
            not (self.device == "mps" and self.learner.precision == "float16"),
            "learner.precision=float16 cannot be trained with on device=mps: use auto, float32 or bfloat16.",
        )

    def _check_collect(self) -> None:
        collects = self.collect.server is not None
        require(
            self.has_actors or collects or SELF_PLAY not in self.data.sources,
            "actors.num_actors=0 plays no games: set collect.server to take in those of contributors, data.sources to "
            "train on stored ones, or actors.num_actors to at least 1.",
        )
        require(
            not collects or self.learner.schedule == "concurrent",
            f"collect.server={self.collect.server}: learner.schedule=rounds is reproducible, and games of contributors "
            "are not: use schedule=concurrent.",
        )
        require(
            not collects or SELF_PLAY in self.data.sources,
            f"collect.server={self.collect.server} needs {SELF_PLAY} in data.sources={list(self.data.sources)}: games "
            "of contributors count as those of the run.",
        )
        require(
            not collects or self.has_actors or self.collect.share == 1,
            f"collect.share={self.collect.share} waits for games of the run's own actors, and actors.num_actors=0 "
            "plays none: set collect.share=1 or actors.num_actors.",
        )
