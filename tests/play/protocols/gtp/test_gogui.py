"""Facts about what GoGui reads: its readers of answers, boards and points are modeled here as its sources have them."""

from __future__ import annotations

import pytest

from ddpzero.games import load_game
from tests.play.protocols.gtp.scripted import Conversation

COLUMNS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"
GAMES = [
    ("connect_four", {}),
    ("connect_four", {"rows": 6, "columns": 5}),
    ("dots_and_boxes", {"rows": 2, "columns": 3}),
    ("gomoku", {"size": 11}),
    ("hex", {"size": 11, "swap": True}),
    ("othello", {"size": 10}),
    ("tic_tac_toe", {}),
]


def read(answer):
    """Return the text of an answer as GoGui takes it: all that follows its first blank."""
    assert answer.startswith("=") and answer.endswith("\n\n")
    _, blank, text = answer[:-2].partition(" ")
    return text if blank else answer[1:-2]


def board_of(text, size):
    """Return the rows of a board: GoGui skips all but X, O, the dot and the ends of lines."""
    rows = "".join(sign for sign in text if sign in "XO.\n").strip("\n").split("\n")
    assert len(rows) == size
    return rows


def point_of(name, size):
    """Return GoGui's own name of a point that it has read, in which the letter of a column has no I."""
    column = ord(name[0].upper()) - ord("A") - (name[0].upper() >= "J")
    assert 0 <= column < size and 1 <= int(name[1:]) <= size
    return f"{COLUMNS[column]}{int(name[1:])}"


@pytest.mark.parametrize(("name", "parameters"), GAMES)
def test_gogui_finds_every_legal_move_and_sees_each_stone_where_it_was_put(name, parameters):
    talk = Conversation(load_game(name, **parameters), max_size=11)
    assert read(talk.say("gogui-rules_game_id")) == name
    size = int(read(talk.say("gogui-rules_board_size")))
    for _ in range(12):
        legal = read(talk.say("gogui-rules_legal_moves"))
        points = [point_of(move, size) for move in legal.split()]
        if not points:
            break
        assert len(set(points)) == len(points)
        # As text, so that upper case and the letters count.
        assert all(point in legal.split() for point in points)
        analyzed = talk.say("lz-analyze").split("info move ")[1:]
        assert analyzed and all(line.split()[0] in legal.split() for line in analyzed)
        color = read(talk.say("gogui-rules_side_to_move"))
        point = points[len(points) // 2]
        assert talk.say(f"play {color[0].upper()} {point}") == "=\n\n"
        rows = board_of(read(talk.say("gogui-rules_board")), size)
        assert all(len(row) == size for row in rows)
        assert rows[size - int(point[1:])][COLUMNS.index(point[0])] == "XO"[color == "white"]


def test_the_first_row_of_a_board_of_numbers_is_read_as_well():
    talk = Conversation(load_game("go", size=5))
    rows = read(talk.say("7 ddpzero-policy")).strip("\n").split("\n")
    assert [len(row.split()) for row in rows] == [5] * 5


def test_a_swap_in_hex_is_the_point_of_the_stone():
    talk = Conversation(load_game("hex", size=9, swap=True))
    talk.say("gogui-rules_game_id")
    talk.say("play b J4")
    assert "J4" in read(talk.say("gogui-rules_legal_moves")).split()
    assert talk.say("play w J4") == "=\n\n"
    # It is reflected, and white's now.
    assert board_of(read(talk.say("gogui-rules_board")), 9)[0] == "...O....."


def test_a_program_that_never_asks_for_the_rules_has_the_names_of_mohex():
    talk = Conversation(load_game("hex", size=11), max_size=11)
    assert talk.say("play b i3") == talk.say("play w j3") == "=\n\n"
    assert talk.say("genmove b") == "= a1\n\n"
    assert "i" in talk.say("showboard").splitlines()[1]
