"""What a search has found, as the lines of lz-analyze, kata-analyze and CGOS; everything from the mover's side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.players import MoveThought, Thoughts
from ddpzero.play.protocols.gtp.names import Names, name_line
from ddpzero.play.protocols.gtp.options import AnalysisOptions
from ddpzero.play.protocols.gtp.turns import can_pass_always
from ddpzero.system.json_text import json_text

# Of the lower confidence bound: 95 of 100 results lie above it, if results are won or lost.
_DEVIATIONS = 1.645
_CGOS_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True)
class Analyzed:
    """thoughts: about a position of a game, whose moves have these names."""

    game: Game
    names: Names
    position: np.ndarray
    thoughts: Thoughts

    def lz_line(self, options: AnalysisOptions) -> str:
        """Return a line of lz-analyze; "" if nothing is to be told yet."""
        return " ".join(
            f"info move {self._name(move)} visits {move.visits} winrate {_of_10000(win_rate(move.value))} "
            f"prior {_of_10000(move.prior)} lcb {_of_10000(lower_bound(move))} order {order} {self._pv(move)}"
            for order, move in enumerate(self._shown(options))
        )

    def kata_line(self, options: AnalysisOptions) -> str:
        """Return a line of kata-analyze; "" if nothing is to be told yet."""
        parts = [
            self._kata_move(order, move, options) for order, move in enumerate(self._shown(options))
        ]
        if parts and options.has_root:
            parts.append(self._root())
        if parts and options.has_ownership and self.thoughts.ownership is not None:
            owners = self.rows_of(self.thoughts.ownership)
            parts.append("ownership " + " ".join(f"{owner:.4f}" for row in owners for owner in row))
        return " ".join(parts)

    def cgos_line(self) -> str:
        """Return the analysis that CGOS shows beside a move, as one line of JSON."""
        thoughts = self.thoughts
        moves = []
        for move in self._shown(AnalysisOptions()):
            facts = {
                "move": self._name(move),
                "winrate": round(win_rate(move.value), 4),
                "prior": round(move.prior, 4),
                "visits": move.visits,
                "pv": " ".join(self._line(move)[1:]),
            }
            if move.score is not None:
                facts["score"] = round(self.lead(move.score), 2)
            moves.append(facts)
        analysis: dict[str, object] = {
            "winrate": round(win_rate(thoughts.value), 4),
            "visits": thoughts.visits,
            "moves": moves,
        }
        if thoughts.score is not None:
            analysis["score"] = round(self.lead(thoughts.score), 2)
        if thoughts.ownership is not None:
            owners = self.rows_of(thoughts.ownership).reshape(-1)
            analysis["ownership"] = "".join(
                _CGOS_LETTERS[round(62 * (float(np.clip(owner, -1, 1)) + 1) / 2)]
                for owner in owners
            )
        return json_text(analysis)

    def lead(self, score: float) -> float:
        """Return by how many points the mover leads, komi included, if the board's margin is `score`."""
        komi = getattr(self.game.parameters, "komi", 0)
        return score - komi if self.game.current_player(self.position) == 0 else score + komi

    def rows_of(self, cells: np.ndarray) -> np.ndarray:
        """Return numbers of a board's points as rows, the top one first."""
        game, (num_rows, num_columns) = self.game, self.game.board_shape
        everything = np.zeros(num_rows * num_columns, cells.dtype)
        owner_cells = game.owner_cells
        everything[slice(None) if owner_cells is None else owner_cells] = cells
        rows = everything.reshape(num_rows, num_columns)
        return rows[::-1] if can_pass_always(game) else rows

    def _shown(self, options: AnalysisOptions) -> Sequence[MoveThought]:
        """Return the moves with visits, the best first, and further ones up to min_moves."""
        moves = self.thoughts.moves
        num_visited = sum(move.visits > 0 for move in moves)
        # Best moves without visits, of a position whose value is proven at once, are shown all the same.
        num_shown = max(num_visited, options.min_moves, int(self.thoughts.is_proven))
        ordered = sorted(moves[1:], key=lambda move: (-move.visits, -move.prior))
        return [*moves[:1], *ordered][:num_shown][: options.max_moves]

    def _kata_move(self, order: int, move: MoveThought, options: AnalysisOptions) -> str:
        bound = lower_bound(move)
        text = (
            f"info move {self._name(move)} visits {move.visits} edgeVisits {move.visits} "
            f"utility {move.value:.6f} winrate {win_rate(move.value):.6f} "
        )
        if move.score is not None:
            lead = self.lead(move.score)
            text += f"scoreMean {lead:.4f} scoreLead {lead:.4f} "
        text += f"prior {move.prior:.6f} lcb {bound:.6f} utilityLcb {2 * bound - 1:.6f} "
        if options.has_no_result:
            text += "noResultValue 0 "
        text += f"weight {move.visits} order {order} {self._pv(move)}"
        visits = " ".join(map(str, move.line_visits))
        if options.has_pv_visits:
            text += f" pvVisits {visits}"
        if options.has_pv_edge_visits:
            text += f" pvEdgeVisits {visits}"
        return text

    def _root(self) -> str:
        thoughts = self.thoughts
        text = f"rootInfo visits {thoughts.visits} utility {thoughts.value:.6f} winrate {win_rate(thoughts.value):.6f}"
        if thoughts.score is not None:
            lead = self.lead(thoughts.score)
            text += f" scoreMean {lead:.4f} scoreLead {lead:.4f}"
        return f"{text} weight {thoughts.visits}"

    def _name(self, move: MoveThought) -> str:
        return self.names.name(self.position, move.action)

    def _pv(self, move: MoveThought) -> str:
        return f"pv {' '.join(self._line(move))}"

    def _line(self, move: MoveThought) -> list[str]:
        return name_line(self.game, self.names, self.position, move.line)


def win_rate(value: float) -> float:
    """Return a result in [-1, 1] as a share of wins, a draw being half of one."""
    return min(max((1.0 + value) / 2.0, 0.0), 1.0)


def lower_bound(move: MoveThought) -> float:
    """Return a lower confidence bound of a move's share of wins."""
    rate = win_rate(move.value)
    if move.is_proven:
        return rate
    return max(0.0, rate - _DEVIATIONS * math.sqrt(rate * (1 - rate) / max(move.visits, 1)))


def _of_10000(share: float) -> int:
    return round(10_000 * share)
