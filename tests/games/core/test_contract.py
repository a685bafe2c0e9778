"""One contract test that every game passes; a new file in ddpzero/games is found by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddpzero.games import Game, connect_four, known_games, load_any_game, load_game
from ddpzero.games.core import contract_checks
from ddpzero.games.core.contract_checks import check_contract, contract_report
from ddpzero.games.core.promises import GamePromiseError
from tests.places import OWN_GAMES

PAIRS = OWN_GAMES / "pairs.py"

# Each is compiled anew. Other boards of Dots and Boxes, Hex and Othello are checked in the tests of these games.
VARIANTS = [
    ("connect_four", {"rows": 4, "columns": 5, "line": 3}),
    ("connect_four", {"rows": 8, "columns": 3, "line": 8}),
    ("connect_four", {"rows": 15, "columns": 15}),
    ("gomoku", {"size": 5, "exact_five": True}),
    ("gomoku", {"size": 7, "line": 3}),
    ("gomoku", {"size": 17}),  # plies need more than a byte
    ("go", {"size": 5, "komi": 0.5, "ko": "situational", "suicide": True, "history": 0}),
    ("go", {"size": 9, "ko": "simple", "handicap": 3}),  # a start without symmetries
]


BOARD_GAMES = [name for name in known_games() if isinstance(load_any_game(name), Game)]


@pytest.mark.parametrize("name", BOARD_GAMES)
def test_every_game_keeps_the_contract(name):
    assert check_contract(load_game(name), num_games=20, seed=1) == []


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_other_boards_keep_the_contract(name, parameters):
    assert check_contract(load_game(name, **parameters), num_games=5, seed=2) == []


@pytest.mark.parametrize("name", ["pairs", "take", "pawns"])
def test_a_game_from_outside_the_tree_keeps_the_contract(name):
    game = load_game(name, source=str(OWN_GAMES / f"{name}.py"))
    assert check_contract(game, num_games=20, seed=3) == []


@pytest.mark.parametrize("name", ["connect_four", "gomoku", "tic_tac_toe"])
def test_observation_is_own_stones_then_the_opponents_from_the_movers_side(name):
    game = load_game(name)
    position = game.initial_position()
    rng = np.random.default_rng(4)
    for _ in range(4):
        action = rng.choice(np.flatnonzero(game.legal_actions(position)))
        position = game.apply_action(position, int(action))
        own, other, ones = game.observation(position)[:3].reshape(3, -1)
        player, board = game.current_player(position), game.board(position)
        assert np.array_equal(own, board == player + 1)
        assert np.array_equal(other, board == 2 - player)
        assert ones.all()


# What a game's author may get wrong: a line of pairs.py, the mistake, a part of the sentence about it.
MISTAKES = {
    "start not written": ("    position[:] = 0\n", "    position[0] = 0\n", "initial_position"),
    "mask not written": (
        "        legal[cell] = position[cell] == 0\n",
        "        if position[cell]:\n            legal[cell] = False\n",
        "every entry of the mask",
    ),
    "always legal": ("position[cell] == 0\n", "True\n", "in a terminal position"),
    "write behind the end": (
        "    position[action] = 1\n",
        "    position[action] = 1\n    position[plies + 2] = 0\n",
        "apply_action writes outside",
    ),
    "nothing played": ("    position[action] = 1\n", "    return\n", "as it was"),
    "unfair mover": (
        "position[mover] = 1 - position[mover]",
        "position[mover] = action >= rules.pairs",
        "differs under symmetry 1",
    ),
    "lopsided observation": (
        "planes[cell] = position[cell]",
        "planes[cell] = position[cell] and cell > 0",
        "moved planes under symmetry 1",
    ),
    "observed numbers": (
        "planes[cell] = position[cell]",
        "planes[cell] = 2 * position[cell]",
        "only 0 and 1",
    ),
    "observed too far": (
        "planes[2 * num_cells +",
        "planes[3 * num_cells +",
        "observe writes outside",
    ),
    "numbers not written": (
        "    globals[0] = difference if",
        "    if difference > 0:\n        globals[0] = difference if",
        "observe_globals does not write every entry",
    ),
    "lopsided numbers": (
        "globals[0] = difference if position[3 * rules.pairs + 1] == 0 else -difference",
        "globals[0] = position[0]",
        "observe_globals differs under symmetry 1",
    ),
    "copied too little": (
        "    copy_row(source, target)",
        "    target[0] = source[0]",
        "copy_position leaves something out",
    ),
    "both win": ("== (player == 0) else -1.0", "else 1.0", "do not sum to 0"),
    "too many points": ("return 1.0 if", "return 2.0 if", "outside [-1, 1]"),
    "too few plies": (
        "max_plies=len(cells)",
        "max_plies=len(cells) - 1",
        "not over after max_plies",
    ),
    "owners by player": (
        "owners[pair] = int(owner == 1) - int(owner == 2)",
        "owners[pair] = owner",
        "ownership must write",
    ),
    "new array": ("position[:] = 0\n", "position[:] = np.zeros(11)\n", "it makes a new array"),
    "hidden new array": (
        "position[:] = 0\n",
        "position[:] = position * 0\n",
        "it makes a new array",
    ),
    "not compilable": ("@compiled\n", "", "player_return does not compile: "),
}
MISTAKES_IN_TEXT = {
    "same names": ("return COLUMN_LETTERS[action]", 'return "a"', "the same name"),
    "case matters": ("text.strip().lower()", "text.strip()", "parse_action('A') refuses"),
    "anything parses": ("    if cell < 0:", "    if cell < -1:", "must raise a ValueError"),
    "parsing crashes": (
        'raise ValueError(f"{text',
        'raise KeyError(f"{text',
        "parse_action raises KeyError",
    ),
    "no drawing": ('return f"cells', 'return 5 or f"cells', "render must return text, not int."),
    "a winner off the board": (
        "def render(",
        "def winning_cells(parameters, position):\n    return [99]\n\n\ndef render(",
        "winning_cells must be a list of cells from 0 to ",
    ),
    "a name that is none": (
        "return COLUMN_LETTERS[action]",
        "return None",
        "action_name must return text, not NoneType.",
    ),
    "empty drawing": ('return f"cells', 'return "" and f"cells', "render must return a drawing"),
}


@pytest.fixture
def random_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check play random games only; it takes longest to compile the search for rare ones."""
    monkeypatch.setattr(contract_checks, "compile_seek", lambda game: None)
    monkeypatch.setattr(contract_checks, "seek_game", lambda *arguments: [])


@pytest.mark.usefixtures("random_games")
@pytest.mark.parametrize(("right", "wrong", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_kernel_is_told(tmp_path, right, wrong, sentence):
    violations = check_contract(mistaken_pairs(tmp_path, right, wrong), num_games=5)
    assert any(sentence in violation for violation in violations), violations


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"), MISTAKES_IN_TEXT.values(), ids=MISTAKES_IN_TEXT
)
def test_a_mistake_in_names_or_drawings_is_told(tmp_path, right, wrong, sentence):
    module = mistaken_pairs(tmp_path, right, wrong).module
    # The kernels are those of pairs.py, which are compiled once.
    game = replace(load_game("pairs", source=str(PAIRS)), module=module)
    violations = check_contract(game, num_games=5)
    assert any(sentence in violation for violation in violations), violations


@pytest.mark.usefixtures("random_games")
def test_violations_are_told_once_before_what_was_checked(tmp_path):
    game = mistaken_pairs(tmp_path, "position[cell] == 0\n", "True\n")
    report = contract_report(game, num_games=5)
    assert len(set(report.violations)) == len(report.violations)
    text = "\n".join(report.lines())
    assert text.startswith(f"contract of pairs ({report.file}): 3 games, ")
    assert f"{report.checked['current_player is 0 or 1']:7,d} x  current_player is 0 or 1" in text
    assert f"\n1 violation:\n  {report.violations[0]}\nWhat was checked until then" in text


# What breaks only in games that random play hardly ever reaches: file, parameters, mistake, sentence.
RARE_MISTAKES = {
    "a ply too few": (
        OWN_GAMES / "take.py",
        {"pile": 12, "most": 4},
        ("max_plies=parameters.pile", "max_plies=parameters.pile - 1"),
        "a game is not over after max_plies=11 plies.",
    ),
    "a full board": (
        Path(connect_four.__file__),
        {},
        ("max_plies=rows * columns", "max_plies=rows * columns - 1"),
        "a game is not over after max_plies=41 plies.",
    ),
    "a point too few": (
        PAIRS,
        {"pairs": 6},
        ("max_score=parameters.pairs", "max_score=parameters.pairs - 1"),
        "a game ends with the score 6, above max_score=5.",
    ),
}


@pytest.mark.parametrize(("file", "parameters", "mistake", "sentence"), RARE_MISTAKES.values())
def test_games_are_sought_that_random_play_hardly_reaches(
    tmp_path, file, parameters, mistake, sentence
):
    game = mistaken(tmp_path, file, *mistake, **parameters)
    violations = [text.replace("score -", "score ") for text in check_contract(game, 10)]
    assert sentence in violations


def mistaken_pairs(folder: Path, right: str, wrong: str) -> Game:
    return mistaken(folder, PAIRS, right, wrong)


def mistaken(folder: Path, original: Path, right: str, wrong: str, **parameters: int) -> Game:
    source = original.read_text()
    assert right in source
    file = folder / original.name
    file.write_text(source.replace(right, wrong, 1))
    return load_game(original.stem, source=str(file), **parameters)


def test_a_drawing_that_fails_in_play_is_told_with_the_game_and_its_promise(tmp_path):
    game = mistaken_pairs(tmp_path, 'return f"cells', 'raise KeyError("cells") or f"cells')
    with pytest.raises(
        GamePromiseError, match=r"pairs \(.*\) breaks its contract: render raises K"
    ):
        game.render(game.initial_position())
