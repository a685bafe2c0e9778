"""Measures ddpzero and other programs in the same games on one core. Called by `ddpzero bench peers`.

workload   what is compared
rules      random play: legal actions, a uniform choice, the step, a new game after the end
search     tree search with a network of the same layers and size
rollouts   tree search with a random rollout for each simulation, no network
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ddpzero.bench.peers.environments import NoEnvironment, python_with
from ddpzero.bench.peers.known import Peer, chosen_peers
from ddpzero.bench.peers.report import OWN, Comparison
from ddpzero.bench.peers.rounds import measure_in_turn
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings
from ddpzero.search import SearchSettings
from ddpzero.settings import Settings
from ddpzero.system.errors import require

_WORKLOADS = ("rules", "search", "rollouts")
_DEFAULT_GAMES = (32, 64, 128, 256)
_ROLLOUT_SIMULATIONS = 1000
_OWN_PROGRAM = "ddpzero.bench.peers.programs.own"


def bench_peers(
    settings: Settings,
    environments: Path,
    seconds: float,
    seed: int,
    on_step: Callable[[str], None],
    peers: Sequence[str] = (),
    games: Sequence[int] = (),
) -> list[Comparison]:
    """Compare each workload, `seconds` for each program in it; return one comparison per workload.

    environments: a folder for the virtual environments of peers. peers: their names; none: all. games: how many may be
    searched together, ascending; each program gets the number that suits it best. A peer that cannot be installed or
    that fails is a comparison's problem, and no error.
    """
    chosen = chosen_peers(peers)
    request = _request(settings, seed, sorted(games or _DEFAULT_GAMES))
    pythons, problems = _pythons(chosen, environments, on_step)
    comparisons = []
    for workload in _WORKLOADS:
        offering = {name: peer for name, peer in chosen.items() if workload in peer.workloads}
        if not offering:
            continue
        commands: dict[str, list[str]] = {OWN: [sys.executable, "-m", _OWN_PROGRAM]}
        for name, peer in offering.items():
            if name in pythons:
                commands[peer.title] = _command(pythons[name], peer)
        measured = measure_in_turn(commands, {**request, "workload": workload}, seconds, on_step)
        if measured[OWN].problem:
            raise RuntimeError(f"ddpzero could not be measured: {measured[OWN].problem}.")
        missing = {
            peer.title: problems[name] for name, peer in offering.items() if name in problems
        }
        comparisons.append(Comparison(workload, measured, missing))
    return comparisons


def _request(settings: Settings, seed: int, games: Sequence[int]) -> dict[str, Any]:
    """Return what all programs are told, except for the workload."""
    search, network = settings.sections.get("search"), settings.sections.get("network")
    require(
        isinstance(search, SearchSettings) and isinstance(network, NetworkSettings),
        f"algorithm={settings.algorithm} has no tree search to compare.",
    )
    assert isinstance(search, SearchSettings) and isinstance(network, NetworkSettings)
    require(
        search.num_simulations > 0,
        "search.num_simulations=0 searches nothing: give it a budget, 200 for example.",
    )
    require(
        network.name == "resnet",
        f"network.name={network.name} has no equal in the other programs: choose network=resnet.",
    )
    game = load_game(**settings.game.arguments)
    return {
        "core": _core(),
        "seed": seed,
        "game": settings.game.arguments,
        "max_plies": game.spec.max_plies,
        "network": asdict(replace(network, growth=())),
        "search": asdict(search),
        "precision": settings.actors.precision,
        "batches": list(games),
        "num_rollouts": _ROLLOUT_SIMULATIONS,
    }


def _core() -> int | None:
    """Return the core for all programs: the last one that this process may use; None where the system cannot tell."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _pythons(
    peers: dict[str, Peer], folder: Path, on_step: Callable[[str], None]
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the Python of each peer that is installed, and the problems of the others."""
    pythons, problems = {}, {}
    for name, peer in peers.items():
        on_step(f"{peer.title}: looks for its environment in {folder}")
        try:
            pythons[name] = python_with(folder, name, peer.requirements)
        except NoEnvironment as problem:
            problems[name] = str(problem)
    return pythons, problems


def _command(python: Path, peer: Peer) -> list[str]:
    """Return the command of a peer's program, which sees nothing of this environment."""
    return [str(python), "-E", "-s", str(Path(__file__).parent / "programs" / peer.program)]
