"""AlphaZero behind the plugin contract (algorithms/base.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ddpzero.actors import ActorSpec
from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.memory import memory_needs
from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.algorithms.alphazero.samples import sample_spec
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.updater import AlphaZeroUpdater
from ddpzero.games import Game
from ddpzero.games.core.loader import suspicion_of_own_game
from ddpzero.networks import NetworkSettings, SymmetryAverage, make_network
from ddpzero.networks.compatibility import require_fit, require_size
from ddpzero.replay import SampleSpec
from ddpzero.search import SearchSettings
from ddpzero.settings import ActorSettings, LearnerSettings
from ddpzero.system.memory import Need


@dataclass(frozen=True)
class AlphaZero:
    """The plugin with its settings; every method is a line of the contract."""

    settings: AlphaZeroSettings
    network: NetworkSettings
    search: SearchSettings
    loss: LossSettings
    curriculum: CurriculumSettings

    def sample_spec(self, game: Game) -> SampleSpec:
        curriculum = self._curriculum(game)
        return sample_spec(
            game,
            self.loss.auxiliary(game),
            curriculum.is_framed,
            searches_score=self.search.score_weight > 0,
            num_boards=len(curriculum.placements),
        )

    def make_networks(self, game: Game) -> dict[str, torch.nn.Module]:
        return {"network": make_network(game, self.network, self.loss.auxiliary(game))}

    def fits(self, trained: Game, game: Game) -> bool:
        if self.network.value_head == "dense" or trained.module is not game.module:
            return False
        knows_cells = game.spec.action_cells is not None or game.spec.actions_are_columns
        return knows_cells and (trained.num_inputs, trained.spec.global_scales) == (
            game.num_inputs,
            game.spec.global_scales,
        )

    def model_tag(self) -> str:
        return self.network.size_tag

    def make_updater(
        self,
        game: Game,
        networks: dict[str, torch.nn.Module],
        wrap: Callable[[torch.nn.Module], torch.nn.Module],
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> AlphaZeroUpdater:
        return AlphaZeroUpdater(
            self._curriculum(game),
            networks["network"],
            wrap,
            self.settings,
            self.loss,
            learner,
            device,
            seed,
        )

    def memory_needs(
        self,
        game: Game,
        actors: ActorSettings,
        num_actors: int,
        learner: LearnerSettings,
        on_gpu: bool,
        actors_on_gpu: bool,
    ) -> list[Need]:
        return memory_needs(
            self._curriculum(game),
            self.network,
            self.search,
            self.loss.auxiliary(game),
            self.settings.evaluation_cache_megabytes,
            actors,
            num_actors,
            learner,
            on_gpu,
            actors_on_gpu,
        )

    def actor_spec(
        self, game_arguments: Mapping[str, Any], actors: ActorSettings, device: str
    ) -> ActorSpec:
        return ActorSpec(
            factory="ddpzero.algorithms.alphazero.actor:make_actor",
            preparation="ddpzero.algorithms.alphazero.lockstep:compile_self_play",
            arguments={
                "game": dict(game_arguments),
                "network": self.network,
                "search": self.search,
                "settings": self.settings,
                "loss": self.loss,
                "curriculum": self.curriculum,
                "num_games": actors.num_games,
                "device": device,
                "precision": actors.precision,
                "compile": actors.compile,
                "cache_megabytes": self.settings.evaluation_cache_megabytes,
            },
            suspect=suspicion_of_own_game(**game_arguments),
            num_threads=actors.num_threads,
        )

    def make_player(
        self,
        game: Game,
        weights: dict[str, torch.Tensor],
        name: str,
        *,
        num_simulations: int | None = None,
        device: str = "cpu",
    ) -> AlphaZeroPlayer:
        require_size(weights, self.network.min_parameters, name)
        network: torch.nn.Module = self.make_networks(game)["network"]
        require_fit(weights, network, name)
        network.load_state_dict(weights)
        if self.settings.play_averages_symmetries:
            network = SymmetryAverage(network, game)
        search = self.search
        if self.settings.play_value_scale is not None:
            search = replace(search, value_scale=self.settings.play_value_scale)
        simulations_key = "search.num_simulations"
        if num_simulations is not None:
            search = replace(search, num_simulations=num_simulations)
            simulations_key = "--simulations "
        return AlphaZeroPlayer(
            game,
            network,
            search,
            name,
            device,
            precision="float32",
            simulations_key=simulations_key,
        )

    def summarize_episodes(self, game: Game, infos: list[dict[str, Any]]) -> dict[str, float]:
        if not infos:
            return {}
        lengths = np.array([info["num_plies"] for info in infos])
        results = np.array([info["first_player_return"] for info in infos])
        return {
            "self_play/episode_length": float(lengths.mean()),
            "self_play/first_player_wins": float((results > 0).mean()),
            "self_play/draws": float((results == 0).mean()),
            "self_play/second_player_wins": float((results < 0).mean()),
            **_score_scalars(game, infos),
            **self._curriculum_scalars(game, infos),
        }

    def headline(self, game: Game, scalars: Mapping[str, float]) -> str:
        return ""

    def can_show(self, info: dict[str, Any]) -> bool:
        return True

    def describe_episode(self, game: Game, info: dict[str, Any]) -> str:
        if "board" in info:
            game = self._curriculum(game).placements[info["board"]].board
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

    def film_episode(self, game: Game, info: dict[str, Any]) -> list[np.ndarray]:
        return []

    def _curriculum(self, game: Game) -> Curriculum:
        return Curriculum(self.curriculum, game, self.search.num_simulations)

    def _curriculum_scalars(
        self, game: Game, infos: Sequence[Mapping[str, Any]]
    ) -> dict[str, float]:
        """The share of the games that were played on each board."""
        curriculum = self._curriculum(game)
        if not curriculum.is_framed:
            return {}
        labels = [curriculum.label(info["board"]) for info in infos]
        everything = dict.fromkeys(map(curriculum.label, range(len(curriculum.placements))))
        return {
            f"curriculum/share_of_{label}": labels.count(label) / len(labels)
            for label in everything
        }


def _score_scalars(game: Game, infos: list[dict[str, Any]]) -> dict[str, float]:
    """How many points the first player is ahead in games that were played to their end."""
    scores = [info["score"] for info in infos if info["score"] is not None]
    if not (game.has_score and scores):
        return {}
    return {"self_play/first_player_score": float(np.mean(scores))}
