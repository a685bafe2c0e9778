"""Finds the settings of AlphaZero that have no effect. Called when a run starts; imports no torch."""

from __future__ import annotations

import math
from typing import Any

from ddpzero.algorithms.alphazero.curriculum import Curriculum
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.games import Game
from ddpzero.networks.settings import NetworkSettings
from ddpzero.search.settings import SearchSettings
from ddpzero.settings import LearnerSettings, Settings

_ONLY_GUMBEL = (
    *("search.max_considered_actions", "search.gumbel_scale"),
    *("search.value_scale", "search.max_visit_offset", "algorithm.play_value_scale"),
)
_ONLY_PUCT = (
    *("search.c_puct", "search.c_puct_base", "search.first_play_reduction"),
    *("search.dirichlet_alpha", "search.dirichlet_fraction"),
    *("search.temperature", "search.temperature_plies", "search.final_temperature"),
)
# Only a search with simulations reads these.
_OF_DESCENTS = (
    *("search.max_considered_actions", "search.value_scale", "search.max_visit_offset"),
    *("search.c_puct", "search.c_puct_base", "search.first_play_reduction"),
    *("search.temperature", "search.temperature_plies", "search.final_temperature"),
    *("search.endgame_plies", "search.forced_win_plies", "search.endgame_positions"),
    *("search.leaves_per_round", "search.virtual_loss"),
    *("search.solve", "algorithm.play_out_fraction"),
    *("algorithm.full_search_fraction", "algorithm.fast_simulations"),
)


def ignored(settings: Settings, game: Game) -> dict[str, str]:
    """Return the settings that have no effect under the other settings, each with the reason."""
    sections: dict[str, Any] = settings.sections
    search, name = sections["search"], settings.game.name
    curriculum = Curriculum(sections["curriculum"], game, search.num_simulations)
    return {
        **_of_simulations(curriculum, sections["curriculum"].stages),
        **_of_search(search, game, sections["algorithm"].play_endgame_plies),
        **_of_algorithm(sections["algorithm"], search, game, name, settings.learner),
        **_of_restarts(sections["algorithm"], settings),
        **_of_loss(sections["loss"], game, name),
        **_of_short_values(sections["loss"]),
        **_of_network(sections["network"]),
        **_of_growth(sections["network"], settings.learner),
    }


def _of_simulations(curriculum: Curriculum, stages: list[Any]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    parts = [part for stage in curriculum.stages for part in stage]
    if all(part.num_simulations == 0 for part in parts):
        reason = "in training a search of 0 simulations does not read it"
        reasons |= dict.fromkeys((*_OF_DESCENTS, "actors.min_effort", "actors.max_effort"), reason)
    boards = [board for stage in stages for board in stage.boards]
    if boards and all(board.num_simulations is not None for board in boards):
        reason = "in training every board of curriculum.stages has its own num_simulations"
        reasons["search.num_simulations"] = reason
    return reasons


def _of_search(
    search: SearchSettings, game: Game, play_endgame_plies: int | None
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if not (search.endgame_plies or search.forced_win_plies or play_endgame_plies):
        reason = "search.endgame_plies=0 and search.forced_win_plies=0 make no proofs"
        reasons["search.endgame_positions"] = reason
    if search.leaves_per_round == 1:
        reasons["search.virtual_loss"] = "in training search.leaves_per_round=1 leaves none pending"
    if search.score_weight == 0:
        reasons["search.score_scale"] = "search.score_weight=0 looks at no points"
    if search.value_scale == 0:
        reasons["search.max_visit_offset"] = "search.value_scale=0 multiplies it"
    if search.dirichlet_fraction == 0:
        reasons["search.dirichlet_alpha"] = "search.dirichlet_fraction=0 adds no noise"
    if search.temperature == search.final_temperature:
        reason = f"search.final_temperature={search.final_temperature:g} is the same"
        reasons["search.temperature_plies"] = reason
    elif search.temperature_plies == 0:
        reasons["search.temperature"] = "search.temperature_plies=0 begins with final_temperature"
    elif search.temperature_plies >= game.spec.max_plies:
        plies = f"search.temperature_plies={search.temperature_plies}"
        reasons["search.final_temperature"] = f"games are over before {plies}"
    unread = _ONLY_PUCT if search.algorithm == "gumbel" else _ONLY_GUMBEL
    return reasons | dict.fromkeys(unread, f"search.algorithm={search.algorithm} does not read it")


def _of_algorithm(
    algorithm: AlphaZeroSettings,
    search: SearchSettings,
    game: Game,
    name: str,
    learner: LearnerSettings,
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if algorithm.value_lambda is not None and not (search.score_weight > 0 and game.has_score):
        reason = f"algorithm.value_lambda={algorithm.value_lambda:g} replaces the mix"
        reasons["algorithm.root_value_weight"] = reason
    if algorithm.full_search_fraction == 1:
        reasons["algorithm.fast_simulations"] = (
            "algorithm.full_search_fraction=1 makes no fast search"
        )
    if not search.solve:
        reasons["algorithm.play_out_fraction"] = "search.solve=false proves no result"
        reasons["algorithm.play_endgame_plies"] = "search.solve=false proves no result"
    if algorithm.evaluation_cache_megabytes == 0:
        for key in ("algorithm.cache_uses_views", "algorithm.cache_max_age"):
            reasons[key] = "algorithm.evaluation_cache_megabytes=0 keeps no evaluations"
    elif learner.schedule == "rounds":
        reasons["algorithm.cache_max_age"] = "learner.schedule=rounds empties the cache each round"
    if search.num_simulations == 0:
        reason = "search.num_simulations=0 grows to no other number"
        reasons["algorithm.final_num_simulations"] = reason
    elif not learner.has_limit:
        reason = "the run has no limit (learner.max_minutes and others), so that no share of it is ever done"
        reasons["algorithm.final_num_simulations"] = reason
    if len(game.spec.cell_symmetries) == 1:
        for key in ("random_symmetry", "play_averages_symmetries", "cache_uses_views"):
            reasons[f"algorithm.{key}"] = f"game={name} has no symmetric views"
    return reasons


def _of_restarts(algorithm: AlphaZeroSettings, settings: Settings) -> dict[str, str]:
    learner, actors = settings.learner, settings.actors
    keys = ("algorithm.restart_priority", "algorithm.restart_archive_size")
    if algorithm.restart_fraction == 0:
        return dict.fromkeys(keys, "algorithm.restart_fraction=0 restarts no episode")
    most_per_actor = -(-learner.episodes_per_round // (actors.num_actors or 1))
    if learner.schedule == "rounds" and most_per_actor <= actors.num_games:
        reason = (
            f"with learner.schedule=rounds an archive begins empty in each round, and the {most_per_actor} episodes of "
            f"an actor's round start at once (actors.num_games={actors.num_games})"
        )
        return dict.fromkeys(("algorithm.restart_fraction", *keys), reason)
    return {}


def _of_loss(loss: LossSettings, game: Game, name: str) -> dict[str, str]:
    learnt = loss.auxiliary(game)
    reasons: dict[str, str] = {}
    if "score" not in learnt:
        reasons["loss.score"] = f"game={name} counts no points"
    if "ownership" not in learnt:
        reasons["loss.ownership"] = f"nobody owns cells at the end of game={name}"
    # A weight of 0 is not reported: in games that have the target it removes the head.
    return {key: reason for key, reason in reasons.items() if getattr(loss, key[5:]) > 0}


def _of_short_values(loss: LossSettings) -> dict[str, str]:
    if loss.short_value > 0:
        return {}
    return {"algorithm.short_value_lambdas": "loss.short_value=0 makes no such head"}


def _of_network(network: NetworkSettings) -> dict[str, str]:
    reasons: dict[str, str] = {}
    is_attention = network.name == "attention"
    if not is_attention:
        reasons["network.num_heads"] = f"network={network.name} has no attention"
    blocks = network.sizes[-1].blocks
    residual = range(0, blocks, 2 if is_attention else 1)
    if network.pooling_interval > 0 and not any(map(network.pools, residual)):
        reasons["network.pooling_interval"] = (
            f"none of the residual blocks of network.blocks={blocks} comes after so many"
        )
    return reasons


def _of_growth(network: NetworkSettings, learner: LearnerSettings) -> dict[str, str]:
    if not network.growth:
        return {}
    first, last_minute, last_step = network.growth[0], math.inf, math.inf
    if learner.max_minutes is not None:
        last_minute = learner.max_minutes
    if learner.max_epochs is not None:
        last_step = learner.max_epochs * learner.epoch_steps
    if (first.after_minutes or 0) >= last_minute:
        return {"network.growth": f"learner.max_minutes={last_minute:g} ends the run before"}
    if (first.after_step or 0) >= last_step:
        return {"network.growth": f"learner.max_epochs={learner.max_epochs} ends the run before"}
    return {}
