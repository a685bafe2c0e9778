"""What the tests of DDPG share: a game of snakes that fits a test, small networks, batches, updaters, policies of one
mind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ddpzero.algorithms.ddpg.networks import make_networks
from ddpzero.algorithms.ddpg.samples import sample_spec
from ddpzero.algorithms.ddpg.settings import ActorCriticSettings, DDPGSettings, OpponentSettings
from ddpzero.algorithms.ddpg.updater import DDPGUpdater
from ddpzero.games import TeamGame, load_any_game
from ddpzero.settings import LearnerSettings

NUM_ACTIONS = 4
NETWORKS = {
    "features": ActorCriticSettings(width=16, layers=2),
    "planes": ActorCriticSettings("torus_cnn", width=16, layers=1, channels=4),
}
OPPONENT = OpponentSettings(num_past_selves=2)
# No warm-up, no decay, and a clip that never clips: what a test computes by hand is what happens.
LEARNER = LearnerSettings(optimizer="adamw", weight_decay=0.0, gradient_clip=1e6)

Wrap = Callable[[nn.Module], nn.Module]


def small_snakes(**parameters: int) -> TeamGame:
    """2 against 2 on 6 x 8 cells for 20 steps; on so small a board snakes often die."""
    small = {"rows": 6, "columns": 8, "snakes": 4, "steps": 20}
    return load_any_game("snakes", **(small | parameters))


def networks_of(game: TeamGame, settings: DDPGSettings, seed: int = 7) -> dict[str, nn.Module]:
    torch.manual_seed(seed)
    return make_networks(game, settings, NETWORKS[settings.observation])


def make_updater(
    game: TeamGame,
    settings: DDPGSettings | None = None,
    networks: dict[str, nn.Module] | None = None,
    wrap: Wrap = lambda module: module,
    opponent: OpponentSettings = OPPONENT,
    learner: LearnerSettings = LEARNER,
    seed: int = 0,
) -> DDPGUpdater:
    """networks: for a test that wants to look at them; equal for all updaters by default."""
    settings = settings or DDPGSettings()
    networks = networks or networks_of(game, settings)
    return DDPGUpdater(game, networks, wrap, settings, opponent, learner, torch.device("cpu"), seed)


def random_batch(
    game: TeamGame, settings: DDPGSettings, num_rows: int, seed: int
) -> dict[str, Tensor]:
    """Samples of every shape that an episode gives: what is seen and done at random, one to three choices legal."""
    generator = np.random.default_rng(seed)
    columns = {}
    for name, field in sample_spec(game, settings).items():
        shape = (num_rows, *field.shape)
        if field.dtype == np.bool_:
            columns[name] = generator.random(shape) < 0.5
            columns[name][..., 1] = True  # at least one, and never the last
            columns[name][..., 3] = False
        elif "choice" in name:
            columns[name] = generator.integers(0, NUM_ACTIONS, shape).astype(field.dtype)
        elif field.dtype == np.uint8:
            columns[name] = generator.integers(0, 256, shape).astype(field.dtype)
        elif name == "discount":
            columns[name] = generator.choice([0.0, 0.9], shape).astype(field.dtype)
        else:
            columns[name] = generator.normal(size=shape).astype(field.dtype)
    return {name: torch.from_numpy(column) for name, column in columns.items()}


def edit_state(updater: DDPGUpdater, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change what the updater holds, through its checkpoint."""
    state = copy.deepcopy(updater.state())
    edit(state)
    updater.load_state(state)


def restless(updater: DDPGUpdater, seed: int = 5) -> DDPGUpdater:
    """The same updater, in which no two networks are equal any more and no policy is uniform."""
    generator = torch.Generator().manual_seed(seed)

    def shake(state: dict[str, Any]) -> None:
        policies = (state["actor"], state["target_actor"], state["ema"], *state["past_selves"])
        for weights in (*policies, state["target_critic"]):
            for value in weights.values():
                value += 0.2 * torch.randn(value.shape, generator=generator)

    edit_state(updater, shake)
    return updater


def weights_of(updater: DDPGUpdater) -> dict[str, np.ndarray]:
    """As an actor receives them."""
    return {name: value.numpy().copy() for name, value in updater.actor_weights().items()}


def set_in_mind(weights: Mapping[str, np.ndarray], prefix: str, liking: list[float]) -> None:
    """Make a policy want the same whatever it sees: the legal choice that it likes most."""
    weights[f"{prefix}head.weight"][:] = 0.0
    weights[f"{prefix}head.bias"][:] = liking
