"""What an agent sees of a game of snakes: numbers (`features`) or images (`planes`), both from its own head.

features are seen in the snake's own frame (forward is where it heads; distances go around the torus the short way), so
what it learns in one place and direction serves it everywhere. Its choices are straight on, right, back, left.
planes are rolled so that the own head is in the middle, and keep up and down: choices are the four directions.

Legal is what can make sense: not the reverse of the heading, which the rules replace by a random move, and, while
there is another, not a cell whose body will still be there.

Letters: R rows, L columns, S snakes, K snakes of a team, T = snake_bits.HORIZON steps ahead.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games import snake_bits, snake_rules
from ddpzero.games.compiled import compiled
from ddpzero.games.snake_bits import HORIZON

# choices: straight on, right, back, left of headings up, down, left, right
_STRAIGHT, _RIGHT, _BACK, _LEFT = 0, 1, 2, 3
_TURNS = np.array([[0, 3, 1, 2], [1, 2, 0, 3], [2, 0, 3, 1], [3, 1, 2, 0]], dtype=np.int64)

_MOVES = (_STRAIGHT, _RIGHT, _LEFT)  # those that features tell of
_MOVE_FEATURES = 14
_BEANS_SEEN = 5  # the nearest
_BEAN_FEATURES = 6
_SNAKE_FEATURES = 9
_OWN_FEATURES = 5

NUM_PLANES = 12


def num_features(snakes: int, teams: int) -> int:
    """Entries of an agent's features: of itself, of its moves, of the nearest beans, of every other snake."""
    return (
        _OWN_FEATURES
        + len(_MOVES) * _MOVE_FEATURES
        + _BEANS_SEEN * _BEAN_FEATURES
        + (snakes - 1) * _SNAKE_FEATURES
    )


@compiled
def observe_features(rules, position, team, scratch, features, legal, actions):
    snake_bits.look_ahead(rules, position, scratch)
    size = rules.snakes // rules.teams
    for agent in range(size):
        snake = team * size + agent
        for choice in range(snake_rules.NUM_ACTIONS):
            actions[agent, choice] = _TURNS[snake_rules.heading(rules, position, snake), choice]
        _mark_legal(rules, position, snake, scratch, legal[agent], actions[agent])
        row = features[agent]
        place = _observe_itself(rules, position, team, snake, row)
        for choice in _MOVES:
            place = _observe_move(
                rules, position, snake, actions[agent, choice], scratch, row, place
            )
        place = _observe_beans(rules, position, snake, scratch, row, place)
        _observe_snakes(rules, position, snake, row, place)


@compiled
def _mark_legal(rules, position, snake, scratch, legal, actions):
    head = snake_rules.head(rules, position, snake)
    reverse = snake_rules.heading(rules, position, snake) ^ 1
    enterable = snake_bits.free_at(rules, 1)
    has_way = False
    for choice in range(snake_rules.NUM_ACTIONS):
        cell = snake_rules.neighbour(rules, head, actions[choice])
        legal[choice] = actions[choice] != reverse and snake_bits.has_cell(
            rules, scratch, enterable, cell
        )
        has_way = has_way or legal[choice]
    if not has_way:
        for choice in range(snake_rules.NUM_ACTIONS):
            legal[choice] = actions[choice] != reverse


@compiled
def _observe_itself(rules, position, team, snake, row):
    size = rules.snakes // rules.teams
    own_points = 0
    other_points = 0
    for other in range(rules.snakes):
        points = snake_rules.length(rules, position, other) - snake_rules.START_LENGTH
        if other // size == team:
            own_points += points
        else:
            other_points += points
    row[0] = snake_rules.length(rules, position, snake) / 20.0
    row[1] = 1.0 - snake_rules.steps(position) / rules.steps
    row[2] = min(1.0, (rules.steps - snake_rules.steps(position)) / 20.0)
    row[3] = max(-2.0, min(2.0, (own_points - other_points) / 20.0))
    row[4] = (own_points + other_points) / 60.0
    return _OWN_FEATURES


@compiled
def _observe_move(rules, position, snake, action, scratch, row, place):
    """What lies behind a step: whether it can be made, who else may come, room, and beans."""
    size = rules.snakes // rules.teams
    cell = snake_rules.neighbour(rules, snake_rules.head(rules, position, snake), action)
    for index in range(_MOVE_FEATURES):
        row[place + index] = 0.0
    release = 0
    while release < HORIZON and not snake_bits.has_cell(
        rules, scratch, snake_bits.free_at(rules, release + 1), cell
    ):
        release += 1
    if release > 0:
        row[place + 1] = release / HORIZON
        return place + _MOVE_FEATURES
    row[place] = 1.0
    row[place + 2] = snake_rules.has_bean(rules, position, cell)
    for other in range(rules.snakes):
        # Whoever can be there with its next step may collide with us head-on.
        if other != snake and snake_bits.has_cell(
            rules, scratch, snake_bits.reach_at(rules, other, 1), cell
        ):
            if other // size == snake // size:
                row[place + 3] += 0.5
            else:
                row[place + 4] += 0.5
                excess = snake_rules.length(rules, position, other) - snake_rules.START_LENGTH
                row[place + 5] = max(row[place + 5], excess / 10.0)
    room, new_room = snake_bits.work_at(rules, 0), snake_bits.work_at(rules, 1)
    snake_bits.start_with(rules, scratch, room, cell)
    beans = snake_bits.beans_at(rules)
    bean_steps = HORIZON + 1
    for t in range(1, HORIZON + 1):
        if t > 1:
            snake_bits.spread(rules, scratch, room, snake_bits.free_at(rules, t), new_room)
            room, new_room = new_room, room
        if bean_steps > HORIZON and snake_bits.meets(rules, scratch, room, beans):
            bean_steps = t
        if t == 4:
            row[place + 6] = snake_bits.count(rules, scratch, room) / 25.0
        elif t == 8:
            row[place + 7] = snake_bits.count(rules, scratch, room) / 80.0
    row[place + 8] = snake_bits.count(rules, scratch, room) / snake_rules.num_cells(rules)
    if bean_steps <= HORIZON:
        row[place + 9] = 1.0 / bean_steps
    # The same once more in the cells where nobody else can be as soon.
    if snake_bits.is_contested(rules, scratch, snake, 1, cell):
        return place + _MOVE_FEATURES
    snake_bits.start_with(rules, scratch, room, cell)
    if snake_bits.meets(rules, scratch, room, beans):
        row[place + 12] = 1.0
    for t in range(2, HORIZON + 1):
        if not snake_bits.spread_uncontested(rules, scratch, room, snake, t, new_room):
            break
        room, new_room = new_room, room
        if row[place + 12] == 0.0 and snake_bits.meets(rules, scratch, room, beans):
            row[place + 12] = 1.0 / t
        if t == 4:
            row[place + 10] = snake_bits.count(rules, scratch, room) / 25.0
    num_uncontested = snake_bits.count(rules, scratch, room)
    if row[place + 10] == 0.0:
        row[place + 10] = num_uncontested / 25.0
    row[place + 11] = num_uncontested / 60.0
    row[place + 13] = snake_bits.count_common(rules, scratch, room, beans) / _BEANS_SEEN
    return place + _MOVE_FEATURES


@compiled
def _forward_and_right(rules, direction, origin, cell):
    """The short way around the torus from one cell to another, as steps forward and to the right."""
    rows, columns = rules.rows, rules.columns
    down = (cell // columns - origin // columns + rows + rows // 2) % rows - rows // 2
    right = (cell % columns - origin % columns + columns + columns // 2) % columns - columns // 2
    if direction == 0:
        return -down, right
    if direction == 1:
        return down, -right
    if direction == 2:
        return -right, -down
    return right, down


@compiled
def _observe_beans(rules, position, snake, scratch, row, place):
    """The nearest beans, nearest first: where, and who is how far away."""
    size = rules.snakes // rules.teams
    head = snake_rules.head(rules, position, snake)
    direction = snake_rules.heading(rules, position, snake)
    last_key = -1
    for _ in range(_BEANS_SEEN):
        for index in range(_BEAN_FEATURES):
            row[place + index] = 0.0
        # The next in order of (steps, index).
        best_key = 1 << 30
        for index in range(snake_rules.num_beans(position)):
            key = snake_bits.steps_to_bean(rules, scratch, snake, index) * 128 + index
            if last_key < key < best_key:
                best_key = key
        if best_key < 1 << 30:
            last_key = best_key
            cell = snake_rules.bean(position, best_key % 128)
            forward, right = _forward_and_right(rules, direction, head, cell)
            mates = HORIZON + 1
            others = HORIZON + 1
            for other in range(rules.snakes):
                if other != snake:
                    steps = snake_bits.steps_to_bean(rules, scratch, other, best_key % 128)
                    if other // size == snake // size:
                        mates = min(mates, steps)
                    else:
                        others = min(others, steps)
            own = best_key // 128
            row[place] = 1.0
            row[place + 1] = forward / 8.0
            row[place + 2] = right / 8.0
            row[place + 3] = own / HORIZON
            row[place + 4] = (mates - own) / HORIZON
            row[place + 5] = (others - own) / HORIZON
        place += _BEAN_FEATURES
    return place


@compiled
def _observe_snakes(rules, position, snake, row, place):
    """Mates in index order, then the others, beginning with the team after the own one."""
    head = snake_rules.head(rules, position, snake)
    direction = snake_rules.heading(rules, position, snake)
    size = rules.snakes // rules.teams
    for index in range(1, rules.snakes):
        if index < size:
            other = snake // size * size + (snake + index) % size
        else:
            other = (snake // size * size + index) % rules.snakes
        forward, right = _forward_and_right(
            rules, direction, head, snake_rules.head(rules, position, other)
        )
        back, back_right = _forward_and_right(
            rules, direction, head, snake_rules.tail(rules, position, other)
        )
        row[place] = forward / 8.0
        row[place + 1] = right / 8.0
        row[place + 2] = back / 8.0
        row[place + 3] = back_right / 8.0
        row[place + 4] = snake_rules.length(rules, position, other) / 20.0
        for choice in range(snake_rules.NUM_ACTIONS):
            is_heading = _TURNS[direction, choice] == snake_rules.heading(rules, position, other)
            row[place + 5 + choice] = is_heading
        place += _SNAKE_FEATURES


@compiled
def observe_planes(rules, position, team, planes, legal, actions):
    """Bodies as the steps for which they still block a cell, heads, the cells before them, beans, and three numbers."""
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
        cell = snake_rules.neighbour(rules, head, choice)
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
        for index in range(length):
            cell = snake_rules.segment(rules, position, other, index)
            row = (cell // columns + down) % rows
            column = (cell % columns + right) % columns
            blocked = min(255, 16 * (length - index))
            planes[kind, row, column] = max(planes[kind, row, column], blocked)
            if index == 0 and kind > 0:
                planes[2 + kind, row, column] = min(255, 16 * length)
        front = snake_rules.neighbour(
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
