"""The settings of what a run writes: checkpoints, logs, and the result of a sweep's job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ddpzero.settings.limits import MAX_SECONDS
from ddpzero.system.errors import require, require_at_least, require_at_most


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
class StoreSettings:
    """The finished episodes on disk, in episodes/ of the run's folder.

    keep: GiB of all ranks together. Older episodes are removed, except those whose samples a checkpoint needs; None:
    keep all.
    """

    keep: float | None = 20.0

    def __post_init__(self) -> None:
        require(
            self.keep is None or self.keep >= 0,
            f"store.keep={self.keep} must be 0 or more GiB, or null to keep all episodes.",
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
