"""An agent's observations of snakes: numbers (`features`) or images (`planes`), both relative to its own head.

features are in the snake's own frame of reference (forward is its heading; distances go the short way around the
torus), so that what it learns in one place and direction applies everywhere. Its choices are straight on, right, back,
left. planes are rolled so that the snake's own head is in the middle. Their orientation is that of the board: choices
are the four directions.

A choice is legal unless it is the reverse of the heading, which the rules replace by a random move, or enters a cell
that a body will still cover. If all choices other than the reverse enter such cells, these choices are legal, too.

Letters: R rows, L columns, S snakes, K snakes per team, T = snake_bits.HORIZON steps ahead.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.snakes import bits as snake_bits
from ddpzero.games.snakes import rules as snake_rules
from ddpzero.games.snakes.bits import HORIZON

# The directions of the choices straight on, right, back, left, for headings up, down, left, right.
_STRAIGHT, _RIGHT, _BACK, _LEFT = 0, 1, 2, 3
_TURNS = np.array([[0, 3, 1, 2], [1, 2, 0, 3], [2, 0, 3, 1], [3, 1, 2, 0]], dtype=np.int64)
_CHOICES = np.argsort(_TURNS, axis=1)  # the choice, by heading and direction
# Rows down and columns to the right that a step up, down, left, right moves.
_DOWN = np.array([-1, 1, 0, 0], dtype=np.int64)
_RIGHTWARD = np.array([0, 0, -1, 1], dtype=np.int64)

# The order of the features: the snake itself, its moves, the nearest beans, every other snake.
_MOVES = (_STRAIGHT, _RIGHT, _LEFT)
_BEANS_SEEN = 5
_OWN_FEATURES = 5
_MOVE_FEATURES = 16
_BEAN_FEATURES = 6
_SNAKE_FEATURES = 9
_FIRST_OF_MOVES = _OWN_FEATURES
_FIRST_OF_BEANS = _FIRST_OF_MOVES + len(_MOVES) * _MOVE_FEATURES
_FIRST_OF_SNAKES = _FIRST_OF_BEANS + _BEANS_SEEN * _BEAN_FEATURES

# Integers are multiplied by these and similar factors because a division takes longer; the nearest
# float32 is the same.
_PER_SEGMENT = 1 / 20
_PER_CELL = 1 / 8  # for distances
_PER_STEP = 1 / HORIZON
# By distance in steps.
_NEARNESS = np.array([0.0, *(1 / t for t in range(1, HORIZON + 1)), 0.0])

NUM_PLANES = 12


def num_features(snakes: int, teams: int) -> int:
    """Return the number of an agent's features."""
    return _FIRST_OF_SNAKES + (snakes - 1) * _SNAKE_FEATURES


@compiled
def observe_features(rules, position, team, scratch, features, legal, actions):
    size = rules.snakes // rules.teams
    snake_bits.start_moves(rules, scratch)
    for agent in range(size):
        snake = team * size + agent
        for choice in range(snake_rules.NUM_ACTIONS):
            actions[agent, choice] = _TURNS[snake_rules.heading(rules, position, snake), choice]
        for move, choice in enumerate(_MOVES):
            cell = _cell_ahead(rules, position, snake, actions[agent, choice])
            snake_bits.add_cell(rules, scratch, snake_bits.room_at(rules, snake, move, 0), cell)
    snake_bits.look_ahead_for(rules, position, team, scratch)
    for agent in range(size):
        snake = team * size + agent
        _mark_legal(rules, position, snake, scratch, legal[agent], actions[agent])
        row = features[agent]
        _observe_itself(rules, position, snake, row)
        for move, choice in enumerate(_MOVES):
            cell = _cell_ahead(rules, position, snake, actions[agent, choice])
            _observe_move(rules, position, snake, move, cell, scratch, row)
        _observe_beans(rules, position, snake, scratch, row)
        _observe_snakes(rules, position, snake, row)


@compiled
def _cell_ahead(rules, position, snake, direction):
    return snake_rules.neighbor(rules, snake_rules.head(rules, position, snake), direction)


@compiled
def _mark_legal(rules, position, snake, scratch, legal, actions):
    reverse = snake_rules.heading(rules, position, snake) ^ 1
    enterable = snake_bits.free_at(rules, 1)
    has_way = False
    for choice in range(snake_rules.NUM_ACTIONS):
        cell = _cell_ahead(rules, position, snake, actions[choice])
        legal[choice] = actions[choice] != reverse and snake_bits.has_cell(
            rules, scratch, enterable, cell
        )
        has_way = has_way or legal[choice]
    if not has_way:
        for choice in range(snake_rules.NUM_ACTIONS):
            legal[choice] = actions[choice] != reverse


@compiled
def _observe_itself(rules, position, snake, row):
    size = rules.snakes // rules.teams
    own_points = 0
    other_points = 0
    for other in range(rules.snakes):
        points = snake_rules.length(rules, position, other) - snake_rules.START_LENGTH
        if other // size == snake // size:
            own_points += points
        else:
            other_points += points
    row[0] = snake_rules.length(rules, position, snake) * _PER_SEGMENT
    row[1] = 1.0 - snake_rules.steps(position) / rules.steps
    row[2] = min(1.0, (rules.steps - snake_rules.steps(position)) * (1 / 20))
    row[3] = max(-2.0, min(2.0, (own_points - other_points) * (1 / 20)))
    row[4] = (own_points + other_points) * (1 / 60)


@compiled
def _observe_move(rules, position, snake, move, cell, scratch, row):
    """Write the features of a move: whether it is possible, which other snakes may enter the cell, room, and beans."""
    place = _FIRST_OF_MOVES + move * _MOVE_FEATURES
    for index in range(_MOVE_FEATURES):
        row[place + index] = 0.0
    release = 0
    while release < HORIZON and not snake_bits.has_cell(
        rules, scratch, snake_bits.free_at(rules, release + 1), cell
    ):
        release += 1
    if release > 0:
        row[place + 1] = release * _PER_STEP
        return
    row[place] = 1.0
    row[place + 2] = snake_rules.has_bean(rules, position, cell)
    _observe_rivals(rules, position, snake, cell, scratch, row, place)
    _observe_room(rules, snake, move, scratch, row, place)
    _observe_beans_behind(rules, position, snake, move, scratch, row, place)
    _observe_tails(rules, position, snake, cell, row, place)


@compiled
def _observe_room(rules, snake, move, scratch, row, place):
    """Write the number of cells within reach, and of those that no other snake can reach as soon."""
    room = snake_bits.count(rules, scratch, snake_bits.room_at(rules, snake, move, HORIZON))
    room_4 = snake_bits.count(rules, scratch, snake_bits.room_at(rules, snake, move, 4))
    room_8 = snake_bits.count(rules, scratch, snake_bits.room_at(rules, snake, move, 8))
    own = snake_bits.count(rules, scratch, snake_bits.own_room_at(rules, snake, move, HORIZON))
    own_4 = snake_bits.count(rules, scratch, snake_bits.own_room_at(rules, snake, move, 4))
    row[place + 6] = room_4 * (1 / 25)
    row[place + 7] = room_8 * (1 / 80)
    row[place + 8] = room * (1 / snake_rules.num_cells(rules))
    row[place + 10] = own_4 * (1 / 25)
    row[place + 11] = own * (1 / 60)


@compiled
def _observe_beans_behind(rules, position, snake, move, scratch, row, place):
    """Write the nearness of the nearest bean, then that of the nearest bean that no other snake can reach as soon.

    Also write the number of the beans that no other snake can reach as soon.
    """
    room = snake_bits.room_at(rules, snake, move, 0)
    own_room = snake_bits.own_room_at(rules, snake, move, 0)
    for index in range(snake_rules.num_beans(position)):
        bean = snake_rules.bean(position, index)
        steps = snake_bits.first_step_to(rules, scratch, room, bean)
        own_steps = snake_bits.first_step_to(rules, scratch, own_room, bean)
        row[place + 9] = max(row[place + 9], _NEARNESS[steps])
        row[place + 12] = max(row[place + 12], _NEARNESS[own_steps])
        row[place + 13] += own_steps <= HORIZON
    row[place + 13] *= 1 / _BEANS_SEEN


@compiled
def _observe_rivals(rules, position, snake, cell, scratch, row, place):
    """Count the snakes that can enter the cell with their next step, and so may collide with this one head-on."""
    size = rules.snakes // rules.teams
    num_mates = 0
    num_others = 0
    most_points = 0
    for other in range(rules.snakes):
        reach = snake_bits.reach_at(rules, other, 1)
        can_come = other != snake and snake_bits.has_cell(rules, scratch, reach, cell)
        if other // size == snake // size:
            num_mates += can_come
        else:
            num_others += can_come
            points = snake_rules.length(rules, position, other) - snake_rules.START_LENGTH
            most_points = max(most_points, can_come * points)
    row[place + 3] = num_mates * 0.5
    row[place + 4] = num_others * 0.5
    row[place + 5] = most_points * (1 / 10)


@compiled
def _observe_tails(rules, position, snake, cell, row, place):
    """Write whether the cell is the tail of a teammate, or of an opponent, that may eat and so keep its tail there."""
    size = rules.snakes // rules.teams
    if snake_rules.covered(rules, position, cell) == 0:
        return
    for other in range(rules.snakes):
        is_tail = other != snake and snake_rules.tail(rules, position, other) == cell
        if is_tail and _may_eat(rules, position, other):
            row[place + 14 + (other // size != snake // size)] = 1.0


@compiled
def _may_eat(rules, position, snake):
    """Return whether a bean is next to the snake's head."""
    for direction in range(snake_rules.NUM_ACTIONS):
        cell = _cell_ahead(rules, position, snake, direction)
        if snake_rules.has_bean(rules, position, cell):
            return True
    return False


@compiled
def _short_way(difference, size):
    """Return a difference of rows or columns taken the short way around the torus, which has `size` of them."""
    if difference < -(size // 2):
        return difference + size
    if difference >= size - size // 2:
        return difference - size
    return difference


@compiled
def _forward_and_right(rules, heading, origin, cell):
    """Return the short way around the torus from origin (row, column) to a cell, as steps forward and to the right."""
    row, column = snake_bits.row_and_column(rules, cell)
    down = _short_way(row - origin[0], rules.rows)
    right = _short_way(column - origin[1], rules.columns)
    forward = down * _DOWN[heading] + right * _RIGHTWARD[heading]
    return forward, down * _RIGHTWARD[heading] - right * _DOWN[heading]


@compiled
def _observe_beans(rules, position, snake, scratch, row):
    """Write the nearest beans, nearest first: their location, and the distances of the snakes."""
    heading = snake_rules.heading(rules, position, snake)
    origin = snake_bits.row_and_column(rules, snake_rules.head(rules, position, snake))
    last_key = -1
    place = _FIRST_OF_BEANS
    for _ in range(_BEANS_SEEN):
        for index in range(_BEAN_FEATURES):
            row[place + index] = 0.0
        # Find the next bean in the order of (steps, index).
        best_key = 1 << 30
        for index in range(snake_rules.num_beans(position)):
            key = snake_bits.steps_to_bean(rules, scratch, snake, index) * 128 + index
            if key > last_key:
                best_key = min(best_key, key)
        if best_key < 1 << 30:
            last_key = best_key
            own, index = best_key // 128, best_key % 128
            cell = snake_rules.bean(position, index)
            forward, right = _forward_and_right(rules, heading, origin, cell)
            mates, others = _steps_of_others(rules, scratch, snake, index)
            row[place] = 1.0
            row[place + 1] = forward * _PER_CELL
            row[place + 2] = right * _PER_CELL
            row[place + 3] = own * _PER_STEP
            row[place + 4] = (mates - own) * _PER_STEP
            row[place + 5] = (others - own) * _PER_STEP
        place += _BEAN_FEATURES


@compiled
def _steps_of_others(rules, scratch, snake, index):
    """Return the number of steps in which the nearest teammate, and the nearest opponent, can reach a bean."""
    size = rules.snakes // rules.teams
    mates = HORIZON + 1
    others = HORIZON + 1
    for other in range(rules.snakes):
        if other != snake:
            steps = snake_bits.steps_to_bean(rules, scratch, other, index)
            if other // size == snake // size:
                mates = min(mates, steps)
            else:
                others = min(others, steps)
    return mates, others


@compiled
def _observe_snakes(rules, position, snake, row):
    """Write teammates in index order, then the opponents, beginning with the team that follows the snake's own."""
    heading = snake_rules.heading(rules, position, snake)
    origin = snake_bits.row_and_column(rules, snake_rules.head(rules, position, snake))
    size = rules.snakes // rules.teams
    place = _FIRST_OF_SNAKES
    for index in range(1, rules.snakes):
        if index < size:
            other = snake // size * size + (snake + index) % size
        else:
            other = (snake // size * size + index) % rules.snakes
        head = snake_rules.head(rules, position, other)
        tail = snake_rules.tail(rules, position, other)
        forward, right = _forward_and_right(rules, heading, origin, head)
        tail_forward, tail_right = _forward_and_right(rules, heading, origin, tail)
        row[place] = forward * _PER_CELL
        row[place + 1] = right * _PER_CELL
        row[place + 2] = tail_forward * _PER_CELL
        row[place + 3] = tail_right * _PER_CELL
        row[place + 4] = snake_rules.length(rules, position, other) * _PER_SEGMENT
        for choice in range(snake_rules.NUM_ACTIONS):
            row[place + 5 + choice] = 0.0
        row[place + 5 + _CHOICES[heading, snake_rules.heading(rules, position, other)]] = 1.0
        place += _SNAKE_FEATURES


@compiled
def observe_planes(rules, position, team, planes, legal, actions):
    """Write bodies, heads, the cells in front of them, beans, and three numbers.

    The value of a body segment is 16 for each step for which it still blocks its cell, plus 8 if its snake may eat and
    so keep its tail.
    """
    size = rules.snakes // rules.teams
    for agent in range(size):
        snake = team * size + agent
        for choice in range(snake_rules.NUM_ACTIONS):
            actions[agent, choice] = choice
        _mark_legal_without_bits(rules, position, snake, legal[agent])
        _draw_planes(rules, position, snake, planes[agent])


@compiled
def _mark_legal_without_bits(rules, position, snake, legal):
    head = snake_rules.head(rules, position, snake)
    reverse = snake_rules.heading(rules, position, snake) ^ 1
    has_way = False
    for choice in range(snake_rules.NUM_ACTIONS):
        cell = snake_rules.neighbor(rules, head, choice)
        num_segments = snake_rules.covered(rules, position, cell)
        for other in range(rules.snakes):
            num_segments -= snake_rules.tail(rules, position, other) == cell
        legal[choice] = choice != reverse and num_segments <= 0
        has_way = has_way or legal[choice]
    if not has_way:
        for choice in range(snake_rules.NUM_ACTIONS):
            legal[choice] = choice != reverse


@compiled
def _draw_planes(rules, position, snake, planes):
    rows, columns = rules.rows, rules.columns
    size = rules.snakes // rules.teams
    head = snake_rules.head(rules, position, snake)
    down = rows // 2 - head // columns + rows
    right = columns // 2 - head % columns + columns
    for plane in range(9):
        for row in range(rows):
            for column in range(columns):
                planes[plane, row, column] = 0
    own_points = 0
    other_points = 0
    for other in range(rules.snakes):
        length = snake_rules.length(rules, position, other)
        kind = 0 if other == snake else 1 if other // size == snake // size else 2
        if kind < 2:
            own_points += length
        else:
            other_points += length
        # A snake that eats with the next step keeps its tail: add half a step.
        perhaps = 8 * _may_eat(rules, position, other)
        for index in range(length):
            cell = snake_rules.segment(rules, position, other, index)
            row = (cell // columns + down) % rows
            column = (cell % columns + right) % columns
            blocked = min(255, 16 * (length - index) + perhaps)
            planes[kind, row, column] = max(planes[kind, row, column], blocked)
            if index == 0 and kind > 0:
                planes[2 + kind, row, column] = min(255, 16 * length)
        front = snake_rules.neighbor(
            rules,
            snake_rules.head(rules, position, other),
            snake_rules.heading(rules, position, other),
        )
        row = (front // columns + down) % rows
        column = (front % columns + right) % columns
        planes[5 + kind, row, column] = 255
    for index in range(snake_rules.num_beans(position)):
        cell = snake_rules.bean(position, index)
        planes[8, (cell // columns + down) % rows, (cell % columns + right) % columns] = 255
    own_length = min(255, 8 * snake_rules.length(rules, position, snake))
    lead = max(0, min(255, 128 + 4 * (own_points - other_points)))
    steps_left = (255 * (rules.steps - snake_rules.steps(position))) // rules.steps
    for row in range(rows):
        for column in range(columns):
            planes[9, row, column] = own_length
            planes[10, row, column] = lead
            planes[11, row, column] = steps_left
