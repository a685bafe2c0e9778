from __future__ import annotations

import shutil

import numpy as np
import pytest

from ddpzero.games import known_games, load_any_game, load_game
from tests.places import OWN_GAMES

PAIRS = OWN_GAMES / "pairs.py"


def test_known_games_are_the_game_files():
    assert {"connect_four", "gomoku", "snakes", "tic_tac_toe"} <= set(known_games())
    for name in known_games():
        assert load_any_game(name).name == name


def test_a_game_for_teams_is_refused_where_players_take_turns():
    with pytest.raises(ValueError, match="game=snakes is a team game"):
        load_game("snakes")


def test_parameters_change_the_board():
    game = load_game("connect_four", rows=5, columns=8, line=3)
    assert game.board_shape == (5, 8)
    assert game.num_actions == 8
    assert game.observation_size_bytes == 3 * 5 * 8 // 8


def test_a_game_outside_the_tree_loads_from_its_file(tmp_path):
    shutil.copy(PAIRS, tmp_path / "my_game.py")
    game = load_game("my_game", source=str(tmp_path / "my_game.py"), pairs=2)
    position = game.initial_position()
    for action, mover in ((0, 0), (1, 1), (3, 1), (2, 0)):
        assert game.current_player(position) == mover
        position = game.apply_action(position, action)
    assert game.is_terminal(position)
    assert game.board(position).tolist() == [2, 1]
    assert game.score(position) == 0
    assert game.ownership(position).tolist() == [-1, 1]


def test_a_game_outside_the_tree_loads_as_a_module(tmp_path, monkeypatch):
    shutil.copy(PAIRS, tmp_path / "game_by_module_name.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_game("pairs", source="game_by_module_name").num_actions == 6


def test_an_illegal_action_is_refused():
    game = load_game("tic_tac_toe")
    position = game.apply_action(game.initial_position(), 4)
    for action in (4, -1, 9):
        with pytest.raises(ValueError, match=f"action {action} is not legal"):
            game.apply_action(position, action)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("chess960", {}, r"game\.name=chess960 is not a game of ddpzero: there are connect_four, "),
        (
            "connect_four",
            {"row": 6},
            r"game\.row is not a parameter .*it has rows, columns, line\.",
        ),
        ("tic_tac_toe", {"size": 3}, r"game\.size is not a parameter .*it has none\."),
        ("connect_four", {"rows": "6"}, r"game\.rows='6' is not a whole number"),
        ("connect_four", {"rows": 6.0}, r"game\.rows=6\.0 is not a whole number"),
        ("connect_four", {"rows": True}, r"game\.rows=True is not a whole number"),
        ("gomoku", {"exact_five": 1}, r"game\.exact_five=1 is not true or false"),
        ("connect_four", {"rows": 1}, r"game\.rows=1 is outside 2\.\.15"),
        ("connect_four", {"columns": 16}, r"game\.columns=16 is outside 2\.\.15"),
        ("connect_four", {"line": 8}, r"game\.line=8 is outside 2\.\.7"),
        ("gomoku", {"size": 26}, r"game\.size=26 is outside 3\.\.25"),
        ("gomoku", {"size": 9, "line": 10}, r"game\.line=10 is outside 3\.\.9"),
    ],
)
def test_a_mistake_in_the_parameters_is_told(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        load_game(name, **parameters)


# A part of pairs.py, what stands there instead, and what the error says.
BROKEN_FILES = {
    "kernel missing": ("def is_terminal(", "def is_over(", r"lacks is_terminal\(rules, position\)"),
    "python side missing": ("def render(", "def draw(", r"lacks render\(parameters, position, "),
    "wrong signature": (
        "def current_player(rules, position)",
        "def current_player(rules, state)",
        r"current_player\(rules, state\) must have the parameters \(rules, position\)",
    ),
    "optional kernel with a wrong signature": (
        "def ownership(rules, position, owners)",
        "def ownership(rules, position)",
        r"ownership\(rules, position\) must have the parameters",
    ),
    "no parameters": ("class Parameters", "class Options", r"lacks the dataclass Parameters"),
    "no dataclass": ("@dataclass(frozen=True)", "", r"lacks the dataclass Parameters"),
    "parameter of text": ("pairs: int = 3", 'pairs: str = "3"', r"must be an int or a bool"),
    "parameter of an unknown type": ("pairs: int = 3", "pairs: Int = 3", r"name 'Int' is not def"),
    "code that exits": (
        "    cells = np.arange(",
        "    raise SystemExit(4)\n    cells = np.arange(",
        r"spec\(\) raises SystemExit: 4: fix that file",
    ),
    "variables that are no integers": (
        "pairs: int = 3",
        'pairs: int = 3\n\n    def variables(self):\n        return {"pairs": None}\n',
        r"Parameters\.variables\(\) raises TypeError",
    ),
    "parameter without a default": ("pairs: int = 3", "pairs: int", r"game\.pairs .* no default"),
    "error in the file": ("import numpy as np", "import nunpy as np", r"No module named 'nunpy'"),
    "identity not first": (
        "np.stack([cells, cells[::-1]])",
        "np.stack([cells[::-1], cells])",
        r"cell_symmetries\[0\] is not the identity",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "message"), BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_a_file_that_breaks_the_contract_is_refused(tmp_path, right, wrong, message):
    source = PAIRS.read_text()
    assert right in source
    file = tmp_path / "pairs.py"
    file.write_text(source.replace(right, wrong, 1))
    with pytest.raises(ValueError, match=message):
        load_game("pairs", source=str(file))


@pytest.mark.parametrize("source", ["no/such/game.py", "no_such_module"])
def test_a_source_that_is_not_there_is_told(source):
    with pytest.raises(ValueError, match=rf"game\.source={source}"):
        load_game("pairs", source=source)


def test_positions_are_rows_of_the_declared_type():
    game = load_game("gomoku", size=20)
    positions = game.new_positions(3)
    assert positions.shape == (3, 404)
    assert positions.dtype == np.int16
