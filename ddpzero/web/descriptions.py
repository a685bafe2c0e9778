"""What the server says to a page about a game, a position, and the thoughts about it, as JSON.

state: id changes with each message, position only with the position. line, movers: all moves and who made them, of
which the first `at` are on the board. board `[B]`: 0 empty, 1 first player, 2 second. legal: the actions; places: the
cell that each of them fills, -1 for none, or null if there are many actions. placed: the cells that the last move
filled. result: null, or winner (null for a draw) and text. owners `[B]`: at the end of a game that counts points, 1 the
first player's, -1 the second's, 0 nobody's; else null.

thoughts: rootInfo and moveInfos have the names of KataGo's analysis; all values are of the player to move. winrate is
(value + 1) / 2, or null if the player values only the position. wdl: the probabilities of a win, a draw and a loss.
steps: the moves of pv as action, player, and the cell that is filled, or -1. prior, policy: of each legal action, in
their order. ownership `[B]` in [-1, 1], 1 the first player's.

exact: outcome of perfect play for the player to move: 1 wins, 0 draws, -1 loses; margin: of points, or null; moves: the
same of each legal action, as [action, outcome, margin].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddpzero.games import Game, describe_game
from ddpzero.games.core.players import MoveThought, Thoughts
from ddpzero.games.core.titles import title_of
from ddpzero.judges.exact_values import ExactValues
from ddpzero.web.game_line import GameLine

# Of so many moves and steps the page hears; of the others only how much they were searched.
_MAX_MOVE_INFOS = 8
_MAX_STEPS = 10
# With more legal actions, the page does not hear which cell each of them would fill.
_MAX_PLACES = 32


def game_message(key: str, game: Game) -> dict[str, Any]:
    return {
        "type": "game",
        "key": key,
        "title": title_of(game),
        "description": describe_game(game),
        "geometry": game.geometry.as_dict(),
        "names": [game.action_name(action) for action in range(game.num_actions)],
        "has_score": game.has_score,
    }


def describe_position(line: GameLine) -> dict[str, Any]:
    """Return what a state message says about the game itself."""
    game, is_over = line.game, line.is_over
    legal = [] if is_over else game.possible_actions(line.position).tolist()
    return {
        "line": line.actions,
        "movers": line.movers,
        "at": line.at,
        "board": game.board(line.position).tolist(),
        "mover": line.mover,
        "legal": legal,
        "places": _places(line, legal),
        "placed": _placed(line),
        "is_over": is_over,
        "result": _result(line) if is_over else None,
        "winning": game.winning_cells(line.position) if game.is_terminal(line.position) else [],
        "owners": _owners(game, line.position),
    }


def _owners(game: Game, position: np.ndarray) -> list[int] | None:
    is_known = game.has_ownership and game.is_terminal(position)
    return game.ownership(position).tolist() if is_known else None


def _places(line: GameLine, legal: list[int]) -> list[int] | None:
    if len(legal) > _MAX_PLACES:
        return None
    return [_step(line.game, line.position, action)[0] for action in legal]


def _placed(line: GameLine) -> list[int]:
    if line.previous_position is None:
        return []
    before, after = line.game.board(line.previous_position), line.game.board(line.position)
    return np.flatnonzero((before == 0) & (after != 0)).tolist()


def _step(game: Game, position: np.ndarray, action: int) -> tuple[int, np.ndarray]:
    """Return the cell that an action fills, -1 if it is not one, and the position after it."""
    after = game.apply_action(position, action)
    filled = np.flatnonzero((game.board(position) == 0) & (game.board(after) != 0))
    return int(filled[0]) if len(filled) == 1 else -1, after


def _result(line: GameLine) -> dict[str, Any]:
    winner = line.winner
    if line.resigned is not None:
        return {"winner": winner, "text": "by resignation"}
    points = line.game.final_points(line.position)
    if points is None:
        return {"winner": winner, "text": ""}
    komi = getattr(line.game.parameters, "komi", 0)
    text = f"{points[0]} : {points[1]}" + (f" + {komi:g} komi" if komi else "")
    return {"winner": winner, "text": text}


def thoughts_message(
    position_id: int, line: GameLine, thoughts: Thoughts, values_moves: bool
) -> dict[str, Any]:
    """Return the message. values_moves: whether the player values each move, or only the position."""
    game, mover = line.game, line.mover
    legal = game.possible_actions(line.position)
    prior = np.zeros(game.num_actions)
    for move in thoughts.moves:
        prior[move.action] = move.prior
    ownership = None
    if thoughts.ownership is not None:
        of_first = thoughts.ownership if mover == 0 else -thoughts.ownership
        ownership = np.round(of_first.astype(np.float64), 2).tolist()
    return {
        "type": "thoughts",
        "position": position_id,
        "rootInfo": {
            "visits": thoughts.visits,
            "winrate": _rounded((thoughts.value + 1) / 2),
            "scoreLead": _rounded(thoughts.score, 1),
            "currentPlayer": mover,
        },
        "wdl": [_rounded(share) for share in thoughts.wdl],
        "is_proven": thoughts.is_proven,
        "moveInfos": [
            _move_info(line, order, move, values_moves)
            for order, move in enumerate(thoughts.moves[:_MAX_MOVE_INFOS])
        ],
        "prior": np.round(prior[legal], 4).tolist(),
        "policy": np.round(thoughts.policy[legal].astype(np.float64), 4).tolist(),
        "ownership": ownership,
    }


def exact_message(position_id: int, exact: ExactValues) -> dict[str, Any]:
    margins = exact.margins or {}
    return {
        "type": "exact",
        "position": position_id,
        "outcome": exact.outcome,
        "margin": exact.margin,
        "moves": [
            (action, outcome, margins.get(action)) for action, outcome in exact.outcomes.items()
        ],
    }


def _move_info(line: GameLine, order: int, move: MoveThought, values_moves: bool) -> dict[str, Any]:
    game = line.game
    return {
        "move": game.action_name(move.action),
        "action": move.action,
        "order": order,
        "visits": move.visits,
        "winrate": _rounded((move.value + 1) / 2) if values_moves else None,
        "prior": _rounded(move.prior),
        "scoreLead": _rounded(move.score, 1),
        "is_proven": move.is_proven,
        "pv": [game.action_name(action) for action in move.line[:_MAX_STEPS]],
        "steps": steps_of(game, line.position, move.line),
    }


def steps_of(
    game: Game, position: np.ndarray, actions: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Return moves that follow a position as action, player, and the cell that is filled, or -1."""
    steps = []
    for action in actions[:_MAX_STEPS]:
        mover = game.current_player(position)
        cell, position = _step(game, position, action)
        steps.append((action, mover, cell))
        if game.is_terminal(position):
            break
    return steps


def _rounded(number: float | None, digits: int = 4) -> float | None:
    return None if number is None else round(float(number), digits)
