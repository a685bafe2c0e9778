"""ddpzero itself, measured like its peers: see protocol.py. Run by this Python, as a module."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ddpzero import __version__
from ddpzero.bench.peers.programs.protocol import Counts, Prepared, Variant, fastest, serve
from ddpzero.bench.rules import play_randomly
from ddpzero.bench.search import EndlessSearches
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.games import Game, load_game
from ddpzero.games.core.promises import NO_FAULT, NO_LEGAL_ACTION, require_no_fault
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.precision import Precision
from ddpzero.search import SearchSettings
from ddpzero.search.rollouts import search_by_rollouts

_RULES_GAMES = 64
_RULES_ROUNDS = 1000
# Seconds of one run of a search: short beside any slice.
_RUN_SECONDS = 0.05
_ROLLOUT_GAMES = 4


def prepare_rules(request: Mapping[str, Any]) -> Prepared:
    """Random play as in `ddpzero bench rules`."""
    game = load_game(**request["game"])
    positions = game.new_positions(_RULES_GAMES)
    legal = np.zeros(game.num_actions, dtype=np.bool_)
    random_state = new_random_states(request["seed"], 1)[0]

    def run() -> Counts:
        num_ended = play_randomly(game.rules, positions, legal, random_state, _RULES_ROUNDS)
        require_no_fault(game, NO_LEGAL_ACTION if num_ended < 0 else NO_FAULT)
        return {"steps": _RULES_GAMES * _RULES_ROUNDS}

    run()
    return Prepared(_versions(), {"best": Variant(run, {"batch_size": _RULES_GAMES})})


def prepare_search(request: Mapping[str, Any]) -> Prepared:
    """Searches as in `ddpzero bench search evaluator=network`, with the fastest number of games."""
    torch.set_num_threads(1)
    game = load_game(**request["game"])
    search = SearchSettings(**request["search"])

    def variant(num_games: int, precision: Precision) -> Variant:
        return _searching(game, search, request, num_games, precision)

    precision = request["precision"]
    batch_size = fastest(
        request["batches"], lambda num_games: variant(num_games, precision).run, "simulations"
    )
    variants = {"best": variant(batch_size, precision)}
    if variants["best"].conditions["precision"] != "float32":
        variants["float32"] = variant(batch_size, "float32")
    return Prepared(_versions(), variants)


def _searching(
    game: Game,
    search: SearchSettings,
    request: Mapping[str, Any],
    num_games: int,
    precision: Precision,
) -> Variant:
    """Return endless searches with an untrained network, warm. A run of them takes a moment."""
    torch.manual_seed(request["seed"])
    searches = EndlessSearches(game, search, num_games, 1, request["seed"])
    points = search.points_scale(game)
    network = make_network(
        game, NetworkSettings(**request["network"]), ("score",) if points else ()
    )
    evaluator = NetworkEvaluator(
        network, game, searches.max_batch, precision=precision, points_scale=points
    )
    searches.begin(evaluator)

    def run() -> Counts:
        before, num_evaluated = searches.num_simulations, 0
        until = time.perf_counter() + _RUN_SECONDS
        while num_evaluated == 0 or time.perf_counter() < until:
            num_evaluated += searches.advance(evaluator)
        return {"simulations": searches.num_simulations - before, "evaluations": num_evaluated}

    run()
    conditions = {
        "batch_size": num_games,
        "num_simulations": search.num_simulations,
        "precision": str(evaluator.inference.dtype).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "planes": game.num_inputs,
    }
    return Variant(run, conditions)


def prepare_rollouts(request: Mapping[str, Any]) -> Prepared:
    """Tree search with a random rollout for each simulation: the players rollout:N of matches."""
    game = load_game(**request["game"])
    num_simulations = request["num_rollouts"]
    rng = np.random.default_rng(request["seed"])
    positions = game.random_positions(_ROLLOUT_GAMES, rng)

    def run() -> Counts:
        search_by_rollouts(game, positions, num_simulations, int(rng.integers(1 << 31)))
        return {"simulations": _ROLLOUT_GAMES * num_simulations}

    run()
    return Prepared(_versions(), {"best": Variant(run, {"num_simulations": num_simulations})})


def _versions() -> dict[str, str]:
    return {"ddpzero": __version__, "torch": torch.__version__}


if __name__ == "__main__":
    serve({"rules": prepare_rules, "search": prepare_search, "rollouts": prepare_rollouts})
