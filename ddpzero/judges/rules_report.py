"""What a comparison of the rules with recorded games found, and how a person reads it.

Made by rules_traces.py and snake_traces.py, printed by `ddpzero verify`. It knows no game.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_MAX_SHOWN = 3


@dataclass(frozen=True)
class Mismatch:
    """One place in which the rules say something else than the record.

    ply: plies (steps, where all agents act at once) played before; the length of the game where the mismatch is at
    its end. agent: whom it concerns, if not all. drawing: the board there, the last move marked.
    """

    game_index: int
    ply: int
    what: str
    expected: str
    got: str
    drawing: str
    agent: int | None = None


@dataclass(frozen=True)
class Comparison:
    """One kind of check at n places, in the order of games and plies.

    game_indices, plies: `[n]`, as in Mismatch. expected, got: `[n, ...]`, what was recorded and what the rules say.
    describe: one side's entry for people, given the other side's too. agents: `[n]`, whom each place concerns.
    """

    what: str
    game_indices: np.ndarray
    plies: np.ndarray
    expected: np.ndarray
    got: np.ndarray
    describe: Callable[[np.ndarray, np.ndarray], str]
    agents: np.ndarray | None = None

    @property
    def differs(self) -> np.ndarray:
        """`[n]` bool."""
        num_places = len(self.plies)
        if num_places == 0:
            return np.zeros(0, dtype=np.bool_)
        return (self.expected != self.got).reshape(num_places, -1).any(axis=1)


@dataclass(frozen=True)
class RulesReport:
    """The result of a replay.

    num_checks, num_mismatches: by what was compared ("legal mask", "mover", ...).
    mismatches: the first few in full, in the order of games and plies.
    not_checked: sentences on what the file holds and this game has no rules for.
    plies_name, agent_name: their names in this game, for people.
    """

    file: Path
    game_name: str
    num_games: int
    num_plies: int
    num_checks: dict[str, int]
    num_mismatches: dict[str, int]
    mismatches: list[Mismatch]
    not_checked: list[str] = field(default_factory=list)
    plies_name: str = "plies"
    agent_name: str = "agent"

    @property
    def is_clean(self) -> bool:
        return not any(self.num_mismatches.values())


def first_mismatches(
    comparisons: Sequence[Comparison], draw: Callable[[int, int], str]
) -> list[Mismatch]:
    """Return the first few places that differ, in the order of games, plies and `comparisons`.

    draw: draws the board of a game after a number of plies.
    """
    places = sorted(
        (int(comparison.game_indices[row]), int(comparison.plies[row]), order, int(row))
        for order, comparison in enumerate(comparisons)
        for row in np.flatnonzero(comparison.differs)[:_MAX_SHOWN]
    )
    mismatches = []
    for game_index, ply, order, row in places[:_MAX_SHOWN]:
        comparison = comparisons[order]
        expected, got = comparison.expected[row], comparison.got[row]
        mismatches.append(
            Mismatch(
                game_index=game_index,
                ply=ply,
                what=comparison.what,
                expected=comparison.describe(expected, got),
                got=comparison.describe(got, expected),
                drawing=draw(game_index, ply),
                agent=None if comparison.agents is None else int(comparison.agents[row]),
            )
        )
    return mismatches


def print_report(report: RulesReport) -> int:
    """Print a report for people; returns the program's exit code: 0 without a mismatch, else 1."""
    print(
        f"{report.file}: {report.num_games} games of {report.game_name}, {report.num_plies} {report.plies_name}"
    )
    rows = [(what, n, report.num_mismatches[what]) for what, n in report.num_checks.items()]
    rows.append(("in all", sum(n for _, n, _ in rows), sum(n for _, _, n in rows)))
    for what, num_checks, num_mismatches in rows:
        print(f"  {what:<12}{num_checks:>9} checks{num_mismatches:>9} mismatches")
    for sentence in report.not_checked:
        print(f"  not checked: {sentence}")
    for mismatch in report.mismatches:
        agent = "" if mismatch.agent is None else f", {report.agent_name} {mismatch.agent}"
        print(
            f"\ngame {mismatch.game_index}, after {mismatch.ply} {report.plies_name}{agent}: {mismatch.what}\n"
            f"  recorded:  {mismatch.expected}\n"
            f"  rules say: {mismatch.got}\n"
            f"{mismatch.drawing}"
        )
    num_untold = sum(report.num_mismatches.values()) - len(report.mismatches)
    if num_untold:
        print(f"\n{num_untold} more mismatches.")
    return 0 if report.is_clean else 1
