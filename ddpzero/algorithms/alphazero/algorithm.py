"""AlphaZero behind the plugin contract (algorithms/base.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ddpzero.actors import ActorSpec, EvaluatorSpec
from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.episode_metrics import summarize
from ddpzero.algorithms.alphazero.exported import exportable
from ddpzero.algorithms.alphazero.growth import grow_released
from ddpzero.algorithms.alphazero.memory import memory_needs
from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.algorithms.alphazero.requests import NUM_GROUPS, group_sizes, lane_size
from ddpzero.algorithms.alphazero.samples import sample_spec
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.updater import AlphaZeroUpdater
from ddpzero.algorithms.alphazero.verification import facts_of, problem_of
from ddpzero.algorithms.base import EpisodeFacts, Exportable, Grown
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.promises import suspicion
from ddpzero.networks import NetworkSettings, SymmetryAverage, make_network
from ddpzero.networks.compatibility import require_fit, require_size
from ddpzero.networks.network import PolicyValueNetwork
from ddpzero.replay import SampleSpec
from ddpzero.search import SearchSettings
from ddpzero.settings import ActorSettings, LearnerSettings, SimulatedSettings
from ddpzero.system.memory import Need


@dataclass(frozen=True)
class AlphaZero:
    """AlphaZero for one game, with its settings; base.py documents the methods."""

    game: Game
    settings: AlphaZeroSettings
    network: NetworkSettings
    search: SearchSettings
    loss: LossSettings
    curriculum_settings: CurriculumSettings

    # Not made at construction: a player on a smaller board than the trained one needs no curriculum, whose boards may
    # not fit.
    @cached_property
    def curriculum(self) -> Curriculum:
        """The boards and simulations of each stage of training."""
        return Curriculum(self.curriculum_settings, self.game, self.search.num_simulations)

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """The heads of the network besides policy and value."""
        return self.loss.auxiliary(self.game)

    def sample_spec(self) -> SampleSpec:
        return sample_spec(
            self.game,
            self.auxiliary,
            self.curriculum.has_padded_boards,
            searches_score=self.search.score_weight > 0,
            num_boards=len(self.curriculum.embeddings),
            settings=self.settings,
        )

    def make_networks(self) -> dict[str, torch.nn.Module]:
        return {"network": make_network(self.game, self.network, self.auxiliary)}

    def fits(self, game: Game | TeamGame) -> bool:
        own = self.game
        if self.network.value_head == "dense" or not isinstance(game, Game):
            return False
        knows_cells = game.spec.action_cells is not None or game.spec.actions_are_columns
        has_same_inputs = (own.num_inputs, own.spec.global_scales) == (
            game.num_inputs,
            game.spec.global_scales,
        )
        return own.module is game.module and knows_cells and has_same_inputs

    def model_tag(self) -> str:
        return self.network.size_tag

    def grow(
        self, weights: dict[str, torch.Tensor], changes: Mapping[str, int], seed: int
    ) -> Grown:
        small = self.network.size_of(weights)
        return grow_released(weights, small, changes, self.game, self.auxiliary, seed)

    def make_updater(
        self,
        networks: dict[str, torch.nn.Module],
        wrap: Callable[[torch.nn.Module], torch.nn.Module],
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> AlphaZeroUpdater:
        return AlphaZeroUpdater(
            self.curriculum,
            networks["network"],
            wrap,
            self.settings,
            self.loss,
            learner,
            device,
            seed,
            size=self.network,
        )

    def memory_needs(
        self,
        actors: ActorSettings,
        num_actors: int,
        learner: LearnerSettings,
        on_gpu: bool,
        actors_on_gpu: bool,
    ) -> list[Need]:
        return memory_needs(
            self.curriculum,
            self.network,
            self.search,
            self.auxiliary,
            self.settings,
            actors,
            num_actors,
            learner,
            on_gpu,
            actors_on_gpu,
        )

    def actor_spec(self, actors: ActorSettings, device: str) -> ActorSpec:
        return ActorSpec(
            factory="ddpzero.algorithms.alphazero.actor:make_actor",
            preparation="ddpzero.algorithms.alphazero.lockstep:compile_self_play",
            arguments={
                "game": self.game.arguments,
                "network": self.network,
                "search": self.search,
                "settings": self.settings,
                "loss": self.loss,
                "curriculum": self.curriculum_settings,
                "num_games": actors.num_games,
                "max_effort": actors.max_effort,
                "device": device,
                "precision": actors.precision,
                "compile": actors.compile,
                "cuda_graphs": actors.cuda_graphs,
                "cache_megabytes": self.settings.evaluation_cache_megabytes,
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
    ) -> EvaluatorSpec:
        sizes = group_sizes(actors.num_games, NUM_GROUPS)
        max_batch = max(sizes) * self.search.leaves_per_round
        arguments = {
            "game": self.game.arguments,
            "search": self.search,
            "curriculum": self.curriculum_settings,
            "max_batch": max_batch,
        }
        factory = "shared_evaluator:make_shared_evaluator"
        if simulated is None:
            arguments |= {
                "network": self.network,
                "loss": self.loss,
                "random_symmetry": self.settings.random_symmetry,
                "requests_per_batch": 1 if is_repeatable else None,
                "device": device,
                "precision": actors.precision,
                "compile": actors.compile,
                "cuda_graphs": actors.cuda_graphs,
            }
        else:
            factory = "simulated_evaluator:make_simulated_evaluator"
            arguments["simulated"] = simulated
        return EvaluatorSpec(
            factory=f"ddpzero.algorithms.alphazero.{factory}",
            lanes=lane_size(self.curriculum, len(sizes), max_batch),
            arguments=arguments,
            num_threads=actors.num_threads,
        )

    def exportable(self, weights: dict[str, torch.Tensor], name: str) -> Exportable:
        size = self.network.size_of(weights)
        network = self._trained(weights, size, name)
        return exportable(self.game, network, size, self.settings, self.search)

    def _trained(
        self, weights: dict[str, torch.Tensor], size: NetworkSettings, name: str
    ) -> PolicyValueNetwork:
        """Return a network of this size with these weights. Raises UserError if they do not fit."""
        require_size(weights, size.min_parameters, name)
        network = make_network(self.game, size, self.auxiliary)
        require_fit(weights, network, name)
        network.load_state_dict(weights)
        return network

    def make_player(
        self,
        weights: dict[str, torch.Tensor],
        name: str,
        *,
        num_simulations: int | None = None,
        device: str = "cpu",
    ) -> AlphaZeroPlayer:
        # The network may have grown since the start of the run.
        size = self.network.size_of(weights)
        network: torch.nn.Module = self._trained(weights, size, name)
        if self.settings.play_averages_symmetries:
            network = SymmetryAverage(network, self.game)
        search = search_in_play(self.search, self.settings)
        simulations_key = "search.num_simulations"
        if num_simulations is not None:
            search = replace(search, num_simulations=num_simulations)
            simulations_key = "--simulations "
        return AlphaZeroPlayer(
            self.game,
            network,
            search,
            name,
            device,
            precision="float32",
            simulations_key=simulations_key,
        )

    def summarize_episodes(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        return summarize(self.curriculum, infos)

    def summary_line(self, metrics: Mapping[str, float]) -> str:
        return ""

    def can_show(self, info: Mapping[str, Any]) -> bool:
        return True

    def describe_episode(self, info: Mapping[str, Any]) -> str:
        game = self.game
        if "board" in info:
            game = self.curriculum.embeddings[info["board"]].board
        position = game.initial_position()
        names = []
        for action in info["moves"]:
            names.append(game.action_name(action))
            position = game.apply_action(position, action)
        last_action = info["moves"][-1] if info["moves"] else None
        result = {1: "first player wins", 0: "draw", -1: "second player wins"}
        outcome = result[int(np.sign(info["first_player_return"]))]
        if not game.is_terminal(position):
            outcome += " (proven)"
        return f"{' '.join(names)}\n\n{game.render(position, last_action)}\n\n{outcome}"

    def film_episode(self, info: Mapping[str, Any]) -> list[np.ndarray]:
        return []

    def facts_of_episode(self, info: Mapping[str, Any]) -> EpisodeFacts:
        return facts_of(self.game, self.curriculum, info)

    def problem_of_episode(self, info: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> str:
        return problem_of(self.game, self.curriculum, self.settings, self.search, info, columns)

    def settings_for_checks(self) -> dict[str, Any]:
        # A result that a proof gave would have to be proven again.
        return {"algorithm.play_out_fraction": 1.0}


def search_in_play(search: SearchSettings, settings: AlphaZeroSettings) -> SearchSettings:
    """Return the search of the trained player: that of self-play, with the settings that are for play alone."""
    if settings.play_value_scale is not None:
        search = replace(search, value_scale=settings.play_value_scale)
    if settings.play_endgame_plies is not None and search.solve:
        search = replace(search, endgame_plies=settings.play_endgame_plies)
    return search
