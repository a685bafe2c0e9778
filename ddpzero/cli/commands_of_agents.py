"""Runs the commands about runs and their agents, from match to monitor.

arguments_of_agents.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ddpzero.cli.command_parts import any_game_if_given, needs_extra


def do_match(options: Namespace) -> int:
    from ddpzero.arena.run import run_match

    run_match(
        options.player_a,
        options.player_b,
        game=any_game_if_given(options),
        num_games=options.games,
        num_simulations=options.simulations,
        opening_plies=options.opening_plies,
        seed=options.seed,
        num_workers=options.workers,
        as_json=options.json,
    )
    return 0


def do_judge(options: Namespace) -> int:
    from ddpzero.arena.judge_report import run_judge

    run_judge(
        options.file,
        options.players,
        simulations=options.simulations,
        seed=options.seed,
        as_json=options.json,
    )
    return 0


def do_ratings(options: Namespace) -> int:
    from ddpzero.arena.ratings_report import run_ratings

    run_ratings(options.run, as_json=options.json, plot=options.plot)
    return 0


def do_evaluate(options: Namespace) -> int:
    from ddpzero.arena.evaluation_report import run_evaluate

    run_evaluate(
        options.player,
        num_simulations=options.simulations,
        num_games=options.games,
        seed=options.seed,
        as_json=options.json,
        report=options.report,
    )
    return 0


def do_games(options: Namespace) -> int:
    from ddpzero.episodes.filters import GameFilter
    from ddpzero.episodes.report import run_games, run_verify_games

    if options.words[0] == "verify":
        return run_verify_games(options.words[1])
    least, most = options.plies or (None, None)
    run_games(
        options.words[0],
        GameFilter(options.model, options.result, least, most),
        limit=options.limit or 20,
        show=options.show,
        statistics=options.statistics,
        export=options.export,
        as_json=options.json,
    )
    return 0


def do_ablate(options: Namespace) -> int:
    from ddpzero.bench.ablation.run import run_ablate

    output = None if options.output is None else Path(options.output)
    return run_ablate(Path(options.file), output, options.json)


def do_grow(options: Namespace) -> int:
    from ddpzero.cli.grow import run_grow

    run_grow(options.model, options.overrides, Path(options.output), options.seed)
    return 0


def do_export(options: Namespace) -> int:
    from ddpzero.export.run import run_export

    if options.onnx is not None or options.static is not None:
        option = "--onnx" if options.onnx is not None else "--static"
        with needs_extra(f"export {option}", "export"):
            from ddpzero.export import onnx_file  # noqa: F401
    onnx, weights, static, onnxruntime_web = (
        None if path is None else Path(path)
        for path in (options.onnx, options.weights, options.static, options.onnxruntime_web)
    )
    run_export(
        options.model,
        onnx=onnx,
        weights=weights,
        static=static,
        num_checked=options.check or 1000,
        seed=options.seed,
        onnxruntime_web=onnxruntime_web,
    )
    return 0


def do_monitor(options: Namespace) -> int:
    from ddpzero.cli.monitor import run_monitor

    run_monitor(
        options.run_dir,
        once=options.once,
        as_json=options.json,
        iterations=options.iterations,
        interval_seconds=options.interval,
    )
    return 0
