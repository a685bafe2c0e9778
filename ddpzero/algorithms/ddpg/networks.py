"""Actor and critic: what each sees goes through a body; a head tells logits, or a value for each action asked about.

Letters: B batch, O the shape of an observation, A choices, X actions asked about, M mates.
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
    """Convolutions that wrap around the edges of the board, halved in size once: `[B, C, H, W]` to `[B, size]`.

    For games that show the board with the agent in the middle: cells keep their place, nothing is pooled at the end.
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
        """planes: 0..1."""
        planes = functional.relu(self.first(planes))
        return functional.relu(self.second(planes)).flatten(1)


class FlatBody(nn.Module):
    """Numbers as they are: `[B, F]`."""

    def __init__(self, num_features: int):
        super().__init__()
        self.size = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def make_body(shape: Sequence[int], settings: ActorCriticSettings) -> FlatBody | TorusBody:
    """shape: of an observation, `[F]` or `[C, H, W]`."""
    if len(shape) == 1:
        return FlatBody(shape[0])
    num_planes, height, width = shape
    return TorusBody(num_planes, (height, width), settings.channels)


class Actor(nn.Module):
    """The policy of every agent of a team: observation `[B, *O]` to logits `[B, A]`."""

    def __init__(self, shape: Sequence[int], num_actions: int, settings: ActorCriticSettings):
        super().__init__()
        self.body = make_body(shape, settings)
        sizes = [self.body.size] + settings.layers * [settings.width]
        self.hidden = nn.ModuleList(
            nn.Linear(size, wider) for size, wider in itertools.pairwise(sizes)
        )
        self.head = nn.Linear(sizes[-1], num_actions)
        nn.init.zeros_(self.head.weight)  # at first every action is as likely
        nn.init.zeros_(self.head.bias)

    def forward(self, observation: Tensor) -> Tensor:
        values = self.body(observation)
        for layer in self.hidden:
            values = functional.relu(layer(values))
        logits: Tensor = self.head(values)
        return logits


class Critic(nn.Module):
    """Q values of actions: one estimate, or two that share nothing but the body (twins).

    The action joins in the last hidden layer (in the second of two, as in Lillicrap et al., 2015), so that asking about
    all actions costs little more than about one.
    """

    def __init__(
        self,
        shape: Sequence[int],
        num_actions: int,
        num_context: int,
        settings: ActorCriticSettings,
        num_critics: int,
    ):
        """num_context: numbers besides the observation, of the mates (a centralized critic)."""
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
        """observation `[B, *O]`, context `[B, num_context]` or None, actions `[B, X, A]`; returns `[critics, B, X]`.

        actions: one-hot, or weights of all; None: every action in turn, X = A. first_only: of the first critic alone.
        """
        seen = self.body(observation)
        if context is not None:
            seen = torch.cat([seen, context], dim=1)
        estimates = []
        for index in range(1 if first_only else len(self.heads)):
            values = seen
            for layer in self.hidden[index]:  # type: ignore[attr-defined]  # a ModuleList
                values = functional.relu(layer(values))
            every_action = self.actions[index]  # [A, width]
            joined = every_action if actions is None else actions @ every_action
            # In place: a second array of this size would cost more than the sum itself.
            values = (self.last[index](values).unsqueeze(1) + joined).relu_()
            estimates.append(self.heads[index](values).squeeze(-1))
        return torch.stack(estimates)


def make_networks(
    game: TeamGame, settings: DDPGSettings, network: ActorCriticSettings
) -> dict[str, nn.Module]:
    """Actor and critic with initial parameters from torch's global generator."""
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
    """Stored observations as the networks take them: features as float32, planes as 0..1."""
    if observation.dtype == torch.uint8:
        return observation.float() / 255.0
    return observation.float()


def masked(logits: Tensor, legal: Tensor) -> Tensor:
    """Logits `[..., A]` with illegal choices impossible."""
    return logits.masked_fill(~legal, -1e9)
