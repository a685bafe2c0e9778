"""The program `ddpzero`: runs the commands that cli/arguments.py declares; `ddpzero --help` lists them.

Spawned processes import this file again, so each command imports what it needs only when it runs.
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ddpzero.cli.arguments import make_parser, parse_arguments
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.errors import (
    EXIT_CODE_OF_FAILURE,
    EXIT_CODE_OF_USER_ERROR,
    UserError,
    require,
)
from ddpzero.system.machine import require_current_folder
from ddpzero.system.terminal import prepare_output, until_reader_leaves

if TYPE_CHECKING:
    from ddpzero.games import Game, TeamGame
    from ddpzero.settings import Settings
    from ddpzero.system.measurements import Measurement


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 if it or a check failed, 2 for an error of the user."""
    prepare_output()
    words = sys.argv[1:] if arguments is None else arguments
    return until_reader_leaves(lambda: _run(words), 0)


def _run(words: Sequence[str]) -> int:
    if words and words[0] == "train":
        return _train(words[1:])
    # Beside a training, a network's threads would else spend their time in waiting for each other: 20 times as slow.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    options = parse_arguments(words)
    exit_code = EXIT_CODE_OF_USER_ERROR
    try:
        require_current_folder()
        return _COMMANDS[options.command](options)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print(f"ddpzero {options.command}: stopped before its end.", file=sys.stderr)
        return 130
    except ValueError as error:
        sentence = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        sentence = f"{error.filename}: {error.strerror}."
    except RuntimeError as error:
        from ddpzero.system.errors import is_sentence_of_ours

        if not is_sentence_of_ours(error):
            raise
        sentence = str(error)
        exit_code = EXIT_CODE_OF_FAILURE
    print(f"ddpzero: {' '.join(sentence.split())}", file=sys.stderr)
    return exit_code


def _train(words: Sequence[str]) -> int:
    """Train in this process, as python -m ddpzero.main does. A failure raises SystemExit with its exit code."""
    from ddpzero.main import main as train

    sys.argv[1:] = words
    train()
    return 0


def _completion(options: Namespace) -> int:
    from ddpzero.cli.completion import SCRIPTS, candidates

    def conf() -> Path:
        from ddpzero.config.conf_folder import conf_dir

        return conf_dir()

    if options.line is None:
        print(SCRIPTS[options.shell], end="")
    else:
        # Not even an empty line if there are none: the shell would take it for a candidate.
        for candidate in candidates(make_parser(), conf, options.shell, options.line):
            print(candidate)
    return 0


def _verify_rules(options: Namespace) -> int:
    from ddpzero.judges.packaged import find_recorded_games
    from ddpzero.judges.rules_report import print_report
    from ddpzero.judges.rules_traces import verify_rules

    file, settings = find_recorded_games(options.file)
    return print_report(verify_rules(file, _game(_with_game(options, settings))))


def _verify_snakes(options: Namespace) -> int:
    from ddpzero.judges.packaged import find_recorded_games
    from ddpzero.judges.rules_report import print_report
    from ddpzero.judges.snake_traces import verify_snakes

    file, settings = find_recorded_games(options.file, of_snakes=True)
    options = _with_game(options, settings or ("game=snakes",))
    return print_report(verify_snakes(file, _any_game(options)))


def _verify_contract(options: Namespace) -> int:
    from ddpzero.config.hydra import compose_game
    from ddpzero.games.core.contract_process import check_apart

    game = compose_game(_overrides(options), options.config_dir)
    report = check_apart(game.arguments, options.games, options.seed)
    print("\n".join(report.lines()))
    return 1 if report.violations else 0


def _verify_algorithm(options: Namespace) -> int:
    from ddpzero.algorithms.contract_process import check_apart
    from ddpzero.config.hydra import compose_settings
    from ddpzero.config.overrides import algorithm_overrides

    chosen = algorithm_overrides(options.algorithm, options.config_dir)
    overrides = [*chosen, *_overrides(options)]
    report = check_apart(compose_settings(overrides, options.config_dir))
    print("\n".join(report.lines()))
    return 1 if report.violations else 0


def _cache_clear(options: Namespace) -> int:
    from pathlib import Path

    from ddpzero.games.core.cache_folder import clear_cache

    own_files: list[Path] = []
    if options.game or options.overrides:
        own_files = [Path(_any_game(options).module.__file__ or "")]
    num_files, size_bytes = clear_cache(*own_files)
    print(f"{num_files} files of compiled code deleted, {size_bytes / 1e6:.1f} MB")
    return 0


def _doctor(options: Namespace) -> int:
    from ddpzero.bench.doctor import run_doctor

    return run_doctor(Path(options.runs_dir), not options.quick, options.json)


def _tune(options: Namespace) -> int:
    from ddpzero.bench.tune import run_tune
    from ddpzero.config.hydra import compose_settings

    folder = Path(options.config_dir) if options.config_dir else None
    # A new folder is fine here: it is to get a file.
    searched = options.config_dir if folder is not None and folder.exists() else None
    settings = compose_settings(_overrides(options), searched)
    command = shlex.join(["ddpzero", "tune", *options.overrides])
    run_tune(settings, folder, command, options.seed, partial(print, flush=True))
    return 0


def _settings(options: Namespace) -> Settings:
    """Return the settings that the words of a command compose."""
    from ddpzero.config.hydra import compose_settings

    return compose_settings(_overrides(options), options.config_dir)


def _bench_rules(options: Namespace) -> int:
    from ddpzero.bench.rules import bench_rules

    return _print(bench_rules(_any_game(options), options.seconds, seed=options.seed), options)


def _bench_search(options: Namespace) -> int:
    from ddpzero.bench.search import bench_search

    # The evaluator is not a setting of training but is written like one.
    chosen = [word for word in options.overrides if word.startswith("evaluator=")]
    options.overrides = [word for word in options.overrides if word not in chosen]
    evaluator = chosen[-1].partition("=")[2] if chosen else "uniform"
    # This command cannot choose another algorithm, which the settings would advise in a team game.
    _game(options)
    settings = _settings(options)
    measurements = bench_search(settings, evaluator, options.seconds, options.seed)
    return _print(measurements, options)


def _bench_learner(options: Namespace) -> int:
    from ddpzero.bench.learner import bench_learner

    settings = _settings(options)
    return _print(bench_learner(settings, options.seconds, options.seed), options)


def _bench_evaluator(options: Namespace) -> int:
    from ddpzero.bench.evaluator import bench_evaluator

    settings = _settings(options)
    return _print(bench_evaluator(settings, options.seconds, options.seed), options)


def _bench_pipeline(options: Namespace) -> int:
    from ddpzero.bench.pipeline import bench_pipeline, print_trials

    settings = _settings(options)
    trials = bench_pipeline(settings, options.seconds, options.seed, options.actors, options.games)
    print_trials(trials, settings, options.seconds, options.seed, options.json)
    return 0


def _bench_checkpoint(options: Namespace) -> int:
    from ddpzero.bench.checkpoint import bench_checkpoint

    settings = _settings(options)
    return _print(bench_checkpoint(settings, options.seconds, options.seed), options)


def _bench_memory(options: Namespace) -> int:
    from ddpzero.bench.memory import bench_memory

    settings = _settings(options)
    return _print(bench_memory(settings, options.seconds, options.seed), options)


def _bench_scaling(options: Namespace) -> int:
    from ddpzero.bench.scaling import bench_scaling
    from ddpzero.bench.scaling_table import print_scales

    settings = _settings(options)
    scales = []
    for scale in bench_scaling(settings, options.seconds, options.seed, options.ranks):
        print(f"measured {scale.num_ranks} of {max(options.ranks)} ranks", file=sys.stderr)
        scales.append(scale)
    print_scales(scales, settings, options.seconds, options.seed, options.json)
    return 0


def _bench_peers(options: Namespace) -> int:
    from ddpzero.bench.peers.environments import default_folder
    from ddpzero.bench.peers.run import run_peers

    # Peers know no team games.
    _game(options)
    settings = _settings(options)
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


def _bench_serve(options: Namespace) -> int:

    with _needs_extra("bench serve", "server"):
        from ddpzero.bench.serve import bench_serve

    settings = _settings(options)
    measurements = bench_serve(
        settings,
        options.seconds,
        options.contributors,
        options.batch_games,
        options.kills,
        options.seed,
    )
    return _print(measurements, options)


def _bench_all(options: Namespace) -> int:
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


def _match(options: Namespace) -> int:
    from ddpzero.arena.run import run_match

    run_match(
        options.player_a,
        options.player_b,
        game=_any_game_if_given(options),
        num_games=options.games,
        num_simulations=options.simulations,
        opening_plies=options.opening_plies,
        seed=options.seed,
        num_workers=options.workers,
        as_json=options.json,
    )
    return 0


def _judge(options: Namespace) -> int:
    from ddpzero.arena.judge_report import run_judge

    run_judge(
        options.file,
        options.players,
        simulations=options.simulations,
        seed=options.seed,
        as_json=options.json,
    )
    return 0


def _play(options: Namespace) -> int:
    from ddpzero.play.run import run_play

    run_play(
        options.player,
        options.opponent,
        game=_any_game_if_given(options),
        mode=options.mode,
        color=options.color,
        num_simulations=options.simulations,
        delay_seconds=options.delay,
        seed=options.seed,
    )
    return 0


def _ratings(options: Namespace) -> int:
    from ddpzero.arena.ratings_report import run_ratings

    run_ratings(options.run, as_json=options.json, plot=options.plot)
    return 0


def _games(options: Namespace) -> int:
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


def _evaluate(options: Namespace) -> int:
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


def _serve(options: Namespace) -> int:
    with _needs_extra("serve", "server"):
        from ddpzero.serve.run import run_add_user, run_remove_user, run_serve

    folder, overrides = Path(options.folder), options.overrides
    require(
        options.add_user is None or options.remove_user is None,
        "--add-user and --remove-user exclude each other: use one of them.",
    )
    require(
        options.role is None or options.add_user is not None,
        f"--role {options.role} has no effect without --add-user.",
    )
    if options.add_user is not None:
        run_add_user(folder, options.add_user, options.role or "contributor", overrides)
    elif options.remove_user is not None:
        run_remove_user(folder, options.remove_user, overrides)
    else:
        run_serve(folder, overrides)
    return 0


def _contribute(options: Namespace) -> int:
    with _needs_extra("contribute", "contribute"):
        from ddpzero.contribute.check import run_check
        from ddpzero.contribute.run import run_contribute
        from ddpzero.contribute.settings import read_settings

    file = None if options.config is None else Path(options.config)
    settings = read_settings(options.url, file, options.overrides)
    if options.check:
        run_check(settings)
    else:
        run_contribute(settings)
    return 0


def _ablate(options: Namespace) -> int:
    from ddpzero.bench.ablation.run import run_ablate

    output = None if options.output is None else Path(options.output)
    return run_ablate(Path(options.file), output, options.json)


def _grow(options: Namespace) -> int:
    from ddpzero.cli.grow import run_grow

    run_grow(options.model, options.overrides, Path(options.output), options.seed)
    return 0


def _monitor(options: Namespace) -> int:
    from ddpzero.cli.monitor import run_monitor

    run_monitor(
        options.run_dir,
        once=options.once,
        as_json=options.json,
        iterations=options.iterations,
        interval_seconds=options.interval,
    )
    return 0


_COMMANDS = {
    "completion": _completion,
    "verify rules": _verify_rules,
    "verify snakes": _verify_snakes,
    "verify algorithm": _verify_algorithm,
    "verify contract": _verify_contract,
    "cache clear": _cache_clear,
    "doctor": _doctor,
    "tune": _tune,
    "bench rules": _bench_rules,
    "bench search": _bench_search,
    "bench learner": _bench_learner,
    "bench evaluator": _bench_evaluator,
    "bench pipeline": _bench_pipeline,
    "bench checkpoint": _bench_checkpoint,
    "bench memory": _bench_memory,
    "bench scaling": _bench_scaling,
    "bench peers": _bench_peers,
    "bench serve": _bench_serve,
    "bench all": _bench_all,
    "match": _match,
    "judge": _judge,
    "ratings": _ratings,
    "evaluate": _evaluate,
    "games": _games,
    "ablate": _ablate,
    "grow": _grow,
    "play": _play,
    "monitor": _monitor,
    "serve": _serve,
    "contribute": _contribute,
}


@contextmanager
def _needs_extra(command: str, extra: str) -> Iterator[None]:
    """Turn the absence of a library that an extra brings into a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "ddpzero":
            raise
        raise UserError(f"{command} needs {error.name}: pip install 'ddpzero[{extra}]'.") from None


def _with_game(options: Namespace, settings: Sequence[str]) -> Namespace:
    """Put these settings, which choose a game, before the others, unless the options name a game."""
    if not options.game and not any(word.startswith("game=") for word in options.overrides):
        options.overrides = [*settings, *options.overrides]
    return options


def _overrides(options: Namespace) -> list[str]:
    """Return the settings of the command; --game G stands for game=G."""
    return [*([f"game={options.game}"] if options.game else []), *options.overrides]


def _game(options: Namespace) -> Game:
    """Return the game that the options name, which must be a board game."""
    from ddpzero.config.hydra import compose_game
    from ddpzero.games import load_game

    game = compose_game(_overrides(options), options.config_dir)
    return load_game(**game.arguments)


def _any_game(options: Namespace) -> Game | TeamGame:
    """Return the game that the options name: a board game or a team game."""
    from ddpzero.config.hydra import compose_game
    from ddpzero.games import load_any_game

    game = compose_game(_overrides(options), options.config_dir)
    return load_any_game(**game.arguments)


def _any_game_if_given(options: Namespace) -> Game | TeamGame | None:
    return _any_game(options) if options.game or options.overrides else None


def _print(measurements: Sequence[Measurement], options: Namespace) -> int:
    from ddpzero.system.measurements import print_measurements

    print_measurements(measurements, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
