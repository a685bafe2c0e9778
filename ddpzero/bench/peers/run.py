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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ddpzero.bench.peers.environments import NoEnvironment, python_with
from ddpzero.bench.peers.known import Peer, chosen_peers
from ddpzero.bench.peers.report import OWN, Comparison, print_comparison
from ddpzero.bench.peers.rounds import measure_in_turn
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings
from ddpzero.search import SearchSettings
from ddpzero.settings import Settings
from ddpzero.system.errors import require
from ddpzero.system.measurements import game_settings
from ddpzero.system.terminal import shown_steps

_WORKLOADS = ("rules", "search", "rollouts")
_DEFAULT_GAMES = (32, 64, 128, 256)
_ROLLOUT_SIMULATIONS = 1000
_ALONE = (
    "no other program could be measured: these figures are of ddpzero alone, and compare nothing"
)
_OWN_PROGRAM = "ddpzero.bench.peers.programs.own"


@dataclass(frozen=True)
class Plan:
    """What to compare, and with whom. request: what all programs are told, except for the workload.

    commands: of each program, by workload. missing: by workload, peers that could not be installed, and why.
    """

    request: dict[str, Any]
    commands: dict[str, dict[str, list[str]]]
    missing: dict[str, dict[str, str]]


def run_peers(
    settings: Settings,
    environments: Path,
    seconds: float,
    seed: int,
    peers: Sequence[str],
    games: Sequence[int],
    as_json: bool,
) -> bool:
    """Compare and print one workload after the other; return whether any peer could be measured.

    Without one, a sentence on standard error says that the figures of ddpzero are compared with nothing.
    """
    with shown_steps() as on_step:
        plan = make_plan(settings, environments, seed, on_step, peers, games)
    conditions = {**game_settings(settings.game.parameters), "seconds": seconds, "seed": seed}
    if not any(program != OWN for commands in plan.commands.values() for program in commands):
        print(f"{_ALONE}, as follows.", file=sys.stderr, flush=True)
    is_any = False
    for workload in plan.commands:
        with shown_steps() as on_step:
            comparison = compare(plan, workload, seconds, on_step)
        print_comparison(comparison, settings.game.name, conditions, as_json)
        is_any |= comparison.has_peer()
    if not is_any:
        print(f"{_ALONE}; see above why.", file=sys.stderr, flush=True)
    return is_any


def make_plan(
    settings: Settings,
    environments: Path,
    seed: int,
    on_step: Callable[[str], None],
    peers: Sequence[str] = (),
    games: Sequence[int] = (),
) -> Plan:
    """Install the peers that are not installed yet, and return what to compare.

    environments: a folder for their virtual environments. peers: their names; none: all. games: how many may be
    searched together; each program gets the number that suits it best. A peer that cannot be installed is missing, and
    no error.
    """
    chosen = chosen_peers(peers)
    request = _request(settings, seed, sorted(games or _DEFAULT_GAMES))
    pythons, problems = _pythons(chosen, environments, on_step)
    plan = Plan(request, {}, {})
    for workload in _WORKLOADS:
        offering = {name: peer for name, peer in chosen.items() if workload in peer.workloads}
        if offering:
            plan.commands[workload] = {OWN: [sys.executable, "-m", _OWN_PROGRAM]} | {
                peer.title: _command(pythons[name], peer)
                for name, peer in offering.items()
                if name in pythons
            }
            plan.missing[workload] = {
                peer.title: problems[name] for name, peer in offering.items() if name in problems
            }
    return plan


def compare(
    plan: Plan, workload: str, seconds: float, on_step: Callable[[str], None]
) -> Comparison:
    """Measure one workload, `seconds` for each program. A peer that fails is a problem of the comparison, no error."""
    request = {**plan.request, "workload": workload}
    measured = measure_in_turn(plan.commands[workload], request, seconds, on_step)
    if measured[OWN].problem:
        raise RuntimeError(f"ddpzero could not be measured: {measured[OWN].problem}.")
    return Comparison(workload, measured, plan.missing[workload])


def _request(settings: Settings, seed: int, games: Sequence[int]) -> dict[str, Any]:
    """Return Plan.request. Raises UserError for settings without an equal in other programs."""
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
