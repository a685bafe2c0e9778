"""OpenSpiel, measured: rules by random play, and its tree search in C++ with random rollouts. See protocol.py.

Its AlphaZero is not compared: the one in Python evaluates one position per call, the one in C++ is in no wheel. Run by
the Python of an environment that has open_spiel.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pyspiel
from protocol import Counts, Prepared, Problem, Variant, serve, versions_of

_PACKAGES = ("open_spiel",)
_GAMES_PER_RUN = 20
# Games that tell how long a random game is.
_GAMES_FOR_LENGTH = 2000
_ROLLOUTS_PER_RUN = 50
_ROLLOUT_POSITIONS = 4
_MAX_RANDOM_PLIES = 8
_MAX_MEMORY_MB = 1000
# Weight of the bound, as search/rollouts.py has it; there it multiplies sqrt(log N / n) as well.
_UCT_C = 1.0


def prepare_rules(request: Mapping[str, Any]) -> Prepared:
    """Random play by its Python bindings, and in C++: the rollouts of a search that evaluates the start of a game.

    The latter do not count their steps: those are the rollouts times the mean length of random games.
    """
    game, rng = _game(request["game"], request["max_plies"]), random.Random(request["seed"])

    def run_bindings() -> Counts:
        return {"steps": sum(_play_randomly(game, rng) for _ in range(_GAMES_PER_RUN))}

    length = sum(_play_randomly(game, rng) for _ in range(_GAMES_FOR_LENGTH)) / _GAMES_FOR_LENGTH
    # Its only simulation is that of the root.
    bot = _bot(game, request["seed"], num_rollouts=_ROLLOUTS_PER_RUN, num_simulations=1)
    start = game.new_initial_state()

    def run_rollouts() -> Counts:
        bot.step(start)
        return {"steps": _ROLLOUTS_PER_RUN * length}

    return Prepared(
        versions_of(_PACKAGES),
        {
            "best": Variant(run_rollouts, {"language": "C++", "plies_per_game": length}),
            "python": Variant(run_bindings, {"language": "Python", "plies_per_game": length}),
        },
    )


def prepare_rollouts(request: Mapping[str, Any]) -> Prepared:
    """Its MCTSBot, in C++, with one random rollout for each simulation and no solver."""
    game, rng = _game(request["game"], request["max_plies"]), random.Random(request["seed"])
    num_simulations = request["num_rollouts"]
    positions = [_random_position(game, rng) for _ in range(_ROLLOUT_POSITIONS)]
    bot = _bot(game, request["seed"], num_rollouts=1, num_simulations=num_simulations)

    def run() -> Counts:
        for position in positions:
            bot.step(position)
        return {"simulations": _ROLLOUT_POSITIONS * num_simulations}

    return Prepared(
        versions_of(_PACKAGES), {"best": Variant(run, {"num_simulations": num_simulations})}
    )


def _bot(game: Any, seed: int, num_rollouts: int, num_simulations: int) -> Any:
    """Return a player that searches in C++, with so many rollouts for each simulation."""
    return pyspiel.MCTSBot(
        game,
        pyspiel.RandomRolloutEvaluator(num_rollouts, seed),
        uct_c=_UCT_C,
        max_simulations=num_simulations,
        max_memory_mb=_MAX_MEMORY_MB,
        solve=False,
        seed=seed,
        verbose=False,
    )


def _game(game: Mapping[str, Any], max_plies: int) -> Any:
    """Return OpenSpiel's game of the same rules. Raises Problem if it has none."""
    name = game["name"]
    if name == "go" and game["handicap"] == 0 and not game["suicide"]:
        parameters = {
            "board_size": game["size"],
            "komi": game["komi"],
            "max_game_length": max_plies,
        }
        return pyspiel.load_game(name, parameters)
    standard: dict[str, dict[str, Any]] = {
        "connect_four": {"rows": 6, "columns": 7, "line": 4},
        "othello": {"size": 8},
        "tic_tac_toe": {},
    }
    if name not in standard or any(game[key] != of for key, of in standard[name].items()):
        raise Problem(f"OpenSpiel has no {name} with these settings")
    return pyspiel.load_game(name)


def _play_randomly(game: Any, rng: random.Random) -> int:
    """Play one game; return its number of plies."""
    state, num_plies = game.new_initial_state(), 0
    while not state.is_terminal():
        legal = state.legal_actions()
        state.apply_action(legal[int(rng.random() * len(legal))])
        num_plies += 1
    return num_plies


def _random_position(game: Any, rng: random.Random) -> Any:
    """Return a position after 0 to 8 random plies that is not terminal."""
    while True:
        state = game.new_initial_state()
        for _ in range(rng.randint(0, _MAX_RANDOM_PLIES)):
            if not state.is_terminal():
                state.apply_action(rng.choice(state.legal_actions()))
        if not state.is_terminal():
            return state


if __name__ == "__main__":
    serve({"rules": prepare_rules, "rollouts": prepare_rollouts})
