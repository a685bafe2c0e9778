"""How fast the rules are: random games on one core, all in compiled code. Called by `ddpzero bench rules`.

A step is all that a game asks for at a ply: the legal mask, a uniform choice among the legal actions, the action
itself, the test for the end, and a new game after it.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from ddpzero.bench.figures import Figure
from ddpzero.games import Game, contract
from ddpzero.games.compiled import compiled
from ddpzero.games.random_bits import choose_uniformly, new_random_states

# Short enough that a median over many samples is not moved by whatever else the machine does meanwhile.
_SAMPLE_SECONDS = 0.05


def bench_rules(
    game: Game, seconds: float = 5.0, num_games: int = 64, seed: int = 0
) -> list[Figure]:
    """Play `num_games` random games in turn, a step each, for `seconds`, and start each anew at its end.

    Returns the medians of steps per second and of steps per second of CPU time; where other programs share the
    core, the second says what the first would be without them.
    """
    positions = game.new_positions(num_games)
    legal = np.zeros(game.num_actions, dtype=np.bool_)
    random_state = new_random_states(seed, 1)[0]

    def measure(num_rounds: int) -> tuple[float, float]:
        """Wall and CPU seconds of so many steps in each game."""
        wall, cpu = time.perf_counter(), time.thread_time()
        play_randomly(game.rules, positions, legal, random_state, num_rounds)
        return time.perf_counter() - wall, time.thread_time() - cpu

    measure(1)  # compiles
    num_rounds = 1
    while (wall_seconds := measure(num_rounds)[0]) < _SAMPLE_SECONDS / 4:
        num_rounds *= 2
    num_rounds = max(1, round(num_rounds * _SAMPLE_SECONDS / wall_seconds))
    samples = [measure(num_rounds) for _ in range(max(1, round(seconds / _SAMPLE_SECONDS)))]
    num_steps = num_rounds * num_games
    settings = vars(game.parameters) | {
        "num_games": num_games,
        "seconds": seconds,
        "seed": seed,
    }
    return [
        Figure("rules", game.name, figure, num_steps / median(durations), "1/s", settings)
        for figure, durations in (
            ("steps_per_second", [wall for wall, _ in samples]),
            ("steps_per_cpu_second", [cpu for _, cpu in samples]),
        )
    ]


@compiled(cache=True)
def play_randomly(rules, positions, legal, random_state, num_rounds):
    """Play num_rounds steps in each of `positions` `[n, P]`, in place; returns the number of games that ended.

    legal: `[A]` bool to work in.
    """
    num_ended = 0
    for _ in range(num_rounds):
        for index in range(positions.shape[0]):
            position = positions[index]
            contract.legal_actions(rules, position, legal)
            contract.apply_action(rules, position, choose_uniformly(legal, random_state))
            if contract.is_terminal(rules, position):
                contract.initial_position(rules, position)
                num_ended += 1
    return num_ended
