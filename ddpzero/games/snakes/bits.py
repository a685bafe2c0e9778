"""Bit sets of cells of the snakes' torus: the cells that are free at each step, and those that each snake can reach.

Letters: R rows, L columns (bit c of word r is the cell of row r, column c), S snakes, K snakes per team, T = HORIZON
steps ahead, B beans.

Sets are stored in *bundles* of a multiple of 16 sets (the lanes): first the words of row 0 of all sets, then those of
row 1, and so on. A breadth-first step of a bundle takes a dozen operations per row, and the processor does them on 8 or
16 words at a time. The offset of a set is that of its first word.

`scratch` `[1, words]` holds bundles of R rows, each with one extra row:

    ahead [T + 1]: entry t has a set for each snake, the cells where it can be within t steps (`reach`), and one for
        each move of each snake of one team, the cells where any other snake can be (`others`, equal for the three
        moves of a snake)
    room [T + 1]: entry t has a set for each move of each snake of that team, the cells it leads to within t steps
    own_room [T + 1]: like room, but only through cells that no other snake can reach as soon, until a step adds none.
        The extra row of entry t marks the lanes that grew with step t by nonzero words
    one bundle of single sets: free [T + 1], entry t the cells that a head can enter with its t-th step from now, given
        that bodies move on; and two sets of work space
    after the bundles, steps [B, lanes]: the number of steps in which a snake can reach a bean; T + 1 for more

Compiled; used by views.py and agents.py.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.snakes import rules as snake_rules

HORIZON = 10
# Steps of a binary search in 0 .. HORIZON: each is half of the remaining range, rounded up.
_JUMPS = (5, 3, 1, 1)

MOVES = 3  # per snake: all directions except backward

# Index of the first bundle of each kind.
_AHEAD = 0
_ROOM = _AHEAD + HORIZON + 1
_OWN_ROOM = _ROOM + HORIZON + 1
_SINGLE_SETS = _OWN_ROOM + HORIZON + 1
_NUM_BUNDLES = _SINGLE_SETS + 1

_ONE = np.uint32(1)
_ZERO = np.uint32(0)


# ------------------------------------------------------------------------ where things are


def scratch_shape(rows: int, snakes: int, beans: int) -> tuple[int, int]:
    """Return the shape of scratch, which is enough for any number of teams."""
    lanes = ((1 + MOVES) * snakes + 15) // 16 * 16
    return 1, (_NUM_BUNDLES * (rows + 1) + beans) * lanes


@compiled
def _team_size(rules):
    return rules.snakes // rules.teams


@compiled
def _lanes(rules):
    """Return the number of sets in a bundle, which is also the distance between a set's words of successive rows."""
    return (MOVES * _team_size(rules) + rules.snakes + 15) // 16 * 16


@compiled
def _bundle_at(rules, index):
    return index * (rules.rows + 1) * _lanes(rules)


@compiled
def _lane_of_move(rules, snake, move):
    return snake % _team_size(rules) * MOVES + move


@compiled
def others_at(rules, snake, move, t):
    return _bundle_at(rules, _AHEAD + t) + _lane_of_move(rules, snake, move)


@compiled
def reach_at(rules, snake, t):
    return _bundle_at(rules, _AHEAD + t) + MOVES * _team_size(rules) + snake


@compiled
def room_at(rules, snake, move, t):
    return _bundle_at(rules, _ROOM + t) + _lane_of_move(rules, snake, move)


@compiled
def own_room_at(rules, snake, move, t):
    return _bundle_at(rules, _OWN_ROOM + t) + _lane_of_move(rules, snake, move)


@compiled
def free_at(rules, t):
    return _bundle_at(rules, _SINGLE_SETS) + t


@compiled
def work_at(rules, index):
    """Return the offset of work space set 0 or 1."""
    return free_at(rules, HORIZON + 1 + index)


@compiled
def _steps_at(rules, snake, index):
    return _bundle_at(rules, _NUM_BUNDLES) + index * _lanes(rules) + snake


@compiled
def steps_to_bean(rules, scratch, snake, index):
    """Return the number of steps in which a snake can reach a bean; HORIZON + 1: more."""
    return np.int64(scratch[0, _steps_at(rules, snake, index)])


# --------------------------------------------------------------------------------- one set


@compiled
def row_and_column(rules, cell):
    # Division of unsigned integers is faster.
    row = np.uint32(cell) // np.uint32(rules.columns)
    return np.int64(row), np.int64(np.uint32(cell) - row * np.uint32(rules.columns))


@compiled
def _word_and_bit(rules, at, cell):
    """Return the offset of a cell's word, and its bit there."""
    row, column = row_and_column(rules, cell)
    return at + row * _lanes(rules), np.uint32(column)


@compiled
def start_with(rules, scratch, at, cell):
    """Set the set to one cell."""
    for row in range(rules.rows):
        scratch[0, at + row * _lanes(rules)] = _ZERO
    add_cell(rules, scratch, at, cell)


@compiled
def add_cell(rules, scratch, at, cell):
    place, bit = _word_and_bit(rules, at, cell)
    scratch[0, place] |= _ONE << bit


@compiled
def has_cell(rules, scratch, at, cell):
    place, bit = _word_and_bit(rules, at, cell)
    return (scratch[0, place] >> bit) & _ONE != 0


@compiled
def first_step_to(rules, scratch, at, cell):
    """Return the first t > 0 whose entry t has a cell, or HORIZON + 1, given the offset of a set in entry 0."""
    place, bit = _word_and_bit(rules, at, cell)
    last_without = np.int64(0)
    for jump in _JUMPS:
        word = scratch[0, place + _bundle_at(rules, last_without + jump)]
        last_without += jump * np.int64(~(word >> bit) & _ONE)
    return last_without + 1


@compiled
def count(rules, scratch, at):
    """Return the number of cells in a set."""
    total = 0
    for row in range(rules.rows):
        total += _count_bits(scratch[0, at + row * _lanes(rules)])
    return total


@compiled
def _count_bits(word):
    """Return the number of set bits, in a form that LLVM turns into one instruction."""
    bits = np.uint64(word)
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    twos = np.uint64(0x3333333333333333)
    bits = (bits & twos) + ((bits >> np.uint64(2)) & twos)
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def _spread_row(rules, words, source, row, above, below, allowed):
    """Return a row of a set together with the neighbors of its cells that are in `allowed`.

    above, below: the indices of the adjacent rows, around the torus.
    """
    word = words[source + row * _lanes(rules)]
    wrap = np.uint32(rules.columns - 1)
    near = (word << _ONE) | (word >> wrap) | (word >> _ONE) | (word << wrap)
    near |= words[source + above * _lanes(rules)] | words[source + below * _lanes(rules)]
    # Without the conversion numba would use 64 bits, and process half as many words at a time.
    return np.uint32(word | (near & allowed))


@compiled
def spread(rules, scratch, source, allowed, target):
    """Set target to source and those of its neighbors that are in `allowed`; target must be another set than source."""
    words = scratch[0]
    for row in range(rules.rows):
        above = row - 1 if row > 0 else rules.rows - 1
        below = row + 1 if row < rules.rows - 1 else 0
        place = row * _lanes(rules)
        allowed_row = words[allowed + place]
        words[target + place] = _spread_row(rules, words, source, row, above, below, allowed_row)


# --------------------------------------------------------------------------------- look ahead


@compiled
def look_ahead(rules, position, scratch):
    """Fill free, reach and steps for a position; the other sets are undefined afterward."""
    _clear_bundle(rules, scratch, _AHEAD)
    _look_ahead(rules, position, scratch)


@compiled
def start_moves(rules, scratch):
    """Clear entry 0 of room. Before look_ahead_for, add to it the cell that each move leads to."""
    _clear_bundle(rules, scratch, _ROOM)


@compiled
def look_ahead_for(rules, position, team, scratch):
    """Do what look_ahead does, and fill others, room and own_room of a team, given entry 0 of room."""
    _clear_bundle(rules, scratch, _AHEAD)
    for snake in range(team * _team_size(rules), (team + 1) * _team_size(rules)):
        for other in range(rules.snakes):
            if other != snake:
                head = snake_rules.head(rules, position, other)
                for move in range(MOVES):
                    add_cell(rules, scratch, others_at(rules, snake, move, 0), head)
    _look_ahead(rules, position, scratch)


@compiled
def _clear_bundle(rules, scratch, index):
    words = scratch[0]
    for place in range(_bundle_at(rules, index), _bundle_at(rules, index + 1)):
        words[place] = _ZERO


@compiled
def _look_ahead(rules, position, scratch):
    _look_at_bodies(rules, position, scratch)
    for snake in range(rules.snakes):
        head = snake_rules.head(rules, position, snake)
        add_cell(rules, scratch, reach_at(rules, snake, 0), head)
    _flood(rules, scratch)
    for index in range(snake_rules.num_beans(position)):
        bean = snake_rules.bean(position, index)
        for snake in range(rules.snakes):
            steps = first_step_to(rules, scratch, reach_at(rules, snake, 0), bean)
            scratch[0, _steps_at(rules, snake, index)] = steps


@compiled
def _look_at_bodies(rules, position, scratch):
    """Fill free: a segment with n others behind it stays on its cell up to step n, unless its snake eats before."""
    words = scratch[0]
    # First, entry t lacks the cells that become free after step t; the last entry also lacks those
    # that become free later.
    full = np.uint32((1 << rules.columns) - 1)
    for index in range(_bundle_at(rules, 1)):
        words[free_at(rules, 0) + index] = full
    for snake in range(rules.snakes):
        length = snake_rules.length(rules, position, snake)
        for num_behind in range(length):
            cell = snake_rules.segment(rules, position, snake, length - 1 - num_behind)
            free = free_at(rules, min(num_behind, HORIZON))
            place, bit = _word_and_bit(rules, free, cell)
            words[place] &= ~(_ONE << bit)
    # Then, from the last step back, also remove the cells that become free later.
    for row in range(rules.rows):
        free = words[free_at(rules, HORIZON) + row * _lanes(rules)]
        for t in range(HORIZON - 1, -1, -1):
            place = free_at(rules, t) + row * _lanes(rules)
            free &= words[place]
            words[place] = free


@compiled
def _flood(rules, scratch):
    """Fill ahead, room and own_room from their entries 0."""
    words = scratch[0]
    last = rules.rows - 1
    for t in range(1, HORIZON + 1):
        for lane in range(_lanes(rules)):
            words[_growth_at(rules, t) + lane] = _ZERO
        _flood_row(rules, words, t, 0, last, 1)
        for row in range(1, last):
            _flood_row(rules, words, t, row, row - 1, row + 1)
        _flood_row(rules, words, t, last, last - 1, 0)
        if t == 1:
            _start_rooms(rules, words)


@compiled
def _growth_at(rules, t):
    """Return the offset of the row that marks which sets of own_room grew with step t."""
    return _bundle_at(rules, _OWN_ROOM + t) + rules.rows * _lanes(rules)


@compiled
def _start_rooms(rules, words):
    """Fill entries 1 of room and own_room: with its first step a snake is where its move leads, and nowhere else."""
    moves, others = _bundle_at(rules, _ROOM), _bundle_at(rules, _AHEAD + 1)
    room, own_room = _bundle_at(rules, _ROOM + 1), _bundle_at(rules, _OWN_ROOM + 1)
    for index in range(rules.rows * _lanes(rules)):
        words[room + index] = words[moves + index]
        words[own_room + index] = words[moves + index] & ~words[others + index]
    for lane in range(_lanes(rules)):
        words[_growth_at(rules, 1) + lane] = _ONE


@compiled
def _flood_row(rules, words, t, row, above, below):
    """Fill a row of entry t of ahead, room and own_room."""
    ahead, last_ahead = _bundle_at(rules, _AHEAD + t), _bundle_at(rules, _AHEAD + t - 1)
    room, last_room = _bundle_at(rules, _ROOM + t), _bundle_at(rules, _ROOM + t - 1)
    own, last_own = _bundle_at(rules, _OWN_ROOM + t), _bundle_at(rules, _OWN_ROOM + t - 1)
    growth, last_growth = _growth_at(rules, t), _growth_at(rules, t - 1)
    begin = row * _lanes(rules)
    free = words[free_at(rules, t) + begin]
    # One loop for all three: LLVM unrolls shorter loops first and then makes no vector operations.
    for lane in range(_lanes(rules)):
        others = _spread_row(rules, words, last_ahead + lane, row, above, below, free)
        words[ahead + begin + lane] = others
        words[room + begin + lane] = _spread_row(
            rules, words, last_room + lane, row, above, below, free
        )
        allowed = free & ~others if words[last_growth + lane] != _ZERO else _ZERO
        grown = _spread_row(rules, words, last_own + lane, row, above, below, allowed)
        words[own + begin + lane] = grown
        words[growth + lane] |= grown ^ words[last_own + begin + lane]
