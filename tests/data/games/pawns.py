"""Pawns, a game whose actions are moves from cell to cell: pawns of chess on 4 x 4 cells, without their double step.

Whoever reaches the last row wins; so does who leaves the other without a move. The first player moves toward row 0.

Actions are 16 * from + to; cells 4 * row + column, row 0 on top.

    position [18] uint8: cells (0 empty, 1 first player, 2 second), mover, status
    planes [3, 4, 4]: own pawns, the opponent's, ones if the mover is the first player
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.shared.boards import draw_board, parse_square, square_name

SIZE = 4
NUM_CELLS = SIZE * SIZE
MOVER = NUM_CELLS  # entries of a position
STATUS = NUM_CELLS + 1  # 0 while the game goes on, else the winner + 1


@dataclass(frozen=True)
class Parameters:
    """Pawns has none."""


def spec(parameters: Parameters) -> GameSpec:
    cells = np.arange(NUM_CELLS, dtype=np.int32)
    mirrored = cells.reshape(SIZE, SIZE)[:, ::-1].reshape(-1)
    actions = np.arange(NUM_CELLS**2, dtype=np.int32)
    mirrored_actions = NUM_CELLS * mirrored[actions // NUM_CELLS] + mirrored[actions % NUM_CELLS]
    return GameSpec(
        num_actions=len(actions),
        position_size=NUM_CELLS + 2,
        position_dtype=np.dtype(np.uint8),
        num_planes=3,
        board_shape=(SIZE, SIZE),
        max_plies=2 * SIZE * (SIZE - 1),
        cell_symmetries=np.stack([cells, mirrored]),
        action_symmetries=np.stack([actions, mirrored_actions]).astype(np.int32),
    )


def initial_position(rules, position):
    position[:] = 0
    for column in range(SIZE):
        position[column] = 2
        position[NUM_CELLS - SIZE + column] = 1


@compiled
def is_legal(position, start, end):
    """Whether the mover may go from cell `start` to cell `end`."""
    mover = position[MOVER]
    step = -1 if mover == 0 else 1
    if position[start] != mover + 1 or end // SIZE - start // SIZE != step:
        return False
    sideways = abs(end % SIZE - start % SIZE)
    if sideways == 0:
        return position[end] == 0
    return sideways == 1 and position[end] == 2 - mover


def legal_actions(rules, position, legal):
    for start in range(NUM_CELLS):
        for end in range(NUM_CELLS):
            legal[NUM_CELLS * start + end] = position[STATUS] == 0 and is_legal(
                position, start, end
            )


@compiled
def has_move(position):
    for start in range(NUM_CELLS):
        for end in range(NUM_CELLS):
            if is_legal(position, start, end):
                return True
    return False


def apply_action(rules, position, action):
    start, end = action // NUM_CELLS, action % NUM_CELLS
    mover = position[MOVER]
    position[end] = mover + 1
    position[start] = 0
    position[MOVER] = 1 - mover
    if end < SIZE or end >= NUM_CELLS - SIZE or not has_move(position):
        position[STATUS] = mover + 1


def current_player(rules, position):
    return position[MOVER]


def is_terminal(rules, position):
    return position[STATUS] != 0


def player_return(rules, position, player):
    return 1.0 if position[STATUS] == player + 1 else -1.0


def observe(rules, position, planes):
    mover = position[MOVER]
    for cell in range(NUM_CELLS):
        planes[cell] = position[cell] == mover + 1
        planes[NUM_CELLS + cell] = position[cell] == 2 - mover
        planes[2 * NUM_CELLS + cell] = mover == 0


def action_name(parameters: Parameters, action: int) -> str:
    start, end = divmod(action, NUM_CELLS)
    squares = [square_name(cell // SIZE, cell % SIZE, SIZE) for cell in (start, end)]
    return "".join(squares)


def parse_action(parameters: Parameters, text: str) -> int:
    cleaned = text.strip()
    if len(cleaned) != 4:
        raise ValueError(f"{text!r} is not a move: give two cells, as a1a2.")
    start, end = (parse_square(part, SIZE, SIZE) for part in (cleaned[:2], cleaned[2:]))
    return NUM_CELLS * start + end


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return position[:NUM_CELLS]


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    last_cell = None if last_action is None else last_action % NUM_CELLS
    return draw_board(position, SIZE, SIZE, ".XO", last_cell)
