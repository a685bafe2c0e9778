"""The settings of actors, replay buffer and learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ddpzero.settings.limits import MAX_SECONDS, MAX_THREADS
from ddpzero.system.device_names import require_device_name
from ddpzero.system.errors import require, require_at_least, require_at_most


@dataclass(frozen=True)
class ActorSettings:
    """The self-play processes of one rank.

    num_actors: number of processes; None: one per core that this rank may use, minus one. 0: the run plays no games.
    device: where positions are evaluated: "auto" (as the learner), "cpu", "cuda" (the rank's GPU), "mps", or GPUs of
        the node that no rank trains on, one for the actors of each rank in turn ("cuda:1", "cuda:4-7").
    cuda_graphs: on a GPU, launch the kernels of a batch at once; not where torch.compile does so by itself.
    min_effort, max_effort: bounds of the work for a sample, as multiples of the configured work (for AlphaZero:
        simulations per move). The run adjusts it so that neither actors nor learner wait; equal bounds switch that off.
    """

    num_actors: int | None = None
    num_games: int = 128
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    compile: bool = False
    cuda_graphs: bool = True
    num_threads: int = 1
    max_restarts: int = 5
    hang_seconds: float = 300.0
    min_effort: float = 1.0
    max_effort: float = 1.0

    def __post_init__(self) -> None:
        require(
            self.num_actors is None or self.num_actors >= 0,
            f"actors.num_actors={self.num_actors} must be 0 or more, or null for one per free core.",
        )
        require_device_name("actors.device", self.device)
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
class SimulatedSettings:
    """A device that computes nothing and answers after some time, to see how many actors keep such a one busy.

    A batch takes batch_latency_ms, and its positions 1 / positions_per_second each; noise: the standard deviation of
    that time, as a share of it.
    """

    batch_latency_ms: float = 1.0
    positions_per_second: float = 100_000.0
    noise: float = 0.05

    def __post_init__(self) -> None:
        require_at_least("simulated", self, {"batch_latency_ms": 0, "positions_per_second": 1})
        require_at_most("simulated", self, {"batch_latency_ms": 10_000})
        require(0 <= self.noise <= 1, f"simulated.noise={self.noise} must be in 0..1.")


# The source of the run's own actors.
SELF_PLAY = "self_play"


@dataclass(frozen=True)
class DataSettings:
    """Where the samples of a batch come from.

    sources: SELF_PLAY, runs, and folders of stored games; without SELF_PLAY no actors play. shares: of the sources in
    each batch, in their order; empty: all alike. All stored games count as one pool with the sum of their shares.
    """

    sources: tuple[str, ...] = (SELF_PLAY,)
    shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(
            len(self.sources) > 0 and len(set(self.sources)) == len(self.sources),
            f"data.sources={list(self.sources)} must name at least one source, and each only once: {SELF_PLAY}, a run, "
            "or a folder of stored games.",
        )
        require(
            not self.shares
            or (len(self.shares) == len(self.sources) and all(share > 0 for share in self.shares)),
            f"data.shares={list(self.shares)} must be a positive number for each of the {len(self.sources)} "
            "data.sources, or [] for equal shares.",
        )

    @property
    def stored(self) -> list[str]:
        """The sources that are already on disk."""
        return [source for source in self.sources if source != SELF_PLAY]

    @property
    def self_play_share(self) -> float:
        """The share of a batch that the run's own actors play; 0 without them."""
        shares = self.shares or (1.0,) * len(self.sources)
        of_self_play = sum(
            s for s, name in zip(shares, self.sources, strict=True) if name == SELF_PLAY
        )
        return of_self_play / sum(shares)

    def rows_of_self_play(self, batch_size: int) -> int:
        """Return how many rows of a batch the own actors have played; at least one of each kind of source."""
        if not self.stored:
            return batch_size
        if self.self_play_share == 0:
            return 0
        return min(max(1, round(self.self_play_share * batch_size)), batch_size - 1)


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

    gradient_accumulation: number of equal parts of a batch that go through the networks one after the other, for less
    memory. The update is that of the whole batch.
    schedule: "concurrent": actors play while the learner trains. "rounds": each rank plays episodes_per_round episodes,
    then makes steps_per_round updates, then publishes; reproducible for a seed. An epoch is steps_per_epoch updates, or
    one round with schedule "rounds".
    affinity: "auto": several ranks on one machine divide its cores, each for itself and its actors; see rank_cores.py.
    holdout_fraction: share of the episodes that are stored but never trained on, for the metrics "holdout/...".
    max_epochs, max_minutes, max_samples, max_episodes: optional limits; the first one reached ends the run. max_minutes
    counts training time over all resumes, from the first finished episode on; max_samples and max_episodes count those
    of all ranks.
    """

    schedule: Literal["concurrent", "rounds"] = "concurrent"
    batch_size: int = 256
    gradient_accumulation: int = 1
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
    affinity: Literal["auto", "none"] = "auto"
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
            "gradient_accumulation",
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
            self.batch_size % self.gradient_accumulation == 0,
            f"learner.gradient_accumulation={self.gradient_accumulation} must divide learner.batch_size="
            f"{self.batch_size}, because the parts of a batch are equally large. Choose "
            f"{_largest_divisor(self.batch_size, self.gradient_accumulation)}, for instance.",
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


def _largest_divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is not above `most`, which is at least 1."""
    return next(divisor for divisor in range(min(most, number), 0, -1) if number % divisor == 0)
