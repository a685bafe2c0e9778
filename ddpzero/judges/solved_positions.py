"""Reads positions whose perfect play is known; perfect_play.py judges players by them.

A file is an .npz of plain arrays (N positions, T plies at most, A actions, B board cells):

    moves    int [N, T]     the actions that lead to the position, -1 behind its end
    lengths  int [N]        plies
    board    uint8 [N, B]   the position: 0 empty, 1 first player, 2 second player
    scores   int [N, A]     of each action for the side to move, by perfect play: its sign is the outcome, and among
                            equal outcomes the higher one is the quicker win or the slower loss; -1000 = illegal
    value    int [N]        the highest score
    uct200_keeps_outcome  float [N]   optional: how often plain tree search with 200 simulations keeps the outcome
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddpzero.games import Game
from ddpzero.settings import UserError

ILLEGAL = -1000
_NUM_DIMENSIONS = {"moves": 2, "lengths": 1, "board": 2, "scores": 2, "value": 1}


@dataclass(frozen=True)
class SolvedPositions:
    """Positions with the exact scores of all actions. Letters: N positions, P position_size, A num_actions.

    keeps: `[N, A]` bool, legal actions that keep the outcome that perfect play from here has.
    matters: `[N]` bool, positions in which not every legal action does.
    uct200_share: `[N]` how often plain tree search with 200 simulations keeps the outcome; None if the file lacks it.
    """

    file: Path
    positions: np.ndarray  # [N, P]
    scores: np.ndarray  # [N, A]
    keeps: np.ndarray
    matters: np.ndarray
    uct200_share: np.ndarray | None

    @property
    def random_share(self) -> np.ndarray:
        """`[N]`, the share of the legal actions that keep the outcome."""
        return self.keeps.sum(axis=1) / (self.scores != ILLEGAL).sum(axis=1)


def read_solved_positions(file: Path, game: Game) -> SolvedPositions:
    """Read and check a file by replaying all its moves; UserError with the first thing that does not fit."""
    arrays = _read_arrays(file)
    num_positions = len(arrays["lengths"])
    for name, num_dimensions in _NUM_DIMENSIONS.items():
        array = arrays[name]
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
    for name, size in (("scores", game.num_actions), ("board", game.num_cells)):
        if arrays[name].shape[1] != size:
            raise UserError(
                f"{file}: {name} has {arrays[name].shape[1]} entries a position, but {game.name} here has {size}: "
                "it is a file of another game or board size."
            )
    positions = np.stack([_replay(file, index, arrays, game) for index in range(num_positions)])
    scores = arrays["scores"].astype(np.int64)
    is_legal = scores != ILLEGAL
    keeps = is_legal & (np.sign(scores) == np.sign(scores.max(axis=1, keepdims=True)))
    return SolvedPositions(
        file=file,
        positions=positions,
        scores=scores,
        keeps=keeps,
        matters=(keeps != is_legal).any(axis=1),
        uct200_share=arrays.get("uct200_keeps_outcome"),
    )


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.") from None
    except (TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        # TypeError: a single array (.npy).
        raise UserError(
            f"{file} cannot be read: solved positions are an .npz of plain arrays, undamaged."
        ) from None
    missing = [name for name in _NUM_DIMENSIONS if name not in arrays]
    if missing:
        raise UserError(
            f"{file} has no {', no '.join(missing)}: it is not a file of solved positions, which has "
            f"{', '.join(_NUM_DIMENSIONS)}."
        )
    return arrays


def _replay(file: Path, index: int, arrays: dict[str, np.ndarray], game: Game) -> np.ndarray:
    """The position that moves lead to, compared with what else the file says of it."""
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
    if not np.array_equal(game.board(position), arrays["board"][index]):
        raise UserError(f"{where}: its moves lead to another board than the file's.")
    scores = arrays["scores"][index]
    if not np.array_equal(game.legal_actions(position), scores != ILLEGAL):
        raise UserError(f"{where}: its scores mark other actions as illegal than the rules.")
    if scores.max() != arrays["value"][index]:
        raise UserError(f"{where}: its value is not the highest of its scores.")
    return position
