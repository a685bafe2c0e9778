"""Command lines with known answers: tests/data/gtp has a session per file, malformed lines among them."""

from __future__ import annotations

import pytest

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.search import SearchSettings
from tests.places import REPO
from tests.play.protocols.gtp.scripted import Conversation, exchanges

GAMES = {
    "protocol": ("go", {"size": 5}),
    "go": ("go", {"size": 5}),
    "go_rules": ("go", {"size": 5}),
    "othello": ("othello", {"size": 4}),
    "hex": ("hex", {"size": 3, "swap": True}),
    "gogui_othello": ("othello", {"size": 4}),
    "gogui_hex": ("hex", {"size": 9, "swap": True}),
    "gomoku": ("gomoku", {"size": 9}),
    "connect_four": ("connect_four", {}),
    "dots_and_boxes": ("dots_and_boxes", {"rows": 1, "columns": 2}),
}
MAX_SIZES = {"othello": 4, "hex": 3}
# What GoGui, Sabaki, gogui-twogtp, Lizzie, CGOS and kgsGtp ask for.
EXPECTED = """
    protocol_version name version known_command list_commands quit boardsize clear_board komi play genmove reg_genmove
    undo gg-undo time_settings time_left kgs-time_settings kata-time_settings final_score final_status_list loadsgf
    fixed_handicap place_free_handicap set_free_handicap kgs-rules kata-get-rules kata-set-rules kata-set-rule
    lz-analyze lz-genmove_analyze kata-analyze kata-genmove_analyze cgos-genmove_analyze kgs-genmove_cleanup showboard
    rectangular_boardsize get_komi set_position clear_cache stop cputime kata-raw-nn kata-get-param kata-set-param
    gogui-analyze_commands gogui-interrupt gogui-setup gogui-setup_player gogui-play_sequence
"""
DATA = REPO / "tests" / "data" / "gtp"


# Compiles the rules of many variations.
SLOW = pytest.param("go_rules", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [SLOW if name == "go_rules" else name for name in GAMES])
def test_every_command_line_has_the_answer_that_is_known(name):
    game_name, parameters = GAMES[name]
    talk = Conversation(load_game(game_name, **parameters), MAX_SIZES.get(name, 9))
    wrong = [
        f"{name}.txt, line {number}: {line!r} is answered with {answer!r} instead of {expected!r}"
        for number, line, expected in exchanges(DATA / f"{name}.txt")
        if (answer := talk.say(line)) != expected
    ]
    assert wrong == []
    # The last line is quit.
    assert not talk.is_open


def test_there_are_more_than_two_hundred_of_them_and_every_command_of_go_is_among_them():
    lines = {name: [e.line for e in exchanges(DATA / f"{name}.txt")] for name in GAMES}
    assert sum(map(len, lines.values())) > 400
    said = {
        word
        for name in ("protocol", "go", "go_rules")
        for line in lines[name]
        for word in line.split()
    }
    go = Conversation(load_game("go", size=5)).session.commands
    assert set(go) - said <= {"list_commands", "cputime"}


def test_it_lists_its_commands_and_knows_each_of_them():
    talk = Conversation(load_game("go", size=5))
    answer = talk.say("list_commands")
    assert answer.startswith("= protocol_version\n") and answer.endswith("\n\n")
    listed = answer[2:].split()
    for name in EXPECTED.split():
        assert name in listed
        assert talk.say(f"known_command {name}") == "= true\n\n"
    assert len(set(listed)) == len(listed)


def test_games_without_komi_and_handicap_do_not_list_them():
    listed = Conversation(load_game("tic_tac_toe")).say("list_commands").split()
    assert "gogui-rules_legal_moves" in listed
    assert not {"komi", "fixed_handicap", "final_status_list", "kgs-rules"} & set(listed)


def test_any_line_is_answered_at_most_once_and_ends_with_one_empty_line():
    talk = Conversation(load_game("tic_tac_toe"))
    words = ["play", "b", "w", "a1", "5", "-1", "#", "\x00", "é", "genmove", "{", "undo", "999999"]
    for first in [*talk.session.commands, "", "7", "nosuch"]:
        if first in ("quit", "list_commands"):
            continue
        for second in words:
            answer = talk.say(f"{first} {second} {words[len(first) % len(words)]}")
            assert answer == "" or (answer[0] in "=?" and answer.endswith("\n\n"))
            assert answer.count("\n\n") <= 1 and "Traceback" not in answer
            assert "internal error" not in answer
    assert talk.is_open


def test_a_broken_network_is_an_error_of_its_command_alone(capsys):
    class Broken:
        name, uses_chance = "broken", False

        def __init__(self, game):
            pass

        def choose(self, positions, rng):
            raise NotImplementedError

        def analyze(self, positions, rng):
            raise KeyError("weights")

    talk = Conversation(load_game("tic_tac_toe"), make_player=Broken)
    assert talk.say("play b b2") == "=\n\n"
    assert talk.say("3 genmove w").startswith("?3 player broken failed: KeyError: 'weights'")
    # An answer that has begun ends, and stderr has the sentence.
    assert talk.say("lz-analyze w") == "=\n\n"
    assert "player broken failed" in capsys.readouterr().err
    assert talk.say("undo") == "=\n\n"


def test_an_error_of_ours_is_written_to_stderr_and_the_session_goes_on(capsys, monkeypatch):
    talk = Conversation(load_game("tic_tac_toe"))
    monkeypatch.setitem(talk.session.commands, "name", lambda session, request: [][0])
    assert talk.say("name") == "? internal error: IndexError\n\n"
    assert "Traceback" in capsys.readouterr().err
    assert talk.say("protocol_version") == "= 2\n\n"


def test_a_limit_of_visits_beyond_all_memory_is_none():
    def make_player(game):
        network = make_network(game, NetworkSettings(blocks=1, channels=8))
        settings = SearchSettings(num_simulations=10)
        return AlphaZeroPlayer(game, network, settings, "agent", "cpu", "float32")

    conversation = Conversation(load_game("tic_tac_toe"), make_player=make_player)
    assert conversation.say("kata-set-param maxVisits 1000000000000") == "=\n\n"
    assert conversation.say("kata-get-param maxVisits") == "= 1000000000000\n\n"
    conversation.say("kata-set-param maxTime 0.1")
    assert conversation.say("clear_board") == "=\n\n"
    assert conversation.say("genmove b").startswith("= ")


def test_a_property_without_a_value_means_nothing(tmp_path):
    go = Conversation(load_game("go", size=9))
    file = tmp_path / "game.sgf"
    file.write_text("(;GM PL SZ[9]C;B[aa])")
    assert go.say(f"loadsgf {file}") == "=\n\n"
