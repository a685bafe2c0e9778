"""How many simulations self-play makes for a move: as configured, growing during the run, or scaled by the core.

The learner sends the numbers to actors with the weights (SIMULATIONS). Trees are allocated once, for the largest
number. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

# The name of the simulations per move, of each part of the current stage, among the weights that actors receive.
SIMULATIONS = "search.num_simulations"


@dataclass(frozen=True)
class Simulations:
    """The numbers of simulations during a run.

    first: search.num_simulations. final: algorithm.final_num_simulations, reached linearly at the end of the run; None:
    the number never changes. A part of a curriculum with its own number grows by the same factor. max_effort: the
    largest effort of `at`.
    """

    first: int
    final: int | None
    max_effort: float = 1.0

    def at(self, num_simulations: int, fraction_done: float, effort: float = 1.0) -> int:
        """Return the simulations per move of a part with this configured number, at least 1 unless that is 0.

        fraction_done: the share of the run that is done, 0..1. effort: a factor, see CompleteUpdater.set_self_play.
        """
        if num_simulations == 0:
            return 0
        factor = 1.0 + fraction_done * (self._growth - 1.0)
        return max(1, round(num_simulations * factor * effort))

    def most(self, num_simulations: int) -> int:
        """Return the largest number that `at` returns for this part: what its trees must have room for."""
        return round(num_simulations * max(1.0, self._growth) * self.max_effort)

    @property
    def _growth(self) -> float:
        return 1.0 if self.final is None or self.first == 0 else self.final / self.first
