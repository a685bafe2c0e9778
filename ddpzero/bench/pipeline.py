"""How many actors and games keep a device busy. Called by `ddpzero bench pipeline`.

With evaluator=simulated, the device has any speed that one asks for, so that a machine without it can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ddpzero.bench.self_play import (
    SelfPlayRates,
    check_self_play_memory,
    measure_self_play,
    require_cpu,
)
from ddpzero.settings import Settings
from ddpzero.system.cores import usable_cores
from ddpzero.system.json_text import json_text
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.number_table import number_table
from ddpzero.system.terminal import plain_console

# A setting that is this close to the best one, and cheaper, is the recommended one.
_GOOD_ENOUGH = 0.97


@dataclass(frozen=True)
class Trial:
    """One combination, and what it reached."""

    num_actors: int
    num_games: int
    rates: SelfPlayRates


def bench_pipeline(
    settings: Settings,
    seconds: float,
    seed: int,
    actors: Sequence[int] = (),
    games: Sequence[int] = (),
) -> list[Trial]:
    """Measure self-play with each number of actors and of games, `seconds` each.

    actors, games: the numbers to try; none: up to the cores of this machine, and around actors.num_games. Raises
    UserError, before anything starts, if one of them does not fit into the memory.
    """
    require_cpu(settings)
    num_games = settings.actors.num_games
    actors = actors or _default_actors()
    games = games or sorted({max(2, num_games // 2), num_games, 2 * num_games})
    for number in actors:
        for size in games:
            check_self_play_memory(_with(settings, number, size))
    return [
        Trial(number, size, _rates(settings, number, size, seconds, seed))
        for number in actors
        for size in games
    ]


def print_trials(
    trials: Sequence[Trial], settings: Settings, seconds: float, seed: int, as_json: bool
) -> None:
    """Print trials as JSON lines, or as a table with the recommended one, and its settings."""
    conditions = _conditions(settings, seconds, seed)
    chosen = recommended(trials)
    if as_json:
        for trial in trials:
            for measurement in _measurements(trial, settings.game.name, conditions, chosen):
                print(measurement.to_json(), flush=True)
        return
    has_device = trials[0].rates.busy is not None
    names = ["actors", "games", "positions/s", "simulations/s", "MiB"]
    rows = []
    for trial in trials:
        rates, numbers = trial.rates, (trial.num_actors, trial.num_games)
        cells = [f"{rates.positions_per_second:,.0f}", f"{rates.simulations_per_second:,.0f}"]
        cells += [f"{rates.actor_bytes / 2**20:,.0f}"]
        if rates.busy is not None and rates.positions_per_batch is not None:
            cells += [f"{rates.positions_per_batch:,.0f}", f"{rates.busy:.1%}"]
        rows.append([*map(str, numbers), *cells, "*" if trial is chosen else ""])
    console = plain_console()
    names += ["batch", "busy"] if has_device else []
    console.print(number_table([*names, ""], rows, console.width))
    named = " ".join(f"{name}={json_text(value)}" for name, value in conditions.items())
    console.print(f"pipeline {settings.game.name}: {named}", style="dim")
    of_device = ", batch: positions that it evaluates together, busy: share of its time"
    console.print(
        f"games, MiB: of each actor{of_device if has_device else ''}\n"
        f"* recommended: actors.num_actors={chosen.num_actors} actors.num_games={chosen.num_games} "
        f"(within {1 - _GOOD_ENOUGH:.0%} of the fastest, with the fewest actors and games)."
    )


def recommended(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the fewest actors, then the fewest games, that is about as fast as the fastest one."""
    most = max(trial.rates.positions_per_second for trial in trials)
    good = [t for t in trials if t.rates.positions_per_second >= _GOOD_ENOUGH * most]
    return min(good, key=lambda trial: (trial.num_actors, trial.num_games))


def _rates(
    settings: Settings, num_actors: int, num_games: int, seconds: float, seed: int
) -> SelfPlayRates:
    return measure_self_play(_with(settings, num_actors, num_games), num_actors, seconds, seed)


def _with(settings: Settings, num_actors: int, num_games: int) -> Settings:
    actors = replace(settings.actors, num_actors=num_actors, num_games=num_games)
    return replace(settings, actors=actors)


def _measurements(
    trial: Trial, game: str, conditions: dict[str, Any], chosen: Trial
) -> list[Measurement]:
    rates = trial.rates
    figures = [
        ("positions_per_second", rates.positions_per_second, "1/s"),
        ("simulations_per_second", rates.simulations_per_second, "1/s"),
        ("memory_of_actor", rates.actor_bytes / 2**20, "MiB"),
        ("is_recommended", float(trial is chosen), ""),
    ]
    if rates.busy is not None and rates.positions_per_batch is not None:
        figures += [
            ("positions_per_batch", rates.positions_per_batch, ""),
            ("device_busy", rates.busy, ""),
        ]
    of_trial = {"num_actors": trial.num_actors, "num_games": trial.num_games, **conditions}
    return [
        Measurement("pipeline", game, name, value, unit, of_trial) for name, value, unit in figures
    ]


def _default_actors() -> list[int]:
    """Return powers of two up to the cores of this machine, and that number."""
    cores = usable_cores()
    return sorted({*(2**power for power in range(cores.bit_length()) if 2**power <= cores), cores})


def _conditions(settings: Settings, seconds: float, seed: int) -> dict[str, Any]:
    simulated = asdict(settings.simulated) if settings.evaluator == "simulated" else {}
    search = settings.sections.get("search")
    simulations = {} if search is None else {"num_simulations": search.num_simulations}
    return {
        "evaluator": settings.evaluator,
        **{f"simulated.{name}": value for name, value in simulated.items()},
        **simulations,
        **game_settings(settings.game.parameters),
        "seconds": seconds,
        "seed": seed,
    }
