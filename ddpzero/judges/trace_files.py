"""Reads games that another program recorded; rules_traces.py replays them. Games of snakes: snake_trace_files.py.

A trace file is an .npz of plain arrays (G games, T plies of the longest game, A actions, B board cells):

    moves          int [G, T]          action of each ply, -1 behind the end
    players        int [G, T]          who moved
    lengths        int [G]             plies
    legal_bits     uint8 [sum(lengths), ceil(A / 8)]   legal mask before each ply, little-endian bits
    legal_offsets  int [G + 1]         rows of game g: legal_offsets[g] .. legal_offsets[g + 1] - 1
    returns        int [G, 2]          result of each player
    final_board    uint8 [G, B]        0 empty, 1 first player, 2 second player
    num_actions, num_cells             A and B
    score_first_minus_second int [G], final_ownership int8 [G, B]      optional
    komi               float           optional; of a game that has this parameter
    psk_bans           int [K, 3]      optional: game, ply, action that legal_bits allow but positional superko forbids
    psk_bans_ssk_allowed  int [K]      optional, with psk_bans: 1 = situational superko allows it
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddpzero.games import Game
from ddpzero.system.guarded_files import read_npz

_NUM_DIMENSIONS = {
    "moves": 2,
    "players": 2,
    "lengths": 1,
    "legal_bits": 2,
    "legal_offsets": 1,
    "returns": 2,
    "final_board": 2,
    "num_actions": 0,
    "num_cells": 0,
}
_NUM_DIMENSIONS_OPTIONAL = {
    "score_first_minus_second": 1,
    "final_ownership": 2,
    "psk_bans": 2,
    "psk_bans_ssk_allowed": 1,
}


def read_traces(file: Path, game: Game) -> dict[str, np.ndarray]:
    """Read a trace file of this very game.

    Raises ValueError for a file that is not of this format, is damaged, or is for another board.
    """
    traces = read_npz(file)
    check_kinds(file, traces, _NUM_DIMENSIONS, _NUM_DIMENSIONS_OPTIONAL)
    _check_board(file, traces, game)
    _check_komi(file, traces, game)
    _check_shapes(file, traces)
    _check_values(file, traces)
    return traces


def check_kinds(
    file: Path,
    traces: dict[str, np.ndarray],
    num_dimensions: dict[str, int],
    num_dimensions_optional: dict[str, int],
) -> None:
    """Refuse a file that lacks an array, or has one with another type or number of dimensions."""
    for name, expected in {**num_dimensions, **num_dimensions_optional}.items():
        if name not in traces and name in num_dimensions:
            raise ValueError(f"{file} lacks the array {name}: it is not a trace file.")
        array = traces.get(name)
        if array is None:
            continue
        if array.ndim != expected or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"{file}: {name} is {array.dtype} with {array.ndim} dimensions: it must be integers with "
                f"{expected}."
            )


def check_shapes(
    file: Path, traces: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Refuse arrays that do not fit together."""
    for name, shape in shapes.items():
        if name in traces and traces[name].shape != shape:
            raise ValueError(
                f"{file}: {name} has shape {traces[name].shape}: it must be {shape} to fit the other arrays."
            )


def _check_board(file: Path, traces: dict[str, np.ndarray], game: Game) -> None:
    parameters = "".join(f" {name}={value}" for name, value in vars(game.parameters).items())
    for name, num_own in (("num_actions", game.num_actions), ("num_cells", game.num_cells)):
        if int(traces[name]) != num_own:
            raise ValueError(
                f"{file} has {name}={int(traces[name])}, but {game.name}{parameters} has {num_own}: give the "
                "game and the parameters that it was recorded with."
            )


def _check_komi(file: Path, traces: dict[str, np.ndarray], game: Game) -> None:
    recorded, own = traces.get("komi"), getattr(game.parameters, "komi", None)
    if recorded is not None and own is not None and (recorded.ndim or float(recorded) != own):
        raise ValueError(
            f"{file} was recorded with komi {recorded}, but {game.name} has {own}: give game.komi={recorded}."
        )


def _check_shapes(file: Path, traces: dict[str, np.ndarray]) -> None:
    num_games, max_plies = traces["moves"].shape
    num_plies = int(traces["lengths"].sum())
    num_actions, num_cells = int(traces["num_actions"]), int(traces["num_cells"])
    num_bans = len(traces.get("psk_bans", ()))
    check_shapes(
        file,
        traces,
        {
            "players": (num_games, max_plies),
            "lengths": (num_games,),
            "legal_bits": (num_plies, (num_actions + 7) // 8),
            "legal_offsets": (num_games + 1,),
            "returns": (num_games, 2),
            "final_board": (num_games, num_cells),
            "score_first_minus_second": (num_games,),
            "final_ownership": (num_games, num_cells),
            "psk_bans": (num_bans, 3),
            "psk_bans_ssk_allowed": (num_bans,),
        },
    )


def _check_values(file: Path, traces: dict[str, np.ndarray]) -> None:
    """Refuse numbers that compiled code must not index with."""
    moves, lengths = traces["moves"], traces["lengths"].astype(np.int64)
    max_plies, num_actions = moves.shape[1], int(traces["num_actions"])
    if ((lengths < 0) | (lengths > max_plies)).any():
        raise ValueError(f"{file}: lengths must be from 0 to {max_plies}, the columns of moves.")
    if not np.array_equal(traces["legal_offsets"], np.concatenate([[0], np.cumsum(lengths)])):
        raise ValueError(f"{file}: legal_offsets must be the running sum of lengths, from 0 on.")
    played = moves[np.arange(max_plies) < lengths[:, None]]
    if ((played < 0) | (played >= num_actions)).any():
        raise ValueError(f"{file}: moves must be from 0 to {num_actions - 1} up to each length.")
    if "psk_bans" in traces:
        games, plies, actions = traces["psk_bans"].T.astype(np.int64)
        is_game = (games >= 0) & (games < len(lengths))
        is_ply = is_game & (plies >= 0) & (plies < lengths[np.where(is_game, games, 0)])
        if not (is_ply & (actions >= 0) & (actions < num_actions)).all():
            raise ValueError(f"{file}: psk_bans must be rows of a game, a ply of it and an action.")
