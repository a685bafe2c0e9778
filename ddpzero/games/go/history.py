"""The earlier boards of a Go episode, for superko. Compiled; called by games/go/game.py.

A board is identified by a Zobrist hash of 64 bits; with situational superko the hash includes the player to move.
Boards are linked by their number of stones, so a new board is compared only with boards of the same number.

    HEADS    [size^2 + 1]: 1 + the index of the last board with that number of stones, 0 for none
    BOARDS   [5] for each board: 1 + the index of the previous board with as many stones, then the hash in four parts

A move that captures none of the mover's stones can repeat a board only on a point where a stone of the mover was
captured before, because the earlier board had a stone there. TAKEN has a bit for each such point and color, 16 per
entry; only these points are looked up.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled, compiled_apart
from ddpzero.games.go.board import (
    BORDER,
    MAX_SIZE,
    is_of,
    neighbor,
    num_points,
    points_of,
    touching,
)

BOARD_ENTRIES = 5

# Hashes of a black and of a white stone on each point, and of white to move. They are fixed; any
# random numbers would do.
_HASHES = np.random.Generator(np.random.PCG64(20251)).integers(
    0, 2**64, (2, num_points(MAX_SIZE)), np.uint64
)
_WHITE_TO_MOVE = np.uint64(0x9E3779B97F4A7C15)
_PART = np.uint64(0xFFFF)


@compiled
def stone_hash(color, point):
    return _HASHES[0 if color > 0 else 1, point]


@compiled
def side_hash(color):
    """Return the hash of the color to move."""
    return np.uint64(0) if color > 0 else _WHITE_TO_MOVE


@compiled
def read_hash(position, start):
    """Return the hash stored in the four entries from `start` on."""
    value = np.uint64(0)
    for part in range(4):
        value = (value << np.uint64(16)) | (np.uint64(position[start + 3 - part]) & _PART)
    return value


@compiled
def write_hash(position, start, value):
    for part in range(4):
        position[start + part] = np.int64(value & _PART)
        value >>= np.uint64(16)


@compiled
def group_hash(position, size, root, color):
    """Return the hash of all stones of a group."""
    following = points_of(size)
    value = np.uint64(0)
    stone = root
    while True:
        value ^= stone_hash(color, stone)
        stone = position[following + stone]
        if stone == root:
            return value


@compiled_apart
def forget_group(position, size, root, color, taken, hash_start):
    """Record the capture of a group: mark its points in TAKEN and remove its stones from the hash."""
    following = points_of(size)
    stone = root
    while True:
        mark_taken(position, taken, size, stone, color)
        stone = position[following + stone]
        if stone == root:
            break
    board_hash = read_hash(position, hash_start) ^ group_hash(position, size, root, color)
    write_hash(position, hash_start, board_hash)


@compiled
def num_taken_entries(size):
    """Return the number of entries of TAKEN for one color."""
    return (points_of(size) + 15) // 16


@compiled
def mark_taken(position, taken, size, point, color):
    """Mark a captured stone. taken: the start of TAKEN."""
    word = taken + (point >> 4) + (0 if color > 0 else num_taken_entries(size))
    position[word] = position[word] | (1 << (point & 15))


@compiled
def was_taken(position, taken, size, point, color):
    word = taken + (point >> 4) + (0 if color > 0 else num_taken_entries(size))
    return (position[word] >> (point & 15)) & 1 != 0


@compiled_apart
def is_known(position, heads, boards, num_stones, board_hash):
    """Return whether there was a board with that hash and number of stones.

    heads, boards: the starts of HEADS and BOARDS.
    """
    index = position[heads + num_stones]
    while index != 0:
        start = boards + (index - 1) * BOARD_ENTRIES
        if read_hash(position, start + 1) == board_hash:
            return True
        index = position[start]
    return False


@compiled_apart
def add_board(position, heads, boards, num_boards, num_stones, board_hash):
    """Store a board as number num_boards."""
    start = boards + num_boards * BOARD_ENTRIES
    position[start] = position[heads + num_stones]
    write_hash(position, start + 1, board_hash)
    position[heads + num_stones] = num_boards + 1


@compiled_apart
def board_after(position, size, point, color, num_stones, board_hash):
    """Return (number of stones, hash) of the board after a stone of that color on an empty point; changes nothing.

    num_stones, board_hash: of the current board.
    """
    libs = 2 * points_of(size)
    board_hash ^= stone_hash(color, point)
    num_stones += 1
    lives = False
    for direction in range(4):
        group = position[neighbor(size, point, direction)]
        if group == 0:
            lives = True
        elif group != BORDER:
            is_only_liberty = position[libs + abs(group)] == touching(position, size, point, group)
            if group * color > 0:
                lives |= not is_only_liberty
            elif is_only_liberty:
                lives = True
                if not _came_before(position, size, point, direction):
                    board_hash ^= group_hash(position, size, abs(group), -color)
                    num_stones -= group_size(position, size, abs(group))
    if lives:
        return num_stones, board_hash
    # Suicide: remove the stone and the adjacent groups of its color.
    board_hash ^= stone_hash(color, point)
    num_stones -= 1
    for direction in range(4):
        group = position[neighbor(size, point, direction)]
        if is_of(group, color) and not _came_before(position, size, point, direction):
            board_hash ^= group_hash(position, size, abs(group), color)
            num_stones -= group_size(position, size, abs(group))
    return num_stones, board_hash


@compiled
def _came_before(position, size, point, direction):
    """Return whether the group in that direction also lies in an earlier direction."""
    group = position[neighbor(size, point, direction)]
    for earlier in range(direction):
        if position[neighbor(size, point, earlier)] == group:
            return True
    return False


@compiled
def group_size(position, size, root):
    following = points_of(size)
    count = 1
    stone = position[following + root]
    while stone != root:
        count += 1
        stone = position[following + stone]
    return count
