"""The arguments of the commands that check and measure games and algorithms: verify, bench, cache."""

from __future__ import annotations

import argparse

from ddpzero.cli import argument_types
from ddpzero.cli.argument_parts import (
    Commands,
    add_command,
    add_json,
    add_recorded_file,
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
    READS_TUNE,
)


def add_verify(commands: Commands) -> None:
    parser = commands.add_parser("verify", help="Check a game or an algorithm.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    rules = add_command(
        kinds,
        "verify rules",
        "Replay recorded games and compare legal actions, players to move, results and boards. Exits with code 1 if "
        "anything differs. With a file of your own, give --game and the game's settings.",
        "ddpzero verify rules gomoku15",
    )
    add_recorded_file(rules, "recorded_lines")
    add_settings(rules)
    snakes = add_command(
        kinds,
        "verify snakes",
        "Replay recorded games of snakes with their random outcomes and compare everything that the rules decide in "
        "each step. Exits with code 1 if anything differs.",
        "ddpzero verify snakes snakes3v3_ends",
    )
    add_recorded_file(snakes, "snakes_lines")
    add_settings(snakes)
    contract = add_command(
        kinds,
        "verify contract",
        "Play random games and check that a game keeps the kernel contract. Exits with code 1 if it does not.",
        "ddpzero verify contract --config-dir my_conf --game my_game",
    )
    contract.add_argument(
        "--games", type=argument_types.positive, default=20, help="number of random games (20)"
    )
    add_seed(contract)
    add_settings(contract)
    algorithm = add_command(
        kinds,
        "verify algorithm",
        "Let an algorithm play, update and resume in a small training, on one rank and on two, and check that it keeps "
        "the contract of a plugin. Exits with code 1 if it does not.",
        "ddpzero verify algorithm my_algorithm.py --game tic_tac_toe",
    )
    algorithm.add_argument(
        "algorithm",
        metavar="ALGORITHM",
        help="a .py file, a module (my_lab.my_algorithm), or an option of conf/algorithm",
    )
    add_settings(algorithm, (*READS_GAME, "...", "learner"))


def add_doctor(commands: Commands) -> None:
    parser = add_command(
        commands,
        "doctor",
        "Look at this machine as a run will find it, and say in a sentence what will hurt: programs, GPUs, cores, "
        "memory, limits, disk, and two ranks that sum numbers. Exits with 1 if there is a problem.",
        "ddpzero doctor --runs-dir /data/runs",
    )
    parser.add_argument(
        "--runs-dir",
        metavar="DIR",
        type=argument_types.path,
        default="runs",
        help="where runs will be (runs)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="without the two ranks, which take some seconds"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON per finding")


def add_tune(commands: Commands) -> None:
    parser = add_command(
        commands,
        "tune",
        "Measure in less than three minutes what suits this machine (dtype, games, actors, threads, memory), and write "
        "it with the reasons to hardware/tuned.yaml, in conf/ of a clone or in the folder of --config-dir. A run uses "
        "it with +hardware=tuned, after its experiment.",
        "ddpzero tune +experiment=quick",
    )
    add_seed(parser)
    add_settings(parser, READS_TUNE)


# Of each command: its name, the settings that it reads, what it does, and an example.
_BENCHES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    (
        "rules",
        READS_GAME,
        "Measure steps per second of random play on one core.",
        "ddpzero bench rules game=gomoku game.size=9",
    ),
    (
        "search",
        READS_SEARCH,
        "Measure simulations per second of the search, with uniform evaluations (evaluator=uniform, the default) "
        "or with an untrained network (evaluator=network); the latter also as a fraction of the network's speed.",
        "ddpzero bench search game=gomoku evaluator=network search.num_simulations=200 network.blocks=4",
    ),
    (
        "learner",
        READS_LEARNER,
        "Measure updates per second of one learner as in a training, on random samples, and as a fraction of a "
        "bare loop that repeats one batch.",
        "ddpzero bench learner +experiment=gomoku +hardware=gpu24gb",
    ),
    (
        "evaluator",
        READS_EVALUATOR,
        "Measure the evaluator process of a rank against a network in the actor, and the round trip of a request.",
        "ddpzero bench evaluator game=connect_four network.blocks=4 network.channels=64",
    ),
    (
        "pipeline",
        READS_PIPELINE,
        "Measure self-play with several numbers of actors and games, and recommend one. With evaluator=simulated "
        "the device has the speed that simulated.* says.",
        "ddpzero bench pipeline evaluator=simulated simulated.positions_per_second=500000 --actors 1,2,4",
    ),
    (
        "checkpoint",
        READS_CHECKPOINT,
        "Measure the seconds that a learner loses in a save of a full replay buffer, and the time of a restore.",
        "ddpzero bench checkpoint +experiment=quick replay.capacity=1000000",
    ),
    (
        "memory",
        READS_MEMORY,
        "Measure the memory of a rank, of an actor with and without a network, of an evaluator and of a replay "
        "buffer, beside the estimates by which a run is refused.",
        "ddpzero bench memory game=connect_four search.num_simulations=200",
    ),
    (
        "scaling",
        READS_SCALING,
        "Measure what grows with the number of ranks: the learner's loop beyond its updates, collectives, "
        "checkpoints, and whole trainings with a simulated device for each rank. Choose a small network.",
        "ddpzero bench scaling network.blocks=1 network.channels=16 learner.batch_size=64 --ranks 1,2,4,8",
    ),
    (
        "peers",
        READS_PEERS,
        "Measure ddpzero and other programs (mctx with pgx, OpenSpiel) in the same game, with a network of the "
        "same size, on one core, in turn. Installs them with pip, each into an environment of its own. Exits with "
        "1 if none could be measured.",
        "ddpzero bench peers game=connect_four network.blocks=4 search.num_simulations=200",
    ),
    (
        "serve",
        READS_LEARNER,
        "Measure a collection server on one core: validated games per second, and uploads of many contributors.",
        "ddpzero bench serve game=connect_four --contributors 200 --seconds 60",
    ),
)


def add_bench(commands: Commands) -> None:
    parser = commands.add_parser("bench", help="Measure speed on this machine.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    for name, reads, help_text, example in _BENCHES:
        kind = add_command(kinds, f"bench {name}", help_text, example)
        kind.add_argument(
            "--seconds", type=argument_types.seconds, default=5.0, help="how long to measure (5)"
        )
        if name == "serve":
            _add_traffic(kind)
        if name == "pipeline":
            _add_trials(kind)
        if name == "scaling":
            kind.add_argument(
                "--ranks",
                type=argument_types.positives,
                default=[1, 2, 4, 8],
                metavar="A,B",
                help="numbers of ranks (1,2,4,8)",
            )
        if name == "peers":
            _add_peers(kind)
        add_seed(kind)
        add_json(kind)
        add_settings(kind, reads)
    _add_all(kinds)


def _add_all(kinds: Commands) -> None:
    parser = add_command(
        kinds,
        "bench all",
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


def add_cache(commands: Commands) -> None:
    parser = commands.add_parser("cache", help="Manage the compiled code on disk.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    clear = add_command(
        kinds,
        "cache clear",
        "Delete the compiled code of all games. It is compiled again when it is needed. With --game, also delete what "
        "is stored beside a game of your own.",
        "ddpzero cache clear",
    )
    add_settings(clear)
