"""Reads games of snakes that another program recorded, with their random outcomes; snake_traces.py replays them.

A file is an .npz of plain arrays (E episodes, T steps of the longest, S snakes, B beans at most; a cell is its row
times the columns plus its column; directions 0 up, 1 down, 2 left, 3 right):

    n_steps            int [E]             steps; what is behind them in the others means nothing
    init_step_cnt      int [E]             number of the first step, 1 for a whole game
    init_len, init_dir int [E, S]          lengths and headings before it
    init_body_cells    int [sum(init_len)] bodies, by episode and snake, each from the head on
    init_beans         int [E, B]          beans before it, the oldest first; 255 behind the last
    action             int [E, T, S]       the direction that was asked for
    eff_dir            int [E, T, S]       the one really moved: another one where the action is a reversal
    ate, hit           int [E, T, S]       1 where the snake ate, died, in this step
    reward, score      int [E, T, S]       score: length - 3
    length, dir        int [E, T, S]       after the step, with the dead back on the board; length 0: no room
    obs_last_direction int [E, T, S]       the heading before the step
    body_cells         int [sum(length)]   bodies after each step, by episode, step and snake
    n_beans, beans     int [E, T], [E, T, B]   after the step, the oldest first
    n_new_beans, new_beans int [E, T], [E, T, B]   those of them that this step added
    respawn_cells      int [E, T, S, 3]    where hit: the body that is back on the board; 255 without room
    done               int [E, T]          1 where the game is over
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddpzero.games import TeamGame
from ddpzero.games.snakes import game as snakes
from ddpzero.games.snakes import rules as snake_rules
from ddpzero.judges.trace_files import check_kinds, check_shapes
from ddpzero.system.guarded_files import read_npz

NOTHING = 255  # in place of a cell

_NUM_DIMENSIONS = {
    **dict.fromkeys(("n_steps", "init_step_cnt", "init_body_cells", "body_cells"), 1),
    **dict.fromkeys(("init_len", "init_dir", "init_beans"), 2),
    **dict.fromkeys(("n_beans", "n_new_beans", "done"), 2),
    **dict.fromkeys(("action", "eff_dir", "ate", "hit", "reward", "score", "length", "dir"), 3),
    **dict.fromkeys(("obs_last_direction", "beans", "new_beans"), 3),
    "respawn_cells": 4,
}


def read_snake_traces(file: Path, game: TeamGame) -> dict[str, np.ndarray]:
    """Read a file recorded on this very board.

    Raises ValueError for a file that is not of this format, is damaged, or is for another board.
    """
    arrays = read_npz(file)
    check_kinds(file, arrays, _NUM_DIMENSIONS, {})
    traces = {name: arrays[name] for name in _NUM_DIMENSIONS}
    _check_board(file, traces, game.parameters)
    _check_shapes(file, traces, game.parameters)
    _check_values(file, traces, game.parameters)
    return traces


def was_played(traces: dict[str, np.ndarray]) -> np.ndarray:
    """`[E, T]` bool: the steps that mean something."""
    return np.arange(traces["done"].shape[1]) < traces["n_steps"][:, None]


def _check_board(file: Path, traces: dict[str, np.ndarray], board: snakes.Parameters) -> None:
    num_cells = board.rows * board.columns
    if num_cells > NOTHING:
        raise ValueError(
            f"game.rows={board.rows} by game.columns={board.columns}: recorded games have at most {NOTHING} "
            "cells; choose a smaller board."
        )
    for what, num_recorded, num_own in (
        ("snakes", traces["init_len"].shape[1], board.snakes),
        ("beans", traces["init_beans"].shape[1], board.beans),
    ):
        if num_recorded != num_own:
            raise ValueError(
                f"{file} has {num_recorded} {what}, but game.{what}={num_own}: give the parameters that it was "
                "recorded with."
            )


def _check_shapes(file: Path, traces: dict[str, np.ndarray], board: snakes.Parameters) -> None:
    """All shapes but those of the rows of cells, for which lengths must be known to be sound."""
    num_episodes, max_steps = traces["done"].shape
    steps = (num_episodes, max_steps)
    shapes: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("n_steps", "init_step_cnt"), (num_episodes,)),
        **dict.fromkeys(("init_len", "init_dir"), (num_episodes, board.snakes)),
        "init_beans": (num_episodes, board.beans),
        **dict.fromkeys(("n_beans", "n_new_beans"), steps),
        **dict.fromkeys(("beans", "new_beans"), (*steps, board.beans)),
        "respawn_cells": (*steps, board.snakes, snake_rules.START_LENGTH),
    }
    for name, num_dimensions in _NUM_DIMENSIONS.items():
        if num_dimensions == 3 and name not in shapes:
            shapes[name] = (*steps, board.snakes)
    check_shapes(file, traces, shapes)


def _check_values(file: Path, traces: dict[str, np.ndarray], board: snakes.Parameters) -> None:
    """Refuse numbers that compiled code must not index with."""
    num_cells = board.rows * board.columns
    _check_range(file, "n_steps", traces["n_steps"], 0, traces["done"].shape[1])
    played = was_played(traces)
    last_direction = snake_rules.NUM_ACTIONS - 1
    for name, entries, lowest, highest in (
        ("init_step_cnt", traces["init_step_cnt"], 1, board.steps),
        ("init_len", traces["init_len"], snake_rules.START_LENGTH, num_cells),
        ("init_dir", traces["init_dir"], 0, last_direction),
        ("action", traces["action"][played], 0, last_direction),
        ("eff_dir", traces["eff_dir"][played], 0, last_direction),
        ("length", traces["length"][played], 0, num_cells),
        ("n_beans", traces["n_beans"][played], 0, board.beans),
        ("n_new_beans", traces["n_new_beans"][played], 0, board.beans),
    ):
        _check_range(file, name, entries, lowest, highest)
    check_shapes(
        file,
        traces,
        {
            "init_body_cells": (int(traces["init_len"].sum(dtype=np.int64)),),
            "body_cells": (int(traces["length"][played].sum(dtype=np.int64)),),
        },
    )
    last_cell = num_cells - 1
    is_new = np.arange(board.beans) < traces["n_new_beans"][..., None]
    _check_range(file, "init_body_cells", traces["init_body_cells"], 0, last_cell)
    _check_range(file, "body_cells", traces["body_cells"], 0, last_cell)
    _check_range(file, "new_beans", traces["new_beans"][is_new & played[..., None]], 0, last_cell)
    is_bean = traces["init_beans"] != NOTHING
    _check_range(file, "init_beans", traces["init_beans"][is_bean], 0, last_cell)
    if (is_bean[:, 1:] & ~is_bean[:, :-1]).any():
        raise ValueError(
            f"{file}: init_beans has a bean behind a {NOTHING}: it must fill up the row."
        )


def _check_range(file: Path, name: str, entries: np.ndarray, lowest: int, highest: int) -> None:
    wrong = entries[(entries < lowest) | (entries > highest)]
    if wrong.size:
        raise ValueError(
            f"{file}: {name} holds {int(wrong.flat[0])}: it must be from {lowest} to {highest}."
        )
