"""Games that are long, or end with extreme scores: what random games hardly ever reach, and promises break at.

A nested Monte Carlo search (Cazenave, IJCAI 2009) of one level: each move is the next one of the best of all games
played at random so far. Called by contract_checks.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpzero.games import contract
from ddpzero.games.compiled import compiled
from ddpzero.games.game import Game
from ddpzero.games.random_bits import choose_uniformly, new_random_states

LONGEST = 0
HIGHEST_SCORE = 1
LOWEST_SCORE = -1

# Random plies that one search may take: a tenth of a second for most games.
_BUDGET_PLIES = 100_000
# Random games that one move may take: for small games it is plenty.
_MAX_TRIES = 200
# Random actions that are looked at for one that does not end the game.
_MAX_LOOKS = 4


def seek_game(game: Game, objective: int, seed: int) -> list[int]:
    """Return the actions of a game that is as long as possible, or has an extreme score.

    A list of max_plies + 1 actions is no whole game: it is longer than max_plies.
    """
    best = np.zeros(game.spec.max_plies + 1, np.int64)
    length = _seek(*_arguments(game, best, objective, seed))
    return best[:length].tolist()


def compile_seek(game: Game) -> None:
    """Compile seek_game, which takes much longer than a call of it."""
    compiler: Any = _seek
    arguments = _arguments(game, np.zeros(1, np.int64), LONGEST, 0)
    compiler.compile(tuple(map(compiler.typeof_pyval, arguments)))


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
    """Fill `best` [max_plies + 1] and return how many of it are the game; it ends early where no action is legal.

    positions: `[3, P]`: after the moves made, of the random game, after its next move. legal `[A]`, trial: to work in.
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
