"""The result of a check of a game's contract: the promises, how often each was checked, and the violations."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ddpzero.games.core.promises import GamePromiseError
from ddpzero.system.errors import in_one_line

# A violation occurs at every ply, but is reported once.
_MAX_VIOLATIONS = 10


@dataclass
class ContractReport:
    """The result of one check.

    game: its name. file: its path. limit: "max_plies" or "max_steps" with its value.
    checked: how often each promise was checked, in the order of the first check.
    num_positions: number of positions checked in full. longest_game: in plies, or in steps of all agents.
    violations: at most ten different sentences; none if the game keeps its contract.
    """

    game: str
    file: str
    limit: str
    num_games: int = 0
    num_positions: int = 0
    longest_game: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def collect(self, found: Iterable[str]) -> None:
        """Keep the first ten different sentences; an error that is raised in between becomes the last one."""
        try:
            for violation in found:
                if violation not in self.violations:
                    self.violations.append(violation)
                if len(self.violations) == _MAX_VIOLATIONS:
                    break
        except GamePromiseError as error:
            self.violations.append(error.promise)
        # The Python functions of the game and its kernels may raise anything; SystemExit would end the check silently.
        except (Exception, SystemExit) as error:
            function = traceback.extract_tb(error.__traceback__)[-1].name
            self.violations.append(f"{kernel_behind(function)} raises {in_one_line(error)}")

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        head = (
            f"contract of {self.game} ({self.file}): {self.num_games} games, {self.num_positions} positions, longest "
            f"game {self.longest_game} of {self.limit}"
        )
        checked = [f"{count:7,d} x  {promise}" for promise, count in self.checked.items()]
        if not self.violations:
            return [head, *checked, "no violations"]
        number = (
            "1 violation" if len(self.violations) == 1 else f"{len(self.violations)} violations"
        )
        return [
            head,
            f"{number}:",
            *(f"  {violation}" for violation in self.violations),
            "What was checked until then, whether it was found right or not:",
            *checked,
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `ContractReport(**values)` restores them."""
        return {**vars(self), "checked": dict(self.checked)}


# Called at each step of a check with the number of seconds that the next step may take.
Alive = Callable[[float], None]


def ignore(seconds: float) -> None:
    """Do nothing: this check has no time limit."""


# A kernel call, or a compilation, that takes this long is considered endless.
CALL_SECONDS = 30.0
COMPILE_SECONDS = 600.0

# Methods of Game and functions of the checks that call a kernel with another name.
_KERNELS = {
    "possible_actions": "legal_actions",
    "returns": "player_return",
    "observation": "observe",
    "observed_globals": "observe_globals",
    "packed_observation": "observe",
    "_seek": "a kernel",
    "_status": "status",
    "_reset": "reset",
    "_step": "step",
    "_check_points": "team_points",
    "_check_deaths": "died",
    "_check_rule_agent": "act_by_rule",
    "_observe": "an observation",
}


def kernel_behind(function: str) -> str:
    """Return the name of the kernel, or of the game file's function, that ran in the Python function of that name."""
    return _KERNELS.get(function, function)
