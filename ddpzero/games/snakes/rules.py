"""The rules of snakes on a torus. Every step equals that of the public environment, with all of its quirks.

That environment is jidiai/Competition_3v3snakes, env/snakes.py. Compiled; used by the kernels of game.py, views.py and
agents.py.

Letters: R rows, L columns, M = R * L cells (cell = L * row + column), S snakes, B maximum number of beans.

A position is a row of int16:

    steps, status, beans on the board, beans [B] (oldest first, then undefined)
    per snake: length, index of the head in its ring, heading, heading one step ago, ate, died (in the last step)
    per snake: ring [M + 1] of cells; segment i, counted from the head, is at (index of the head + i) mod (M + 1)
    covered [M]: number of segments on each cell; bean_on [M]: 0 or 1

Headings and actions: 0 up (row - 1), 1 down, 2 left (column - 1), 3 right; the reverse of d is d ^ 1.
"""

from __future__ import annotations

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import next_below
from ddpzero.games.core.team_contract import GOING_ON, TERMINATED, TRUNCATED

START_LENGTH = 3
NUM_ACTIONS = 4

_STEPS = 0
_STATUS = 1
_NUM_BEANS = 2
_BEANS = 3
_SNAKE_FIELDS = 6
_LENGTH = 0
_HEAD = 1
_HEADING = 2
_LAST_HEADING = 3
_ATE = 4
_DIED = 5


def position_size(rows: int, columns: int, snakes: int, beans: int) -> int:
    """Return the number of entries of a position."""
    cells = rows * columns
    return _BEANS + beans + snakes * (_SNAKE_FIELDS + cells + 1) + 2 * cells


# ------------------------------------------------------------------- reading a position


@compiled
def num_cells(rules):
    return rules.rows * rules.columns


@compiled
def _fields(rules, snake):
    return _BEANS + rules.beans + snake * _SNAKE_FIELDS


@compiled
def _ring(rules, snake):
    return _fields(rules, rules.snakes) + snake * (num_cells(rules) + 1)


@compiled
def _covered(rules):
    return _ring(rules, rules.snakes)


@compiled
def _bean_on(rules):
    return _covered(rules) + num_cells(rules)


@compiled
def steps(position):
    return position[_STEPS]


@compiled
def status(position):
    return position[_STATUS]


@compiled
def num_beans(position):
    return position[_NUM_BEANS]


@compiled
def bean(position, index):
    """Return the cell of a bean; index 0 is the oldest."""
    return position[_BEANS + index]


@compiled
def length(rules, position, snake):
    return position[_fields(rules, snake) + _LENGTH]


@compiled
def heading(rules, position, snake):
    return position[_fields(rules, snake) + _HEADING]


@compiled
def last_heading(rules, position, snake):
    """Return the heading before the last step, which is part of the public observation."""
    return position[_fields(rules, snake) + _LAST_HEADING]


@compiled
def ate(rules, position, snake):
    return position[_fields(rules, snake) + _ATE]


@compiled
def died(rules, position, snake):
    return position[_fields(rules, snake) + _DIED]


@compiled
def segment(rules, position, snake, index):
    """Return the cell of a segment; index 0 is the head."""
    place = position[_fields(rules, snake) + _HEAD] + index
    if place > num_cells(rules):
        place -= num_cells(rules) + 1
    return position[_ring(rules, snake) + place]


@compiled
def head(rules, position, snake):
    return segment(rules, position, snake, 0)


@compiled
def tail(rules, position, snake):
    return segment(rules, position, snake, length(rules, position, snake) - 1)


@compiled
def covered(rules, position, cell):
    """Return the number of segments on a cell."""
    return position[_covered(rules) + cell]


@compiled
def has_bean(rules, position, cell):
    return position[_bean_on(rules) + cell] != 0


@compiled
def is_free(rules, position, cell):
    """Return whether a cell has neither a snake nor a bean."""
    return position[_covered(rules) + cell] == 0 and position[_bean_on(rules) + cell] == 0


@compiled
def neighbor(rules, cell, direction):
    """Return the next cell in a direction, around the edges."""
    columns = rules.columns
    if direction == 0:
        return cell - columns if cell >= columns else cell + num_cells(rules) - columns
    if direction == 1:
        below = cell + columns
        return below if below < num_cells(rules) else below - num_cells(rules)
    column = cell % columns
    if direction == 2:
        return cell - 1 if column > 0 else cell + columns - 1
    return cell + 1 if column < columns - 1 else cell - columns + 1


# ------------------------------------------------------------------- writing a position


@compiled
def clear(rules, position):
    """Write an empty board before the first step."""
    for index in range(position.shape[0]):
        position[index] = 0


@compiled
def set_heading(rules, position, snake, direction):
    position[_fields(rules, snake) + _HEADING] = direction
    position[_fields(rules, snake) + _LAST_HEADING] = direction


@compiled
def append_segment(rules, position, snake, cell):
    """Add a segment behind the tail; the first segment is the head."""
    fields = _fields(rules, snake)
    place = position[fields + _HEAD] + position[fields + _LENGTH]
    if place > num_cells(rules):
        place -= num_cells(rules) + 1
    position[_ring(rules, snake) + place] = cell
    position[fields + _LENGTH] += 1
    position[_covered(rules) + cell] += 1


@compiled
def place_bean(rules, position, cell):
    """Add a bean, as the youngest."""
    position[_BEANS + position[_NUM_BEANS]] = cell
    position[_NUM_BEANS] += 1
    position[_bean_on(rules) + cell] = 1


@compiled
def set_steps(position, num_steps):
    position[_STEPS] = num_steps


@compiled
def _take_bean(rules, position, cell):
    """Remove the bean on a cell; the others keep their order."""
    position[_bean_on(rules) + cell] = 0
    kept = 0
    for index in range(position[_NUM_BEANS]):
        other = position[_BEANS + index]
        if other != cell:
            position[_BEANS + kept] = other
            kept += 1
    position[_NUM_BEANS] = kept


@compiled
def _remove_body(rules, position, snake):
    for index in range(length(rules, position, snake)):
        position[_covered(rules) + segment(rules, position, snake, index)] -= 1
    position[_fields(rules, snake) + _LENGTH] = 0


# ------------------------------------------------------------------------------ the rules


@compiled
def reset(rules, position, random_state):
    """Place straight snakes at random, in index order, and then the beans."""
    clear(rules, position)
    for snake in range(rules.snakes):
        _place_at_random(rules, position, snake, random_state)
    refill_beans(rules, position, random_state)


@compiled
def _place_at_random(rules, position, snake, random_state):
    """Place a snake. Samples direction, row and column together until the snake's three cells are free of snakes."""
    while True:
        direction = next_below(random_state, 4)
        row = next_below(random_state, rules.rows)
        back = row * rules.columns + next_below(random_state, rules.columns)
        middle = neighbor(rules, back, direction)
        front = neighbor(rules, middle, direction)
        if (
            covered(rules, position, back) == 0
            and covered(rules, position, middle) == 0
            and covered(rules, position, front) == 0
        ):
            append_segment(rules, position, snake, front)
            append_segment(rules, position, snake, middle)
            append_segment(rules, position, snake, back)
            set_heading(rules, position, snake, direction)
            return


@compiled
def step(rules, position, actions, rewards, random_state):
    """Play one step of all snakes, and sample its random outcomes."""
    for snake in range(rules.snakes):
        direction = actions[snake]
        if direction == heading(rules, position, snake) ^ 1:
            # Sample one of the other three directions, including straight on.
            direction = (direction + 1 + next_below(random_state, 3)) & 3
        _move(rules, position, snake, direction)
    settle(rules, position, rewards)
    refill_beans(rules, position, random_state)
    finish_step(rules, position)


@compiled
def move_all(rules, position, directions):
    """Make the moves of a step, given the direction in which each snake really went: `directions` `[S]`."""
    for snake in range(rules.snakes):
        _move(rules, position, snake, directions[snake])


@compiled
def _move(rules, position, snake, direction):
    """Move a snake. The first snake that reaches a bean eats it; a snake that eats keeps its tail."""
    fields = _fields(rules, snake)
    new_head = neighbor(rules, head(rules, position, snake), direction)
    position[fields + _LAST_HEADING] = position[fields + _HEADING]
    position[fields + _HEADING] = direction
    has_eaten = has_bean(rules, position, new_head)
    if has_eaten:
        _take_bean(rules, position, new_head)
        position[fields + _LENGTH] += 1
    else:
        position[_covered(rules) + tail(rules, position, snake)] -= 1
    position[fields + _ATE] = has_eaten
    place = position[fields + _HEAD] - 1
    if place < 0:
        place = num_cells(rules)
    position[fields + _HEAD] = place
    position[_ring(rules, snake) + place] = new_head
    position[_covered(rules) + new_head] += 1


@compiled
def settle(rules, position, rewards):
    """Find the snakes that died in a step, write the rewards `[S]`, and respawn the dead where there is room."""
    for snake in range(rules.snakes):
        fields = _fields(rules, snake)
        has_died = covered(rules, position, head(rules, position, snake)) > 1
        position[fields + _DIED] = has_died
        rewards[snake] = position[fields + _ATE]
        if has_died:
            rewards[snake] += START_LENGTH - position[fields + _LENGTH]
    for snake in range(rules.snakes):
        if died(rules, position, snake):
            _remove_body(rules, position, snake)
    for snake in range(rules.snakes):
        if died(rules, position, snake):
            _respawn(rules, position, snake)


@compiled
def _respawn(rules, position, snake):
    """Respawn a snake on three cells found by breadth-first search from the first free cell in row-major order.

    If there are no such cells, its length stays 0. The ring of the dead snake holds the queue. Cells that this search
    has visited count as covered until it ends.
    """
    ring = _ring(rules, snake)
    num_visited = 0
    found = 0
    first = second = third = 0
    for start in range(num_cells(rules)):
        if not is_free(rules, position, start):
            continue
        # The start is not marked as visited, as in the public environment: its neighbors queue it
        # once more.
        queue_begin = num_visited
        num_popped = 0
        cell = start
        found = 0
        while True:
            is_known = (found > 0 and cell == first) or (found > 1 and cell == second)
            if not is_known:
                if found == 0:
                    first = cell
                elif found == 1:
                    second = cell
                else:
                    third = cell
                found += 1
                if found == START_LENGTH:
                    break
                for direction in (3, 1, 0, 2):
                    other = neighbor(rules, cell, direction)
                    if is_free(rules, position, other):
                        position[_covered(rules) + other] = 1
                        position[ring + num_visited] = other
                        num_visited += 1
            if queue_begin + num_popped == num_visited:
                break
            cell = position[ring + queue_begin + num_popped]
            num_popped += 1
        if found == START_LENGTH:
            break
    for index in range(num_visited):
        position[_covered(rules) + position[ring + index]] = 0
    position[_fields(rules, snake) + _HEAD] = 0
    if found < START_LENGTH:
        return
    columns = rules.columns
    if (
        first == (second // columns) * columns + third % columns
        or first == (third // columns) * columns + second % columns
    ):
        first, second = second, first
    append_segment(rules, position, snake, first)
    append_segment(rules, position, snake, second)
    append_segment(rules, position, snake, third)
    if first // columns == second // columns:
        direction = 3 if first % columns > second % columns else 2
    else:
        direction = 1 if first // columns > second // columns else 0
    position[_fields(rules, snake) + _HEADING] = direction


@compiled
def refill_beans(rules, position, random_state):
    """Add the missing beans on cells without snake or bean, sampled uniformly, as long as there are such cells."""
    num_missing = rules.beans - position[_NUM_BEANS]
    if num_missing == 0:
        return
    num_covered = 0
    for snake in range(rules.snakes):
        num_covered += length(rules, position, snake)
    # A random cell that is free is uniform; on a crowded board counting is faster.
    is_crowded = 4 * (num_covered + rules.beans) > 3 * num_cells(rules)
    for _ in range(num_missing):
        cell = next_below(random_state, num_cells(rules))
        while not is_crowded and not is_free(rules, position, cell):
            cell = next_below(random_state, num_cells(rules))
        if is_crowded:
            num_free = 0
            for candidate in range(num_cells(rules)):
                num_free += is_free(rules, position, candidate)
            if num_free == 0:
                return
            num_left = next_below(random_state, num_free)
            cell = -1
            while num_left >= 0:
                cell += 1
                num_left -= is_free(rules, position, cell)
        place_bean(rules, position, cell)


@compiled
def finish_step(rules, position):
    """Count the step; the episode ends when the board is full, a snake found no room, or the step limit is reached."""
    position[_STEPS] += 1
    total_length = 0
    has_room = True
    for snake in range(rules.snakes):
        total_length += length(rules, position, snake)
        has_room = has_room and length(rules, position, snake) > 0
    if not has_room or rules.beans + total_length > num_cells(rules):
        position[_STATUS] = TERMINATED
    elif position[_STEPS] >= rules.steps:
        position[_STATUS] = TRUNCATED
    else:
        position[_STATUS] = GOING_ON
