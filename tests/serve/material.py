"""A model and games for collection servers: made once, with a tiny network."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict, settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.model_file import ModelFile, model_file_bytes
from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.shard import Shard, StoredEpisode, write_shard

TINY = (
    *("device=cpu", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    *("actors.num_games=4", "actors.precision=float32", "run_name=t"),
)


@dataclass
class Material:
    """config: as contributors play it. weights: for actors."""

    config: dict[str, Any]
    algorithm: Any
    weights: dict[str, np.ndarray]
    model: ModelFile
    episodes: list[Episode] = field(default_factory=list)

    def play(self, num_episodes: int, weights_version: int = 1, seed: int = 1) -> list[Episode]:
        """Let the plugin's own actor play."""
        settings = settings_from_dict(self.config)
        actor = self.algorithm.actor_spec(settings.actors, "cpu").make(0, 0, seed=seed)
        actor.receive(self.weights, weights_version)
        episodes: list[Episode] = []
        while len(episodes) < num_episodes:
            episodes += actor.play()
        return episodes[:num_episodes]

    def numbered(self, number: int) -> bytes:
        """Return the content of the file of another model of the run, whose weights_version is its number."""
        name = model_name(number)
        counters = {**self.model.counters, "weights_version": number, "samples_trained": number}
        return model_file_bytes(
            ModelFile(
                name,
                "t",
                self.model.config,
                counters,
                self.model.weights,
                self.model.actor_weights,
            )
        )


def model_name(number: int) -> str:
    return f"t-b1c8-s{number}-d{number}"


@cache
def material(*overrides: str) -> Material:
    """Return what a run of tic_tac_toe needs; do not change it."""
    torch.manual_seed(1)
    settings = compose_settings([*TINY, "game=tic_tac_toe", *overrides])
    config = settings_to_dict(settings)
    algorithm = load_algorithm(settings)
    updater = algorithm.make_updater(
        algorithm.make_networks(), lambda module: module, settings.learner, torch.device("cpu"), 1
    )
    actor_weights = {name: value.clone() for name, value in updater.actor_weights().items()}
    counters = {"weights_version": 1, "samples_trained": 1, "samples": 1, "learner_step": 1}
    released = {name: value.clone() for name, value in updater.released_weights().items()}
    model = ModelFile(model_name(1), "t", config, counters, released, actor_weights)
    played = contributed_config(config)
    arrays = {name: value.numpy().copy() for name, value in actor_weights.items()}
    made = Material(played, load_algorithm(settings_from_dict(played)), arrays, model)
    made.episodes = made.play(24)
    return made


def upload_of(
    of: Material,
    episodes: list[Episode],
    path: Path,
    config: dict[str, Any] | None = None,
    model: str | None = None,
) -> bytes:
    """Return the content of an upload of these episodes. path: of a file to write."""
    names = list(episodes[0].columns)
    columns = {n: np.concatenate([e.columns[n] for e in episodes]) for n in names}
    columns[HELD_OUT] = np.zeros(len(columns[names[0]]), np.bool_)
    stored, first = [], 0
    for episode in episodes:
        last = first + episode.num_samples
        stored.append(StoredEpisode(episode.info, model or model_name(1), slice(first, last)))
        first = last
    write_shard(path, Shard(columns, stored, {"config": config or of.config}))
    return path.read_bytes()


def copied(episodes: list[Episode]) -> list[Episode]:
    """Return episodes that may be changed."""
    return [
        Episode({n: c.copy() for n, c in e.columns.items()}, copy.deepcopy(e.info))
        for e in episodes
    ]
