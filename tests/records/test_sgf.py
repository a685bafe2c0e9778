"""Facts about SGF, in and out. Go is also read by sgfmill, a reader of others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sgfmill import sgf as sgfmill

from ddpzero.games import load_game
from ddpzero.games.go.names import name_of_rules, rules_of_name
from ddpzero.records import GameRecord, record_of_sgf, result_at_end, sgf_of_record
from ddpzero.records.sgf import Notes, Variation
from ddpzero.records.sgf_text import decoded, main_line
from ddpzero.system.errors import UserError
from tests.places import OWN_GAMES


def actions_of(game, names):
    return tuple(game.parse_action(name) for name in names.split())


def names_of(record):
    return " ".join(map(record.game.action_name, record.actions))


def random_record(game, rng, most=80):
    position, actions = game.initial_position(), []
    while not game.is_terminal(position) and len(actions) < most:
        actions.append(int(rng.choice(game.possible_actions(position))))
        position = game.apply_action(position, actions[-1])
    return GameRecord(
        game=game,
        actions=tuple(actions),
        names=("first ]\\ player", "zweiter Spieler: Ä"),
        result=result_at_end(game, position),
        comments={0: "the beginning]", 2: "a \\ b\nanother line"},
        date="2026-12-31",
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("go", {"size": 5, "komi": -2.5, "ko": "situational", "suicide": True}),
        ("go", {"size": 9, "handicap": 3, "ko": "simple"}),
        ("othello", {"size": 6}),
        ("gomoku", {"size": 15, "exact_five": True}),
        ("hex", {"size": 5, "swap": True}),
    ],
)
def test_what_was_written_is_read(name, parameters):
    game = load_game(name, **parameters)
    record = random_record(game, np.random.default_rng(0))
    read = record_of_sgf(sgf_of_record(record))
    assert read.game.parameters == game.parameters
    assert (read.actions, read.comments) == (record.actions, record.comments)
    assert (read.names, read.result, read.date) == (record.names, record.result, record.date)


@pytest.mark.parametrize(("size", "handicap"), [(5, 0), (9, 3)])
def test_another_reader_understands_our_go(size, handicap):
    game = load_game("go", size=size, handicap=handicap, ko="simple")
    record = random_record(game, np.random.default_rng(1), most=60)
    read = sgfmill.Sgf_game.from_bytes(sgf_of_record(record).encode())
    root, moves = read.get_root(), [node.get_move() for node in read.get_main_sequence()[1:]]
    assert (read.get_size(), read.get_komi()) == (size, 7.5)
    assert (read.get_handicap() or 0, len(root.get_setup_stones()[0])) == (handicap, handicap)
    assert (root.get("PB"), root.get("PW")) == record.names
    colors = "wb" if handicap else "bw"
    assert moves == [
        (colors[ply % 2], None if action == size**2 else divmod(action, size))
        for ply, action in enumerate(record.actions)
    ]
    assert read.get_main_sequence()[2].get("C") == record.comments[2]


def test_we_understand_another_writers_go():
    written = sgfmill.Sgf_game(size=9)
    written.root.set("KM", 7.5)
    written.root.set("HA", 3)
    written.root.set("RU", "Chinese")
    written.root.set_setup_stones([(2, 2), (6, 6), (6, 2)], [])
    for color, move in [("w", (7, 3)), ("b", None), ("w", (2, 0))]:
        written.extend_main_sequence().set_move(color, move)
    record = record_of_sgf(written.serialise().decode())
    assert record.game.parameters == load_game("go", size=9, handicap=3, ko="simple").parameters
    assert names_of(record) == "D8 pass A3"


def test_the_margin_of_go_counts_komi():
    # Black owns the whole board: 25 points, less a komi of 7.5.
    game = load_game("go", size=5, komi=7.5, ko="simple")
    position = game.initial_position()
    for action in actions_of(game, "C3 pass pass"):
        position = game.apply_action(position, action)
    assert result_at_end(game, position) == "B+17.5"
    assert result_at_end(game, position, resigned=0) == "W+R"
    assert result_at_end(game, game.initial_position()) == ""


OLD = r"""some words before it
(;GaMe[1] SiZe[5] FF[3]KM[7,5] PB[Lee: the \[first\]]RE[White + Resign]
(;B[bb]C[a \
long word\]];W[tt](;B[cc])(;B[dd];W[aa]))
(;B[aa]))
(;FF[4]SZ[5:5];B[aa])"""


def test_the_first_variation_is_the_game():
    record = record_of_sgf(OLD)
    assert names_of(record) == "B4 pass C3"
    assert record.names == ("Lee: the [first]", "")
    assert (record.result, record.game.parameters.komi) == ("W+R", 7.5)
    assert record.comments == {1: "a long word]"}


def test_a_file_may_hold_several_games():
    assert names_of(record_of_sgf(OLD, number=2)) == "A5"
    with pytest.raises(UserError, match="line 6: the file has no game 3, only 2"):
        record_of_sgf(OLD, number=3)


def test_the_file_decides_on_the_board_and_the_given_game_on_the_rest():
    game = load_game("go", size=9, komi=0.5, ko="simple", history=2)
    record = record_of_sgf("(;GM[1]SZ[5]RU[Tromp-Taylor];B[aa])", game)
    found = record.game.parameters
    assert (found.size, found.komi, found.history) == (5, 0.5, 2)
    assert (found.ko, found.suicide) == ("positional", True)


def test_a_board_of_go_without_a_size_has_19_lines():
    assert record_of_sgf("(;GM[1]RU[Japanese])", load_game("go", size=5)).game.parameters.size == 19


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("Japanese", ("simple", False)),
        ("tromp-taylor", ("positional", True)),
        ("New Zealand", ("situational", True)),
        ("nz", ("situational", True)),
        ("AGA rules", ("situational", False)),
        ("koSITUATIONALscoreAREAtaxNONEsui0whbN-1", ("situational", False)),
        ("Calvinball", None),
        ("", None),
    ],
)
def test_rules_of_go_have_names(name, rules):
    assert rules_of_name(name) == rules


def test_rules_of_unknown_names_are_those_of_the_given_game():
    game = load_game("go", size=5, ko="simple")
    assert record_of_sgf("(;SZ[5]RU[Calvinball])", game).game.parameters == game.parameters


@pytest.mark.parametrize("ko", ["simple", "positional", "situational"])
@pytest.mark.parametrize("suicide", [False, True])
def test_the_names_that_are_written_are_read(ko, suicide):
    assert rules_of_name(name_of_rules(ko, suicide)) == (ko, suicide)


def test_a_game_longer_than_the_limit_of_the_given_one_is_read():
    game = load_game("go", size=5, max_plies=2, ko="simple")
    record = record_of_sgf("(;SZ[5];B[aa];W[bb];B[cc];W[dd])", game)
    assert len(record.actions) == 4


def test_passes_after_the_end_are_left_out():
    record = record_of_sgf("(;SZ[5];B[aa];W[];B[];W[tt];B[])")
    assert names_of(record) == "A5 pass pass"


def test_passes_of_othello_need_not_be_written():
    game = load_game("othello", size=4)
    rng = np.random.default_rng(0)
    while True:
        record = random_record(game, rng)
        if record.actions.count(16) >= 2:
            break
    text = sgf_of_record(record)
    assert "B[]" in text or "W[]" in text
    read = record_of_sgf(text.replace(";B[]", "").replace(";W[]", ""))
    assert read.actions == record.actions


@pytest.mark.parametrize("word", ["swap", "swap-pieces"])
def test_hex_knows_the_swap_and_the_words_for_the_end(word):
    record = record_of_sgf(f"(;GM[11]SZ[5];B[b1];W[{word}];B[c3];W[resign])")
    assert record.game.parameters.swap
    assert (names_of(record), record.result) == ("b1 b1 c3", "B+R")
    assert ";W[swap-pieces]" in sgf_of_record(record)


def test_othello_may_set_up_its_start():
    text = "(;GM[2]SZ[8]AB[ed][de]AW[dd][ee]PL[B];B[dc])"
    assert names_of(record_of_sgf(text)) == "d3"


def test_a_game_from_outside_is_read_by_the_same_functions(tmp_path):
    text = (OWN_GAMES / "pairs.py").read_text()
    file = tmp_path / "pairs_with_sgf.py"
    file.write_text(
        f"{text}\n\ndef sgf_header(parameters):\n    return 'GM[99]SZ[4]'\n\n\n"
        "def sgf_point(parameters, action):\n    return f'p{action}'\n"
    )
    game = load_game("pairs", str(file))
    record = random_record(game, np.random.default_rng(0))
    assert record_of_sgf(sgf_of_record(record), game).actions == record.actions
    with pytest.raises(UserError, match=r"GM\[99\] is not a game of ddpzero"):
        record_of_sgf(sgf_of_record(record))


def test_variations_stand_beside_the_game():
    game = load_game("go", size=5, ko="simple")
    record = GameRecord(game, actions_of(game, "C3 B2 A1 E5"))
    notes = {
        0: Notes("a comment", "GB[1]"),
        1: Notes(variations=[Variation(actions_of(game, "D4 A1"), "C[better]")]),
        3: Notes(variations=[Variation(actions_of(game, "A2"))]),
        4: Notes("the end"),
    }
    text = sgf_of_record(record, notes)
    assert record_of_sgf(text).actions == record.actions
    read = sgfmill.Sgf_game.from_string(text)
    first = read.get_root()[0]
    assert (read.get_root().get("C"), read.get_root().get("GB")) == ("a comment", 1)
    assert [child.get_move() for child in first] == [("w", (1, 1)), ("w", (3, 3))]
    assert (first[1].get("C"), first[1][0].get_move()) == ("better", ("b", (0, 0)))
    assert [child.get_move() for child in first[0][0]] == [("w", (4, 4)), ("w", (1, 0))]


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("UTF-8", "Ä 棋"),
        ("gb2312", "棋盘"),
        # The second byte of this character is a backslash.
        ("Shift_JIS", "表]"),
        ("ISO-8859-1", "Ä"),
    ],
)
def test_names_in_the_charset_of_the_file(charset, text):
    escaped = text.replace("]", "\\]")
    content = f"(;CA[{charset}]SZ[5]PB[{escaped}];B[aa])".encode(charset)
    record = record_of_sgf(decoded(content))
    assert record.names[0] == text


@pytest.mark.parametrize(
    "content",
    [
        "(;SZ[5]PB[Ä];B[aa])".encode(),
        "(;SZ[5]PB[Ä];B[aa])".encode("latin-1"),
        "(;SZ[5]PB[Ä];B[aa])".encode("utf-8-sig"),
        "(;SZ[5]PB[Ä];B[aa])".encode("utf-16"),
        # No charsets, or none that may be asked for.
        "(;CA[idna]SZ[5]PB[Ä];B[aa])".encode(),
        "(;CA[nonsense]SZ[5]PB[Ä];B[aa])".encode(),
    ],
)
def test_a_charset_is_guessed_where_none_is_named(content):
    assert record_of_sgf(decoded(content)).names[0] == "Ä"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"line 1: the file is not SGF: it has no game, which would begin with \(;"),
        ("hello\nworld", "line 2: the file is not SGF"),
        ("(;SZ[5]\n;B[aa]", r"line 2: the file ends within a game: \) is missing"),
        ("(;SZ[5]\n;B[aa", r"line 2: \[aa is never closed by \]"),
        ("(;SZ[5]\n;B[aa]%)", "line 2: %\\) is no part of SGF"),
        ("(;[aa])", "line 1: aa]\\) belongs to no property"),
        ("(;SZ[5]\n;B[aa];W[aa])", r"line 2: move 2, W\[aa\], is not legal in go with size=5"),
        ("(;SZ[5];B[zz])", r"move 1, B\[zz\], is no move of go"),
        ("(;SZ[5];B[aa];B[bb])", r"move 2, B\[bb\], is not possible: it is White's turn"),
        ("(;SZ[5];B[aa]W[bb])", "one node has 2 moves"),
        ("(;SZ[5];B[];W[];B[aa])", r"move 3, B\[aa\], comes after the end of the game"),
        ("(;SZ[5];B[aa];AW[bb])", "AW puts stones onto the board after the first move"),
        ("(;SZ[5]AB[aa];W[bb])", "line 1: game.handicap=1: on game.size=5 it must be 0"),
        ("(;SZ[9]KM[7.5]RU[chinese]AB[aa][bb][cc];W[cc])", "begins with other stones"),
        ("(;SZ[9]AB[aa:cc];W[dd])", "game.handicap=1"),
        ("(;GM[2]AB[aa])", "begins with other stones"),
        ("(;SZ[5]PL[W];W[aa])", r"PL\[W\] says who moves first, but in go with .* it is Black"),
        ("(;SZ[5:7])", r"SZ\[5:7\] is not the size of a square board"),
        ("(;SZ[x])", r"SZ\[x\] is not the size of a square board"),
        ("(;SZ[52])", "game.size=52 is outside 2..19"),
        ("(;SZ[5]KM[nan])", r"KM\[nan\] is no komi"),
        ("(;SZ[5]KM[3.75])", "game.komi=3.75 must be a multiple of 0.5"),
        (
            "(;GM[7])",
            r"line 1: GM\[7\] is not a game of ddpzero: it has GM\[1\] go, GM\[2\] othello",
        ),
        ("(;GM[11]SZ[5];B[swap])", r"B\[swap\], is no move of hex"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_with_the_place(text, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        record_of_sgf(text)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_game_is_refused():
    with pytest.raises(UserError, match=r"the game is GM\[1\], which is go, and not othello, wh"):
        record_of_sgf("(;GM[1]SZ[5])", load_game("othello", size=4))
    with pytest.raises(UserError, match="connect_four has no SGF format"):
        record_of_sgf("(;GM[1]SZ[5])", load_game("connect_four"))


@settings(max_examples=300, deadline=None)
@given(st.text("();[]\\: \nBWACSZGMKL4519abtx\u00e4", max_size=60))
def test_no_text_breaks_the_reader(text):
    for whole in (text, f"(;SZ[5]{text})", f"(;SZ[5];B[aa];W[bb]{text})"):
        try:
            record = record_of_sgf(whole)
        except UserError as error:
            assert str(error).startswith("line ")
        else:
            record.positions()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content):
    for whole in (content, b"(;" + content, b"(;CA[gb2312]C[" + content + b"])"):
        try:
            main_line(decoded(whole))
        except UserError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "(;" * 200_000,
        "(;SZ[5];B[aa]" + "(" * 200_000 + ")" * 200_001,
        "(;C[" + "\\" * 1_000_000,
        "(;C" + "[a]" * 200_000,
        "(;SZ[5]" + ";C[x]" * 100_000 + ")",
        "(;SZ[5]" + ";" * 500_000,
        "[" * 500_000,
    ],
)
def test_huge_and_deep_texts_are_read_in_a_moment(text):
    try:
        assert record_of_sgf(text).actions in ((), (20,))
    except UserError as error:
        assert len(str(error)) < 200


def test_a_property_without_a_value_means_nothing():
    (node,) = main_line("(;SZ KM[6.5]GM C[];)")[:1]
    assert node.properties == {"KM": ["6.5"], "C": [""]}
    assert names_of(record_of_sgf("(;GM PB SZ[9];B[aa])")) == "A9"


@pytest.mark.parametrize("node", [";", ";C[x]"])
def test_a_game_without_end_is_refused_before_it_fills_the_memory(node):
    with pytest.raises(UserError, match="more than 100,000 moves"):
        main_line(f"({node * 200_000})")


def test_the_comments_of_one_position_do_not_grow_without_end():
    text = "(;GM[4]SZ[9]" + f";C[{'x' * 5000}]" * 20 + ";B[aa])"
    assert {len(comment) for comment in record_of_sgf(text).comments.values()} == {20_000}
