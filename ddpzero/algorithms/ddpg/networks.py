"""The actor and critic networks. Each has a body for observations; heads return logits or Q values of actions.

Letters: B batch, O the shape of an observation, A choices, X evaluated actions, F features, C planes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpzero.algorithms.ddpg.samples import observation_shape
from ddpzero.algorithms.ddpg.settings import ActorCriticSettings, DDPGSettings
from ddpzero.games import TeamGame


class TorusBody(nn.Module):
    """Convolutions that wrap around the edges of the board, the second with stride 2: `[B, C, H, W]` to `[B, size]`.

    For games whose observations have the agent in the middle: cells keep their position, since nothing is pooled.
    """

    def __init__(self, num_planes: int, board_shape: tuple[int, int], channels: int):
        super().__init__()
        self.first = nn.Conv2d(num_planes, channels, 3, padding=1, padding_mode="circular")
        self.second = nn.Conv2d(
            channels, 2 * channels, 3, stride=2, padding=1, padding_mode="circular"
        )
        height, width = (math.ceil(side / 2) for side in board_shape)
        self.size = 2 * channels * height * width

    def forward(self, planes: Tensor) -> Tensor:
        """planes: float32 in 0..1."""
        planes = functional.relu(self.first(planes))
        return functional.relu(self.second(planes)).flatten(1)


class FlatBody(nn.Module):
    """Returns features `[B, F]` unchanged."""

    def __init__(self, num_features: int):
        super().__init__()
        self.size = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def make_body(shape: Sequence[int], settings: ActorCriticSettings) -> FlatBody | TorusBody:
    """Return the body for observations of this shape, `[F]` or `[C, H, W]`."""
    if len(shape) == 1:
        return FlatBody(shape[0])
    num_planes, height, width = shape
    return TorusBody(num_planes, (height, width), settings.channels)


class Actor(nn.Module):
    """The policy that all agents of a team share: observations `[B, *O]` to logits `[B, A]`."""

    def __init__(self, shape: Sequence[int], num_actions: int, settings: ActorCriticSettings):
        super().__init__()
        self.body = make_body(shape, settings)
        sizes = [self.body.size] + settings.layers * [settings.width]
        self.hidden = nn.ModuleList(
            nn.Linear(size, wider) for size, wider in itertools.pairwise(sizes)
        )
        self.head = nn.Linear(sizes[-1], num_actions)
        # Initially, all actions are equally likely.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, observation: Tensor) -> Tensor:
        values = self.body(observation)
        for layer in self.hidden:
            values = functional.relu(layer(values))
        logits: Tensor = self.head(values)
        return logits


class Critic(nn.Module):
    """Q values of actions: one estimate, or two that share only the body (twin critics).

    The action enters at the last hidden layer (the second of two, as in Lillicrap et al., 2015), so that evaluating all
    actions costs little more than evaluating one.
    """

    def __init__(
        self,
        shape: Sequence[int],
        num_actions: int,
        num_context: int,
        settings: ActorCriticSettings,
        num_critics: int,
    ):
        """num_context: inputs besides the observation, about the mates (for a centralized critic)."""
        super().__init__()
        self.body = make_body(shape, settings)
        sizes = [self.body.size + num_context] + settings.layers * [settings.width]
        *hidden, last = itertools.pairwise(sizes)
        self.hidden = nn.ModuleList(
            nn.ModuleList(nn.Linear(size, wider) for size, wider in hidden)
            for _ in range(num_critics)
        )
        self.last = nn.ModuleList(nn.Linear(*last) for _ in range(num_critics))
        bound = 1.0 / math.sqrt(num_actions)
        self.actions = nn.ParameterList(
            torch.empty(num_actions, settings.width).uniform_(-bound, bound)
            for _ in range(num_critics)
        )
        self.heads = nn.ModuleList(nn.Linear(settings.width, 1) for _ in range(num_critics))

    def forward(
        self,
        observation: Tensor,
        context: Tensor | None,
        actions: Tensor | None,
        first_only: bool = False,
    ) -> Tensor:
        """Return Q values `[critics, B, X]`.

        observation: `[B, *O]`. context: `[B, num_context]`, or None.
        actions: `[B, X, A]`, one-hot or weights over all actions; None: each action, X = A.
        first_only: only of the first critic.
        """
        seen = self.body(observation)
        if context is not None:
            seen = torch.cat([seen, context], dim=1)
        estimates = []
        for index in range(1 if first_only else len(self.heads)):
            values = seen
            for layer in self.hidden[index]:  # type: ignore[attr-defined]  # a ModuleList
                values = functional.relu(layer(values))
            # [A, width]
            every_action = self.actions[index]
            joined = every_action if actions is None else actions @ every_action
            # In place: allocating a second tensor of this size would cost more than the addition.
            values = (self.last[index](values).unsqueeze(1) + joined).relu_()
            estimates.append(self.heads[index](values).squeeze(-1))
        return torch.stack(estimates)


def make_networks(
    game: TeamGame, settings: DDPGSettings, network: ActorCriticSettings
) -> dict[str, nn.Module]:
    """Return the actor and the critic, with initial parameters sampled from torch's global generator."""
    shape, num_actions = observation_shape(game, settings), game.spec.num_actions
    num_context = 0
    if settings.centralized_critic:
        num_mates = game.spec.agents_per_team - 1
        num_context = num_mates * (math.prod(shape) + num_actions)
    num_critics = 2 if settings.twin_critics else 1
    return {
        "actor": Actor(shape, num_actions, network),
        "critic": Critic(shape, num_actions, num_context, network, num_critics),
    }


def as_input(observation: Tensor) -> Tensor:
    """Convert stored observations to network inputs, float32; planes from 0..255 to 0..1."""
    if observation.dtype == torch.uint8:
        return observation.float() / 255.0
    return observation.float()


def masked(logits: Tensor, legal: Tensor) -> Tensor:
    """Return logits `[..., A]` in which illegal choices have no probability. legal: `[..., A]` bool."""
    return logits.masked_fill(~legal, -1e9)
