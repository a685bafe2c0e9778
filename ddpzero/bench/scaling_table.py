"""Prints what bench/scaling.py has measured: as tables, or as lines of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.scaling import Scale
from ddpzero.bench.scaling_model import (
    BETWEEN_NODES_SECONDS,
    MODELED_RANKS,
    RANKS_PER_NODE,
    STEP_SECONDS,
    UPDATES_PER_VOTE,
    Constants,
    fit,
    predict,
)
from ddpzero.settings import Settings
from ddpzero.system.json_text import json_text
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.number_table import number_table
from ddpzero.system.terminal import plain_console

_EVENTS = ("row", "epoch", "save")
_COLLECTIVES = ("vote", "gather", "broadcast", "barrier")


def print_scales(
    scales: Sequence[Scale], settings: Settings, seconds: float, seed: int, as_json: bool
) -> None:
    """Print the curve over numbers of ranks."""
    search = settings.sections.get("search")
    conditions = {
        "model": load_algorithm(settings).model_tag(),
        "batch_size": settings.learner.batch_size,
        "num_games": settings.actors.num_games,
        **({} if search is None else {"num_simulations": search.num_simulations}),
        **game_settings(settings.game.parameters),
        "seconds": seconds,
        "seed": seed,
    }
    if as_json:
        found = measurements(scales, settings.game.name, conditions)
        for measurement in [*found, *_of_model(scales, settings, conditions)]:
            print(measurement.to_json(), flush=True)
        return
    console = plain_console()
    _print_loop(console, scales)
    _print_phases(console, scales)
    _print_events(console, scales)
    if scales[0].training is not None:
        _print_training(console, scales)
    if (constants := fit(scales)) is not None:
        _print_model(console, constants, settings)
    named = " ".join(f"{name}={json_text(value)}" for name, value in conditions.items())
    console.print(f"scaling {settings.game.name}: {named}", style="dim")


def measurements(
    scales: Sequence[Scale], game: str, conditions: dict[str, Any]
) -> list[Measurement]:
    """Return all figures; `num_ranks` is among the settings of each."""
    found = []
    for scale in scales:
        of_scale = {"num_ranks": scale.num_ranks, **conditions}
        figures = [(f"loop_{name.replace(' ', '_')}", value, "s") for name, value in scale.seconds]
        figures.append(("loop_updates", scale.loop["updates"], ""))
        if scale.training is not None:
            training = scale.training
            figures += [
                ("updates_per_second", training.updates_per_second, "1/s"),
                ("samples_per_second", training.samples_per_second, "1/s"),
            ]
            if training.cpu_seconds_per_update is not None:
                of_rank = training.cpu_seconds_per_update / scale.num_ranks
                figures.append(("cpu_per_update_and_rank", of_rank, "s"))
        found += [Measurement("scaling", game, *figure, of_scale) for figure in figures]
    return found


def _of_model(
    scales: Sequence[Scale], settings: Settings, conditions: dict[str, Any]
) -> list[Measurement]:
    constants, game = fit(scales), settings.game.name
    if constants is None:
        return []
    found = []
    for num_ranks in MODELED_RANKS:
        predicted = predict(constants, settings, num_ranks)
        of_ranks = {"num_ranks": num_ranks, **conditions}
        for number, seconds in predicted.update.items():
            figure = f"model_overhead_with_{number}_updates_per_vote"
            found.append(Measurement("scaling", game, figure, seconds, "s", of_ranks))
    return found


def _print_loop(console: Console, scales: Sequence[Scale]) -> None:
    headings = [
        *("ranks", "updates", "bare step ms", "beyond us"),
        *("CPU: bare ms", "beyond us", "most us"),
    ]
    rows = []
    for scale in scales:
        loop = scale.loop
        updates = f"{loop['updates']:,.0f}"
        wall = [_ms(loop["bare_step"]), _us(loop["overhead"])]
        cpu = [_ms(loop["bare_step_cpu"]), _us(loop["overhead_cpu"])]
        rows.append([str(scale.num_ranks), updates, *wall, *cpu, _us(loop["most_overhead_cpu"])])
    console.print(
        "A step of the learner's loop: its update with the all-reduce (bare step), and what the loop takes beyond it:"
    )
    console.print(number_table(headings, rows, console.width))
    console.print(
        "CPU: of a rank with all of its threads, mean and most of the ranks. With more ranks than cores they take "
        "turns: only CPU says what a rank costs where each has a core.",
        style="dim",
    )


def _print_phases(console: Console, scales: Sequence[Scale]) -> None:
    names = [name for name in scales[-1].loop if name.startswith("phase ")]
    rows = []
    for name in names:
        values = [scale.loop.get(name, 0.0) for scale in scales]
        if any(abs(value) >= 1e-6 for value in values):
            rows.append([name.removeprefix("phase "), *map(_us, values)])
    console.print(
        "Where the time of the loop goes (update: beyond the bare one), by number of ranks:"
    )
    console.print(number_table(["us of an update", *_ranks(scales)], rows, console.width))


def _print_events(console: Console, scales: Sequence[Scale]) -> None:
    rows = []
    for name in (*_EVENTS, *_COLLECTIVES):
        rows.append([name, *(_us(scale.loop[name]) for scale in scales)])
        rows.append(["CPU", *(_us(scale.loop[f"{name}_cpu"]) for scale in scales)])
    console.print("What happens from time to time, and the collectives, by number of ranks:")
    console.print(number_table(["us", *_ranks(scales)], rows, console.width))
    console.print(
        "row: of metrics, epoch: its end, save: a checkpoint; vote: ranks agree on the next updates, gather: the "
        "metrics of all ranks.",
        style="dim",
    )


def _print_training(console: Console, scales: Sequence[Scale]) -> None:
    rows = []
    for scale in scales:
        training, alone = scale.training, scales[0].training
        assert training is not None and alone is not None
        cpu = training.cpu_seconds_per_update
        per_rank = training.samples_per_second / scale.num_ranks
        of_first = per_rank * scales[0].num_ranks / max(alone.samples_per_second, 1e-9)
        rows.append(
            [
                str(scale.num_ranks),
                f"{training.updates_per_second:,.1f}",
                f"{training.samples_per_second:,.0f}",
                f"{of_first:.0%}",
                "-" if cpu is None else _ms(cpu / scale.num_ranks),
            ]
        )
    console.print("Whole trainings with a simulated device for each rank's self-play:")
    headings = ["ranks", "updates/s", "samples/s", "of one rank's", "CPU ms"]
    console.print(number_table(headings, rows, console.width))
    console.print(
        "of one rank's: samples/s of a rank, as a share of those with the fewest ranks. CPU: of a rank and its actors, "
        "for an update.",
        style="dim",
    )


def _print_model(console: Console, constants: Constants, settings: Settings) -> None:
    predictions = {n: predict(constants, settings, n) for n in MODELED_RANKS}
    console.print("A model of more ranks, fitted to these figures. Of one event, us:")
    events = [
        [
            str(num_ranks),
            str(-(-num_ranks // RANKS_PER_NODE)),
            *map(_us, (predicted.vote, predicted.barrier, predicted.row)),
        ]
        for num_ranks, predicted in predictions.items()
    ]
    console.print(number_table(["ranks", "nodes", "vote", "barrier", "row"], events, console.width))
    step = f"of {1e3 * STEP_SECONDS:.0f} ms"
    console.print(
        f"What the core costs an update, us, and as a share of a step {step}, by how many updates follow a vote:"
    )
    costs = [
        [str(num_ranks)]
        + [
            text
            for seconds in predicted.update.values()
            for text in (_us(seconds), f"{seconds / STEP_SECONDS:.1%}")
        ]
        for num_ranks, predicted in predictions.items()
    ]
    updates = [text for n in UPDATES_PER_VOTE for text in (f"{n} a vote", step)]
    console.print(number_table(["ranks", *updates], costs, console.width))
    fitted = ", ".join(f"{name} {_us(value)}" for name, value in constants._asdict().items())
    console.print(
        f"fitted here, us: {fitted}. Assumed: a core for each rank, {RANKS_PER_NODE} ranks on a node, "
        f"{_us(BETWEEN_NODES_SECONDS)} us more for a message between nodes, no late rank; without checkpoints.",
        style="dim",
    )


def _ranks(scales: Sequence[Scale]) -> list[str]:
    return [str(scale.num_ranks) for scale in scales]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.2f}"


def _us(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f}"
