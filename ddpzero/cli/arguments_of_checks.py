"""The arguments of the commands that check games, algorithms and this machine: verify, doctor, tune, cache."""

from __future__ import annotations

from ddpzero.cli import argument_types
from ddpzero.cli import commands_of_checks as commands_of
from ddpzero.cli.argument_parts import (
    Commands,
    add_command,
    add_recorded_file,
    add_seed,
    add_settings,
)
from ddpzero.cli.overrides import READS_GAME, READS_TUNE


def add_verify(commands: Commands) -> None:
    text = "Check a game or an algorithm."
    parser = commands.add_parser(
        "verify", help=text, description=text, epilog="example: ddpzero verify rules connect_four"
    )
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    rules = add_command(
        kinds,
        "verify rules",
        commands_of.do_verify_rules,
        "Replay recorded games and compare legal actions, players to move, results and boards. Exits with code 1 if "
        "anything differs. With a file of your own, give --game and the game's settings.",
        "ddpzero verify rules gomoku15",
    )
    add_recorded_file(rules, "recorded_lines")
    add_settings(rules)
    snakes = add_command(
        kinds,
        "verify snakes",
        commands_of.do_verify_snakes,
        "Replay recorded games of snakes with their random outcomes and compare everything that the rules decide in "
        "each step. Exits with code 1 if anything differs.",
        "ddpzero verify snakes snakes3v3_ends",
    )
    add_recorded_file(snakes, "snakes_lines")
    add_settings(snakes)
    contract = add_command(
        kinds,
        "verify contract",
        commands_of.do_verify_contract,
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
        commands_of.do_verify_algorithm,
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
        commands_of.do_doctor,
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
        commands_of.do_tune,
        "Measure in less than three minutes what suits this machine (dtype, games, actors, threads, memory), and write "
        "it with the reasons to hardware/tuned.yaml, in conf/ of a clone or in the folder of --config-dir. A run uses "
        "it with +hardware=tuned, after its experiment.",
        "ddpzero tune +experiment=quick",
    )
    add_seed(parser)
    add_settings(parser, READS_TUNE)


def add_cache(commands: Commands) -> None:
    text = "Manage the compiled code on disk."
    parser = commands.add_parser(
        "cache", help=text, description=text, epilog="example: ddpzero cache clear"
    )
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    clear = add_command(
        kinds,
        "cache clear",
        commands_of.do_cache_clear,
        "Delete the compiled code of all games. It is compiled again when it is needed. With --game, also delete what "
        "is stored beside a game of your own.",
        "ddpzero cache clear",
    )
    add_settings(clear)
