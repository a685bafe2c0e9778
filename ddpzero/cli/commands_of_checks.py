"""Runs the commands that check games, algorithms and this machine: verify, doctor, tune, cache.

arguments_of_checks.py names each function beside its arguments. Each imports what it needs only when it runs.
"""

from __future__ import annotations

import shlex
from argparse import Namespace
from functools import partial
from pathlib import Path

from ddpzero.cli.command_parts import any_game_of, board_game_of, overrides_of, with_game


def do_verify_rules(options: Namespace) -> int:
    from ddpzero.judges.packaged import find_recorded_games
    from ddpzero.judges.rules_report import print_report
    from ddpzero.judges.rules_traces import verify_rules

    file, settings = find_recorded_games(options.file)
    return print_report(verify_rules(file, board_game_of(with_game(options, settings))))


def do_verify_snakes(options: Namespace) -> int:
    from ddpzero.judges.packaged import find_recorded_games
    from ddpzero.judges.rules_report import print_report
    from ddpzero.judges.snake_traces import verify_snakes

    file, settings = find_recorded_games(options.file, of_snakes=True)
    options = with_game(options, settings or ("game=snakes",))
    return print_report(verify_snakes(file, any_game_of(options)))


def do_verify_contract(options: Namespace) -> int:
    from ddpzero.config.hydra import compose_game
    from ddpzero.games.core.contract_process import check_apart

    game = compose_game(overrides_of(options), options.config_dir)
    report = check_apart(game.arguments, options.games, options.seed)
    print("\n".join(report.lines()))
    return 1 if report.violations else 0


def do_verify_algorithm(options: Namespace) -> int:
    from ddpzero.algorithms.contract_process import check_apart
    from ddpzero.config.hydra import compose_settings
    from ddpzero.config.overrides import algorithm_overrides

    chosen = algorithm_overrides(options.algorithm, options.config_dir)
    overrides = [*chosen, *overrides_of(options)]
    report = check_apart(compose_settings(overrides, options.config_dir))
    print("\n".join(report.lines()))
    return 1 if report.violations else 0


def do_doctor(options: Namespace) -> int:
    from ddpzero.bench.doctor import run_doctor

    return run_doctor(Path(options.runs_dir), not options.quick, options.json)


def do_tune(options: Namespace) -> int:
    from ddpzero.bench.tune import run_tune
    from ddpzero.config.hydra import compose_settings

    folder = Path(options.config_dir) if options.config_dir else None
    # A new folder is fine here: it is to get a file.
    searched = options.config_dir if folder is not None and folder.exists() else None
    settings = compose_settings(overrides_of(options), searched)
    command = shlex.join(["ddpzero", "tune", *options.overrides])
    run_tune(settings, folder, command, options.seed, partial(print, flush=True))
    return 0


def do_cache_clear(options: Namespace) -> int:
    from ddpzero.games.core.cache_folder import clear_cache

    own_files: list[Path] = []
    if options.game or options.overrides:
        own_files = [Path(any_game_of(options).module.__file__ or "")]
    num_files, size_bytes = clear_cache(*own_files)
    print(f"{num_files} files of compiled code deleted, {size_bytes / 1e6:.1f} MB")
    return 0
