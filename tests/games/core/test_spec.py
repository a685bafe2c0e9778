from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ddpzero.games.core.spec import GameSpec

IDENTITY = np.arange(4, dtype=np.int32)[None]
SPEC = GameSpec(
    num_actions=4,
    position_size=5,
    position_dtype=np.dtype(np.uint8),
    num_planes=2,
    board_shape=(2, 2),
    max_plies=4,
    cell_symmetries=IDENTITY,
    action_symmetries=IDENTITY,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_actions": 9.0}, r"num_actions=9.0: whole numbers from 1 to 10,000,000 are allowed"),
        ({"max_plies": 10**12}, r"max_plies=1000000000000: whole numbers"),
        ({"max_plies": float("nan")}, r"max_plies=nan: whole numbers"),
        ({"board_shape": (3,)}, r"board_shape=\(3,\): it must be \(height, width\)"),
        ({"num_globals": 1, "global_scales": (float("nan"),)}, r"global_scales=\(nan,\): finite"),
        ({"num_actions": 0}, r"num_actions=0: whole numbers from 1 to"),
        ({"board_shape": (2, 0)}, r"board_shape=\(2, 0\): whole numbers from 1 to"),
        ({"position_dtype": np.dtype(np.float32)}, r"position_dtype=float32: .* integers"),
        ({"num_actions": 3}, r"action_symmetries has shape \(1, 4\): it must be \(symmetries, 3\)"),
        ({"cell_symmetries": IDENTITY.astype(np.int64)}, r"cell_symmetries is int64"),
        ({"cell_symmetries": IDENTITY[:, ::-1]}, r"cell_symmetries\[0\] is not the identity"),
        (
            {"cell_symmetries": np.array([[0, 1, 2, 3], [0, 1, 1, 3]], np.int32)},
            r"cell_symmetries\[1\] is not a permutation of 0\.\.3",
        ),
        (
            {"cell_symmetries": np.repeat(IDENTITY, 2, axis=0)},
            r"has 2 cell_symmetries but 1 action_symmetries",
        ),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SPEC, **changes)


def test_as_many_actions_as_columns_are_columns_only_if_a_symmetry_moves_both():
    mirrored = np.array([[0, 1, 2, 3], [1, 0, 3, 2]], np.int32)
    upside_down = np.array([[0, 1, 2, 3], [2, 3, 0, 1]], np.int32)
    stay, swap = np.array([[0, 1], [0, 1]], np.int32), np.array([[0, 1], [1, 0]], np.int32)
    for cells, actions, are_columns in (
        (mirrored, swap, True),
        (mirrored, stay, False),
        (upside_down, stay, False),
        (IDENTITY, stay[:1], False),
    ):
        spec = replace(SPEC, num_actions=2, cell_symmetries=cells, action_symmetries=actions)
        assert spec.actions_are_columns == are_columns
