"""What a plugin gives to have actors: how to make one in its process, and what the made one can do."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ddpzero.replay import Episode


class UnusableWeightsError(RuntimeError):
    """An actor raises this where it cannot play with the weights that it was given. The message is one sentence.

    The rank then looks whether its training has diverged.
    """


class Actor(Protocol):
    """Plays games in one actor process. Called from one thread; never talks to other processes."""

    def receive(self, arrays: dict[str, np.ndarray], weights_version: int) -> None:
        """Play with these weights from now on; the actor may keep the arrays. Called before the first `play`."""
        ...

    def play(self) -> list[Episode]:
        """Advance the games by about 50 to 200 ms of work; return the episodes finished, in order of finishing."""
        ...

    def start_round(self, num_episodes: int, round_seed: int) -> None:
        """Schedule "rounds": drop all games and play exactly num_episodes fresh ones.

        The episodes and their order are determined by the seed and the weights: not by time, not by how `play` cuts
        the work into slices, not by what was played before.
        """
        ...

    @property
    def round_done(self) -> bool:
        """Schedule "rounds": `play` has returned all episodes of the round."""
        ...

    def figures(self) -> dict[str, float]:
        """Counts and seconds since the last call; the pool adds them up over its actors."""
        ...


@dataclass(frozen=True)
class ActorSpec:
    """How to make an actor in a new process.

    factory: "package.module:function", called as `function(**arguments, rank=, actor_index=, seed=) -> Actor`.
    arguments: plain values and frozen dataclasses; they travel once, at the start of the process.
    preparation: "package.module:function", called as `function(**arguments)` in a process of its own before a pool's
        actors start: what it compiles into files, they only load. None: nothing.
    suspect: a sentence about foreign code in the actor, for a person whose actor crashes or hangs; "" for none.
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

    def make(self, rank: int, actor_index: int, seed: int) -> Actor:
        """Import the factory and call it: in the actor's process only."""
        module, _, function = self.factory.partition(":")
        factory = getattr(importlib.import_module(module), function)
        return factory(**self.arguments, rank=rank, actor_index=actor_index, seed=seed)
