"""Rule agents for snakes, from weak to strong: benchmarks and first opponents of a trained agent. Compiled.

    random    any direction
    nearest   toward the nearest bean, even into a body
    level3    like nearest, but a body in the way counts as a long detour
    evasion   of the moves that begin a free path of two steps, the one nearest to a bean
    greedy    the public competition's rule: one snake per bean, the nearest bean first, never into a body
    level4    like level3, with only one snake per bean and a small cost for narrow places
    bfs       of the moves that keep room, the one with the shortest free path to a bean that no teammate is nearer to;
              enters a cell that another snake may enter too, if the other snake has more to lose

NAMES has them in the order of their measured strength (the table is in README.md). Distances go around the torus,
except those of greedy, as in the original.
"""

from __future__ import annotations

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import next_below
from ddpzero.games.snakes import bits as snake_bits
from ddpzero.games.snakes import rules as snake_rules
from ddpzero.games.snakes.bits import HORIZON

NAMES = ("random", "nearest", "level3", "evasion", "greedy", "level4", "bfs")
_RANDOM, _NEAREST, _LEVEL3, _EVASION, _GREEDY, _LEVEL4, _BFS = range(len(NAMES))

_FAR = 1 << 40
# Cost of a body in the way for level3 and level4, in steps.
_DETOUR = 10

# Weights of bfs, tuned against greedy: the cost of a missing cell of room and of a point at stake,
# in steps, and the scale of a step, at which the distance from teammates only breaks ties.
_SPARE_ROOM = 16
_STEPS_PER_CELL = 5
_STEPS_PER_POINT = 3
_STEP = 16


@compiled
def act_by_rule(rules, position, team, level, scratch, actions, random_state):
    size = rules.snakes // rules.teams
    # Bit set of the beans that snakes of this team have chosen, by index in the list.
    taken = np.uint64(0)
    if level == _BFS:
        snake_bits.look_ahead(rules, position, scratch)
    for snake in range(team * size, (team + 1) * size):
        if level == _RANDOM:
            actions[snake] = next_below(random_state, snake_rules.NUM_ACTIONS)
        elif level == _GREEDY:
            actions[snake], taken = _greedy(rules, position, snake, taken)
        elif level == _BFS:
            actions[snake], taken = _bfs(rules, position, snake, scratch, taken, actions)
        elif level == _EVASION:
            actions[snake] = _evasion(rules, position, snake)
        else:
            actions[snake], taken = _by_distance(rules, position, snake, level, taken)


@compiled
def _is_taken(taken, index):
    return (taken >> np.uint64(index)) & np.uint64(1) != np.uint64(0)


@compiled
def _take(taken, index):
    return taken | (np.uint64(1) << np.uint64(index))


@compiled
def _torus_distance(rules, one, other):
    """Return the number of steps between two cells on an empty board."""
    rows = abs(one // rules.columns - other // rules.columns)
    columns = abs(one % rules.columns - other % rules.columns)
    return min(rows, rules.rows - rows) + min(columns, rules.columns - columns)


@compiled
def _nearest_bean(rules, position, cell, taken):
    """Return (index in the list, distance) of the nearest bean that is not taken; (-1, _FAR) if there is none."""
    best, best_distance = -1, _FAR
    for index in range(snake_rules.num_beans(position)):
        if not _is_taken(taken, index):
            distance = _torus_distance(rules, cell, snake_rules.bean(position, index))
            if distance < best_distance:
                best, best_distance = index, distance
    return best, best_distance


@compiled
def _by_distance(rules, position, snake, level, taken):
    """Choose an action by the rules nearest, level3 and level4."""
    head = snake_rules.head(rules, position, snake)
    reverse = snake_rules.heading(rules, position, snake) ^ 1
    target, _ = _nearest_bean(rules, position, head, taken)
    best_action, best_cost = snake_rules.heading(rules, position, snake), _FAR
    for action in range(snake_rules.NUM_ACTIONS):
        if action == reverse:
            continue
        cell = snake_rules.neighbor(rules, head, action)
        cost = 0
        if target >= 0:
            cost = 4 * _torus_distance(rules, cell, snake_rules.bean(position, target))
        if level != _NEAREST and snake_rules.covered(rules, position, cell) > 0:
            cost += 4 * _DETOUR
        if level == _LEVEL4:
            for direction in range(snake_rules.NUM_ACTIONS):
                beyond = snake_rules.neighbor(rules, cell, direction)
                cost += snake_rules.covered(rules, position, beyond) > 0
        if cost < best_cost:
            best_action, best_cost = action, cost
    if level == _LEVEL4 and target >= 0:
        taken = _take(taken, target)
    return best_action, taken


@compiled
def _evasion(rules, position, snake):
    head = snake_rules.head(rules, position, snake)
    best_action, best_cost = snake_rules.heading(rules, position, snake), _FAR
    for action in range(snake_rules.NUM_ACTIONS):
        cell = snake_rules.neighbor(rules, head, action)
        if snake_rules.covered(rules, position, cell) > 0:
            continue
        goes_on = False
        for direction in range(snake_rules.NUM_ACTIONS):
            beyond = snake_rules.neighbor(rules, cell, direction)
            goes_on = goes_on or snake_rules.covered(rules, position, beyond) == 0
        if goes_on:
            _, cost = _nearest_bean(rules, position, cell, np.uint64(0))
            if cost < best_cost:
                best_action, best_cost = action, cost
    return best_action


@compiled
def _greedy(rules, position, snake, taken):
    """Choose by straight distances, as on a board with edges; ties go to the older bean and the lower direction."""
    columns = rules.columns
    head = snake_rules.head(rules, position, snake)
    target, target_distance = -1, _FAR
    for index in range(snake_rules.num_beans(position)):
        if not _is_taken(taken, index):
            cell = snake_rules.bean(position, index)
            down, right = cell // columns - head // columns, cell % columns - head % columns
            if down * down + right * right < target_distance:
                target, target_distance = index, down * down + right * right
    best_action, best_distance = 0, _FAR
    if target < 0:
        return best_action, taken
    bean = snake_rules.bean(position, target)
    for action in range(snake_rules.NUM_ACTIONS):
        cell = snake_rules.neighbor(rules, head, action)
        if snake_rules.covered(rules, position, cell) == 0:
            down, right = bean // columns - cell // columns, bean % columns - cell % columns
            if down * down + right * right < best_distance:
                best_action, best_distance = action, down * down + right * right
    return best_action, _take(taken, target)


@compiled
def _bfs(rules, position, snake, scratch, taken, actions):
    """Choose by room, the number of cells within HORIZON steps: a move needs the snake's length and some more.

    actions: those of the teammates before this snake, which have chosen.
    """
    head = snake_rules.head(rules, position, snake)
    needed = snake_rules.length(rules, position, snake) + _SPARE_ROOM
    unwanted = taken | _left_to_mates(rules, position, snake, scratch)
    best_action, best_cost, best_bean = snake_rules.heading(rules, position, snake), _FAR, -1
    for action in range(snake_rules.NUM_ACTIONS):
        cell = snake_rules.neighbor(rules, head, action)
        if not snake_bits.has_cell(rules, scratch, snake_bits.free_at(rules, 1), cell) or (
            _is_entered_by_mate(rules, position, snake, cell, actions)
        ):
            continue
        room, new_room = snake_bits.work_at(rules, 0), snake_bits.work_at(rules, 1)
        snake_bits.start_with(rules, scratch, room, cell)
        bean, steps, missing = -1, HORIZON + 1, needed
        for t in range(1, HORIZON + 1):
            if t > 1:
                snake_bits.spread(rules, scratch, room, snake_bits.free_at(rules, t), new_room)
                room, new_room = new_room, room
            if bean < 0:
                for index in range(snake_rules.num_beans(position)):
                    if not _is_taken(unwanted, index) and snake_bits.has_cell(
                        rules, scratch, room, snake_rules.bean(position, index)
                    ):
                        bean, steps = index, t
            if bean >= 0 or t == HORIZON:
                missing = max(0, needed - snake_bits.count(rules, scratch, room))
                if missing == 0:
                    break
        stake = _points_at_stake(rules, position, snake, cell, scratch)
        cost = _STEP * (steps + _STEPS_PER_CELL * missing + _STEPS_PER_POINT * stake)
        cost -= _distance_from_mates(rules, position, snake, cell)
        if cost < best_cost:
            best_action, best_cost, best_bean = action, cost, bean
    if best_bean >= 0:
        taken = _take(taken, best_bean)
    return best_action, taken


@compiled
def _left_to_mates(rules, position, snake, scratch):
    """Return the beans that a teammate which has not yet chosen reaches sooner."""
    size = rules.snakes // rules.teams
    left = np.uint64(0)
    for index in range(snake_rules.num_beans(position)):
        steps = snake_bits.steps_to_bean(rules, scratch, snake, index)
        for mate in range(snake + 1, (snake // size + 1) * size):
            if snake_bits.steps_to_bean(rules, scratch, mate, index) < steps:
                left = _take(left, index)
    return left


@compiled
def _is_entered_by_mate(rules, position, snake, cell, actions):
    """Return whether a teammate that has chosen enters the cell."""
    size = rules.snakes // rules.teams
    for mate in range(snake // size * size, snake):
        head = snake_rules.head(rules, position, mate)
        if snake_rules.neighbor(rules, head, actions[mate]) == cell:
            return True
    return False


@compiled
def _points_at_stake(rules, position, snake, cell, scratch):
    """Return how many more points the team would lose than the others if all snakes that can enter the cell did so."""
    size = rules.snakes // rules.teams
    own_points = snake_rules.length(rules, position, snake) - snake_rules.START_LENGTH
    stake = 0
    for other in range(rules.snakes):
        is_mate = other // size == snake // size
        if is_mate and other <= snake:
            continue
        if snake_bits.has_cell(rules, scratch, snake_bits.reach_at(rules, other, 1), cell):
            points = snake_rules.length(rules, position, other) - snake_rules.START_LENGTH
            stake += own_points + points if is_mate else own_points - points
    return stake


@compiled
def _distance_from_mates(rules, position, snake, cell):
    size = rules.snakes // rules.teams
    first = snake // size * size
    total = 0
    for mate in range(first, first + size):
        if mate != snake:
            total += _torus_distance(rules, cell, snake_rules.head(rules, position, mate))
    return total
