"""Settings of the tree search: conf/search/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ddpzero.system.errors import require, require_at_least, require_at_most

if TYPE_CHECKING:
    from ddpzero.games import Game


# Values beyond these limits are useless, and sums and quotients of them could overflow.
_LEAST = {"score_scale": 0.001, "c_puct_base": 1, "dirichlet_alpha": 0.001}
_MOST = dict.fromkeys(
    (
        *("score_scale", "gumbel_scale", "value_scale", "max_visit_offset", "c_puct"),
        *("first_play_reduction", "dirichlet_alpha", "temperature", "final_temperature"),
        "virtual_loss",
    ),
    1_000_000,
) | {"c_puct_base": 1e15}


@dataclass(frozen=True)
class SearchSettings:
    """How a move is searched. Values are in [-1, 1] from the mover's side.

    algorithm: "gumbel" (Danihelka et al., ICLR 2022) or "puct" (AlphaZero, Silver et al. 2018).
    num_simulations: budget per move; 0 = the bare network's best legal prior.
    solve: back up proven values as such; a search ends when its root's value is proven (ddpzero/search/solver.py).
    endgame_plies: prove positions at most this many plies from the end by exhaustive search instead of evaluating them
    (ddpzero/search/endgame.py); 0 disables it. Needs solve.
    forced_win_plies: before a position is evaluated, look for a win that a side can force within this many plies
    (ddpzero/search/forced_wins.py); 0 disables it. Needs solve. A win counts with its own score.
    endgame_positions: a proof of either kind that has met so many positions is given up.
    score_weight: share of the score margin in a value, in games that have scores; the rest is win, draw, loss.
    score_scale: score margin that is worth three quarters of that share (tanh); None: a quarter of the largest margin.
    """

    algorithm: Literal["gumbel", "puct"] = "gumbel"
    num_simulations: int = 32
    solve: bool = True
    endgame_plies: int = 0
    forced_win_plies: int = 0
    endgame_positions: int = 50_000
    score_weight: float = 0.0
    score_scale: float | None = None
    # gumbel
    max_considered_actions: int = 16
    gumbel_scale: float = 1.0
    value_scale: float = 0.1
    max_visit_offset: float = 50.0
    # puct
    c_puct: float = 1.25
    c_puct_base: float = 19652.0
    first_play_reduction: float = 0.2
    dirichlet_alpha: float = 0.3
    dirichlet_fraction: float = 0.25
    temperature: float = 1.0
    temperature_plies: int = 20
    final_temperature: float = 0.0
    reuse_subtree: bool = False
    # several leaves of one tree in one round
    leaves_per_round: int = 1
    virtual_loss: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_considered_actions", "leaves_per_round", "endgame_positions"):
            value = getattr(self, name)
            require(value >= 1, f"search.{name}={value} must be at least 1.")
        for name in (
            "num_simulations",
            "endgame_plies",
            "forced_win_plies",
            "gumbel_scale",
            "value_scale",
            "max_visit_offset",
            "c_puct",
            "first_play_reduction",
            "temperature",
            "temperature_plies",
            "final_temperature",
            "virtual_loss",
        ):
            value = getattr(self, name)
            require(value >= 0, f"search.{name}={value} must be 0 or more.")
        require(
            0 <= self.score_weight < 1,
            f"search.score_weight={self.score_weight} must be 0 or more and below 1: winning comes first.",
        )
        for name in ("endgame_plies", "forced_win_plies"):
            require(
                self.solve or getattr(self, name) == 0,
                f"search.{name}={getattr(self, name)} proves values, which search.solve=false ignores: set "
                f"search.solve=true or search.{name}=0.",
            )
        require_at_least("search", self, _LEAST)
        require_at_most("search", self, _MOST)
        require(
            0 <= self.dirichlet_fraction <= 1,
            f"search.dirichlet_fraction={self.dirichlet_fraction} must be in 0..1.",
        )
        require(
            not (self.reuse_subtree and self.algorithm == "gumbel"),
            "search.reuse_subtree=true has no meaning for search.algorithm=gumbel, whose sequential halving starts "
            "from an unvisited root: set it to false, or use search=puct.",
        )

    def points_scale(self, game: Game) -> float | None:
        """Return the scale of points for searches of `game`; None if the search ignores points."""
        if self.score_weight == 0:
            return None
        return self.score_scale or max(1.0, game.spec.max_score / 4)
