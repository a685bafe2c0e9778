"""Settings of the tree search: conf/search/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ddpzero.settings import require


@dataclass(frozen=True)
class SearchSettings:
    """How a move is searched. Values are in [-1, 1] from the mover's side.

    algorithm: "gumbel" (Danihelka et al., ICLR 2022) or "puct" (AlphaZero, Silver et al. 2018).
    num_simulations: budget per move; 0 = the bare network's best legal prior.
    solve: back up proven values as such; a search ends when its root's value is proven (ddpzero/search/solver.py).
    """

    algorithm: Literal["gumbel", "puct"] = "gumbel"
    num_simulations: int = 32
    solve: bool = True
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
    # several leaves of one game in one round
    leaves_per_round: int = 1
    virtual_loss: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_considered_actions", "leaves_per_round"):
            value = getattr(self, name)
            require(value >= 1, f"search.{name}={value} must be at least 1.")
        for name in (
            "num_simulations",
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
        for name in ("c_puct_base", "dirichlet_alpha"):
            value = getattr(self, name)
            require(value > 0, f"search.{name}={value} must be positive.")
        require(
            0 <= self.dirichlet_fraction <= 1,
            f"search.dirichlet_fraction={self.dirichlet_fraction} must be in 0..1.",
        )
        require(
            not (self.reuse_subtree and self.algorithm == "gumbel"),
            "search.reuse_subtree=true has no meaning for search.algorithm=gumbel, whose sequential halving starts "
            "from an unvisited root: set it to false, or use search=puct.",
        )
