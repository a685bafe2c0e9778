"""The local actors of a contributor, which play with the newest model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.actors import ActorPool, WeightsChannel
from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict, with_defaults
from ddpzero.contribute.memory import require_room
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.model_file import ModelFile
from ddpzero.replay import Episode
from ddpzero.settings import Settings
from ddpzero.system.cores import usable_cores
from ddpzero.system.devices import require_apple_gpu
from ddpzero.system.errors import require


class LocalActors:
    """Context manager: leaving it kills the actors; they start with their first model.

    folder: for their logs. model: the name of the one that they play with; "" before the first. num_games: that all of
    them play at the same time.
    """

    def __init__(self, settings: ContributeSettings, folder: Path) -> None:
        self.model = ""
        self.num_games = 0
        self._settings = settings
        self._device = choose_device(settings)
        self._folder = folder
        self._running = ExitStack()
        self._pool: ActorPool | None = None
        self._channel: WeightsChannel | None = None
        self._config: dict[str, Any] = {}
        self._layout: Mapping[str, Any] = {}
        # weights_version of each publish.
        self._versions: list[int] = []

    def __enter__(self) -> LocalActors:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_compiling(self) -> bool:
        return self._pool is not None and self._pool.is_compiling

    def play_with(self, model: ModelFile) -> None:
        """Let the actors play with a model from now on. They start again if it has other settings or shapes.

        Raises UserError if they need more memory than they may.
        """
        config, layout = contributed_config(model.config), _layout(model)
        if self._pool is None or (config, layout) != (self._config, self._layout):
            self.stop()
            self._start(model, config)
            self._config, self._layout = config, layout
        assert self._channel is not None
        # Actors take only weights with a higher number, and a run that resumes counts its versions again.
        self._channel.publish(model.actor_weights, len(self._versions))
        self._versions.append(model.weights_version)
        self.model = model.model

    def poll(self, seconds: float) -> list[Episode]:
        """Return finished games, with the weights_version of the run; wait for them at most so long."""
        assert self._pool is not None
        episodes = self._pool.poll(seconds)
        versions = np.array(self._versions, np.int32)
        for episode in episodes:
            episode.info.pop("actor_index", None)
            episode.columns["weights_version"] = versions[episode.columns["weights_version"]]
        return episodes

    def stop(self) -> None:
        self._running.close()
        self._pool = self._channel = None

    def _start(self, model: ModelFile, config: dict[str, Any]) -> None:
        settings = with_own_actors(settings_from_dict(with_defaults(config)), self._settings)
        algorithm = load_algorithm(settings)
        require_room(algorithm, settings, self._settings, self._device.startswith("cuda"))
        self._channel = self._running.enter_context(WeightsChannel(model.actor_weights))
        self.num_games = (settings.actors.num_actors or 1) * settings.actors.num_games
        pool = make_pool(algorithm, settings, self._channel, self._device, self._folder)
        self._pool = self._running.enter_context(pool)


def with_own_actors(settings: Settings, own: ContributeSettings) -> Settings:
    """Return the settings of a run with as many actors and games as a contributor plays."""
    actors = replace(
        settings.actors,
        num_actors=own.num_actors or max(1, usable_cores() - 1),
        num_games=own.num_games or settings.actors.num_games,
    )
    return replace(settings, actors=actors)


def choose_device(settings: ContributeSettings) -> str:
    """Return the device on which networks are evaluated. Raises UserError if there is no GPU and one is wanted."""
    if settings.device == "mps":
        require_apple_gpu("device")
        return "mps"
    has_gpu = torch.cuda.is_available()
    require(
        settings.device != "cuda" or has_gpu,
        "device=cuda: PyTorch sees no GPU here; use device=auto or device=cpu.",
    )
    return "cuda:0" if has_gpu and settings.device != "cpu" else "cpu"


def make_pool(
    algorithm: CompleteAlgorithm,
    settings: Settings,
    channel: WeightsChannel,
    device: str,
    folder: Path,
) -> ActorPool:
    """Return the actors of a contributor. folder: for their logs."""
    return ActorPool(
        algorithm.actor_spec(settings.actors, device),
        channel,
        num_actors=settings.actors.num_actors or 1,
        rank=0,
        seed=int.from_bytes(os.urandom(7), "little"),
        sample_spec=algorithm.sample_spec(),
        max_restarts=settings.actors.max_restarts,
        hang_seconds=settings.actors.hang_seconds,
        log_dir=folder / "logs",
    )


def _layout(model: ModelFile) -> Mapping[str, Any]:
    return {name: (value.dtype, value.shape) for name, value in model.actor_weights.items()}
