"""The program `ddpzero`: what reaches the tools, and what a person gets to see of a mistake."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields

import pytest

from ddpzero.cli import commands as cli
from ddpzero.cli import commands_of_agents
from ddpzero.cli.arguments import make_parser, parse_arguments
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.evaluators.answers import EvaluationError
from ddpzero.games.core.player_errors import PlayerError
from ddpzero.play.strength import PLAY_SIMULATIONS
from ddpzero.system.errors import EXIT_CODE_OF_FAILURE
from tests.recorded import recorded_games

COMMANDS = {
    "verify rules": ["verify", "rules", "a.npz"],
    "verify snakes": ["verify", "snakes", "a.npz"],
    "verify contract": ["verify", "contract"],
    "cache clear": ["cache", "clear"],
    "bench rules": ["bench", "rules"],
    "bench search": ["bench", "search"],
    "bench learner": ["bench", "learner"],
    "bench checkpoint": ["bench", "checkpoint"],
    "bench memory": ["bench", "memory"],
    "bench all": ["bench", "all", "--report", "a.md"],
    "bench scaling": ["bench", "scaling", "--ranks", "1,2"],
    "bench peers": ["bench", "peers"],
    "match": ["match", "runs/a", "random"],
    "judge": ["judge", "a.npz", "runs/a"],
    "games": ["games", "runs/a"],
    "grow": ["grow", "runs/a", "network.blocks=4", "--output", "runs/b"],
    "export": ["export", "runs/a", "--onnx", "a.onnx"],
    "play": ["play", "runs/a"],
    "web": ["web", "runs/a"],
    "review": ["review", "a.sgf", "runs/a"],
    "gtp": ["gtp", "runs/a"],
    "monitor": ["monitor", "runs/a"],
    "ablate": ["ablate", "a.yaml"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_known_and_says_how_to_use_it(name, capsys):
    assert parse_arguments(COMMANDS[name]).command == name
    with pytest.raises(SystemExit) as caught:
        cli.main([*name.split(), "--help"])
    assert caught.value.code == 0
    assert "example: ddpzero" in capsys.readouterr().out


@pytest.mark.parametrize("group", ["bench", "verify", "cache"])
def test_a_group_of_commands_says_what_it_is_for(group, capsys):
    with pytest.raises(SystemExit):
        cli.main([group, "--help"])
    usage, _, text = capsys.readouterr().out.partition("\n\n")
    assert usage.startswith("usage:") and not text.startswith("options:")
    assert f"example: ddpzero {group} " in text


@pytest.mark.parametrize("command", ["play", "review", "gtp", "match"])
def test_a_player_may_be_the_best_model(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert "RUN@best" in capsys.readouterr().out


def test_the_help_names_the_simulations_of_play(capsys):
    with pytest.raises(SystemExit):
        cli.main(["play", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"(default: {PLAY_SIMULATIONS}, or what the time allows)" in shown


def test_play_says_at_once_what_it_waits_for(capsys):
    cli.main(["play", "no-such-run"])
    assert capsys.readouterr().out.startswith("starting (the first time with a game takes")


def parsers_of(parser):
    """The parsers of all commands that the help of this one lists."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for of_command in action.choices.values():
                yield of_command
                yield from parsers_of(of_command)


def test_every_command_is_run_by_the_function_of_its_name():
    run_by = {
        parser.get_default("command"): parser.get_default("do").__name__
        for parser in parsers_of(make_parser())
        if parser.get_default("do") is not None
    }
    assert {*COMMANDS} < {*run_by}
    assert run_by == {name: f"do_{name.replace(' ', '_')}" for name in run_by}


def test_without_a_command_the_help_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 2
    assert "ddpzero match runs/quick rollout:1000" in capsys.readouterr().out


def test_settings_may_stand_anywhere_on_the_line():
    expected = ["+experiment=gomoku", "++game.size=9", "game.rule=x", "~game.line"]
    for words in (
        ["verify", "rules", *expected, "a.npz", "--game", "x"],
        ["verify", "rules", "a.npz", *expected[:2], "--game", "x", *expected[2:]],
    ):
        options = parse_arguments(words)
        assert (options.file, options.game, options.overrides) == ("a.npz", "x", expected)


def test_a_path_with_an_equals_sign_is_a_path():
    assert parse_arguments(["verify", "rules", "data/lr=3/a.npz"]).file == "data/lr=3/a.npz"


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["judge", "a.npz", "runs/a", "game=gomoku"], "game=gomoku: judge takes no settings"),
        (
            ["match", "a", "b", "--games", "many"],
            "'many' is not an even number of at least 2",
        ),
        (
            ["match", "a", "b", "--games", "0"],
            "'0' is not an even number of at least 2",
        ),
        (["match", "a", "b", "--games", "7"], "'7' is not an even number of at least 2"),
        (["judge", "a.npz", "runs/a", "--simulations", "0,-1"], "'-1' is not a whole number"),
        (["games", "a", "--limit", "0"], "--limit: '0' is not a whole number of at least 1; see"),
        (
            ["games", "a", "--show", "9" * 30],
            "is not a whole number of at most 9223372036854775807;",
        ),
        (["games", "verify"], "ddpzero: games: verify needs a FOLDER of games, or a RUN; see"),
        (["games", "a", "b"], "ddpzero: games: unexpected words: b; give one RUN, or verify and"),
        (["games", "verify", "a", "b"], "games: unexpected words: b; give one RUN, or verify and"),
        (["games", "a", "--show", "1", "--statistics"], "--show and --statistics exclude each"),
        (["games", "a", "--export", "x.txt", "--statistics"], "--statistics and --export exclude"),
        (["games", "verify", "a", "--json"], "--json has no effect on games verify, which"),
        (["games", "verify", "a", "--show", "1"], "--show has no effect on games verify, which"),
        (["games", "verify", "a", "--plies", "1-2"], "--plies has no effect on games verify"),
        (["games", "a", "--show", "1", "--limit", "3"], "--limit has no effect on --show; remove"),
        (["games", "a", "--show", "1", "--model", "b"], "--model has no effect on --show; remove"),
        (["games", "a", "--statistics", "--limit", "3"], "--limit has no effect on --statistics;"),
        (["games", "a", "--export", "x.txt", "--json"], "--json has no effect on --export; remove"),
        (["monitor", "runs/a", "--interval", "soon"], "'soon' is not a number of seconds"),
        (
            ["mach", "a", "b"],
            "'mach' is not a command; the commands are train, verify, doctor, tune, bench, cache, match",
        ),
        (["game=hex"], "COMMAND is missing; the commands are train, verify, doctor, tune, bench"),
        (
            ["bench", "=5"],
            "bench: '=5' is not a command; the commands are rules, search, learner, evaluator, pipeline, "
            "checkpoint, memory, scaling, peers, serve, all; see",
        ),
        (
            ["bench", "foo"],
            "bench: 'foo' is not a command; the commands are rules, search, learner",
        ),
        (["bench", "game=hex"], "bench: WHAT is missing; the commands are rules, search, learner"),
        (["bench", "search", "=5"], "bench search: =5 has no key before the =; write key="),
        (["verify", ""], "verify: '' is not a command; the commands are rules, snakes, contract"),
        (["match", "a"], "the following arguments are required: B; see"),
        (["match", "a", "game=hex"], "the following arguments are required: B; see"),
        (["--nosuch"], "ddpzero: there is no option --nosuch; see ddpzero --help"),
        (["match", "-x", "random"], "match: there is no option -x; see ddpzero match --help"),
        (["monitor", "-x"], "monitor: there is no option -x; see"),
        (
            ["match", "a=b", "random"],
            "required: B; a=b is a setting; if it is a path, write ./a=b; see",
        ),
        (
            ["verify", "algorithm", "a=b.py"],
            "a=b.py is a setting; if it is a path, write ./a=b.py;",
        ),
        (
            ["bench", "rules", "--game", "a=b"],
            "expected one argument; a=b is a setting; if it is the argument, write --game=a=b; see",
        ),
        (["match", "a", "b", "--foo"], "match: there is no option --foo; see ddpzero match --help"),
        (
            ["match", "a", "b", "--game", "hex", "+game=go"],
            "--game hex and +game=go both name a game",
        ),
        (
            ["play", "a", "b"],
            "unexpected words: b; with --mode ai, name the second player by --opponent",
        ),
        (["match", "", "random"], "argument A: '' is an empty name"),
        (
            ["match", "a", "b", "search.num_simulations=9"],
            "search.num_simulations=9 has no effect on match, which reads game, experiment",
        ),
        (["verify", "contract", "+hardware=cpu"], "+hardware=cpu has no effect on verify contract"),
        (["bench", "rules", "++search=puct"], "++search=puct has no effect on bench rules"),
        (
            ["bench", "search", "network.blocks=4"],
            "network.blocks=4 has no effect on bench search without a network",
        ),
        (
            ["bench", "search", "seed=3"],
            "seed=3 has no effect on bench search; write --seed N",
        ),
        (
            ["bench", "evaluator", "evaluator=local"],
            "evaluator=local has no effect on bench evaluator",
        ),
        (["bench", "memory", "evaluator=local"], "evaluator=local has no effect on bench memory"),
        (["bench", "learner", "actors.num_games=3"], "actors.num_games=3 has no effect on"),
        (["match", "a", "b", "--config-dir", "c"], "--config-dir c has no effect on match without"),
        (["monitor", "a", "--once", "--interval", "3"], "--interval 3 has no effect with --once"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_says_why(words, fragment, capsys):
    assert fragment in refusal(words, capsys)


@pytest.mark.parametrize("setting", [field.name for field in fields(ContributeSettings)])
def test_contribute_takes_each_of_its_settings(setting):
    assert parse_arguments(["contribute", "http://x", f"{setting}=1"]).overrides == [f"{setting}=1"]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["contribute", "http://x", "num_actor=1"], "Did you mean contribute.num_actors?"),
        (["serve", "collection", "serve.prt=1"], "Did you mean serve.port?"),
        (["serve", "collection", "prt=1"], "they begin with serve., as in serve.port=9000"),
    ],
)
def test_a_wrong_setting_of_serve_or_contribute_gets_a_hint(
    words, fragment, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert fragment in line and not list(tmp_path.iterdir())


def refusal(words, capsys):
    """The one line that a wrong command line is answered with, and the exit code 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ddpzero: ") and " --help" in line
    return line


def takes_text(action):
    """Whether an argument of a command takes what a person writes, and not one of a few words."""
    return action.nargs != 0 and action.choices is None and action.dest != "overrides"


def arguments_of_commands():
    """(words, name of an argument): each argument of each command that takes text, given as an empty one."""
    for name, words in COMMANDS.items():
        parser = parse_arguments(words).command_parser
        num_names = len(name.split())
        positions = [action for action in parser._actions if not action.option_strings]
        for action in filter(takes_text, parser._actions):
            if action.option_strings:
                yield [*words, f"{action.option_strings[0]}="], action.option_strings[0]
            else:
                place = num_names + positions.index(action)
                yield [*words[:place], " ", *words[place + 1 :]], action.metavar


@pytest.mark.parametrize(
    ("words", "argument"), list(arguments_of_commands()), ids=lambda value: "".join(value)
)
def test_an_empty_argument_is_refused_by_its_name(words, argument, capsys):
    assert f"argument {argument}: " in refusal(words, capsys)


# These take any number of words.
TAKES_WORDS = ("judge", "games", "web")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in TAKES_WORDS])
def test_unexpected_words_are_refused(name, capsys):
    assert refusal([*COMMANDS[name], "b", "", "c"], capsys).startswith(
        f"ddpzero: {name}: unexpected words: b '' c"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["evaluator=network", "network.blocks=4", "actors.precision=float32", "device=cpu"],
        ["search=puct", "search.c_puct=2", "actors.num_games=4", "+hardware=cpu"],
    ],
)
def test_settings_that_a_benchmark_reads_are_taken(words):
    assert parse_arguments(["bench", "search", *words]).overrides == words


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["verify", "rules", "nowhere.npz"], "nowhere.npz"),
        (["verify", "snakes", "go5"], "go5 are for another command: ddpzero verify rules go5."),
        (["verify", "rules", "snakes3v3_ends.npz"], "ddpzero verify snakes snakes3v3_ends."),
        (["bench", "search", "game=snakes"], "game=snakes is a team game"),
        (["verify", "rules", "go5", "--game", "conect_four"], "Did you mean game=connect_four?"),
        (["bench", "rules", "game.rows=99"], "game.rows=99"),
        (["match", "runs/nowhere", "random", "--game", "tic_tac_toe"], "runs/nowhere"),
        (["match", "random", "rollout:2"], "--game"),
        (["judge", "nowhere.npz", "random"], "nowhere.npz"),
        (["play", "runs/nowhere", "--mode", "ai"], "runs/nowhere"),
        (["monitor", "runs/nowhere"], "runs/nowhere"),
        (
            ["web", "runs/nowhere", "--port", "0"],
            "'runs/nowhere' is neither a run nor a checkpoint",
        ),
        (["web", "--game", "snake", "--port", "0"], "Did you mean game=snakes?"),
        (["bench", "search", "evaluator=oracle", "game=tic_tac_toe"], "evaluator=oracle"),
        (
            ["match", "random", "rollout:9", "--game", "tic_tac_toe", "--simulations", "3"],
            "num_simulations=3 (--simulations) applies to trained agents, and none plays here (random, rollout:9)",
        ),
        (
            ["judge", "hex3", "random", "--simulations", "0,4"],
            "num_simulations=0,4 (--simulations) applies to trained agents, and none plays here (random)",
        ),
        (["play", "greedy", "--game", "snakes", "--simulations", "3"], "do not search"),
        (["play", "random", "--game", "tic_tac_toe", "--delay", "1"], "delay=1.0 is for mode=ai"),
        (
            ["play", "random", "--game", "hex", "--mode", "ai", "--color", "first"],
            "color=first is for mode=human",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_a_mistake_is_one_sentence_and_exit_code_2(words, fragment, capsys):
    assert cli.main(words) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("ddpzero: ")
    assert fragment in sentence
    assert "Traceback" not in sentence


def test_verify_rules_counts_checks_and_succeeds(capsys):
    assert (
        cli.main(["verify", "rules", str(recorded_games("tic_tac_toe")), "--game", "tic_tac_toe"])
        == 0
    )
    assert " 0 mismatches" in capsys.readouterr().out


def test_verify_contract_plays_the_game_of_the_settings(capsys):
    assert cli.main(["verify", "contract", "game=gomoku", "game.size=5", "--games", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("contract of gomoku (") and "): 2 games, " in printed
    assert "of max_plies=25\n" in printed and printed.endswith("\nno violations\n")


def test_bench_prints_one_line_of_json_per_figure(capsys):
    assert cli.main(["bench", "rules", "--game", "tic_tac_toe", "--seconds", "0.1", "--json"]) == 0
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"bench", "game", "figure", "value", "unit"} <= figures[0].keys()
    assert figures[0]["figure"] == "steps_per_second"
    assert figures[0]["value"] > 0


def test_match_plays_the_game_that_is_named(capsys):
    words = ["match", "rollout:20", "random", "--game", "tic_tac_toe", "--games", "4", "--json"]
    assert cli.main(words) == 0
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "score" in {figure["figure"] for figure in figures}


def test_a_failure_of_ours_is_one_sentence_and_one_of_nobody_is_a_traceback(monkeypatch, capsys):
    def fail(error):
        def command(options):
            raise error

        monkeypatch.setattr(commands_of_agents, "do_monitor", command)
        return cli.main(["monitor", "runs/a"])

    assert fail(PlayerError("player toy broke the rules.")) == EXIT_CODE_OF_FAILURE == 1
    assert capsys.readouterr().err == "ddpzero: player toy broke the rules.\n"
    assert fail(EvaluationError("the network of a answered\nwith NaN.")) == 1
    assert capsys.readouterr().err == "ddpzero: the network of a answered with NaN.\n"
    with pytest.raises(NotImplementedError):
        fail(NotImplementedError("a bug"))
