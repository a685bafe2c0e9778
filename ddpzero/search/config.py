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
# Half a megabyte. A search without a limit would else begin with a table for all the memory that it may take.
_MOST_ENTRIES = 2**16


class SearchConfig(NamedTuple):
    """SearchSettings without text, and the tables computed from them.

    num_simulations: the most that a search makes; how many it makes is in forest.trees.
    exploration: entry N is PUCT's c_puct(N) * sqrt(N) for a node with N visits, its own evaluation included. The few
    nodes with more visits than entries compute it.
    """

    is_gumbel: bool
    num_simulations: int
    solve: bool
    endgame_positions: int
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
    c_puct: float
    c_puct_base: float
    exploration: np.ndarray  # [max_visits] float64


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
    node_visits = np.arange(*_layout(settings)["exploration"][0], dtype=np.float64)
    c_puct = settings.c_puct + np.log((node_visits + settings.c_puct_base) / settings.c_puct_base)
    exploration = c_puct * np.sqrt(node_visits)
    return (GumbelConfig if is_gumbel else PuctConfig)(
        is_gumbel=is_gumbel,
        num_simulations=settings.num_simulations,
        solve=settings.solve,
        endgame_positions=settings.endgame_positions,
        score_weight=float(settings.score_weight),
        score_scale=float(settings.points_scale(game) or 1.0),
        leaves_per_round=settings.leaves_per_round,
        virtual_loss=float(settings.virtual_loss),
        max_considered_actions=min(settings.max_considered_actions, game.num_actions),
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
        c_puct=float(settings.c_puct),
        c_puct_base=float(settings.c_puct_base),
        exploration=exploration,
    )


def config_size_bytes(settings: SearchSettings) -> int:
    """Peak memory of the tables of a SearchConfig while search_config builds them."""
    return 3 * layout_size_bytes(_layout(settings))


def _layout(settings: SearchSettings) -> Layout:
    return {
        "exploration": ((min(4 * settings.num_simulations + 1024, _MOST_ENTRIES),), np.float64),
    }
