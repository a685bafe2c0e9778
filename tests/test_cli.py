"""The program `ddpzero`: what reaches the tools, and what a person gets to see of a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddpzero import cli
from ddpzero.cli_arguments import parse_arguments

TRACES = Path(__file__).parent / "data" / "games"

COMMANDS = {
    "verify rules": ["verify", "rules", "a.npz"],
    "verify contract": ["verify", "contract"],
    "bench rules": ["bench", "rules"],
    "bench search": ["bench", "search"],
    "bench learner": ["bench", "learner"],
    "match": ["match", "runs/a", "random"],
    "judge": ["judge", "a.npz", "runs/a"],
    "play": ["play", "runs/a"],
    "monitor": ["monitor", "runs/a"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_known_and_says_how_to_use_it(name, capsys):
    assert parse_arguments(COMMANDS[name]).command == name
    with pytest.raises(SystemExit) as caught:
        cli.main([*name.split(), "--help"])
    assert caught.value.code == 0
    assert "example: ddpzero" in capsys.readouterr().out


def test_without_a_command_the_help_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 2
    assert "ddpzero match runs/quick rollout:1000" in capsys.readouterr().out


def test_settings_may_stand_anywhere_on_the_line():
    expected = ["game=gomoku", "game.size=9", "+hardware=cpu", "~seed"]
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
            "'many' is not a whole number from 1 to 9223372036854775807",
        ),
        (
            ["match", "a", "b", "--games", "0"],
            "'0' is not a whole number from 1 to 9223372036854775807",
        ),
        (["judge", "a.npz", "runs/a", "--simulations", "0,-1"], "'-1' is not a whole number"),
        (["monitor", "runs/a", "--interval", "soon"], "'soon' is not a number of seconds"),
        (["mach", "a", "b"], "invalid choice: 'mach'"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_says_why(words, fragment, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert fragment in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["verify", "rules", "nowhere.npz"], "nowhere.npz"),
        (["verify", "rules", "a.npz", "--game", "conect_four"], "Did you mean game=connect_four?"),
        (["bench", "rules", "game.rows=99"], "game.rows=99"),
        (["match", "runs/nowhere", "random", "--game", "tic_tac_toe"], "runs/nowhere"),
        (["match", "random", "rollout:2"], "--game"),
        (["judge", "nowhere.npz", "random"], "nowhere.npz"),
        (["play", "runs/nowhere", "--mode", "ai"], "runs/nowhere"),
        (["monitor", "runs/nowhere"], "runs/nowhere"),
        (["bench", "search", "evaluator=oracle", "game=tic_tac_toe"], "evaluator=oracle"),
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
        cli.main(["verify", "rules", str(TRACES / "tic_tac_toe.npz"), "--game", "tic_tac_toe"]) == 0
    )
    assert " 0 mismatches" in capsys.readouterr().out


def test_verify_contract_plays_the_game_of_the_settings(capsys):
    assert cli.main(["verify", "contract", "game=gomoku", "game.size=5", "--games", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("contract of gomoku (") and "): 2 games, " in printed
    assert "of max_plies=25\n" in printed and printed.endswith("\n0 violations\n")


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
