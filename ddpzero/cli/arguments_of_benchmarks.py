"""The arguments of the benchmarks, `ddpzero bench`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_benchmarks as commands_of
from ddpzero.cli.argument_parts import (
    Commands,
    Do,
    add_command,
    add_json,
    add_seed,
    add_settings,
)
from ddpzero.cli.overrides import (
    READS_CHECKPOINT,
    READS_EVALUATOR,
    READS_GAME,
    READS_LEARNER,
    READS_MEMORY,
    READS_PEERS,
    READS_PIPELINE,
    READS_SCALING,
    READS_SEARCH,
)


class _Bench(NamedTuple):
    """A benchmark. reads: the settings that it reads. add_own: adds the options that it alone has."""

    name: str
    do: Do
    reads: tuple[str, ...]
    help_text: str
    example: str
    add_own: Callable[[argparse.ArgumentParser], None] | None = None


def _add_trials(kind: argparse.ArgumentParser) -> None:
    kind.add_argument(
        "--actors",
        type=argument_types.positives,
        default=[],
        metavar="A,B",
        help="numbers of actors to try (powers of two up to the cores)",
    )
    kind.add_argument(
        "--games",
        type=argument_types.positives,
        default=[],
        metavar="A,B",
        help="numbers of games of an actor to try (half, once and twice actors.num_games)",
    )


def _add_ranks(kind: argparse.ArgumentParser) -> None:
    kind.add_argument(
        "--ranks",
        type=argument_types.positives,
        default=[1, 2, 4, 8],
        metavar="A,B",
        help="numbers of ranks (1,2,4,8)",
    )


def _add_peers(kind: argparse.ArgumentParser) -> None:
    kind.add_argument(
        "--peers",
        type=argument_types.names,
        default=[],
        metavar="A,B",
        help="which programs: mctx, open_spiel (all)",
    )
    kind.add_argument(
        "--environments",
        type=argument_types.path,
        metavar="DIR",
        help="where they are installed, and found again (ddpzero/peers in the user's cache)",
    )
    kind.add_argument(
        "--games",
        type=argument_types.positives,
        default=[],
        metavar="A,B",
        help="numbers of games that are searched together; each program gets its best (32,64,128,256)",
    )


def _add_traffic(kind: argparse.ArgumentParser) -> None:
    kind.add_argument(
        "--contributors",
        type=argument_types.positive,
        default=50,
        help="contributors that send games at the same time (50)",
    )
    kind.add_argument(
        "--batch-games", type=argument_types.positive, default=25, help="games in an upload (25)"
    )
    kind.add_argument(
        "--kills",
        type=argument_types.not_negative,
        default=0,
        help="how often the server or contributors are killed meanwhile; one game in ten is then forged (0)",
    )


_BENCHES = (
    _Bench(
        "rules",
        commands_of.do_bench_rules,
        READS_GAME,
        "Measure steps per second of random play on one core.",
        "ddpzero bench rules game=gomoku game.size=9",
    ),
    _Bench(
        "search",
        commands_of.do_bench_search,
        READS_SEARCH,
        "Measure simulations per second of the search, with uniform evaluations (evaluator=uniform, the default) "
        "or with a network (evaluator=network), untrained or that of a run (init_from=RUN); the latter also as a "
        "fraction of the network's speed.",
        "ddpzero bench search game=gomoku evaluator=network search.num_simulations=200 network.blocks=4",
    ),
    _Bench(
        "learner",
        commands_of.do_bench_learner,
        READS_LEARNER,
        "Measure updates per second of one learner as in a training, on random samples, and as a fraction of a "
        "bare loop that repeats one batch.",
        "ddpzero bench learner +experiment=gomoku +hardware=gpu24gb",
    ),
    _Bench(
        "evaluator",
        commands_of.do_bench_evaluator,
        READS_EVALUATOR,
        "Measure the evaluator process of a rank against a network in the actor, and the round trip of a request.",
        "ddpzero bench evaluator game=connect_four network.blocks=4 network.channels=64",
    ),
    _Bench(
        "pipeline",
        commands_of.do_bench_pipeline,
        READS_PIPELINE,
        "Measure self-play with several numbers of actors and games, and recommend one. With evaluator=simulated "
        "the device has the speed that simulated.* says.",
        "ddpzero bench pipeline evaluator=simulated simulated.positions_per_second=500000 --actors 1,2,4",
        _add_trials,
    ),
    _Bench(
        "checkpoint",
        commands_of.do_bench_checkpoint,
        READS_CHECKPOINT,
        "Measure the seconds that a learner loses in a save of a full replay buffer, and the time of a restore.",
        "ddpzero bench checkpoint +experiment=quick replay.capacity=1000000",
    ),
    _Bench(
        "memory",
        commands_of.do_bench_memory,
        READS_MEMORY,
        "Measure the memory of a rank, of an actor with and without a network, of an evaluator and of a replay "
        "buffer, beside the estimates by which a run is refused.",
        "ddpzero bench memory game=connect_four search.num_simulations=200",
    ),
    _Bench(
        "scaling",
        commands_of.do_bench_scaling,
        READS_SCALING,
        "Measure what grows with the number of ranks: the learner's loop beyond its updates, collectives, "
        "checkpoints, and whole trainings with a simulated device for each rank. Choose a small network.",
        "ddpzero bench scaling network.blocks=1 network.channels=16 learner.batch_size=64 --ranks 1,2,4,8",
        _add_ranks,
    ),
    _Bench(
        "peers",
        commands_of.do_bench_peers,
        READS_PEERS,
        "Measure ddpzero and other programs (mctx with pgx, OpenSpiel) in the same game, with a network of the "
        "same size, on one core, in turn. Installs them with pip, each into an environment of its own. Exits with "
        "1 if none could be measured.",
        "ddpzero bench peers game=connect_four network.blocks=4 search.num_simulations=200",
        _add_peers,
    ),
    _Bench(
        "serve",
        commands_of.do_bench_serve,
        READS_LEARNER,
        "Measure a collection server on one core: validated games per second, and uploads of many contributors.",
        "ddpzero bench serve game=connect_four --contributors 200 --seconds 60",
        _add_traffic,
    ),
)


def add_bench(commands: Commands) -> None:
    parser = commands.add_parser(
        "bench",
        help="Measure speed on this machine.",
        description="Measure speed on this machine: rules, search, networks, the learner, and what several processes "
        "cost. `ddpzero bench all` runs most of them and writes a report; settings say which game and network, "
        "and `ddpzero bench WHAT --help` explains each.",
        epilog="example: ddpzero bench search game=gomoku evaluator=uniform search.num_simulations=200",
    )
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    for bench in _BENCHES:
        kind = add_command(kinds, f"bench {bench.name}", bench.do, bench.help_text, bench.example)
        kind.add_argument(
            "--seconds", type=argument_types.seconds, default=5.0, help="how long to measure (5)"
        )
        if bench.add_own is not None:
            bench.add_own(kind)
        add_seed(kind)
        add_json(kind)
        add_settings(kind, bench.reads)
    _add_all(kinds)


def _add_all(kinds: Commands) -> None:
    parser = add_command(
        kinds,
        "bench all",
        commands_of.do_bench_all,
        "Run all benchmarks one after the other, in about half an hour, and write the figures with the machine, the "
        "versions and the commands as Markdown. serve needs the packages of ddpzero[server], and is left out without "
        "them; peers runs only with --peers. Exits with 1 if one of them fails.",
        "ddpzero bench all --report benchmarks.md",
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=argument_types.path,
        help="the file to write, anew after each benchmark (default: print the report at the end)",
    )
    parser.add_argument(
        "--game", type=argument_types.name, default="connect_four", help="a file of conf/game"
    )
    parser.add_argument(
        "--seconds",
        type=argument_types.seconds,
        default=None,
        help="how long each one measures (5; with --quick 1); one that takes longer than 300 seconds plus 60 times "
        "this is ended",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="in about ten minutes: measure for one second each, with at most two ranks and actors",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also measure other programs, which pip installs; see ddpzero bench peers --help",
    )
    add_seed(parser)
    add_json(parser)
