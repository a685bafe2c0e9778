"""Facts about watching and steering a team game on the terminal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from ddpzero.arena.team_players import RulePlayer
from ddpzero.games import TeamGame, load_any_game
from ddpzero.play.person import Leave, Person
from ddpzero.play.run import run_play
from ddpzero.play.strength import Strength
from ddpzero.play.team_session import TeamSession


@pytest.fixture(scope="module")
def game() -> TeamGame:
    loaded = load_any_game("snakes", rows=6, columns=8, snakes=4, steps=20)
    assert isinstance(loaded, TeamGame)
    return loaded


def session_of(
    game: TeamGame, keys: list[str], team: int | None
) -> tuple[TeamSession, io.StringIO, list[str]]:
    """A session whose person presses these keys; also what it is shown, and the keys that are left."""
    output = io.StringIO()
    left = list(keys)

    def read(prompt: str) -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    player = RulePlayer(game, "greedy")
    person = Person(Console(file=output, width=100), read)
    rng = np.random.default_rng(0)
    return TeamSession(game, person, (player, player), team, rng), output, left


def test_a_watched_game_ends_with_its_points(game: TeamGame):
    session, output, _ = session_of(game, [], None)
    points = session.play_game()
    assert f"{points[0]} : {points[1]} after 20 steps" in output.getvalue()
    assert f"step 20 of 20   {points[0]} : {points[1]}" in output.getvalue()


def test_a_person_steers_the_first_agent_of_its_team(game: TeamGame, monkeypatch):
    steered = []

    def remember(table) -> None:
        steered.append(table.actions[0].tolist())
        raise Leave

    monkeypatch.setattr("ddpzero.arena.team_table.TeamTable.step", remember)
    for team in range(2):
        for action, key in enumerate("wsad"):
            with pytest.raises(Leave):
                session_of(game, [key], team)[0].play_game()
            assert steered.pop()[team * game.spec.agents_per_team] == action


def test_space_is_the_last_action_again_and_other_keys_are_explained(game: TeamGame):
    session, output, left = session_of(game, ["x", "", "right", *19 * [""], "left over"], 0)
    session.play_game()
    assert left == ["left over"]
    assert "after 20 steps" in output.getvalue()


def test_keys_that_move_nothing_are_answered(game: TeamGame):
    session, _, left = session_of(game, ["", "help", "\t", "x", "w", "left over"], 0)
    shown: list[str] = []
    assert session._read_action(shown.append, None) == 0
    assert left == ["left over"]
    # The prompt, and an answer to each key but the last.
    prompt, nothing, explained, tab, letter = shown
    assert "h help" in prompt and all(text.endswith(prompt) for text in shown)
    assert nothing.startswith("there is no move to repeat yet.")
    assert "you move the first agent of your team" in explained and "w up" in explained
    # A line without a terminal has no blanks at its ends.
    assert tab.startswith("there is no move to repeat yet.")
    assert letter.startswith("x is not a key of this game: h for help.")


def test_a_person_may_leave_at_any_moment(game: TeamGame):
    for keys in (["w", "q"], ["w"]):
        with pytest.raises(Leave):
            session_of(game, keys, 0)[0].play_game()


def test_the_command_plays_team_games(game: TeamGame, monkeypatch, capsys):
    lines = iter(["2", *20 * ["d"], "n"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))
    run_play("nearest", game=game, seed=1)
    output = capsys.readouterr().out
    assert "after 20 steps" in output
    assert output.endswith("good bye.\n")


def test_search_is_refused_where_nobody_searches(game: TeamGame):
    with pytest.raises(ValueError, match=r"num_simulations=10 .* do not search"):
        run_play("nearest", game=game, mode="ai", strength=Strength(simulations=10))
