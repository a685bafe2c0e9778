"""Sets of cells of the snakes' torus as rows of bits: which cells are free when, and who can be where after t steps.

Letters: R rows, L columns (bit c of word r is the cell of row r, column c), S snakes, T = HORIZON steps ahead.

A breadth-first step over the whole board is a dozen operations on each row, and the processor does several rows at a
time. Compiled; used by snake_views.py and snake_agents.py.

`scratch` is an array of sets, a row of words each: the board's last row once more, all rows, the first row once more,
so that no row needs a look around the edge.

    free [T + 1]: entry t, the cells that a head can enter with its t-th step from now, bodies moving on meanwhile
    reach [S, T + 1]: entry t, where snake s can be within t steps
    once, twice [T + 1]: where one snake at least, two at least can be
    beans; and three sets to work in
    steps [S], each with a word for every bean: in how many steps the snake can be there; T + 1 for more
"""

from __future__ import annotations

import numpy as np

from ddpzero.games import snake_rules
from ddpzero.games.compiled import compiled

HORIZON = 10

_ONE = np.uint32(1)
_ZERO = np.uint32(0)


def scratch_shape(rows: int, snakes: int, beans: int) -> tuple[int, int]:
    """Sets, and words of each."""
    return (HORIZON + 1) * (snakes + 3) + 4 + snakes, max(rows + 2, beans)


@compiled
def free_at(rules, t):
    """The place of the set free[t] in scratch."""
    return t


@compiled
def reach_at(rules, snake, t):
    return (HORIZON + 1) * (1 + snake) + t


@compiled
def once_at(rules, t):
    return (HORIZON + 1) * (1 + rules.snakes) + t


@compiled
def twice_at(rules, t):
    return (HORIZON + 1) * (2 + rules.snakes) + t


@compiled
def beans_at(rules):
    return (HORIZON + 1) * (3 + rules.snakes)


@compiled
def work_at(rules, index):
    """The sets to work in, 0 to 2."""
    return beans_at(rules) + 1 + index


@compiled
def steps_to_bean(rules, scratch, snake, index):
    """Steps in which a snake can be on a bean; HORIZON + 1: more."""
    return np.int64(scratch[work_at(rules, 3) + snake, index])


@compiled
def clear(rules, scratch, at):
    for row in range(rules.rows + 2):
        scratch[at, row] = _ZERO


@compiled
def _close(rules, cells):
    """Copy the rows at the edges around the torus."""
    cells[0] = cells[rules.rows]
    cells[rules.rows + 1] = cells[1]


@compiled
def add_cell(rules, scratch, at, cell):
    """Add a cell, without the copies at the edges."""
    scratch[at, 1 + cell // rules.columns] |= _ONE << np.uint32(cell % rules.columns)


@compiled
def start_with(rules, scratch, at, cell):
    """Make the set hold one cell."""
    clear(rules, scratch, at)
    add_cell(rules, scratch, at, cell)
    _close(rules, scratch[at])


@compiled
def has_cell(rules, scratch, at, cell):
    word = scratch[at, 1 + cell // rules.columns]
    return (word >> np.uint32(cell % rules.columns)) & _ONE != 0


@compiled
def _full_row(rules):
    """All bits of a row."""
    return np.uint32((1 << rules.columns) - 1)


@compiled
def count(rules, scratch, at):
    """Cells in a set."""
    cells = scratch[at]
    total = 0
    for row in range(1, rules.rows + 1):
        total += _count_bits(cells[row])
    return total


@compiled
def count_common(rules, scratch, at, other):
    """Cells that are in both sets."""
    cells, other_cells = scratch[at], scratch[other]
    total = 0
    for row in range(1, rules.rows + 1):
        total += _count_bits(cells[row] & other_cells[row])
    return total


@compiled
def _count_bits(word):
    """Written so that LLVM makes it one instruction."""
    bits = np.uint64(word)
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    twos = np.uint64(0x3333333333333333)
    bits = (bits & twos) + ((bits >> np.uint64(2)) & twos)
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def meets(rules, scratch, at, other):
    """Whether two sets have a cell in common."""
    cells, other_cells = scratch[at], scratch[other]
    common = _ZERO
    for row in range(1, rules.rows + 1):
        common |= cells[row] & other_cells[row]
    return common != 0


@compiled
def _near(rules, cells, row):
    """The cells beside, above and below those of one row; bits beyond the columns may be set."""
    word = cells[row]
    wrap = np.uint32(rules.columns - 1)
    sides = (word << _ONE) | (word >> wrap) | (word >> _ONE) | (word << wrap)
    return sides | cells[row - 1] | cells[row + 1]


@compiled
def spread(rules, scratch, source, allowed, target):
    """target = source and those of its neighbours that are in `allowed`; target is another set than source."""
    # Rows of their own: with sums as indices the processor would do one row at a time.
    from_cells, allowed_cells, to_cells = scratch[source], scratch[allowed], scratch[target]
    for row in range(1, rules.rows + 1):
        near = _near(rules, from_cells, row)
        to_cells[row] = from_cells[row] | (near & allowed_cells[row])
    _close(rules, to_cells)


@compiled
def spread_uncontested(rules, scratch, source, snake, t, target):
    """As `spread`, with the t-th step of a snake into free cells where no other can be within t steps.

    Returns whether target is larger than source.
    """
    from_cells, to_cells = scratch[source], scratch[target]
    allowed_cells, reach = scratch[free_at(rules, t)], scratch[reach_at(rules, snake, t)]
    once, twice = scratch[once_at(rules, t)], scratch[twice_at(rules, t)]
    added = _ZERO
    for row in range(1, rules.rows + 1):
        near = _near(rules, from_cells, row)
        # Others can be where two can, and where one can that is not this snake.
        others = twice[row] | (once[row] & ~reach[row])
        to_cells[row] = from_cells[row] | (near & allowed_cells[row] & ~others)
        added |= to_cells[row] ^ from_cells[row]
    _close(rules, to_cells)
    return added != 0


@compiled
def is_contested(rules, scratch, snake, t, cell):
    """Whether another snake can be on a cell within t steps."""
    if has_cell(rules, scratch, reach_at(rules, snake, t), cell):
        return has_cell(rules, scratch, twice_at(rules, t), cell)
    return has_cell(rules, scratch, once_at(rules, t), cell)


@compiled
def look_ahead(rules, position, scratch):
    """Fill free, reach, once, twice and beans of a position."""
    _look_at_bodies(rules, position, scratch)
    beans = beans_at(rules)
    clear(rules, scratch, beans)
    for index in range(snake_rules.num_beans(position)):
        add_cell(rules, scratch, beans, snake_rules.bean(position, index))
    for snake in range(rules.snakes):
        head = snake_rules.head(rules, position, snake)
        start_with(rules, scratch, reach_at(rules, snake, 0), head)
        for t in range(1, HORIZON + 1):
            source = reach_at(rules, snake, t - 1)
            spread(rules, scratch, source, free_at(rules, t), reach_at(rules, snake, t))
    _look_at_beans(rules, position, scratch)
    for t in range(HORIZON + 1):
        once, twice = scratch[once_at(rules, t)], scratch[twice_at(rules, t)]
        for row in range(1, rules.rows + 1):
            once[row] = twice[row] = _ZERO
        for snake in range(rules.snakes):
            reach = scratch[reach_at(rules, snake, t)]
            for row in range(1, rules.rows + 1):
                twice[row] |= once[row] & reach[row]
                once[row] |= reach[row]


@compiled
def _look_at_beans(rules, position, scratch):
    for snake in range(rules.snakes):
        for index in range(snake_rules.num_beans(position)):
            cell = snake_rules.bean(position, index)
            t = 1
            while t <= HORIZON and not has_cell(rules, scratch, reach_at(rules, snake, t), cell):
                t += 1
            scratch[work_at(rules, 3) + snake, index] = t


@compiled
def _look_at_bodies(rules, position, scratch):
    """A segment with n others behind it leaves its cell with step n + 1, unless its snake eats on the way."""
    # First entry t holds the cells that are left with step t; entry 0 those that are left after the horizon.
    for t in range(HORIZON + 1):
        clear(rules, scratch, free_at(rules, t))
    for snake in range(rules.snakes):
        length = snake_rules.length(rules, position, snake)
        for index in range(length):
            t = length - index
            cell = snake_rules.segment(rules, position, snake, index)
            add_cell(rules, scratch, free_at(rules, t if t <= HORIZON else 0), cell)
    # Then, from the last step back: what is still blocked there, and of that the rest of the board.
    blocked = scratch[work_at(rules, 0)]
    after_horizon = scratch[free_at(rules, 0)]
    for row in range(1, rules.rows + 1):
        blocked[row] = after_horizon[row]
    full = _full_row(rules)
    for t in range(HORIZON, -1, -1):
        cells = scratch[free_at(rules, t)]
        for row in range(1, rules.rows + 1):
            left = cells[row]
            cells[row] = ~blocked[row] & full
            blocked[row] |= left
