"""Reads positions whose perfect play is known; perfect_play.py judges players by them.

A file is an .npz of plain integer arrays (N positions, T plies at most, A actions, B board cells). All files have

    moves    [N, T]   the actions that lead to the position, -1 behind its end
    lengths  [N]      plies

and an array of numbers for the actions, for the side to move by perfect play. Files of each game have their own:

    connect_four     board, scores, value
    dots_and_boxes   edge_mask, to_move, boxes_so_far, move_values, value
    hex              move_values
    othello          board, to_move, scores_raw
    tic_tac_toe      outcomes

    scores        [N, A]   the sign is the outcome, and among equal outcomes the higher one is the quicker win or the
                           slower loss; -1000 = illegal
    move_values   [N, A]   of dots_and_boxes: boxes still to come for the mover minus those for the opponent, -100 =
                           illegal; of hex: 1 wins, -1 loses, 0 = illegal
    outcomes      [N, A]   1 wins, 0 draws, -1 loses, -100 = illegal
    scores_raw    [N, B]   the mover's discs minus the opponent's at the end, -100 = illegal; none for the pass, the
                           last action
    value         [N]      the highest of these numbers
    board         [N, B]   the position: 0 empty, 1 first player, 2 second player
    to_move       [N]      0 or 1
    edge_mask     [N]      bit a is set when action a is played
    boxes_so_far  [N, 2]   of each player
    uct200_keeps_outcome  float [N]   optional: how often plain tree search with 200 simulations keeps the outcome
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.games import Game, describe_game, load_game
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import read_npz

ILLEGAL = -1000
_NUM_DIMENSIONS = {
    "moves": 2,
    "lengths": 1,
    "scores": 2,
    "move_values": 2,
    "scores_raw": 2,
    "outcomes": 2,
    "value": 1,
    "board": 2,
    "to_move": 1,
    "edge_mask": 1,
    "boxes_so_far": 2,
}


@dataclass(frozen=True)
class SolvedPositions:
    """Positions with the exact scores of all actions. Letters: N positions, P position_size, A num_actions.

    scores: `[N, A]` for the side to move by perfect play; the sign is the outcome; ILLEGAL for illegal actions.
    scores_are_margins: whether the scores are the mover's points minus the opponent's at the end.
    is_best: `[N, A]` bool, actions that have the highest score.
    best_means: what such an action achieves, "no action ..." or the like.
    keeps: `[N, A]` bool, legal actions that keep the outcome that perfect play from here has.
    matters: `[N]` bool, positions in which not every legal action does.
    uct200_share: `[N]` how often plain tree search with 200 simulations keeps the outcome; None if the file lacks it.
    """

    file: Path
    game: Game
    positions: np.ndarray  # [N, P]
    scores: np.ndarray
    scores_are_margins: bool
    is_best: np.ndarray
    best_means: str
    keeps: np.ndarray
    matters: np.ndarray
    uct200_share: np.ndarray | None

    def thinned(self, max_positions: int) -> SolvedPositions:
        """Return at most max_positions of the positions, evenly spaced over the file."""
        num_positions = len(self.positions)
        if num_positions <= max_positions:
            return self
        rows = np.arange(max_positions) * num_positions // max_positions
        arrays: dict[str, Any] = {
            name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)

    @property
    def random_share(self) -> np.ndarray:
        """`[N]`, the share of the legal actions that keep the outcome."""
        return self.keeps.sum(axis=1) / (self.scores != ILLEGAL).sum(axis=1)

    @property
    def random_best_share(self) -> np.ndarray:
        """`[N]`, the share of the legal actions that are best."""
        return self.is_best.sum(axis=1) / (self.scores != ILLEGAL).sum(axis=1)


@dataclass(frozen=True)
class _Layout:
    """What the files of one game hold besides moves and lengths.

    scores: the array with a number for each action; illegal: its entry for illegal ones.
    others: the other arrays. are_margins: whether the numbers, with the boxes so far, are margins of points.
    num_unscored: the number of actions, the last ones, that are never legal in a file and have no number.
    boards: the parameters of all boards with this number of scores.
    """

    game: str
    scores: str
    illegal: int
    others: tuple[str, ...]
    best_means: str
    are_margins: bool = False
    num_unscored: int = 0
    boards: Callable[[int], list[dict[str, Any]]] = lambda num_scores: [{}]

    @property
    def arrays(self) -> tuple[str, ...]:
        return ("moves", "lengths", *self.others, self.scores)


def _boards_of_hex(num_cells: int) -> list[dict[str, Any]]:
    size = math.isqrt(num_cells)
    return [{"size": size}] if size**2 == num_cells else []


def _boards_of_dots_and_boxes(num_edges: int) -> list[dict[str, Any]]:
    return [
        {"rows": rows, "columns": columns}
        for rows in range(1, 10)
        for columns in range(1, 10)
        if (rows + 1) * columns + rows * (columns + 1) == num_edges
    ]


_LAYOUTS = (
    _Layout(
        game="connect_four",
        scores="scores",
        illegal=ILLEGAL,
        others=("board", "value"),
        best_means="no action wins sooner or loses later",
    ),
    _Layout(
        game="dots_and_boxes",
        scores="move_values",
        illegal=-100,
        others=("edge_mask", "to_move", "boxes_so_far", "value"),
        best_means="no action gains more boxes against perfect play",
        are_margins=True,
        boards=_boards_of_dots_and_boxes,
    ),
    _Layout(
        game="hex",
        scores="move_values",
        illegal=0,
        others=(),
        best_means="the same here, where no win is better than another",
        boards=_boards_of_hex,
    ),
    _Layout(
        game="othello",
        scores="scores_raw",
        illegal=-100,
        others=("board", "to_move"),
        best_means="no action gains more discs against perfect play",
        are_margins=True,
        num_unscored=1,
    ),
    _Layout(
        game="tic_tac_toe",
        scores="outcomes",
        illegal=-100,
        others=(),
        best_means="the same here, where no win is better than another",
    ),
)


def read_solved_positions(file: Path, game: Game | None = None) -> SolvedPositions:
    """Read a file and check it by replaying all its moves; UserError with the first contradiction.

    game: None selects the game with this file format, on a board of the file's size. Among boards with the same number
    of actions (2 x 3 and 3 x 2 boxes) it is the one whose rules fit the file.
    """
    arrays = read_npz(file)
    layout = _layout_of(file, arrays)
    num_scores = arrays[layout.scores].shape[1]
    if game is not None:
        _require_game(file, layout, num_scores, game)
        return _solved_positions(file, layout, arrays, game)
    games = [load_game(layout.game, **board) for board in layout.boards(num_scores)]
    errors = []
    for candidate in games:
        try:
            return _solved_positions(file, layout, arrays, candidate)
        except UserError as error:
            errors.append(error)
    if not errors:
        raise UserError(
            f"{file}: {layout.scores} has {num_scores} entries a position, as no board of {layout.game} has actions."
        )
    if len(errors) == 1:
        raise errors[0]
    raise UserError(
        f"{errors[0]} That is as {describe_game(games[0])}; no other board of as many actions fits."
    )


def _require_game(file: Path, layout: _Layout, num_scores: int, game: Game) -> None:
    """Raise UserError for another game or board than the file's. A user's game may have the same rules."""
    fits = game.num_actions - layout.num_unscored == num_scores
    if fits and game.source is not None:
        return
    games = [load_game(layout.game, **board) for board in layout.boards(num_scores)]
    # Not only the size: four in a row and five in a row are played on the same board.
    if fits and describe_game(game) in map(describe_game, games):
        return
    boards = [describe_game(g) for g in games if g.num_actions - layout.num_unscored == num_scores]
    raise UserError(
        f"{file} has positions of {' or '.join(boards) or layout.game}, but the game here is "
        f"{describe_game(game)}: name a file of this game and board."
    )


def game_and_count(file: Path) -> tuple[str, int]:
    """Return the name of the game of a file, and the number of its positions, which are not checked."""
    arrays = read_npz(file)
    return _layout_of(file, arrays).game, len(arrays["lengths"])


def _layout_of(file: Path, arrays: dict[str, np.ndarray]) -> _Layout:
    """The layout that fits the file best; UserError unless it has all its arrays, with the right types and shapes."""
    layout = max(
        _LAYOUTS,
        key=lambda layout: sum(1 if name in arrays else -1 for name in layout.arrays),
    )
    missing = [name for name in layout.arrays if name not in arrays]
    if missing:
        raise UserError(
            f"{file} has no {', no '.join(missing)}: it is not a file of solved positions, such as those of "
            f"{layout.game} with {', '.join(layout.arrays)}."
        )
    num_positions = arrays["lengths"].size
    for name in layout.arrays:
        array, num_dimensions = arrays[name], _NUM_DIMENSIONS[name]
        if (
            array.ndim != num_dimensions
            or len(array) != num_positions
            or array.dtype.kind not in "iu"
        ):
            raise UserError(
                f"{file}: {name} is {array.dtype} {list(array.shape)}, not {num_dimensions}-dimensional integers of "
                f"{num_positions} positions."
            )
    if not num_positions:
        raise UserError(f"{file} holds no positions.")
    return layout


def _solved_positions(
    file: Path, layout: _Layout, arrays: dict[str, np.ndarray], game: Game
) -> SolvedPositions:
    sizes = {
        layout.scores: game.num_actions - layout.num_unscored,
        "board": game.num_cells,
        "boxes_so_far": 2,
    }
    for name, size in sizes.items():
        if name in layout.arrays and arrays[name].shape[1] != size:
            raise UserError(
                f"{file}: {name} has {arrays[name].shape[1]} entries a position, but {game.name} here has {size}: "
                "it is a file of another game or board size."
            )
    scores = np.full((len(arrays["lengths"]), game.num_actions), ILLEGAL, dtype=np.int64)
    num_scored = sizes[layout.scores]
    scores[:, :num_scored] = arrays[layout.scores]
    scores[:, :num_scored][arrays[layout.scores] == layout.illegal] = ILLEGAL
    is_legal = scores != ILLEGAL
    positions = np.stack(
        [
            _replay(file, index, layout, arrays, game, is_legal[index])
            for index in range(len(scores))
        ]
    )
    if "boxes_so_far" in layout.arrays:
        margins = np.diff(arrays["boxes_so_far"].astype(np.int64))[:, 0]
        margins[arrays["to_move"] == 0] *= -1
        scores[is_legal] += np.repeat(margins, is_legal.sum(axis=1))
    best = scores.max(axis=1, keepdims=True)
    keeps = is_legal & (np.sign(scores) == np.sign(best))
    return SolvedPositions(
        file=file,
        game=game,
        positions=positions,
        scores=scores,
        scores_are_margins=layout.are_margins,
        is_best=scores == best,
        best_means=layout.best_means,
        keeps=keeps,
        matters=(keeps != is_legal).any(axis=1),
        uct200_share=arrays.get("uct200_keeps_outcome"),
    )


def _replay(
    file: Path,
    index: int,
    layout: _Layout,
    arrays: dict[str, np.ndarray],
    game: Game,
    is_scored: np.ndarray,
) -> np.ndarray:
    """Return the position that the moves lead to; UserError if it contradicts the file's other arrays.

    is_scored: `[A]` bool, the actions that are legal by the file's scores.
    """
    where = f"{file}: position {index}"
    position = game.initial_position()
    length = int(arrays["lengths"][index])
    if not 0 <= length <= arrays["moves"].shape[1]:
        raise UserError(
            f"{where} has length {length}, but there are {arrays['moves'].shape[1]} moves."
        )
    for ply, action in enumerate(arrays["moves"][index, :length].tolist()):
        try:
            position = game.apply_action(position, action)
        except ValueError as error:
            raise UserError(f"{where}, ply {ply}: {error}") from None
    if game.is_terminal(position):
        raise UserError(f"{where}: the game is over there.")
    given = {name: arrays[name][index] for name in layout.arrays}
    _check_position(where, position, given, game)
    if not np.array_equal(game.legal_actions(position), is_scored):
        raise UserError(
            f"{where}: its {layout.scores} mark other actions as illegal than the rules."
        )
    if "value" in given and given[layout.scores].max() != given["value"]:
        raise UserError(f"{where}: its value is not the highest of its {layout.scores}.")
    return position


def _check_position(where: str, position: np.ndarray, given: dict[str, Any], game: Game) -> None:
    """Compare a position with the optional arrays of its file; UserError where they differ."""
    legal, board = game.legal_actions(position), game.board(position)
    if "board" in given and not np.array_equal(board, given["board"]):
        raise UserError(f"{where}: its moves lead to another board than the file's.")
    if "to_move" in given and game.current_player(position) != given["to_move"]:
        raise UserError(
            f"{where}: player {game.current_player(position)} is to move after its moves, but its to_move is "
            f"{given['to_move']}."
        )
    if "edge_mask" in given and _bits(given["edge_mask"], game.num_actions) != (~legal).tolist():
        raise UserError(f"{where}: its moves draw other edges than its edge_mask has.")
    if "boxes_so_far" in given:
        boxes = [np.count_nonzero(board == owner) for owner in (1, 2)]
        if given["boxes_so_far"].tolist() != boxes:
            raise UserError(
                f"{where}: its moves give the players {boxes[0]} and {boxes[1]} boxes, but its boxes_so_far are "
                f"{' and '.join(map(str, given['boxes_so_far']))}."
            )


def _bits(number: int, num_bits: int) -> list[bool]:
    """Return the num_bits lowest bits of `number`, lowest first."""
    return [bool(int(number) >> bit & 1) for bit in range(num_bits)]
