"""What a comparison of the rules with recorded games found, and how a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mismatch:
    """One place in which the rules say something else than the record.

    ply: plies played before; the length of the game where the mismatch is at its end.
    drawing: the board there, the last move marked.
    """

    game_index: int
    ply: int
    what: str
    expected: str
    got: str
    drawing: str


@dataclass(frozen=True)
class RulesReport:
    """What a replay found.

    num_checks, num_mismatches: by what was compared ("legal mask", "mover", ...).
    mismatches: the first few in full, in the order of games and plies.
    not_checked: sentences on what the file holds and this game has no rules for.
    """

    file: Path
    game_name: str
    num_games: int
    num_plies: int
    num_checks: dict[str, int]
    num_mismatches: dict[str, int]
    mismatches: list[Mismatch]
    not_checked: list[str]

    @property
    def is_clean(self) -> bool:
        return not any(self.num_mismatches.values())


def print_report(report: RulesReport) -> int:
    """Print a report for people; returns the program's exit code: 0 without a mismatch, else 1."""
    print(
        f"{report.file}: {report.num_games} games of {report.game_name}, {report.num_plies} plies"
    )
    rows = [(what, n, report.num_mismatches[what]) for what, n in report.num_checks.items()]
    rows.append(("in all", sum(n for _, n, _ in rows), sum(n for _, _, n in rows)))
    for what, num_checks, num_mismatches in rows:
        print(f"  {what:<12}{num_checks:>9} checks{num_mismatches:>9} mismatches")
    for sentence in report.not_checked:
        print(f"  not checked: {sentence}")
    for mismatch in report.mismatches:
        print(
            f"\ngame {mismatch.game_index}, after {mismatch.ply} plies: {mismatch.what}\n"
            f"  recorded:  {mismatch.expected}\n"
            f"  rules say: {mismatch.got}\n"
            f"{mismatch.drawing}"
        )
    num_untold = sum(report.num_mismatches.values()) - len(report.mismatches)
    if num_untold:
        print(f"\n{num_untold} more mismatches.")
    return 0 if report.is_clean else 1
