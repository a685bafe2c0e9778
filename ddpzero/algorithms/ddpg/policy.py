"""A policy that plays: observes positions, evaluates the network, chooses. Used by actors, opponents and players."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ddpzero.algorithms.ddpg.networks import Actor, as_input, masked
from ddpzero.algorithms.ddpg.samples import observation_dtype, observation_shape
from ddpzero.algorithms.ddpg.settings import ActorCriticSettings, DDPGSettings
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.games import TeamGame
from ddpzero.games.core.promises import no_exceptions
from ddpzero.games.core.team_lockstep import observe_features_of, observe_planes_of


@dataclass(frozen=True)
class View:
    """The observations of one team in n episodes. Letters: K agents, A choices, O the shape of an observation.

    observation: `[n, K, *O]`. legal: `[n, K, A]` bool. actions: `[n, K, A]`, the game's action for each choice.
    """

    observation: np.ndarray
    legal: np.ndarray
    actions: np.ndarray

    def actions_of(self, choices: np.ndarray) -> np.ndarray:
        """Return the game's actions `[n, K]` for choices `[n, K]`."""
        return np.take_along_axis(self.actions, choices[..., None], axis=2)[..., 0]


class Policy:
    """The actor network with one set of weights."""

    def __init__(
        self, game: TeamGame, settings: DDPGSettings, network: ActorCriticSettings, device: str
    ):
        self._game = game
        self._sees_features = settings.observation == "features"
        self._shape = observation_shape(game, settings)
        self._dtype = observation_dtype(settings)
        self._device = torch.device(device)
        self._actor = Actor(self._shape, game.spec.num_actions, network).to(self._device).eval()
        self._scratch = np.empty(game.spec.scratch_shape, np.uint32)

    def load(self, weights: Mapping[str, np.ndarray | torch.Tensor]) -> None:
        """Load weights, by the names in the actor's state dict."""
        self._actor.load_state_dict(
            {name: torch.as_tensor(value) for name, value in weights.items()}
        )

    def observe(self, positions: np.ndarray, teams: np.ndarray) -> View:
        """Return what teams `teams` `[n]` see in positions `[n, P]`, in the precision in which samples are stored."""
        spec = self._game.spec
        lead = (len(positions), spec.agents_per_team)
        legal = np.empty((*lead, spec.num_actions), np.bool_)
        actions = np.empty((*lead, spec.num_actions), np.int64)
        if self._sees_features:
            features = np.empty((*lead, *self._shape), np.float32)
            with no_exceptions(self._game):
                observe_features_of(
                    self._game.rules, positions, teams, self._scratch, features, legal, actions
                )
            return View(features.astype(self._dtype), legal, actions)
        planes = np.empty((*lead, *self._shape), np.uint8)
        with no_exceptions(self._game):
            observe_planes_of(self._game.rules, positions, teams, planes, legal, actions)
        return View(planes, legal, actions)

    @torch.inference_mode()
    def choose(self, view: View, rng: np.random.Generator | None) -> np.ndarray:
        """Return choices `[n, K]`: sampled from the policy, or the most probable ones if rng is None.

        Raises EvaluationError if the logits are not finite, or so large that an illegal choice wins.
        """
        observation = torch.from_numpy(view.observation).flatten(0, 1).to(self._device)
        legal = torch.from_numpy(view.legal).flatten(0, 1).to(self._device)
        logits = masked(self._actor(as_input(observation)), legal).cpu().numpy()
        if rng is not None:
            logits = logits + rng.gumbel(size=logits.shape)
        choices: np.ndarray = logits.argmax(axis=1)
        is_legal = np.take_along_axis(view.legal.reshape(logits.shape), choices[:, None], axis=1)
        if not (np.isfinite(logits).all() and is_legal.all()):
            raise EvaluationError(
                "the policy answered with numbers that are not finite, or far too large: its weights cannot be used."
            )
        return choices.reshape(view.legal.shape[:2])
