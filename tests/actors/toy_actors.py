"""Actors that play no game: each episode says who made it, and trouble comes when a test asks for it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from ddpzero.actors.spec import UnusableWeightsError
from ddpzero.replay import Episode, Field, SampleSpec
from ddpzero.system.errors import UserError

SPEC: SampleSpec = {
    "number": Field((), np.dtype(np.int64), "random, from the actor's seed"),
    "weights_version": Field((), np.dtype(np.int32)),
}


class ToyActor:
    """Plays `episodes_per_slice` episodes of num_samples samples in each slice of slice_seconds.

    count_file: to which it adds a byte for every episode played.
    trouble: what happens once trouble_after episodes are played: "raise", "user error", "bad weights", "hang", "crash",
        "wrong columns".
    trouble_once_file: with it, trouble comes only if this file does not exist yet (and it is made then).
    """

    def __init__(
        self,
        rank: int,
        actor_index: int,
        seed: int,
        episodes_per_slice: int = 1,
        num_samples: int = 5,
        slice_seconds: float = 0.01,
        random_sleeps: bool = False,
        count_file: str | None = None,
        trouble: str = "",
        trouble_after: int = 3,
        trouble_once_file: str | None = None,
        trouble_actor_index: int | None = None,
    ) -> None:
        self.place = {"rank": rank, "made_by": actor_index, "seed": seed}
        self.episodes_per_slice = episodes_per_slice
        self.num_samples = num_samples
        self.slice_seconds = slice_seconds
        self.random_sleeps = random_sleeps
        self.count_file = count_file and f"{count_file}.{actor_index}"
        self.trouble = trouble if trouble_actor_index in (None, actor_index) else ""
        self.trouble_after = trouble_after
        self.trouble_once_file = trouble_once_file
        self.rng = np.random.default_rng(seed)
        self.num_played = 0
        self.num_played_at_report = 0
        self.num_left = -1  # no limit
        self.weights_version = -1
        self.weights_sum = 0.0

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        self.weights_version = weights_version
        self.weights_sum = float(sum(array.sum() for array in arrays.values()))

    def start_round(self, num_episodes: int, round_seed: int) -> None:
        self.rng = np.random.default_rng(round_seed)
        self.num_left = num_episodes

    @property
    def round_done(self) -> bool:
        return self.num_left == 0

    def play(self) -> list[Episode]:
        seconds = self.slice_seconds
        # The operating system's randomness: a round must not depend on it.
        time.sleep(seconds * int.from_bytes(os.urandom(1)) / 128 if self.random_sleeps else seconds)
        episodes = []
        for _ in range(self.episodes_per_slice):
            if self.num_left == 0:
                break
            self.num_left -= 1
            episodes.append(self._episode())
        self.num_played += len(episodes)
        if self.count_file:
            with open(self.count_file, "ab") as file:
                file.write(b"." * len(episodes))
        self._maybe_make_trouble(episodes)
        return episodes

    def take_metrics(self) -> dict[str, float]:
        played = self.num_played - self.num_played_at_report
        self.num_played_at_report = self.num_played
        return {"simulations": float(played)}

    def _episode(self) -> Episode:
        columns = {
            "number": self.rng.integers(0, 2**62, self.num_samples),
            "weights_version": np.full(self.num_samples, self.weights_version, np.int32),
        }
        modules = [name for name in ("torch", "hydra", "omegaconf") if name in sys.modules]
        variables = {name: os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "RANK")}
        info = {**self.place, "heavy_modules": ",".join(modules), **variables}
        return Episode(columns, {**info, "pid": os.getpid(), "weights_sum": self.weights_sum})

    def _maybe_make_trouble(self, episodes: list[Episode]) -> None:
        if not self.trouble or self.num_played < self.trouble_after:
            return
        if self.trouble_once_file:
            if Path(self.trouble_once_file).exists():
                return
            Path(self.trouble_once_file).touch()
        if self.trouble == "raise":
            a_toy_that_breaks()
        elif self.trouble == "complain":
            os.write(2, b"a library complains\n")
            a_toy_that_breaks()
        elif self.trouble == "user error":
            raise UserError("the toy was given by hand what cannot work.")
        elif self.trouble == "bad weights":
            raise UnusableWeightsError(f"weights_version {self.weights_version} is NaN")
        elif self.trouble == "hang":
            a_toy_that_hangs()
        elif self.trouble == "crash":
            os.kill(os.getpid(), 11)
        elif self.trouble == "wrong columns":
            episodes[0].columns["number"] = episodes[0].columns["number"].astype(np.float32)


def a_toy_that_breaks() -> None:
    raise ZeroDivisionError("the toy broke on purpose")


def a_toy_that_hangs() -> None:
    time.sleep(3600)


def make_actor(**arguments) -> ToyActor:
    return ToyActor(**arguments)


def make_nothing(**arguments) -> ToyActor:
    raise FileNotFoundError("no toy to be had")


def prepare(
    count_file: str,
    seconds: float = 0.5,
    fails: bool = False,
    compiles: bool = False,
    **_: object,
) -> None:
    """A preparation: takes its time, then leaves a file, or fails."""
    if compiles:
        import numba

        numba.njit(lambda number: number + 1)(1)
    time.sleep(seconds)
    if fails:
        raise RuntimeError("the preparation's own words")
    Path(f"{count_file}.prepared").write_text(str(os.getpid()))


def make_prepared_actor(
    count_file: str, seconds: float = 0.5, fails: bool = False, compiles: bool = False, **arguments
):
    """An actor that finds what `prepare` left."""
    assert fails or Path(f"{count_file}.prepared").exists()
    return make_actor(**arguments)
