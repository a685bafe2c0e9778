"""DDPG's policy for other programs: the actor network. The critic serves the training alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ddpzero.algorithms.base import Exportable, TensorFacts
from ddpzero.algorithms.ddpg.networks import Actor, as_input
from ddpzero.algorithms.ddpg.policy import Policy
from ddpzero.algorithms.ddpg.samples import observation_shape
from ddpzero.algorithms.ddpg.settings import ActorCriticSettings, DDPGSettings
from ddpzero.games import TeamGame
from ddpzero.games.core.team_lockstep import reset_games, step_games

# Random episodes go on for so many steps.
_MAX_STEPS = 40


class ExportedActor(nn.Module):
    """observation `[B, *O]` -> a tuple with the logits `[B, A]`."""

    def __init__(self, actor: Actor):
        super().__init__()
        self.actor = actor

    def forward(self, observation: Tensor) -> tuple[Tensor, ...]:
        return (self.actor(observation),)


def exportable(
    game: TeamGame,
    actor: Actor,
    policy: Policy,
    settings: DDPGSettings,
    network: ActorCriticSettings,
) -> Exportable:
    """Return a trained actor for other programs. policy: any of its game, which observes."""
    sees_features = settings.observation == "features"
    what = "features" if sees_features else "planes from 0 to 1, with the agent in the middle"

    def sample_inputs(num_positions: int, rng: np.random.Generator) -> Tensor:
        positions = _random_positions(game, policy, num_positions, rng)
        teams = rng.integers(2, size=num_positions)
        observed = policy.observe(positions, teams).observation[:, 0]
        return as_input(torch.from_numpy(np.ascontiguousarray(observed)))

    return Exportable(
        network=ExportedActor(actor.eval()),
        input=TensorFacts(
            "observation", observation_shape(game, settings), f"what one agent sees: {what}"
        ),
        outputs=(
            TensorFacts(
                "policy_logits",
                (game.spec.num_actions,),
                "logits of the agent's choices, also of illegal ones: mask those; it makes the most probable choice",
            ),
        ),
        sample_inputs=sample_inputs,
        facts={
            "kind": "mlp" if sees_features else "torus_cnn",
            "layers": network.layers,
            "width": network.width,
            "heads": ["policy"],
        },
    )


def _random_positions(
    game: TeamGame, policy: Policy, num_positions: int, rng: np.random.Generator
) -> np.ndarray:
    """Return positions `[n, P]` after 0 to _MAX_STEPS steps in which all agents choose at random."""
    spec = game.spec
    positions = game.new_positions(num_positions)
    random_states = rng.integers(1, 2**63, size=(num_positions, 2), dtype=np.uint64)
    reset_games(game.rules, positions, random_states, np.ones(num_positions, np.bool_))
    rewards = np.zeros((num_positions, spec.num_agents), np.float32)
    statuses = np.zeros(num_positions, np.int64)
    results = positions.copy()
    lengths = rng.integers(_MAX_STEPS + 1, size=num_positions)
    for step in range(_MAX_STEPS + 1):
        results[lengths == step] = positions[lengths == step]
        chosen = []
        for team in (0, 1):
            view = policy.observe(positions, np.full(num_positions, team))
            noise = np.where(view.legal, rng.random(view.legal.shape), -1.0)
            chosen.append(view.actions_of(noise.argmax(axis=2)))
        actions = np.concatenate(chosen, axis=1)
        step_games(game.rules, positions, actions, rewards, statuses, random_states)
    return results
