"""One contract test that every team game passes; a new file in ddpzero/games is found by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddpzero.cli import commands as cli
from ddpzero.games import TeamGame, known_games, load_any_game
from ddpzero.games.core.team_contract_checks import check_team_contract
from ddpzero.games.core.team_game import TeamGameSpec
from tests.places import OWN_GAMES

GUESS = OWN_GAMES / "guess.py"


def load(name: str, source: Path | None = None, **parameters: int) -> TeamGame:
    game = load_any_game(name, str(source) if source else None, **parameters)
    assert isinstance(game, TeamGame)
    return game


TEAM_GAMES = [name for name in known_games() if isinstance(load_any_game(name), TeamGame)]
VARIANTS = [
    ("snakes", {"rows": 3, "columns": 32, "snakes": 4, "teams": 4, "beans": 40}),  # full words
    ("snakes", {"rows": 3, "columns": 4, "snakes": 1, "teams": 1, "beans": 3}),  # no room left
]


@pytest.mark.slow  # each game is compiled anew
@pytest.mark.parametrize("name", TEAM_GAMES)
def test_every_team_game_keeps_the_contract(name):
    assert check_team_contract(load(name), num_games=10, seed=1) == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_other_boards_keep_the_contract(name, parameters):
    assert check_team_contract(load(name, **parameters), num_games=5, seed=2) == []


def test_a_team_game_from_outside_the_tree_keeps_the_contract():
    assert check_team_contract(load("guess", GUESS), num_games=20, seed=3) == []


def test_a_team_game_may_keep_the_former_name_of_a_parameter(tmp_path):
    copy = tmp_path / "guess.py"
    copy.write_text(GUESS.read_text().replace("in_color", "in_colour"))
    game = load("guess", copy)
    position = game.new_positions(1)[0]
    assert game.render(position, in_color=True) != game.render(position)


def test_the_command_that_checks_a_contract_takes_team_games(tmp_path, capsys):
    (tmp_path / "game").mkdir()
    words = ["verify", "contract", "game=guess", "--config-dir", str(tmp_path), "--games", "3"]
    config = tmp_path / "game" / "guess.yaml"
    config.write_text(f"name: guess\nsource: {GUESS}\n")
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"contract of guess ({GUESS}): 3 games, ")
    assert "of max_steps=20\n" in printed and printed.endswith("\nno violations\n")
    assert "      3 x  games end within max_steps, as TERMINATED or TRUNCATED\n" in printed
    config.write_text(f"name: guess\nsource: {mistaken(tmp_path, *MISTAKES['never over'][:2])}\n")
    assert cli.main(words) == 1
    assert "  a game is not over after max_steps=20 steps." in capsys.readouterr().out


# What a game's author may get wrong: a line of guess.py, the mistake, a part of the sentence about it.
MISTAKES = {
    "start not written": ("        position[2 + agent] = 0\n", "        pass\n", "reset does not"),
    "start behind the end": (
        "    position[0] = 0\n",
        "    position[0] = 0\n    position[2 + rules.agents] = 0\n",
        "reset writes outside",
    ),
    "never over": ("return TERMINATED", "return GOING_ON", "not over after max_steps"),
    "over before the start": (
        "position[2 + agent] >= rules.goal",
        "position[2 + agent] >= 0",
        "a start position is over",
    ),
    "unknown status": ("else GOING_ON", "else GOING_ON + 3 * (position[0] > 2)", "status is 3"),
    "too many steps": ("max_steps=parameters.steps", "max_steps=5", "not over after max_steps=5"),
    "reward not written": (
        "        rewards[agent] = actions[agent] == position[1]\n",
        "        if actions[agent] == position[1]:\n            rewards[agent] = 1\n",
        "does not write every reward",
    ),
    "reward not a number": (
        "rewards[agent] = actions[agent] == position[1]",
        "rewards[agent] = np.nan",
        "not a finite number",
    ),
    "reward behind the end": (
        "    position[0] += 1\n",
        "    position[0] += 1\n    rewards[rules.agents] = 0\n",
        "step writes outside",
    ),
    "two results": (
        "    position[0] += 1\n",
        "    position[0] += 1\n    position[2] += rewards[0] > 0\n",
        "step gives two results",
    ),
    "position as it was": (
        "    position[0] += 1\n",
        "    if rules.goal > 0:\n        return\n",
        "step leaves the position as it was",
    ),
    "position behind the end": (
        "    position[0] += 1\n",
        "    position[0] += 1\n    position[2 + rules.agents] = 0\n",
        "step writes outside",
    ),
    "actions changed": (
        "    position[0] += 1\n",
        "    position[0] += 1\n    actions[0] = 0\n",
        "step changes the actions",
    ),
    "points not finite": ("    points = 0\n", "    points = np.inf\n", "team_points gives"),
    "feature not written": (
        "            features[agent, number] = position[1] == number\n",
        "            if position[1] == number:\n                features[agent, number] = 1\n",
        "observe_features does not write every entry,",
    ),
    "feature not finite": (
        "features[agent, number] = position[1] == number",
        "features[agent, number] = np.inf",
        "observe_features writes a number that is not finite",
    ),
    "plane not written": (
        "            planes[agent, 0, 0, number] = 255 * (position[1] == number)\n",
        "            if number > 0:\n                planes[agent, 0, 0, number] = 0\n",
        "observe_planes does not write every entry,",
    ),
    "planes behind the end": (
        "planes[agent, 0, 0, number] =",
        "planes[agent, 0, 0, number + 1] =",
        "observe_planes writes outside",
    ),
    "action not written": (
        "            actions[agent, number] = number\n",
        "",
        "observe_features does not write every entry of actions",
    ),
    "features behind the end": (
        "features[agent, rules.numbers] =",
        "features[agent, rules.numbers + 1] =",
        "observe_features writes outside",
    ),
    "scratch as it was": (
        "features[agent, rules.numbers] =",
        "features[agent, rules.numbers] = scratch[0, 0] +",
        "observe_features does not write every entry,",
    ),
    "nothing legal": ("legal[agent, number] = True", "legal[agent, number] = False", "without a"),
    "legal not written": ("            legal[agent, number] = True\n", "", "every entry of legal"),
    "other actions behind choices": (
        "actions[agent, number] = number",
        "actions[agent, number] = 0",
        "do not allow the same actions",
    ),
    "no such action": (
        "actions[agent, number] = number",
        "actions[agent, number] = number + 1",
        "observe_features writes an action outside 0..2",
    ),
    "position changed": (
        "    points = 0\n",
        "    points = 0\n    position[2] += 1\n",
        "other than reset and step changes the position",
    ),
    "rule agent beyond": (
        "actions[agent] = position[1] if",
        "actions[agent] = 3 if",
        "knowing does not write an action of 0..2",
    ),
    "rule agent for others": (
        "        actions[agent] = position[1] if",
        "        actions[3 - agent] = position[1] if",
        "writes actions of another team",
    ),
    "rule agent by scratch": (
        "actions[agent] = position[1] if",
        "actions[agent] = scratch[0, 0] % 2 if",
        "knowing does not act the same",
    ),
    "death counted": ("    return False\n", "    return 2\n", "died gives 2"),
    "death not compilable": (
        "    return False\n",
        "    return {}.items\n",
        "died does not compile",
    ),
    "new array": ("    points = 0\n", "    points = np.zeros(1)[0]\n", "it makes a new array"),
    "not compilable": (
        "    points = 0\n",
        "    points = {}.items\n",
        "team_points does not compile",
    ),
}
MISTAKES_IN_PICTURES = {
    "empty drawing": ('    return f"step', '    return "" and f"step', "must return a drawing"),
    "other drawing in color": (
        "\\x1b[1m{position[1]}",
        "\\x1b[1m{position[1] + 1}",
        "in more than escape codes",
    ),
    "always in color": (" if in_color else str(position[1])", "", "escape codes"),
    "grey picture": ("numbers, 3)", "numbers, 1)", "picture is uint8 (1, 3, 1)"),
    "one color for two teams": (
        "def picture(",
        "def team_colors(parameters):\n    return [(255, 0, 0)]\n\n\ndef picture(",
        "team_colors has 1 colors",
    ),
}


@pytest.mark.parametrize(("right", "wrong", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_kernel_is_told(tmp_path, right, wrong, sentence):
    game = load("guess", mistaken(tmp_path, right, wrong))
    violations = check_team_contract(game, num_games=5)
    assert any(sentence in violation for violation in violations), violations


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"), MISTAKES_IN_PICTURES.values(), ids=MISTAKES_IN_PICTURES
)
def test_a_mistake_in_drawings_is_told(tmp_path, right, wrong, sentence):
    module = load("guess", mistaken(tmp_path, right, wrong)).module
    # The kernels are those of guess.py, which are compiled once.
    violations = check_team_contract(replace(load("guess", GUESS), module=module), num_games=5)
    assert any(sentence in violation for violation in violations), violations


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_actions": 0}, "TeamGameSpec.num_actions=0: a whole number from 1 to"),
        ({"num_planes": -1}, "TeamGameSpec.num_planes=-1: a whole number from 1 to"),
        ({"num_teams": 3}, "num_agents=4 cannot be shared out to 3 teams of one size"),
        ({"position_dtype": np.dtype(np.float32)}, "a position is a row of integers"),
        ({"action_names": ("one", "two")}, "each of the 3 actions needs one of its own"),
        ({"action_keys": ("a", "b", "b")}, "TeamGameSpec.action_keys=.* needs one of its own"),
    ],
)
def test_sizes_that_make_no_game_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TeamGameSpec(**(vars(load("guess", GUESS).spec) | change))


def mistaken(folder: Path, right: str, wrong: str) -> Path:
    """A file with the mistake."""
    source = GUESS.read_text()
    assert right in source
    file = folder / "guess.py"
    file.write_text(source.replace(right, wrong, 1))
    return file
