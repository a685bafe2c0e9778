"""The contract between a plugin's actors and the pool: how an actor is made in its process, and what it can do."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

# Registers the finder of modules from files: an actor's process imports this module before it unpickles a spec.
import ddpzero.system.source_files  # noqa: F401
from ddpzero.actors.exchange import Exchange
from ddpzero.replay import Episode


class UnusableWeightsError(RuntimeError):
    """An actor raises this if it cannot play with the weights it received. The message is one sentence.

    The rank then checks whether its training has diverged.
    """


class Actor(Protocol):
    """Plays games in one actor process. Called from one thread; never talks to other processes."""

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        """Play with these weights from now on. The actor may keep the arrays. Called before the first `play`."""
        ...

    def play(self) -> list[Episode]:
        """Advance the games by about 50 to 200 ms of work; return the episodes finished, in order of finishing."""
        ...

    def start_round(self, num_episodes: int, round_seed: int) -> None:
        """Schedule "rounds": drop all running episodes and play exactly num_episodes new ones.

        The seed and the weights determine the episodes and their order. Time, how `play` cuts the work into slices, and
        what was played before must not matter.
        """
        ...

    @property
    def round_done(self) -> bool:
        """Schedule "rounds": whether `play` has returned all episodes of the round."""
        ...

    def take_metrics(self) -> dict[str, float]:
        """Return counts and seconds since the last call; the pool adds them up over its actors.

        Names are identifiers, and not those that the core counts itself (CORE_COUNTS in algorithms/base.py).
        """
        ...


@dataclass(frozen=True)
class ActorSpec:
    """How to make an actor in a new process.

    factory: "package.module:function", called as `function(**arguments, rank=, actor_index=, seed=) -> Actor`.
    arguments: plain values and frozen dataclasses; they are pickled once, when the process starts.
    preparation: "package.module:function", called as `function(**arguments)` in a separate process before a pool's
        actors start, to compile into files what they then load. None: nothing to prepare.
    suspect: a sentence about code from outside ddpzero in the actor, shown if it crashes or hangs; "" for none.
    num_threads: for OpenMP, BLAS and numba in the actor; set in its environment, before it imports anything.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    preparation: str | None = None
    suspect: str = ""
    num_threads: int = 1

    def __post_init__(self) -> None:
        named = {"factory": self.factory, "preparation": self.preparation}
        for name, text in named.items():
            module, _, function = (text or "").partition(":")
            if text is not None and not (module and function):
                raise ValueError(
                    f"actor {name} {text!r} must be written as package.module:function."
                )
        if self.num_threads < 1:
            raise ValueError(f"actors.num_threads={self.num_threads} must be at least 1.")

    def make(
        self, rank: int, actor_index: int, seed: int, exchange: Exchange | None = None
    ) -> Actor:
        """Import the factory and call it: in the actor's process only.

        exchange: if the rank has an evaluator process; the factory then gets it as one more argument.
        """
        module, _, function = self.factory.partition(":")
        factory = getattr(importlib.import_module(module), function)
        more = {} if exchange is None else {"exchange": exchange}
        return factory(**self.arguments, **more, rank=rank, actor_index=actor_index, seed=seed)
