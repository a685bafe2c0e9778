"""The settings of the core, as plain dataclasses: each mirrors one group of conf/ and checks itself at construction.

config/ creates them from the composed config; they are passed on as plain arguments. A plugin declares its own settings
(network, search, ...) itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ddpzero.system.errors import require, require_at_least, require_at_most

# More threads than any processor has, and about thirty years.
MAX_THREADS = 1024
MAX_SECONDS = 1_000_000_000

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
class ActorSettings:
    """The self-play processes of one rank.

    num_actors: number of processes; None: one per core that this rank may use, minus one.
    min_effort, max_effort: bounds of the work for a sample, as multiples of the configured work (for AlphaZero:
        simulations per move). The run adjusts it so that neither actors nor learner wait; equal bounds switch that off.
    """

    num_actors: int | None = None
    num_games: int = 128
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = False
    num_threads: int = 1
    max_restarts: int = 5
    hang_seconds: float = 300.0
    min_effort: float = 1.0
    max_effort: float = 1.0

    def __post_init__(self) -> None:
        require(
            self.num_actors is None or self.num_actors >= 1,
            f"actors.num_actors={self.num_actors} must be at least 1, or null for one per free core.",
        )
        for name in ("num_games", "num_threads"):
            require(
                getattr(self, name) >= 1,
                f"actors.{name}={getattr(self, name)} must be at least 1.",
            )
        require(
            0.01 <= self.min_effort <= 1,
            f"actors.min_effort={self.min_effort} must be in 0.01..1.",
        )
        require(
            1 <= self.max_effort <= 100,
            f"actors.max_effort={self.max_effort} must be in 1..100.",
        )
        require(
            self.max_restarts >= 0,
            f"actors.max_restarts={self.max_restarts} must be 0 or more.",
        )
        # A living actor sends a message every second, or slightly later on a busy machine.
        require_at_least("actors", self, {"hang_seconds": 10})
        require_at_most("actors", self, {"num_threads": MAX_THREADS, "hang_seconds": MAX_SECONDS})


@dataclass(frozen=True)
class ReplaySettings:
    """The replay buffer of one rank. All numbers are per rank.

    samples_per_insert: how often a sample that is not held out is used on average; the learner waits for data and the
    actors wait for the learner to keep this ratio. window_exponent: the learner uses only a window of the newest
    samples, which grows with the number N of generated samples as min_samples * (N / min_samples) ** window_exponent;
    1 uses the whole buffer.
    min_samples_per_insert, max_samples_per_insert: bounds within which the run adjusts samples_per_insert so that
    neither side waits; None: as samples_per_insert.
    """

    capacity: int = 500_000
    min_samples: int = 5_000
    samples_per_insert: float = 4.0
    min_samples_per_insert: float | None = None
    max_samples_per_insert: float | None = None
    window_exponent: float = 0.8

    def __post_init__(self) -> None:
        require(
            self.min_samples >= 1,
            f"replay.min_samples={self.min_samples} must be at least 1.",
        )
        require(
            self.samples_per_insert > 0,
            f"replay.samples_per_insert={self.samples_per_insert} must be positive.",
        )
        require_at_least("replay", self, {"samples_per_insert": 1e-6})
        require_at_most("replay", self, {"samples_per_insert": 1_000_000})
        least, most = self.samples_per_insert_bounds
        require(
            self.samples_per_insert / 100 <= least <= self.samples_per_insert,
            f"replay.min_samples_per_insert={self.min_samples_per_insert} must be at most "
            f"replay.samples_per_insert={self.samples_per_insert} and at least a hundredth of it, or null.",
        )
        require(
            self.samples_per_insert <= most <= 100 * self.samples_per_insert,
            f"replay.max_samples_per_insert={self.max_samples_per_insert} must be at least "
            f"replay.samples_per_insert={self.samples_per_insert} and at most a hundred times as much, or null.",
        )
        require(
            0 < self.window_exponent <= 1,
            f"replay.window_exponent={self.window_exponent} must be above 0 and at most 1.",
        )

    @property
    def samples_per_insert_bounds(self) -> tuple[float, float]:
        """The least and the largest samples_per_insert."""
        least, most = self.min_samples_per_insert, self.max_samples_per_insert
        return (
            self.samples_per_insert if least is None else least,
            self.samples_per_insert if most is None else most,
        )


@dataclass(frozen=True)
class LearnerSettings:
    """The learner of one rank. batch_size is per rank.

    schedule: "concurrent": actors play while the learner trains. "rounds": each rank plays episodes_per_round episodes,
    then makes steps_per_round updates, then publishes; reproducible for a seed. An epoch is steps_per_epoch updates, or
    one round with schedule "rounds".
    holdout_fraction: share of the episodes that are stored but never trained on, for the metrics "holdout/...".
    max_epochs, max_minutes, max_samples, max_episodes: optional limits; the first one reached ends the run. max_minutes
    counts training time over all resumes, from the first finished episode on; max_samples and max_episodes count those
    of all ranks.
    """

    schedule: Literal["concurrent", "rounds"] = "concurrent"
    batch_size: int = 256
    optimizer: Literal["adamw", "muon", "sgd"] = "muon"
    learning_rate: float = 2e-3
    learning_rate_schedule: Literal["constant", "cosine"] = "constant"
    final_learning_rate_fraction: float = 0.05
    warmup_steps: int = 100
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = False
    num_threads: int = 1
    ema_decay: float = 0.997
    publish_interval_steps: int = 50
    steps_per_epoch: int = 500
    episodes_per_round: int = 100
    steps_per_round: int = 500
    holdout_fraction: float = 0.05
    max_epochs: int | None = None
    max_minutes: float | None = None
    max_samples: int | None = None
    max_episodes: int | None = None
    timeout_seconds: float = 600.0

    @property
    def epoch_steps(self) -> int:
        """The number of updates in an epoch, for either schedule."""
        return self.steps_per_round if self.schedule == "rounds" else self.steps_per_epoch

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "publish_interval_steps",
            "steps_per_epoch",
            "episodes_per_round",
            "steps_per_round",
            "num_threads",
        ):
            require(
                getattr(self, name) >= 1,
                f"learner.{name}={getattr(self, name)} must be at least 1.",
            )
        require(
            0 <= self.holdout_fraction <= 0.5,
            f"learner.holdout_fraction={self.holdout_fraction} must be in 0..0.5: the others are trained on.",
        )
        require_at_least("learner", self, {"timeout_seconds": 1})
        limits = {"num_threads": MAX_THREADS, "timeout_seconds": MAX_SECONDS}
        require_at_most("learner", self, {**limits, "max_minutes": MAX_SECONDS})
        for name in ("max_epochs", "max_minutes", "max_samples", "max_episodes"):
            value = getattr(self, name)
            require(
                value is None or value > 0,
                f"learner.{name}={value} must be positive, or null for no limit.",
            )
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        for name in ("learning_rate", "gradient_clip"):
            require(
                getattr(self, name) > 0,
                f"learner.{name}={getattr(self, name)} must be positive.",
            )
        require(
            0 <= self.ema_decay < 1,
            f"learner.ema_decay={self.ema_decay} must be at least 0 (no averaging) and below 1.",
        )
        require(
            self.warmup_steps >= 0 and self.weight_decay >= 0,
            f"learner.warmup_steps={self.warmup_steps} and learner.weight_decay={self.weight_decay} must be "
            "0 or more.",
        )
        require(
            0 <= self.final_learning_rate_fraction <= 1,
            f"learner.final_learning_rate_fraction={self.final_learning_rate_fraction} must be in 0..1.",
        )
        require(
            self.learning_rate_schedule == "constant" or self.has_limit,
            f"learner.learning_rate_schedule={self.learning_rate_schedule} needs an end to aim at: set "
            "learner.max_epochs, max_minutes, max_samples or max_episodes, or use constant.",
        )

    @property
    def has_limit(self) -> bool:
        """Whether a setting ends the run, so that the share of it that is done is known."""
        return any((self.max_epochs, self.max_minutes, self.max_samples, self.max_episodes))


@dataclass(frozen=True)
class CheckpointSettings:
    """When checkpoints are saved, and how many are kept.

    keep_last: complete checkpoints on disk, besides the one that the process resumed from.
    interval_epochs: epochs between two checkpoints; the last epoch always has one.
    interval_minutes: the least time between two checkpoints; None: 50 times the duration of the last save. An epoch
    that lasts longer than that, and than five minutes, is interrupted by a checkpoint.
    at_minutes: minutes of training after which the weights are kept as a model of the run, for a curve of its strength.
    allow_config_change: continue in a run folder with a different config; otherwise an error names the differing keys.
    """

    keep_last: int = 3
    interval_epochs: int = 1
    interval_minutes: float | None = None
    at_minutes: tuple[float, ...] = ()
    allow_config_change: bool = False

    def __post_init__(self) -> None:
        for name in ("keep_last", "interval_epochs"):
            require(
                getattr(self, name) >= 1,
                f"checkpoint.{name}={getattr(self, name)} must be at least 1.",
            )
        require(
            self.interval_minutes is None or self.interval_minutes >= 0,
            f"checkpoint.interval_minutes={self.interval_minutes} must be 0 or more, or null for as often as takes "
            "2 % of the time.",
        )
        for minute in self.at_minutes:
            require(
                0 < minute <= MAX_SECONDS,
                f"checkpoint.at_minutes={list(self.at_minutes)}: {minute:g} must be positive and at most "
                f"{MAX_SECONDS:,}.",
            )


@dataclass(frozen=True)
class ArenaSettings:
    """Matches during the training, played by processes of rank 0's node.

    num_workers: number of processes; 0 for no matches.
    opponents: players that never change; the first one has rating 0. None: rollout:100 and rollout:1000, or the rule
    agents of a team game.
    games: of a model against each of its opponents, half of them with either side.
    num_simulations: per move of a model; None: as in its config. share: the largest share of the node's CPU time.
    max_models: models kept on disk for later matches.
    """

    num_workers: int = 1
    opponents: tuple[str, ...] | None = None
    games: int = 40
    num_simulations: int | None = None
    share: float = 0.05
    max_models: int = 32

    def __post_init__(self) -> None:
        require_at_least("arena", self, {"num_workers": 0, "max_models": 4})
        require_at_most("arena", self, {"num_workers": MAX_THREADS, "max_models": 100_000})
        _require_pairs("arena.games", self.games)
        require(
            self.num_simulations is None or self.num_simulations >= 0,
            f"arena.num_simulations={self.num_simulations} must be 0 (the network alone) or more, or null for as many "
            "as in self-play.",
        )
        require(
            0 < self.share <= 1,
            f"arena.share={self.share} must be above 0 and at most 1; arena.num_workers=0 plays no matches.",
        )
        require(
            self.opponents is None or len(set(self.opponents)) == len(self.opponents),
            f"arena.opponents={list(self.opponents or ())} names a player twice.",
        )


@dataclass(frozen=True)
class JudgeSettings:
    """Judgements of models by positions whose perfect play is known, during the training, by the arena's workers.

    file: a path, or a name from `ddpzero judge --list`; None for no judgements.
    interval_minutes: the least training time between two judged models. num_simulations: per position; each model is
    judged with each of them, 0 being the network alone. max_positions: the most positions, evenly spaced over the file.
    """

    file: str | None = None
    interval_minutes: float = 1.0
    num_simulations: tuple[int, ...] = (0, 64)
    max_positions: int = 200

    def __post_init__(self) -> None:
        require(
            self.file != "",
            "judge.file='' names no file: give a path or a name from `ddpzero judge --list`, or null.",
        )
        require_at_least("judge", self, {"interval_minutes": 0, "max_positions": 1})
        numbers = self.num_simulations
        require(
            len(numbers) >= 1,
            "judge.num_simulations=[] is empty: write [0, 64], for instance; judge.file=null judges no models.",
        )
        for index, number in enumerate(numbers):
            require(
                number >= 0 and number not in numbers[:index],
                f"judge.num_simulations[{index}]={number} must be 0 (the network alone) or more, and no number may "
                "appear twice.",
            )


@dataclass(frozen=True)
class ReleaseSettings:
    """Which model is the best one of a run, and which one generates episodes.

    rule: "always": the newest. "gate": the newest if it scores at least `threshold` against the best. "elo": the newest
    if it is more than `min_elo` stronger than the best, or after max_steps updates. Both compare in `games` games.
    self_play: "latest": actors play with the newest weights. "best": they play with those of the best model.
    """

    rule: Literal["always", "gate", "elo"] = "always"
    games: int = 400
    threshold: float = 0.55
    min_elo: float = 20.0
    max_steps: int = 10_000
    self_play: Literal["latest", "best"] = "latest"

    def __post_init__(self) -> None:
        _require_pairs("release.games", self.games)
        require(
            0 < self.threshold < 1,
            f"release.threshold={self.threshold} must be above 0 and below 1: it is a match score.",
        )
        require_at_least("release", self, {"max_steps": 1})


def _require_pairs(key: str, num_games: int) -> None:
    require(
        num_games >= 2 and num_games % 2 == 0,
        f"{key}={num_games} must be even and at least 2, because each start is played twice, with sides swapped.",
    )


@dataclass(frozen=True)
class LoggingSettings:
    """What is logged, how often, and where.

    interval_seconds: time between two rows of metrics in the console and TensorBoard. level: of the log files.
    interval_episodes: number of episodes of all ranks between two rows, each with a summary line; None: rows by time.
    csv, wandb: also write the rows to these backends; see run/backends.py.
    """

    interval_seconds: float = 10.0
    interval_episodes: int | None = None
    level: Literal["debug", "info", "warning"] = "info"
    csv: bool = False
    wandb: bool = False

    def __post_init__(self) -> None:
        require_at_least("logging", self, {"interval_seconds": 0.1})
        require_at_most("logging", self, {"interval_seconds": MAX_SECONDS})
        require(
            self.interval_episodes is None or self.interval_episodes >= 1,
            f"logging.interval_episodes={self.interval_episodes} must be at least 1, or null for rows by the clock.",
        )


@dataclass(frozen=True)
class SweepSettings:
    """Settings of a sweep. objective: the metric or counter that a job returns to the sweeper; see sweep.py."""

    objective: str | None = None


@dataclass(frozen=True)
class Settings:
    """All settings of one run.

    algorithm: the plugin's module, or the absolute path of its .py file.
    sections: the plugin's settings, by the names that it declares ("network", "search", ...).
    init_from: start with the weights of another run or checkpoint, "RUN" or "RUN@EPISODE"; see initial_weights.py.
    """

    run_name: str
    runs_dir: str
    seed: int
    device: Literal["auto", "cpu", "cuda"]
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
    sweep: SweepSettings = field(default_factory=SweepSettings)
    init_from: str | None = None

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
