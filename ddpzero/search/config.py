"""The search's settings in the form that compiled code needs: numbers and tables, no text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.search.settings import SearchSettings
from ddpzero.system.errors import require
from ddpzero.system.memory import Layout, layout_size_bytes

# Nodes, with some that a reused tree keeps, are counted in 32 bits.
_MAX_SIMULATIONS = 2**30 - 2


class SearchConfig(NamedTuple):
    """SearchSettings without text, and the tables computed from them.

    exploration: entry N is PUCT's c_puct(N) * sqrt(N) for a node with N visits, its own evaluation included.
    halving: entry [m, i] is the visit count that simulation i looks for among the root's actions when m are
    considered.
    """

    is_gumbel: bool
    num_simulations: int
    solve: bool
    score_weight: float
    score_scale: float
    leaves_per_round: int
    virtual_loss: float
    max_considered_actions: int
    gumbel_scale: float
    value_scale: float
    max_visit_offset: float
    first_play_reduction: float
    dirichlet_alpha: float
    dirichlet_fraction: float
    temperature: float
    temperature_plies: int
    final_temperature: float
    reuse_subtree: bool
    exploration: np.ndarray  # [max_visits] float64
    halving: np.ndarray  # [M + 1, num_simulations] int32


# The type tells compiled code the algorithm, so that only one is compiled: a seventh of the time that both need.


class GumbelConfig(SearchConfig):
    """The config of a search by gumbel.py."""


class PuctConfig(SearchConfig):
    """The config of a search by puct.py."""


def search_config(settings: SearchSettings, game: Game) -> SearchConfig:
    """Convert the settings of a search; UserError if a tree's 32 bits cannot count the simulations."""
    require(
        settings.num_simulations <= _MAX_SIMULATIONS,
        f"search.num_simulations={settings.num_simulations} must be at most {_MAX_SIMULATIONS}.",
    )
    is_gumbel = settings.algorithm == "gumbel"
    layout = _layout(settings, game)
    halving = np.zeros(*layout["halving"])
    max_considered = len(halving) - 1
    if is_gumbel:
        for num_considered in range(1, max_considered + 1):
            halving[num_considered] = halving_schedule(num_considered, halving.shape[1])
    node_visits = np.arange(*layout["exploration"][0], dtype=np.float64)
    c_puct = settings.c_puct + np.log((node_visits + settings.c_puct_base) / settings.c_puct_base)
    exploration = c_puct * np.sqrt(node_visits)
    return (GumbelConfig if is_gumbel else PuctConfig)(
        is_gumbel=is_gumbel,
        num_simulations=settings.num_simulations,
        solve=settings.solve,
        score_weight=float(settings.score_weight),
        score_scale=float(settings.points_scale(game) or 1.0),
        leaves_per_round=settings.leaves_per_round,
        virtual_loss=float(settings.virtual_loss),
        max_considered_actions=max_considered,
        gumbel_scale=float(settings.gumbel_scale),
        value_scale=float(settings.value_scale),
        max_visit_offset=float(settings.max_visit_offset),
        first_play_reduction=float(settings.first_play_reduction),
        dirichlet_alpha=float(settings.dirichlet_alpha),
        dirichlet_fraction=float(settings.dirichlet_fraction),
        temperature=float(settings.temperature),
        temperature_plies=settings.temperature_plies,
        final_temperature=float(settings.final_temperature),
        reuse_subtree=settings.reuse_subtree,
        exploration=exploration,
        halving=halving,
    )


def config_size_bytes(settings: SearchSettings, game: Game) -> int:
    """Peak memory of the tables of a SearchConfig while search_config builds them."""
    return 3 * layout_size_bytes(_layout(settings, game))


def _layout(settings: SearchSettings, game: Game) -> Layout:
    max_considered = min(settings.max_considered_actions, game.num_actions)
    return {
        "halving": ((max_considered + 1, max(1, settings.num_simulations)), np.int32),
        # A reused root may have more visits than the table has entries; it then uses the last entry.
        "exploration": ((4 * settings.num_simulations + 1024,), np.float64),
    }


def halving_schedule(num_considered: int, num_simulations: int) -> np.ndarray:
    """Sequential halving as visit counts to look for (Danihelka et al. 2022, as in mctx).

    Simulation i visits the best root action among those that have exactly `schedule[i]` visits: first all
    num_considered actions get equal shares, then the better half, and so on; the last two share the rest.
    Returns `[num_simulations]` int32.
    """
    if num_considered <= 1:
        return np.arange(num_simulations, dtype=np.int32)
    num_phases = int(np.ceil(np.log2(num_considered)))
    schedule = np.empty(num_simulations, np.int32)
    # The actions that are left have equal visits at the beginning of each phase.
    filled, visits, num_left = 0, 0, num_considered
    while filled < num_simulations:
        visits_in_phase = max(1, num_simulations // (num_phases * num_left))
        phase = np.arange(visits, visits + visits_in_phase, dtype=np.int32).repeat(num_left)
        schedule[filled : filled + len(phase)] = phase[: num_simulations - filled]
        filled += len(phase)
        visits += visits_in_phase
        num_left = max(2, num_left // 2)
    return schedule
