"""What may stand on the command line of `ddpzero`, and its help. Called by commands.py; imports only argparse."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from ddpzero import __version__

_DESCRIPTION = """\
Trains agents, plays, watches and measures.

    ddpzero train +experiment=quick
    ddpzero verify rules connect_four
    ddpzero bench search game=gomoku evaluator=uniform search.num_simulations=200
    ddpzero match runs/quick rollout:1000 --games 200 --simulations 100
    ddpzero judge connect_four_hard runs/quick --simulations 0,64
    ddpzero play runs/quick
    ddpzero monitor runs/quick

A run is its folder, or its name in runs/: `ddpzero play quick`. `ddpzero COMMAND --help` has more.
Settings are given as for training, key=value, anywhere on the line.
"""
_PLAYER = (
    "a run (its folder, its name in runs/, or RUN@EPISODE), the folder of a checkpoint, random, or rollout:1000 "
    "(plain tree search, 1000 simulations)"
)
_PLAYER_OR_RULE_AGENT = (
    f"{_PLAYER}; in games for teams also the name of a rule agent, as greedy in snakes"
)
_JSON_HELP = (
    "one line of JSON for each figure: bench, game, figure, value, unit, low and high where it has a 95 %% interval, "
    "then the conditions, named alike by all commands (game.rows, num_simulations, seed, seconds)"
)
_RECORDED = "recorded games: a name of --list, or an .npz"
# Hydra's overrides: key=value, +key=value, ++key=value, ~key. No path looks like one: a key holds no slash.
_OVERRIDE = re.compile(r"\+{0,2}[A-Za-z_][\w.@]*=|~[A-Za-z_]")

# Whole numbers of compiled code have 64 bits; ten days are more than anybody waits for a bench or between moves.
_MOST = 2**63 - 1
_MOST_SECONDS = 10 * 24 * 3600

# Settings that each command reads. A name stands for all below it, "..." for all groups of the algorithm.
_READS_GAME = ("game", "experiment")
_READS_SEARCH = ("game", "search", "evaluator", "actors.num_games", "experiment", "hardware")
_READ_WITH_NETWORK = (
    *("network", "device", "actors.device", "actors.precision"),
    *("actors.compile", "actors.num_threads"),
)
_READS_LEARNER = (
    *("game", "...", "experiment", "hardware", "device", "replay.capacity"),
    *("learner.batch_size", "learner.optimizer", "learner.learning_rate", "learner.weight_decay"),
    *("learner.gradient_clip", "learner.ema_decay", "learner.precision", "learner.compile"),
    "learner.num_threads",
)
# All others belong to algorithms.
_CORE_KEYS = (
    *("run_name", "runs_dir", "init_from", "seed", "device", "game", "actors", "replay", "learner"),
    *("checkpoint", "logging", "hydra", "sweep", *_READS_GAME, "hardware"),
)

_Commands = (
    argparse._SubParsersAction
)  # argparse has no public name for what add_subparsers returns


class _List(argparse.Action):
    """Prints what the package brings and exits, as --help does."""

    def __init__(self, option_strings: Sequence[str], dest: str, lines: str, help: str):
        """lines: the function of judges.packaged that yields what to print."""
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help=help)
        self._lines = lines

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ddpzero.judges import packaged

        print(*getattr(packaged, self._lines)(), sep="\n")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence like those of all other mistakes, without the usage; the exit code is 2."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        sentence = ": ".join(filter(None, (command, _in_plain_words(message, self))))
        self.exit(2, f"ddpzero: {sentence}; see {self.prog} --help\n")


def _in_plain_words(message: str, parser: argparse.ArgumentParser) -> str:
    """What argparse says of a wrong or a missing command with the commands that there are; all else as it is."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        allowed = ", ".join(action.choices)
        if wrong := re.match(rf"argument {action.metavar}: invalid choice: (.*) \(choose", message):
            return f"{wrong[1]} is not one of {allowed}"
        if message.endswith(f"required: {action.metavar}"):
            return f"{action.metavar} is missing: one of {allowed}"
    return message


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """The options of one command: `command` is its name ("bench search"), `overrides` the settings among the words.

    Prints help or what is wrong and exits when argparse does; so does no word at all.
    """
    parser = make_parser()
    if not words:
        parser.print_help()
        parser.exit(2)
    options, unknown = parser.parse_known_args(
        [word for word in words if not _OVERRIDE.match(word)]
    )
    surplus = [*getattr(options, "overrides", []), *unknown]
    if surplus:
        options.command_parser.error(_surplus_message(options.command, surplus))
    options.overrides = [word for word in words if _OVERRIDE.match(word)]
    if problem := _problem_of_options(options):
        options.command_parser.error(problem)
    return options


def _surplus_message(command: str, surplus: Sequence[str]) -> str:
    """What to say of words that no argument of the command has taken."""
    option = next((word for word in surplus if word.startswith("-")), None)
    if option is not None:
        return f"there is no option {option[:80]}"
    without_key = next((word for word in surplus if word.lstrip("+~").startswith("=")), None)
    if without_key is not None:
        return f"{without_key[:80]}: no key stands before the =; write key=value"
    words = " ".join(
        word[:80] if word and word.isprintable() else repr(word[:80]) for word in surplus
    )
    also = ": the second player of --mode ai is --opponent PLAYER" if command == "play" else ""
    return f"surplus words at the end: {words}{also}"


def _problem_of_options(options: argparse.Namespace) -> str | None:
    """What is wrong with options that would have no effect; None if nothing is."""
    command, overrides = options.command, options.overrides
    if overrides and not options.reads:
        return f"{overrides[0]}: {command} takes no settings; a run has its own"
    for override in overrides:
        if problem := _problem_of_override(override, options):
            return f"{override} has no effect on {command}{problem}"
    named = next((override for override in overrides if _key_of(override) == "game"), None)
    if options.game is not None and named is not None:
        return f"--game {options.game} and {named} name two games: leave one of them out"
    if command in ("match", "play") and options.config_dir and not (options.game or overrides):
        return f"--config-dir {options.config_dir} has no effect on {command} without --game"
    if command == "monitor" and options.interval is not None and (options.once or options.json):
        return (
            f"--interval {options.interval:g} has no effect with --once or --json, which look once"
        )
    return None


def _problem_of_override(override: str, options: argparse.Namespace) -> str | None:
    """The end of the sentence that refuses a setting without effect; None for one that has an effect."""
    key = _key_of(override)
    if _has_effect(key, options.reads):
        return None
    if options.command == "bench search" and _has_effect(key, _READ_WITH_NETWORK):
        if "evaluator=network" in options.overrides:
            return None
        return " without a network: add evaluator=network, or leave it out"
    if key == "seed":
        return ", whose seed is --seed"
    reads = ["groups of the algorithm" if name == "..." else name for name in options.reads]
    return f", which reads {', '.join(reads)}: leave it out"


def _key_of(override: str) -> str:
    """ "game.size" of "++game.size=9"; "search" of "search@_global_.search=puct"."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _has_effect(key: str, reads: Sequence[str]) -> bool:
    """reads: keys and groups; "..." stands for all groups of plugins."""
    if "..." in reads and key.partition(".")[0] not in _CORE_KEYS:
        return True
    return any(key == known or key.startswith(f"{known}.") for known in reads)


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ddpzero",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ddpzero {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_verify(commands)
    _add_bench(commands)
    _add_cache(commands)
    _add_match(commands)
    _add_judge(commands)
    _add_play(commands)
    _add_monitor(commands)
    _add_completion(commands)
    return parser


def _add_train(commands: _Commands) -> None:
    """Only for the help and for completion: cli/commands.py hands the words after `train` to training's entry point."""
    commands.add_parser(
        "train", help="Train, as python -m ddpzero.main does.", add_help=False
    ).set_defaults(command="train", reads=())


def _add_verify(commands: _Commands) -> None:
    parser = commands.add_parser("verify", help="Check the rules of a game.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    rules = _add_command(
        kinds,
        "verify rules",
        "Replay recorded games: legal actions, movers, results and boards must agree. Exit code 1 if any does not. "
        "A file of your own needs --game and the game's settings.",
        "ddpzero verify rules gomoku15",
    )
    rules.add_argument("file", metavar="FILE", type=_path, help=_RECORDED)
    rules.add_argument("--list", action=_List, lines="recorded_lines", help="list them and exit")
    _add_settings(rules)
    snakes = _add_command(
        kinds,
        "verify snakes",
        "Replay recorded games of snakes with their random outcomes: all that the rules say after each step must "
        "agree. Exit code 1 if anything does not.",
        "ddpzero verify snakes snakes3v3_ends",
    )
    snakes.add_argument("file", metavar="FILE", type=_path, help=_RECORDED)
    snakes.add_argument("--list", action=_List, lines="snakes_lines", help="list them and exit")
    _add_settings(snakes)
    contract = _add_command(
        kinds,
        "verify contract",
        "Play random games and check that a game keeps the kernel contract. Exit code 1 if it does not.",
        "ddpzero verify contract --config-dir my_conf --game my_game",
    )
    contract.add_argument("--games", type=_positive, default=20, help="random games (20)")
    _add_seed(contract)
    _add_settings(contract)


def _add_bench(commands: _Commands) -> None:
    parser = commands.add_parser("bench", help="Measure speed on this machine.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    for name, reads, help_text, example in (
        (
            "rules",
            _READS_GAME,
            "Steps per second of random play, on one core.",
            "ddpzero bench rules game=gomoku game.size=9",
        ),
        (
            "search",
            _READS_SEARCH,
            "Simulations per second of the search, with uniform answers (evaluator=uniform, the default) or with an "
            "untrained network (evaluator=network), there also as a fraction of the network's own speed.",
            "ddpzero bench search game=gomoku evaluator=network search.num_simulations=200 network.blocks=4",
        ),
        (
            "learner",
            _READS_LEARNER,
            "Updates per second of one learner, on random samples.",
            "ddpzero bench learner +experiment=gomoku +hardware=gpu24gb",
        ),
    ):
        kind = _add_command(kinds, f"bench {name}", help_text, example)
        kind.add_argument("--seconds", type=_seconds, default=5.0, help="of measuring (5)")
        _add_seed(kind)
        _add_json(kind)
        _add_settings(kind, reads)


def _add_match(commands: _Commands) -> None:
    match = _add_command(
        commands,
        "match",
        "Play a match: both colours or sides, paired random starts; prints the score with its interval.",
        "ddpzero match runs/quick rollout:1000 --games 200 --simulations 100",
    )
    match.add_argument("player_a", metavar="A", type=_path, help=_PLAYER_OR_RULE_AGENT)
    match.add_argument("player_b", metavar="B", type=_path, help="likewise")
    match.add_argument("--games", type=_positive, default=200, help="an even number (200)")
    _add_simulations(match)
    match.add_argument(
        "--opening-plies",
        type=_not_negative,
        help="random plies at the start of a board game (chosen by game)",
    )
    _add_seed(match)
    _add_json(match)
    _add_settings(match)


def _add_judge(commands: _Commands) -> None:
    judge = _add_command(
        commands,
        "judge",
        "How often a player's move keeps the outcome of perfect play, in solved positions.",
        "ddpzero judge connect_four_hard runs/quick --simulations 0,64",
    )
    judge.add_argument(
        "file",
        metavar="FILE",
        type=_path,
        help="solved positions: a name of --list, or an .npz of connect_four, dots_and_boxes, hex or othello",
    )
    judge.add_argument("--list", action=_List, lines="positions_lines", help="list them and exit")
    judge.add_argument("players", metavar="PLAYER", type=_path, nargs="+", help=_PLAYER)
    judge.add_argument(
        "--simulations",
        type=_numbers,
        help="of runs, per move, one row for each; 0: the bare network (the run's own)",
    )
    judge.add_argument("--seed", type=_not_negative, help="of players that use chance (0)")
    _add_json(judge)


def _add_play(commands: _Commands) -> None:
    play = _add_command(
        commands,
        "play",
        "Play against an agent in the terminal, or watch one. In games for teams you steer the first agent of a team; "
        "PLAYER plays its mates and the others.",
        "ddpzero play runs/quick --simulations 400",
    )
    play.add_argument("player", metavar="PLAYER", type=_path, help=_PLAYER_OR_RULE_AGENT)
    play.add_argument(
        "--mode", choices=("human", "ai"), default="human", help="a person plays, or agents (human)"
    )
    play.add_argument(
        "--opponent", metavar="PLAYER", type=_path, help="mode ai: the second player (the first)"
    )
    play.add_argument(
        "--colour",
        choices=("ask", "first", "second"),
        help="mode human: of the person, or its team (ask)",
    )
    _add_simulations(play)
    play.add_argument(
        "--delay",
        type=_seconds,
        help="mode ai: seconds between moves (0.5; in games for teams 0.1)",
    )
    play.add_argument("--seed", type=_not_negative, help="for the same game again (random)")
    _add_settings(play)


def _add_cache(commands: _Commands) -> None:
    parser = commands.add_parser("cache", help="Machine code that is kept on disk.")
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    clear = _add_command(
        kinds,
        "cache clear",
        "Delete the machine code of all games: it is compiled anew when it is needed. With --game also what an own "
        "game's folder holds.",
        "ddpzero cache clear",
    )
    _add_settings(clear)


def _add_monitor(commands: _Commands) -> None:
    monitor = _add_command(
        commands,
        "monitor",
        "Watch a run from another terminal until you press q: alive or not, its metrics, their curves.",
        "ddpzero monitor runs/quick",
    )
    monitor.add_argument(
        "run_dir", metavar="RUN", type=_path, help="folder of a run, or its name in runs/"
    )
    monitor.add_argument("--interval", type=_seconds, help="seconds between looks (2)")
    monitor.add_argument("--once", action="store_true", help="look once and leave")
    monitor.add_argument("--json", action="store_true", help="look once, one line of JSON")


def _add_completion(commands: _Commands) -> None:
    completion = _add_command(
        commands,
        "completion",
        "Print a script that lets the shell complete commands, options, runs and settings.",
        "source <(ddpzero completion bash)",
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    completion.add_argument("--line", help=argparse.SUPPRESS)  # what the script asks


def _add_command(
    commands: _Commands, name: str, help_text: str, example: str
) -> argparse.ArgumentParser:
    """name: all its words; the last is the one that `commands` chooses by."""
    parser = commands.add_parser(
        name.split()[-1],
        help=help_text,
        description=help_text,
        epilog=f"example: {example}",
    )
    parser.set_defaults(command=name, command_parser=parser, reads=(), game=None, config_dir=None)
    return parser


def _add_settings(parser: argparse.ArgumentParser, reads: Sequence[str] = _READS_GAME) -> None:
    """reads: the settings that have an effect on the command; see _READS_GAME."""
    parser.set_defaults(reads=reads)
    parser.add_argument("--game", type=_name, help="a yaml of conf/game; short for game=GAME")
    parser.add_argument(
        "--config-dir", metavar="DIR", type=_path, help="a folder like conf/, searched first"
    )
    # Only for the help: parse_arguments has taken them out, and refuses whatever is left over here.
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        default=[],
        help="settings as for training, e.g. game.size=9",
    )


def _add_simulations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--simulations",
        metavar="N",
        type=_not_negative,
        help="of runs, per move; 0: the bare network (the run's own)",
    )


def _add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_not_negative, default=0, help="of all random choices (0)")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=_JSON_HELP)


def _path(text: str) -> str:
    """A ~ is the home also where a shell has not replaced it; names of players are no paths and stay what they are."""
    return os.path.expanduser(_name(text))


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return text


def _positive(text: str) -> int:
    return _whole_number(text, at_least=1)


def _not_negative(text: str) -> int:
    return _whole_number(text, at_least=0)


def _numbers(text: str) -> list[int]:
    return [_not_negative(part) for part in text.split(",")]


def _whole_number(text: str, at_least: int) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST))
    if not (is_number and at_least <= int(text) <= _MOST):
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is not a whole number from {at_least} to {_MOST}"
        )
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text[:80]!r} is not a number of seconds from 0 to {_MOST_SECONDS}"
        )
    return seconds
