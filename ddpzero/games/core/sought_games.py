"""Searches for long episodes and extreme scores, which random episodes hardly ever reach and where promises break.

A nested Monte Carlo search (Cazenave, IJCAI 2009) of level one: each move is the next move of the best episode among
all random ones so far. A search for the longest episode also follows all different positions after each ply, or a
random subset of them if there are too many. It finds the longest episode with certainty if the positions are few, even
if every long episode is a single line among many. Called by contract_checks.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.game import Game
from ddpzero.games.core.random_bits import choose_uniformly, new_random_states, next_float

LONGEST = 0
HIGHEST_SCORE = 1
LOWEST_SCORE = -1

# Limit of random plies per search: a tenth of a second for most games.
_BUDGET_PLIES = 100_000
# Limit of random episodes per move: plenty for small games.
_MAX_TRIES = 200
# Numbers of positions to follow after each ply; below the minimum, random episodes find more.
_MAX_WIDTH = 2000
_MIN_WIDTH = 8
_MAX_LOOKUPS = 32
# Number of random actions to try for one that does not end the episode.
_MAX_LOOKS = 4


def seek_game(game: Game, objective: int, seed: int) -> list[int]:
    """Return the actions of an episode that is as long as possible or has an extreme score.

    A list of max_plies + 1 actions is not a complete episode: that is longer than max_plies.
    """
    by_layers = _seek_longest(game, seed) if objective == LONGEST else []
    if len(by_layers) >= game.spec.max_plies:
        return by_layers
    best = np.zeros(game.spec.max_plies + 1, np.int64)
    length = _seek(*_arguments(game, best, objective, seed))
    return max(best[:length].tolist(), by_layers, key=len)


def compile_seek(game: Game) -> None:
    """Compile seek_game, which takes much longer than calling it."""
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (_seek, _arguments(game, np.zeros(1, np.int64), LONGEST, 0)),
        (_follow_layers, _layer_arguments(game, 1, 0)),
    ]
    for compiler, arguments in calls:
        compiler.compile(tuple(map(compiler.typeof_pyval, arguments)))


def _seek_longest(game: Game, seed: int) -> list[int]:
    """Return the longest found list of actions that does not end an episode; empty if there are too many positions."""
    width = min(_MAX_WIDTH, _BUDGET_PLIES // (game.spec.max_plies * game.num_actions))
    if width < _MIN_WIDTH:
        return []
    arguments = _layer_arguments(game, width, seed)
    num_plies, slot = _follow_layers(*arguments), 0
    parents, actions = arguments[4:6]
    path = []
    for ply in range(num_plies - 1, -1, -1):
        path.append(int(actions[ply, slot]))
        slot = int(parents[ply, slot])
    return path[::-1]


def _layer_arguments(game: Game, width: int, seed: int) -> tuple[Any, ...]:
    paths = (game.spec.max_plies, width)
    return (
        game.rules,
        np.zeros((2, width + 1, game.spec.position_size), game.spec.position_dtype),
        np.zeros(game.num_actions, np.bool_),
        np.zeros(4 * width, np.int64),
        np.zeros(paths, np.int32),
        np.zeros(paths, np.int32),
        new_random_states(seed, 1)[0],
    )


def _arguments(game: Game, best: np.ndarray, objective: int, seed: int) -> tuple[Any, ...]:
    return (
        game.rules,
        np.zeros((3, game.spec.position_size), game.spec.position_dtype),
        np.zeros(game.num_actions, np.bool_),
        best,
        np.zeros_like(best),
        new_random_states(seed, 1)[0],
        objective,
        max(1, min(_MAX_TRIES, _BUDGET_PLIES // len(best))),
        _BUDGET_PLIES,
    )


@compiled(cache=True)
def _seek(rules, positions, legal, best, trial, random_state, objective, num_tries, budget_plies):
    """Fill `best` `[max_plies + 1]` with an episode, which stops where no action is legal, and return its length.

    positions: `[3, P]`: after the moves played; of the random episode; of the random episode after its next move.
    legal `[A]`, trial: work space.
    """
    contract.initial_position(rules, positions[0])
    max_length = best.shape[0]
    best_length = 0
    best_value = -np.inf
    ply = 0
    while ply < max_length and not contract.is_terminal(rules, positions[0]):
        for _ in range(num_tries):
            if budget_plies <= 0:
                break
            contract.copy_position(rules, positions[0], positions[1])
            length = ply
            is_over = False
            while length < max_length and not is_over:
                contract.legal_actions(rules, positions[1], legal)
                action = -1
                for _ in range(_MAX_LOOKS):
                    action = choose_uniformly(legal, random_state)
                    if action < 0:
                        break
                    contract.copy_position(rules, positions[1], positions[2])
                    contract.apply_action(rules, positions[2], action)
                    is_over = contract.is_terminal(rules, positions[2])
                    if not is_over:
                        break
                if action < 0:
                    break
                contract.copy_position(rules, positions[2], positions[1])
                trial[length] = action
                length += 1
                budget_plies -= 1
            value = np.float64(length)
            if objective != LONGEST and is_over:
                value = np.float64(objective * contract.score(rules, positions[1]))
            if value > best_value:
                best_value = value
                best_length = length
                for index in range(ply, length):
                    best[index] = trial[index]
        if ply >= best_length:
            break
        contract.apply_action(rules, positions[0], best[ply])
        ply += 1
    return best_length


@compiled(cache=True)
def _follow_layers(rules, layers, legal, table, parents, actions, random_state):
    """Follow up to W different positions after each ply; return the number of plies followed, at most T.

    Only positions that are not terminal are followed.
    layers: `[2, W + 1, P]`, the positions after one ply and after the next, each with one row of work space.
    legal: `[A]`, work space. table: rows of the next layer, by the hashes of their positions.
    parents, actions: `[T, W]`, the origin of each position.
    """
    width = parents.shape[1]
    contract.initial_position(rules, layers[0, 0])
    size = 1
    for ply in range(parents.shape[0]):
        here, there = layers[ply % 2], layers[(ply + 1) % 2]
        table[:] = -1
        num_found = 0
        for slot in range(size):
            contract.legal_actions(rules, here[slot], legal)
            for action in range(legal.shape[0]):
                if not legal[action]:
                    continue
                for index in range(here.shape[1]):
                    there[width, index] = here[slot, index]
                contract.apply_action(rules, there[width], action)
                if contract.is_terminal(rules, there[width]) or _is_known(there, table):
                    continue
                # Reservoir sampling: each position found is kept with the same probability.
                row = num_found
                num_found += 1
                if row >= width:
                    row = int(next_float(random_state) * num_found)
                if row < width:
                    for index in range(here.shape[1]):
                        there[row, index] = there[width, index]
                    parents[ply, row] = slot
                    actions[ply, row] = action
                    _remember(there, table, row)
        if num_found == 0:
            return ply
        size = min(num_found, width)
    return parents.shape[0]


@compiled
def _hash(position, size):
    value = np.uint64(14695981039346656037)
    for index in range(position.shape[0]):
        value = (value ^ np.uint64(np.int64(position[index]))) * np.uint64(1099511628211)
    return np.int64((value ^ (value >> np.uint64(29))) % np.uint64(size))


@compiled
def _is_known(layer, table):
    """Return whether the last row of a layer equals a row in the table."""
    last = layer.shape[0] - 1
    place = _hash(layer[last], table.shape[0])
    for _ in range(_MAX_LOOKUPS):
        row = table[place]
        if row < 0:
            return False
        is_same = True
        for index in range(layer.shape[1]):
            if layer[row, index] != layer[last, index]:
                is_same = False
                break
        if is_same:
            return True
        place = (place + 1) % table.shape[0]
    return False


@compiled
def _remember(layer, table, row):
    """Enter a row of a layer into the table, unless the table is so full that a lookup would take long."""
    place = _hash(layer[row], table.shape[0])
    for _ in range(_MAX_LOOKUPS):
        if table[place] < 0:
            table[place] = row
            return
        place = (place + 1) % table.shape[0]
