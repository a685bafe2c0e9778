"""Shared by the tests of pools: a pool of toys, and what to wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import psutil
from toy_actors import SPEC

from ddpzero.actors import ActorPool, ActorSpec, WeightsChannel
from ddpzero.replay import Episode


class ToyPool(ExitStack):
    """`with ToyPool(num_actors=2, slice_seconds=0.1) as toys:` a pool and its channel.

    published: weights_version 1 is there from the beginning.
    """

    def __init__(
        self,
        num_actors: int = 1,
        factory: str = "toy_actors:make_actor",
        pool_options: dict | None = None,
        published: bool = True,
        preparation: str | None = None,
        suspect: str = "",
        **arguments,
    ) -> None:
        super().__init__()
        options = {"rank": 3, "seed": 11, "sample_spec": SPEC, **(pool_options or {})}
        self.channel = self.enter_context(WeightsChannel({"weight": np.zeros(4, np.float32)}))
        if published:
            self.publish(1)
        self.pool = self.enter_context(
            ActorPool(
                ActorSpec(factory, arguments, preparation, suspect, num_threads=2),
                self.channel,
                num_actors=num_actors,
                **options,
            )
        )

    def __enter__(self) -> ToyPool:
        return self

    def publish(self, weights_version: int) -> None:
        array = np.full(4, weights_version, np.float32)
        self.channel.publish({"weight": array}, weights_version)

    def poll_until(
        self, enough: Callable[[list[Episode]], bool], seconds: float = 30.0
    ) -> list[Episode]:
        """Poll until the episodes so far are enough."""
        episodes: list[Episode] = []
        deadline = time.monotonic() + seconds
        while not enough(episodes):
            assert time.monotonic() < deadline, f"{len(episodes)} episodes in {seconds} s"
            episodes += self.pool.poll(timeout_seconds=0.1)
        return episodes


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait until it holds; returns how long that took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, "it never came true"
        time.sleep(0.01)
    return time.monotonic() - started


def is_running(pid: int) -> bool:
    """Neither gone nor waiting to be buried."""
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
