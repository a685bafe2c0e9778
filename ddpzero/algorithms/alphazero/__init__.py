"""AlphaZero (Silver et al., 2018) with Gumbel or PUCT search. This module is the plugin and does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.ignored import ignored
from ddpzero.algorithms.alphazero.metrics import METRICS
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.games import Game
from ddpzero.networks.settings import NetworkSettings
from ddpzero.search.settings import SearchSettings
from ddpzero.settings import Settings
from ddpzero.system.errors import require

if TYPE_CHECKING:
    from ddpzero.algorithms.alphazero.algorithm import AlphaZero

__all__ = ["GAME_KIND", "METRICS", "SECTIONS", "check", "ignored", "make_algorithm"]

GAME_KIND = Game
SECTIONS = {
    "algorithm": AlphaZeroSettings,
    "network": NetworkSettings,
    "search": SearchSettings,
    "loss": LossSettings,
    "curriculum": CurriculumSettings,
}


def make_algorithm(game: Game, sections: Mapping[str, Any]) -> AlphaZero:
    """Return AlphaZero for a game. sections: the settings, by the names in SECTIONS."""
    from ddpzero.algorithms.alphazero.algorithm import AlphaZero  # imports torch

    return AlphaZero(
        game,
        sections["algorithm"],
        sections["network"],
        sections["search"],
        sections["loss"],
        sections["curriculum"],
    )


def check(settings: Settings, game: Game) -> None:
    """Raise UserError if the search uses scores that game or network lack, if random openings can be as long as an
    episode, or if the network does not fit all boards of the curriculum or grows after a share of an endless run.
    """
    weight = settings.sections["search"].score_weight
    require(
        weight == 0 or game.has_score,
        f"search.score_weight={weight}: game={settings.game.name} counts no points: set it to 0.",
    )
    require(
        weight == 0 or settings.sections["loss"].score > 0,
        f"search.score_weight={weight} needs a network that learns points: set loss.score above 0.",
    )
    _check_growth(settings)
    curriculum = Curriculum(
        settings.sections["curriculum"], game, settings.sections["search"].num_simulations
    )
    plies = settings.sections["algorithm"].opening_random_plies
    for board in (embedding.board for embedding in curriculum.embeddings):
        require(
            plies < board.spec.max_plies,
            f"algorithm.opening_random_plies={plies} must be below {board.spec.max_plies}: games of "
            f"{settings.game.name} on {board.board_shape[0]}x{board.board_shape[1]} are over by then.",
        )
    require(
        not curriculum.has_padded_boards or settings.sections["network"].value_head == "pooled",
        "network.value_head=dense fits boards of one size: with a curriculum of several use pooled.",
    )


def _check_growth(settings: Settings) -> None:
    learner = settings.learner
    limits = (learner.max_epochs, learner.max_minutes, learner.max_samples, learner.max_episodes)
    for index, growth in enumerate(settings.sections["network"].growth):
        require(
            growth.after_fraction is None or any(limit is not None for limit in limits),
            f"network.growth[{index}].after_fraction={growth.after_fraction} needs a run with an end: set "
            "learner.max_epochs, max_minutes, max_samples or max_episodes, or use after_step or after_minutes.",
        )
