"""Runs the benchmarks, `ddpzero bench`.

arguments_of_benchmarks.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from ddpzero.cli.command_parts import (
    any_game_of,
    board_game_of,
    needs_extra,
    print_results,
    settings_of,
)
from ddpzero.system.errors import EXIT_CODE_OF_FAILURE, require


def do_bench_rules(options: Namespace) -> int:
    from ddpzero.bench.rules import bench_rules

    game = any_game_of(options)
    return print_results(bench_rules(game, options.seconds, seed=options.seed), options)


def do_bench_search(options: Namespace) -> int:
    from ddpzero.bench.search import bench_search

    # The evaluator is not a setting of training but is written like one.
    chosen = [word for word in options.overrides if word.startswith("evaluator=")]
    options.overrides = [word for word in options.overrides if word not in chosen]
    evaluator = chosen[-1].partition("=")[2] if chosen else "uniform"
    # This command cannot choose another algorithm, which the settings would advise in a team game.
    board_game_of(options)
    settings = settings_of(options)
    measurements = bench_search(settings, evaluator, options.seconds, options.seed)
    return print_results(measurements, options)


def do_bench_learner(options: Namespace) -> int:
    from ddpzero.bench.learner import bench_learner

    settings = settings_of(options)
    return print_results(bench_learner(settings, options.seconds, options.seed), options)


def do_bench_evaluator(options: Namespace) -> int:
    from ddpzero.bench.evaluator import bench_evaluator

    settings = settings_of(options)
    return print_results(bench_evaluator(settings, options.seconds, options.seed), options)


def do_bench_pipeline(options: Namespace) -> int:
    from ddpzero.bench.pipeline import bench_pipeline, print_trials

    settings = settings_of(options)
    trials = bench_pipeline(settings, options.seconds, options.seed, options.actors, options.games)
    print_trials(trials, settings, options.seconds, options.seed, options.json)
    return 0


def do_bench_checkpoint(options: Namespace) -> int:
    from ddpzero.bench.checkpoint import bench_checkpoint

    settings = settings_of(options)
    return print_results(bench_checkpoint(settings, options.seconds, options.seed), options)


def do_bench_memory(options: Namespace) -> int:
    from ddpzero.bench.memory import bench_memory

    settings = settings_of(options)
    return print_results(bench_memory(settings, options.seconds, options.seed), options)


def do_bench_scaling(options: Namespace) -> int:
    from ddpzero.bench.scaling import bench_scaling
    from ddpzero.bench.scaling_table import print_scales

    settings = settings_of(options)
    scales = []
    for scale in bench_scaling(settings, options.seconds, options.seed, options.ranks):
        print(f"measured {scale.num_ranks} of {max(options.ranks)} ranks", file=sys.stderr)
        scales.append(scale)
    print_scales(scales, settings, options.seconds, options.seed, options.json)
    return 0


def do_bench_peers(options: Namespace) -> int:
    from ddpzero.bench.peers.environments import default_folder
    from ddpzero.bench.peers.run import run_peers

    # Peers know no team games.
    board_game_of(options)
    settings = settings_of(options)
    folder = Path(options.environments) if options.environments else default_folder()
    has_peer = run_peers(
        settings,
        folder.resolve(),
        options.seconds,
        options.seed,
        options.peers,
        options.games,
        options.json,
    )
    return 0 if has_peer else EXIT_CODE_OF_FAILURE


def do_bench_serve(options: Namespace) -> int:
    with needs_extra("bench serve", "server"):
        from ddpzero.bench.serve import bench_serve

    settings = settings_of(options)
    measurements = bench_serve(
        settings,
        options.seconds,
        options.contributors,
        options.batch_games,
        options.kills,
        options.seed,
    )
    return print_results(measurements, options)


def do_bench_all(options: Namespace) -> int:
    from ddpzero.bench.report import all_benches, run_all
    from ddpzero.config.hydra import compose_settings
    from ddpzero.system.whole_files import require_writable

    # An unknown game is told once, not by each benchmark.
    compose_settings([f"game={options.game}"])
    report = None if options.report is None else Path(options.report)
    if report is not None:
        require(not report.is_dir(), f"--report {report} is a folder: name a file in it.")
        require_writable("--report", report.absolute().parent)
    seconds = options.seconds
    if seconds is None:
        seconds = 1.0 if options.quick else 5.0
    benches = all_benches(options.game, seconds, options.quick, options.peers, options.seed)
    outcomes = run_all(benches, seconds, report, options.json)
    return EXIT_CODE_OF_FAILURE if any(outcome.problem for outcome in outcomes) else 0
