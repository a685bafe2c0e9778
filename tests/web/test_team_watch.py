"""Facts about team games that a browser watches, as its messages tell."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from ddpzero.games import load_any_game
from ddpzero.system.errors import UserError
from ddpzero.web.agents import Catalog
from tests.places import OWN_GAMES
from tests.waiting import wait_for
from tests.web.browsers import browser
from tests.web.pages import make_page


@pytest.fixture
def page(snakes, tic_tac_toe):
    page, config = make_page(snakes, tic_tac_toe)
    page.client = TestClient(config.app, base_url="http://localhost")
    yield page
    page.close()


@pytest.fixture
def watching(page):
    """A browser that watches snakes."""
    with browser(page.client) as one:
        one.key = next(game["key"] for game in one.games if game["is_for_teams"])
        one.send("begin", game=one.key, moves=[], at=0)
        one.game = one.next("team_game")
        one.next("team_state")
        yield one


def pace(browser, **fields):
    browser.send("pace", **fields)
    return browser.next("team_state")


def picture_of(state):
    head, _, data = state["picture"].partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_an_agent_plays_the_strongest_rule_agent_to_the_end(watching):
    first, second = watching.state["seats"]
    assert first == {"agent": watching.game["agents"][0]["key"], "checkpoint": "model-2"}
    assert second == {"agent": "rule:bfs", "checkpoint": ""}
    pace(watching, steps_per_second=60)
    steps = [watching.state["step"]]
    while not watching.state["is_over"]:
        steps.append(watching.next("team_state")["step"])
    # It may end early; a page that reads slowly passes over some.
    assert steps == sorted(steps) and 0 < steps[-1] <= watching.game["max_steps"] == 12
    assert len(watching.state["points"]) == 2


def test_a_paused_game_goes_on_by_steps_and_looks_as_the_game_draws_it(watching):
    at = pace(watching, paused=True)["step"]
    before = picture_of(watching.state)
    watching.send("step")
    state = watching.next("team_state")
    assert (state["step"], state["paused"]) == (at + 1, True)
    after = picture_of(state)
    assert after.shape == (*state["size"][::-1], 3) and (after != before).any()
    # The first team's heads have its color.
    assert (after == np.array(watching.game["colors"][0])).all(axis=-1).any()


def test_step_pauses_a_running_game(watching):
    watching.send("step")
    state = watching.until(lambda state: state["paused"])
    watching.send("step")
    assert watching.next("team_state")["step"] == state["step"] + 1


def test_another_agent_for_a_team_begins_anew(watching):
    pace(watching, paused=True)
    watching.send("step")
    agent = watching.game["agents"][0]["key"]
    watching.send("team", team=1, agent=agent, checkpoint="model-1")
    state = watching.until(lambda state: state["seats"][1]["agent"] == agent)
    assert (state["step"], state["seats"][1]["checkpoint"]) == (0, "model-1")
    watching.send("team", team=0, agent="rule:random")
    state = watching.until(lambda state: state["seats"][0]["agent"] == "rule:random")
    assert state["seats"][1]["agent"] == agent
    watching.send("step")
    assert watching.next("team_state")["step"] == 1


def test_a_new_game_keeps_the_players(watching):
    pace(watching, paused=True)
    watching.send("team", team=0, agent="rule:greedy")
    watching.send("step")
    watching.until(lambda state: state["step"] == 1)
    watching.send("begin", game=watching.key, moves=[], at=0)
    state = watching.next("team_state")
    assert (state["step"], state["seats"][0]["agent"]) == (0, "rule:greedy")


@pytest.mark.parametrize(
    ("message", "fragment"),
    [
        ({"kind": "team", "team": 0, "agent": "rule:nobody"}, "'rule:nobody' is not offered"),
        ({"kind": "team", "team": 0, "agent": "rollouts"}, "is not offered for this game"),
        ({"kind": "team", "team": 2, "agent": "rule:bfs"}, "team.team must be a whole number"),
        ({"kind": "pace", "steps_per_second": 1000}, "must be a number from 0.01 to 60"),
        ({"kind": "undo"}, "a team game is only watched"),
        ({"kind": "review", "simulations": 10}, "a team game is only watched"),
    ],
)
def test_a_wrong_message_is_one_sentence_and_changes_nothing(watching, message, fragment):
    seats = pace(watching, paused=True)["seats"]
    watching.send(**message)
    assert fragment in watching.next("error")["text"]
    assert pace(watching, paused=True)["seats"] == seats


def test_a_step_after_the_end_is_one_sentence(watching):
    pace(watching, steps_per_second=60)
    watching.until(lambda state: state["is_over"])
    watching.send("step")
    assert "begin a new one" in watching.next("error")["text"]


def test_a_board_game_follows_a_team_game_and_the_other_way_round(watching):
    board = next(game["key"] for game in watching.games if not game["is_for_teams"])
    watching.send("begin", game=board, moves=[0], at=1)
    assert watching.next("game")["key"] == board
    assert watching.next("state")["line"] == [0]
    watching.send("step")
    assert watching.next("error")["text"] == "begin a team game first."
    watching.send("begin", game=watching.key, moves=[], at=0)
    assert watching.next("team_game")["key"] == watching.key


def test_the_game_of_a_browser_that_has_gone_ends(page):
    with browser(page.client) as one:
        key = next(game["key"] for game in one.games if game["is_for_teams"])
        one.send("begin", game=key, moves=[], at=0)
        one.next("team_state")
        # The next step would come in 100 seconds.
        pace(one, steps_per_second=0.01)
        (session,) = page.sessions
    assert session.join(10.0)
    wait_for(lambda: not page.sessions)


def test_a_team_game_from_outside_is_offered_with_its_rule_agents():
    game = load_any_game("guess", str(OWN_GAMES / "guess.py"))
    catalog = Catalog([], game)
    (key,) = [key for key in catalog.team_games if key.startswith("guess")]
    titles = [agent["title"] for agent in catalog.describe_team_agents(key)]
    assert titles == ["knowing (rule agent)", "random (rule agent)"]
    assert game.team_colors() == []


def test_a_game_of_four_teams_is_not_shown():
    game = load_any_game("snakes", snakes=4, teams=4)
    with pytest.raises(UserError, match=r"game\.teams=4: snakes is shown with 2 teams here"):
        Catalog([], game)
