"""DDPG behind the plugin contract (algorithms/base.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ddpzero.actors import ActorSpec
from ddpzero.algorithms import defaults
from ddpzero.algorithms.base import EpisodeFacts, Exportable, Grown
from ddpzero.algorithms.ddpg.exported import exportable
from ddpzero.algorithms.ddpg.memory import memory_needs
from ddpzero.algorithms.ddpg.networks import Actor, make_networks
from ddpzero.algorithms.ddpg.player import DDPGPlayer
from ddpzero.algorithms.ddpg.policy import Policy
from ddpzero.algorithms.ddpg.samples import sample_spec
from ddpzero.algorithms.ddpg.settings import (
    ActorCriticSettings,
    DDPGSettings,
    OpponentSettings,
)
from ddpzero.algorithms.ddpg.updater import DDPGUpdater
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.promises import require_actions, suspicion
from ddpzero.games.core.team_lockstep import reset_games, step_games
from ddpzero.networks.compatibility import require_fit, require_size
from ddpzero.replay import SampleSpec
from ddpzero.settings import ActorSettings, LearnerSettings, SimulatedSettings
from ddpzero.system.memory import Need

_NUM_GAMES_FOR_A_SHARE = 10
_NUM_STRONGEST = 3  # rule agents in the console's summary line


@dataclass(frozen=True)
class DDPG:
    """DDPG for one game, with its settings; base.py documents the methods."""

    game: TeamGame
    settings: DDPGSettings
    network: ActorCriticSettings
    opponent: OpponentSettings

    def sample_spec(self) -> SampleSpec:
        return sample_spec(self.game, self.settings)

    def make_networks(self) -> dict[str, torch.nn.Module]:
        return make_networks(self.game, self.settings, self.network)

    def fits(self, game: Game | TeamGame) -> bool:
        return False

    def model_tag(self) -> str:
        return self.network.size_tag

    def make_updater(
        self,
        networks: dict[str, torch.nn.Module],
        wrap: Callable[[torch.nn.Module], torch.nn.Module],
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> DDPGUpdater:
        return DDPGUpdater(
            self.game, networks, wrap, self.settings, self.opponent, learner, device, seed
        )

    def grow(
        self, weights: dict[str, torch.Tensor], changes: Mapping[str, int], seed: int
    ) -> Grown:
        return defaults.grow(self, weights, changes, seed)

    def memory_needs(
        self,
        actors: ActorSettings,
        num_actors: int,
        learner: LearnerSettings,
        on_gpu: bool,
        actors_on_gpu: bool,
    ) -> list[Need]:
        return memory_needs(
            self.game,
            self.settings,
            self.network,
            self.opponent,
            actors,
            num_actors,
            learner,
            on_gpu,
            actors_on_gpu,
        )

    def actor_spec(self, actors: ActorSettings, device: str) -> ActorSpec:
        return ActorSpec(
            factory="ddpzero.algorithms.ddpg.actor:make_actor",
            preparation="ddpzero.algorithms.ddpg.preparation:compile_games",
            arguments={
                "game": self.game.arguments,
                "settings": self.settings,
                "network": self.network,
                "opponent": self.opponent,
                "num_games": actors.num_games,
                "device": device,
            },
            suspect=suspicion(self.game),
            num_threads=actors.num_threads,
        )

    def evaluator_spec(
        self,
        actors: ActorSettings,
        device: str,
        simulated: SimulatedSettings | None,
        is_repeatable: bool,
    ) -> None:
        # Its network is small, and a step needs it only once.
        return None

    def make_player(
        self,
        weights: Mapping[str, torch.Tensor],
        name: str,
        *,
        device: str = "cpu",
    ) -> DDPGPlayer:
        # Its size is checked before memory is taken.
        actor = self._actor(weights, name)
        policy = Policy(self.game, self.settings, self.network, device)
        policy.load(actor.state_dict())
        return DDPGPlayer(policy, name)

    def exportable(self, weights: Mapping[str, torch.Tensor], name: str) -> Exportable:
        actor = self._actor(weights, name)
        policy = Policy(self.game, self.settings, self.network, "cpu")
        return exportable(self.game, actor, policy, self.settings, self.network)

    def _actor(self, weights: Mapping[str, torch.Tensor], name: str) -> Actor:
        """Return the actor network with its part of released weights. Raises UserError if they do not fit."""
        require_size(weights, self.network.min_parameters, name)
        prefix = "actor."
        actor_weights = {
            key.removeprefix(prefix): value
            for key, value in weights.items()
            if key.startswith(prefix)
        }
        actor = self.make_networks()["actor"]
        assert isinstance(actor, Actor)
        require_fit(actor_weights, actor, name)
        actor.load_state_dict(actor_weights)
        return actor

    def summarize_episodes(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return rewards, points and deaths with exploration, and without it points against each rule agent."""
        metrics: dict[str, float] = {}
        explored = [info for info in infos if not info["is_evaluation"]]
        if explored:
            metrics |= {
                "self_play/episode_length": _mean(explored, "num_steps"),
                "self_play/team_points": _mean(explored, "points"),
                "self_play/opponent_points": _mean(explored, "opponent_points"),
                "self_play/wins": _mean(explored, "has_won"),
                "rewards/team": float(np.sum([info["rewards"] for info in explored], 1).mean()),
                "deaths/team": float(np.sum([info["deaths"] for info in explored], 1).mean()),
            }
            for agent in range(self.game.spec.agents_per_team):
                for what in ("rewards", "deaths"):
                    values = [info[what][agent] for info in explored]
                    metrics[f"{what}/agent_{agent}"] = float(np.mean(values))
        for level, name in enumerate(self.game.spec.rule_agents):
            against = [info for info in infos if info["opponent"] == level]
            evaluated = [info for info in against if info["is_evaluation"]]
            if evaluated:
                metrics[f"evaluation/points_against_{name}"] = _mean(evaluated, "points")
        return metrics

    def summary_line(self, metrics: Mapping[str, float]) -> str:
        """Return "won 71%, 34.0 : 22.7 points, 5.1 deaths a game, epsilon 0.01; beats greedy 93% of 40, bfs 2 of 3"."""
        if "self_play/wins" not in metrics:
            return ""
        words = [
            f"won {metrics['self_play/wins']:.0%}",
            f"{metrics['self_play/team_points']:.1f} : {metrics['self_play/opponent_points']:.1f} points",
            f"{metrics['deaths/team']:.1f} deaths a game",
        ]
        if "exploration/epsilon" in metrics:
            words.append(f"epsilon {metrics['exploration/epsilon']:.2g}")
        beats = [
            f"{name} {_share_of_games(metrics[tag], metrics[f'evaluation/games_against_{name}'])}"
            for name in self.game.spec.rule_agents[-_NUM_STRONGEST:]
            if (tag := f"evaluation/wins_against_{name}") in metrics
        ]
        text = ", ".join(words)
        return f"{text}; beats {', '.join(beats)}" if beats else text

    def can_show(self, info: Mapping[str, Any]) -> bool:
        return "actions" in info

    def describe_episode(self, info: Mapping[str, Any]) -> str:
        rules = self.game.spec.rule_agents
        opponent = info["opponent"]
        name = rules[opponent] if opponent < len(rules) else "a past self"
        return (
            f"team {info['team']} against {name}: {info['points']} : {info['opponent_points']} after "
            f"{info['num_steps']} steps\n\n{self.game.render(replay(self.game, info)[-1])}"
        )

    def film_episode(self, info: Mapping[str, Any]) -> list[np.ndarray]:
        return [self.game.picture(position) for position in replay(self.game, info)]

    def facts_of_episode(self, info: Mapping[str, Any]) -> EpisodeFacts:
        steps, team, won, draw = (
            int(info[name]) for name in ("num_steps", "team", "has_won", "is_draw")
        )
        if not (steps >= 0 and team in (0, 1) and won in (0, 1) and draw in (0, 1)):
            raise ValueError("the counts of the episode are not those of a game between two teams")
        result = 0.0 if draw else 1.0 if won else -1.0
        returns = (result, -result) if team == 0 else (-result, result)
        return EpisodeFacts(self.game, steps, returns)

    def problem_of_episode(self, info: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> str:
        try:
            facts = self.facts_of_episode(info)
            if not self.can_show(info):
                return ""
            num_steps = len(replay(self.game, info)) - 1
        except (KeyError, TypeError, ValueError) as error:
            return f"has damaged facts: {error}."
        return "" if num_steps == facts.length else f"has {num_steps} steps, not {facts.length}."

    def settings_for_checks(self) -> None:
        # Transitions do not say which steps they come from, so that nothing compares them with the rules.
        return None


def replay(game: TeamGame, info: Mapping[str, Any]) -> np.ndarray:
    """Return the positions `[T + 1, P]` of an episode of T steps whose info has its random state and actions."""
    spec = game.spec
    position = game.new_positions(1)
    random_state = np.array([info["random_state"]], np.uint64)
    reset_games(game.rules, position, random_state, np.ones(1, np.bool_))
    rewards, statuses = np.zeros((1, spec.num_agents), np.float32), np.zeros(1, np.int64)
    positions = [position[0].copy()]
    recorded = np.array(info["actions"], np.int64).reshape(-1, 1, spec.num_agents)
    require_actions(game, recorded)
    for actions in recorded:
        step_games(game.rules, position, actions, rewards, statuses, random_state)
        positions.append(position[0].copy())
    return np.stack(positions)


def _share_of_games(share: float, num_games: float) -> str:
    """Return "93% of 40", or "2 of 3" for too few episodes to state a share."""
    if num_games < _NUM_GAMES_FOR_A_SHARE:
        return f"{share * num_games:.0f} of {num_games:.0f}"
    return f"{share:.0%} of {num_games:.0f}"


def _mean(infos: Sequence[Mapping[str, Any]], key: str) -> float:
    return float(np.mean([info[key] for info in infos]))
