"""Facts about games as lines of moves."""

from __future__ import annotations

import numpy as np
import pytest

from ddpzero.games import load_game
from ddpzero.records import GameRecord, read_record, write_record
from ddpzero.records.move_list import moves_of_record, record_of_moves
from ddpzero.system.errors import UserError
from tests.places import OWN_GAMES


@pytest.fixture(scope="module")
def game():
    return load_game("connect_four", rows=5)


def test_what_was_written_is_read(game):
    record = GameRecord(game, (3, 3, 2), ("you", "runs/quick"), "B+R", {2: "hm", 0: "a\nb"}, "2026")
    text = moves_of_record(record)
    assert text.splitlines() == [
        "# game: connect_four rows=5 columns=7 line=4",
        "# first: you",
        "# second: runs/quick",
        "# result: first player won (the other resigned)",
        "# date: 2026",
        "# comment 0: a b",
        "# comment 2: hm",
        "d d c",
    ]
    read = record_of_moves(text)
    assert read.game.parameters == game.parameters
    assert (read.actions, read.names, read.result) == (record.actions, record.names, record.result)
    assert (read.comments, read.date) == ({0: "a b", 2: "hm"}, "2026")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("B+", "first player won"),
        ("W+", "second player won"),
        ("W+3.5", "second player won by 3.5"),
        ("B+T", "first player won (the other ran out of time)"),
        ("W+F", "second player won (by forfeit)"),
        ("0", "draw"),
    ],
)
def test_results_are_written_in_words_and_read_in_both_ways(game, result, words):
    text = moves_of_record(GameRecord(game, (3,), result=result))
    assert f"# result: {words}\n" in text
    assert record_of_moves(text).result == result
    assert record_of_moves(text.replace(words, result)).result == result


@pytest.mark.parametrize(
    "words", ["somebody won", "first player won it", "first player won by far"]
)
def test_words_that_are_no_result_are_none(game, words):
    assert record_of_moves(f"# result: {words}\nd d", game).result == ""


def test_a_game_without_moves_is_one(game):
    assert record_of_moves(moves_of_record(GameRecord(game, ()))).actions == ()


def test_moves_alone_are_enough_if_the_game_is_known(game):
    assert record_of_moves("  D d\tC ", game).actions == (3, 3, 2)


@pytest.mark.parametrize("text", ["1. d d 2. c", "1.d 1... d 2.c", "1. d 2. d 3. c"])
def test_moves_may_be_numbered(game, text):
    assert record_of_moves(text, game).actions == (3, 3, 2)


def test_lines_of_exported_games_are_read(game):
    text = "1\tfirst\td d c\n2\tdraw\tc c\n"
    first, second = (record_of_moves(text, game, number) for number in (1, 2))
    assert (first.actions, first.result) == ((3, 3, 2), "B+")
    assert (second.actions, second.result) == ((2, 2), "0")


def test_facts_belong_to_the_game_after_them(game):
    text = "# game: connect_four\n# first: a\nd\n# second: b\nc\n"
    first, second = (record_of_moves(text, None, number) for number in (1, 2))
    assert (first.names, second.names) == (("a", ""), ("", "b"))
    assert second.game.parameters.rows == 6


def test_a_game_from_outside_is_read_if_it_is_given():
    game = load_game("pairs", str(OWN_GAMES / "pairs.py"))
    actions = (int(np.flatnonzero(game.legal_actions(game.initial_position()))[0]),)
    text = moves_of_record(GameRecord(game, actions))
    assert record_of_moves(text, game).actions == actions
    with pytest.raises(UserError, match="'pairs' is no game of ddpzero: name the game"):
        record_of_moves(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the file has no line of moves: it is empty"),
        ("# game: connect_four\n", "line 1: the file has no line of moves\\."),
        ("d d", "line 1: the moves are of a game that the file does not name"),
        ("# game: connect_four\nd x", "line 2: move 2, x, is no move of connect_four: 'x' is not"),
        ("# game: connect_four rows=4\nd d d d d", "move 5, d, is not legal in connect_four with"),
        ("# game: connect_four\nd c d c d c d c", "move 8, c, comes after the end of the game"),
        ("# game: connect_four rows=x\nd", "rows=x is no value of this parameter"),
        ("# game: connect_four rows=1000000\nd", "game.rows=1000000"),
        ("# game: connect_four size=3\nd", "game.size is not a parameter of connect_four"),
        ("# game: go komi=nan size=5\nA1", "game.komi=nan"),
        ("# game:\nd", "'' is no game of ddpzero"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_with_the_place(text, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        record_of_moves(text)
    assert "\n" not in str(caught.value)


def test_a_list_of_another_game_is_refused(game):
    with pytest.raises(UserError, match="the game is hex, and not connect_four"):
        record_of_moves("# game: hex\na1", game)


def test_files_are_read_by_what_they_contain(game, tmp_path):
    record = GameRecord(game, (3, 3, 2))
    write_record(record, tmp_path / "a.txt")
    assert read_record(tmp_path / "a.txt").actions == record.actions
    (tmp_path / "b.txt").write_text("\n(;SZ[5];B[aa])")
    assert read_record(str(tmp_path / "b.txt")).game.name == "go"


def test_files_that_cannot_be_used_are_named(game, tmp_path):
    file = tmp_path / "a.sgf"
    with pytest.raises(UserError, match=r"a\.sgf cannot be read: No such file"):
        read_record(file)
    file.write_bytes(b"(;SZ[5]\n;B[zz])")
    with pytest.raises(UserError, match=r"a\.sgf, line 2: move 1, B\[zz\], is no move of go"):
        read_record(file)
    with pytest.raises(UserError, match=r"connect_four has no SGF format"):
        write_record(GameRecord(game, ()), file)
    with pytest.raises(UserError, match=r"ends in \.txt \(a list of moves\)"):
        write_record(GameRecord(game, ()), tmp_path / "a.pgn")
    with pytest.raises(UserError, match=r"ends in \.sgf or \.txt"):
        write_record(GameRecord(load_game("hex"), ()), tmp_path / "a.pgn")
    with pytest.raises(UserError, match="no file can be written in"):
        write_record(GameRecord(game, ()), tmp_path / "missing" / "a.txt")
