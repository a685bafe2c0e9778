"""The hash of what a game's machine code is made from: what changes it, and what does not."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from ddpzero.games import connect_four
from ddpzero.games.core.contract import KERNEL_PARAMETERS
from ddpzero.games.core.fingerprint import fingerprint
from ddpzero.games.snakes import game as snakes

SOURCE = """
import numpy as np
TABLE = np.arange({size})
FACTOR = {factor}
UNREAD = {unread}

def inner(position):
    return position[0] * FACTOR

def is_terminal(rules, position):
    {comment}return inner(position) + TABLE[0] {operator} {bound}
"""
PLAIN = {"size": 3, "factor": 2, "unread": 1, "comment": "", "operator": ">", "bound": 4}


def hash_of(**changes: object) -> str:
    """Of a game whose kernel reaches what SOURCE says, without a file."""
    module = types.ModuleType("a_game_without_a_file")
    exec(SOURCE.format(**PLAIN | changes), vars(module))
    return fingerprint(module, ("is_terminal",))


@pytest.mark.parametrize(
    "changes",
    [{"size": 4}, {"factor": 3}, {"factor": 2.0}, {"operator": "<"}, {"bound": 5}],
    ids=str,
)
def test_values_and_instructions_that_kernels_reach_change_it(changes):
    assert hash_of(**changes) != hash_of()


@pytest.mark.parametrize("changes", [{}, {"unread": 2}, {"comment": "# why\n    "}], ids=str)
def test_what_kernels_do_not_reach_does_not(changes):
    assert hash_of(**changes) == hash_of()


def test_it_is_the_same_in_another_process():
    program = (
        "from ddpzero.games import connect_four\n"
        "from ddpzero.games.core.contract import KERNEL_PARAMETERS\n"
        "from ddpzero.games.core.fingerprint import fingerprint\n"
        "print(fingerprint(connect_four, tuple(KERNEL_PARAMETERS)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == fingerprint(connect_four, tuple(KERNEL_PARAMETERS))


def test_games_differ_by_what_their_kernels_reach():
    assert fingerprint(snakes, ("step",)) != fingerprint(snakes, ("reset",))
