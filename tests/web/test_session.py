"""Facts about the game of one browser, as its messages tell."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.games import load_any_game, load_game
from ddpzero.games.core.players import MoveThought, Thoughts
from ddpzero.judges.packaged import find_positions
from ddpzero.play.engine import Limits
from ddpzero.play.strength import PLAY_SIMULATIONS
from ddpzero.records import GameRecord
from ddpzero.replay import Episode
from ddpzero.run.episode_store import EpisodeStore
from ddpzero.system.errors import UserError
from ddpzero.web import agents, outbox
from ddpzero.web.agents import ROLLOUTS, Catalog
from ddpzero.web.messages import (
    AGENT,
    PERSON,
    AskReview,
    Begin,
    Guess,
    Jump,
    Play,
    Resign,
    Set,
    Undo,
)
from ddpzero.web.opponent import Opponent
from ddpzero.web.server import Page, make_app
from ddpzero.web.session import Session
from ddpzero.web.sweep import Sweep
from tests.waiting import wait_for
from tests.web.browsers import browser
from tests.web.pages import make_page, make_run


@pytest.fixture
def page(connect_four, tic_tac_toe):
    page, config = make_page(connect_four, tic_tac_toe)
    page.client = TestClient(config.app, base_url="http://localhost")
    yield page
    page.close()


@pytest.fixture
def alone(page):
    with browser(page.client) as one:
        yield one


def key_of(browser, name):
    return next(game["key"] for game in browser.games if game["key"].startswith(name))


def test_it_offers_all_checkpoints_of_a_run_from_first_to_last(alone):
    alone.send("begin", game=key_of(alone, "connect_four"), moves=[], at=0)
    agent = alone.next("game")["agents"][0]
    assert (agent["title"], alone.next("state")["checkpoint"]) == ("four", "model-2")
    assert [(c["key"], c["minutes"]) for c in agent["checkpoints"]] == [
        ("model-1", 1.0),
        ("model-2", 2.0),
    ]


def test_a_whole_game_against_an_agent(alone):
    alone.begin(game=key_of(alone, "tic_tac_toe"))
    alone.set(simulations=20)
    while not alone.state["is_over"]:
        made = alone.state["at"]
        alone.play(alone.state["legal"][0])
        alone.until(lambda state, made=made: state["at"] == made + 2 or state["is_over"])
    state = alone.state
    assert state["legal"] == [] and state["result"]["winner"] in (None, 0, 1)
    assert state["movers"] == [index % 2 for index in range(state["at"])]


def test_the_game_says_how_it_is_drawn(alone):
    alone.send("begin", game=key_of(alone, "connect_four"), moves=[3, 3], at=2)
    game = alone.next("game")
    assert game["geometry"]["surface"] == "blue" and game["names"] == list("abcdefg")
    state = alone.next("state")
    # The piece that was dropped last, and where the next one would fall.
    assert len(state["placed"]) == 1 and state["board"][state["placed"][0]] == 2
    assert state["places"][3] == state["placed"][0] - 7


def test_thoughts_name_moves_lines_and_shares(alone):
    state = alone.begin([3, 3])
    while (thoughts := alone.next("thoughts"))["rootInfo"]["visits"] < 50:
        pass
    assert thoughts["position"] == state["position"]
    first = thoughts["moveInfos"][0]
    assert first["move"] == "abcdefg"[first["action"]] and first["pv"][0] == first["move"]
    assert first["steps"][0] == [first["action"], 0, state["places"][first["action"]]]
    assert 0 <= first["winrate"] <= 1 and sum(thoughts["wdl"]) == pytest.approx(1, abs=1e-3)
    assert sum(thoughts["policy"]) == pytest.approx(1, abs=1e-2)
    assert len(thoughts["policy"]) == len(thoughts["prior"]) == len(state["legal"])


def test_no_thoughts_are_told_to_who_does_not_want_them(alone):
    alone.begin()
    alone.set(analyzes=False, seats=["agent", "agent"], simulations=5)
    seen = set()
    while alone.state["at"] < 2:
        seen.add(alone.next("state", "thoughts")["type"])
    assert seen == {"state"}


def test_a_move_is_taken_back_with_the_answer_to_it(alone):
    alone.begin()
    alone.set(simulations=10)
    alone.play(3)
    alone.until(lambda state: state["at"] == 2)
    alone.send("undo")
    state = alone.next("state")
    assert state["at"] == 0 and len(state["line"]) == 2
    # The agent waits where it was its turn.
    alone.send("jump", to=1)
    state = alone.next("state")
    assert (state["at"], state["paused"]) == (1, True)
    alone.send("jump", to=2)
    assert not alone.next("state")["paused"]


def test_swapped_sides_let_the_agent_begin(alone):
    alone.begin()
    alone.set(simulations=10)
    alone.set(seats=["agent", "person"])
    assert alone.until(lambda state: state["at"] == 1)["mover"] == 1


def test_it_plays_itself_until_it_is_paused(alone):
    alone.begin(game=key_of(alone, "tic_tac_toe"))
    alone.set(simulations=5, seats=["agent", "agent"])
    alone.until(lambda state: state["at"] >= 2)
    at = alone.set(paused=True)["at"]
    alone.send("hint")
    assert alone.next("hint")["position"] == alone.state["position"]
    assert alone.state["at"] == at


def test_an_earlier_checkpoint_can_be_chosen(alone):
    alone.begin()
    assert alone.state["checkpoint"] == "model-2"
    assert alone.set(checkpoint="model-1")["checkpoint"] == "model-1"
    alone.set(simulations=10)
    alone.play(0)
    assert alone.until(lambda state: state["at"] == 2)["checkpoint"] == "model-1"


def test_an_agent_without_training_can_be_chosen(alone):
    alone.begin()
    assert alone.set(agent="rollouts", simulations=30)["agent"] == "rollouts"
    alone.play(0)
    alone.until(lambda state: state["at"] == 2)
    while (thoughts := alone.next("thoughts"))["position"] != alone.state["position"]:
        pass
    # It values only the position.
    assert {info["winrate"] for info in thoughts["moveInfos"]} == {None}


def test_a_hint_is_the_move_that_wins_at_once(alone):
    # X has two in a row.
    alone.begin([0, 3, 1, 4], game=key_of(alone, "tic_tac_toe"))
    alone.set(analyzes=False)
    alone.send("hint")
    assert alone.next("hint")["action"] == 2


def test_who_sat_where_at_the_end_is_remembered(alone):
    alone.begin([3, 3, 3, 3])
    alone.set(seats=["person", "agent"], analyzes=False)
    alone.send("resign")
    assert alone.until(lambda state: state["is_over"])["result"]["winner"] == 1
    state = alone.set(seats=["agent", "person"])
    assert state["is_over"] and state["last_seats"] == ["person", "agent"]
    assert alone.begin([3])["last_seats"] == ["agent", "person"]


def test_who_resigns_loses(alone):
    alone.begin([3, 3])
    alone.send("resign")
    state = alone.next("state")
    assert state["is_over"] and state["result"] == {"winner": 1, "text": "by resignation"}
    alone.send("undo")
    assert not alone.next("state")["is_over"]


@pytest.mark.parametrize(
    ("message", "fragment"),
    [
        ({"type": "play", "action": 99, "position": 1}, "action 99 is not legal"),
        ({"type": "jump", "to": 9}, "there is no position 9"),
        ({"type": "set", "checkpoint": "model-9"}, "does not have the checkpoint model-9"),
        ({"type": "set", "agent": "../../etc"}, "is not offered for this game"),
        ({"type": "begin", "game": "chess", "moves": [], "at": 0}, "'chess' is not offered"),
        ({"type": "begin", "game": "", "moves": [0], "at": 0}, "is not offered"),
        ({"type": "fly"}, "a message has a type"),
    ],
)
def test_a_wrong_message_is_one_sentence_and_changes_nothing(alone, message, fragment):
    before = alone.begin([3])
    alone.send(**{"kind": message["type"], **{k: v for k, v in message.items() if k != "type"}})
    assert fragment in alone.next("error")["text"]
    alone.send("jump", to=1)
    after = alone.next("state")
    assert (after["line"], after["checkpoint"]) == (before["line"], before["checkpoint"])


def test_a_begin_with_an_illegal_move_leaves_the_game_as_it_is(alone):
    alone.begin([3, 3])
    alone.send("begin", game=key_of(alone, "connect_four"), moves=[0] * 9, at=0)
    assert "not legal" in alone.next("error")["text"]
    assert alone.next("state")["line"] == [3, 3]


def test_before_a_game_has_begun_there_is_nothing_to_do(alone):
    alone.send("undo")
    assert alone.next("error")["text"] == "begin a game first."


def test_a_click_on_an_earlier_position_plays_nothing(alone):
    alone.begin()
    old = alone.state["position"]
    alone.begin([3, 3])
    alone.send("play", action=0, position=old)
    assert alone.next("state")["at"] == 2


@pytest.mark.parametrize("between", [None, Jump(0)])
def test_of_a_double_click_only_the_first_click_plays(connect_four, between):
    session, said = a_session(connect_four)
    (key,) = session._catalog.games
    session.start()
    session.receive(Begin(key, (3,), 1))
    session.receive(Set(seats=(PERSON, PERSON), analyzes=False))
    wait_for(lambda: any(m.get("seats") == (PERSON, PERSON) for m in said))
    position = said[-1]["position"]
    # All of them arrive before the first one is obeyed.
    for message in (between, Play(0, position), Play(0, position), Set(resigns=True)):
        if message is not None:
            session._inbox.put(message)
    session._is_interrupted.set()
    wait_for(lambda: said[-1].get("resigns") is True)
    assert said[-1]["line"] == ([3] if between else [3, 0])
    session.close()
    assert session.join(10)


def test_two_browsers_have_games_of_their_own(page):
    with browser(page.client) as one, browser(page.client) as other:
        one.begin([0, 1])
        other.begin([6], game=key_of(other, "connect_four"))
        other.set(seats=["person", "person"])
        one.set(seats=["person", "person"])
        one.play(2)
        other.play(5)
        assert one.until(lambda state: state["at"] == 3)["line"] == [0, 1, 2]
        assert other.until(lambda state: state["at"] == 2)["line"] == [6, 5]


def test_browsers_share_the_weights(page):
    with browser(page.client) as one, browser(page.client) as other:
        for each in (one, other):
            each.begin()
            each.next("thoughts")
        players = [session._opponent.engine.player for session in page.sessions]
    assert len(players) == 2 and players[0] is players[1]


def test_the_search_for_a_browser_that_has_gone_ends(connect_four):
    page, config = make_page(connect_four, max_simulations=1_000_000)
    client = TestClient(config.app, base_url="http://localhost")
    with browser(client) as one:
        one.begin()
        while one.next("thoughts")["rootInfo"]["visits"] < 10:
            pass
        (session,) = page.sessions
    # It would have gone on for a minute.
    assert session.join(10.0)
    wait_for(lambda: not page.sessions)


def test_more_browsers_than_allowed_are_refused_until_one_goes(connect_four):
    page, config = make_page(connect_four, max_sessions=1)
    client = TestClient(config.app, base_url="http://localhost")
    with browser(client):
        with client.websocket_connect("ws://localhost/session") as socket:
            refusal = socket.receive_json()
        assert refusal["type"] == "refused" and "1 browsers play here already" in refusal["text"]
    wait_for(lambda: not page.sessions)
    with browser(client) as one:
        assert one.games
    page.close()


def test_analysis_does_not_make_the_agent_stronger(alone):
    alone.begin(game=key_of(alone, "connect_four"))
    alone.set(simulations=15)
    while alone.next("thoughts")["rootInfo"]["visits"] < 100:
        pass
    alone.play(3)
    visits = []
    while alone.next("state", "thoughts")["type"] == "thoughts" or alone.state["at"] < 2:
        pass
    alone.send("undo")
    alone.until(lambda state: state["at"] == 0)
    alone.play(3)
    alone.until(lambda state: state["at"] == 1)
    while (message := alone.next("state", "thoughts"))["type"] == "thoughts":
        visits.append(message["rootInfo"]["visits"])
    assert max(visits) <= 15


def test_a_level_limits_the_simulations(alone):
    alone.begin(game=key_of(alone, "connect_four"))
    state = alone.set(level=8)
    assert (state["level"], state["simulations"], state["seconds"]) == (8, None, None)
    alone.play(3)
    alone.until(lambda state: state["at"] == 1)
    visits = []
    while (message := alone.next("state", "thoughts"))["type"] == "thoughts":
        visits.append(message["rootInfo"]["visits"])
    assert visits and max(visits) <= 8
    state = alone.set(simulations=30)
    assert (state["level"], state["simulations"]) == (None, 30)


def test_the_highest_level_is_as_strong_as_the_usual_simulations():
    class Trained:
        num_simulations = 32

    opponent = Opponent(None, 8192, np.random.default_rng(0), lambda text: None)
    usual = opponent.strength.simulations_of(Trained())
    opponent._limit(level=9)
    assert opponent.strength.simulations_of(Trained()) == usual == PLAY_SIMULATIONS


def test_an_agent_without_training_has_no_levels(alone):
    trained = alone.begin()["agent"]
    alone.set(agent="rollouts")
    alone.send("set", level=3)
    assert "levels are for trained agents" in alone.next("error")["text"]
    alone.set(agent=trained)
    alone.set(level=3)
    state = alone.set(agent="rollouts")
    assert (state["level"], state["simulations"]) == (None, 200)


def test_a_level_ends_with_a_game_that_no_trained_agent_plays(connect_four):
    catalog = Catalog([str(connect_four)], load_any_game("tic_tac_toe"))
    client = TestClient(make_app(Page(catalog, 1, 200), None, 0), base_url="http://localhost")
    with browser(client) as one:
        one.begin(game=key_of(one, "connect_four"))
        one.set(level=3)
        state = one.begin(game=key_of(one, "tic_tac_toe"))
        assert (state["agent"], state["level"], state["simulations"]) == ("rollouts", None, 200)


def test_the_agent_resigns_if_it_may_and_expects_to_lose(alone, monkeypatch):
    # Three expectations of one game below any result.
    monkeypatch.setattr("ddpzero.play.strength._HOPELESS_VALUE", 1.5)
    alone.begin(game=key_of(alone, "connect_four"))
    alone.set(simulations=5, resigns=True, analyzes=False)
    for action in (3, 2, 4):
        at = alone.state["at"]
        alone.play(action)
        alone.until(lambda state, at=at: state["at"] == at + 2 or state["is_over"])
    state = alone.state
    assert (state["at"], state["result"]) == (5, {"winner": 0, "text": "by resignation"})


def reviewed(browser):
    """The messages of a review that is asked for, to its end."""
    browser.send("review", simulations=20)
    told = [browser.next("review")]
    while told[-1]["ply"] < told[-1]["moves"]:
        told.append(browser.next("review"))
    return told


def test_a_review_tells_of_each_position_and_move(alone):
    # X could win at c3, and does not.
    alone.begin([0, 3, 1, 4, 8, 5], game=key_of(alone, "tic_tac_toe"))
    told = reviewed(alone)
    assert [message["ply"] for message in told] == list(range(7))
    assert told[0]["move"] is None and told[-1]["position"]["win_rate"] == 0
    worst = told[5]["move"]
    assert (worst["player"], worst["action"], worst["best_action"]) == (0, 8, 2)
    assert worst["loss"] == pytest.approx(1.0) and worst["is_certain"]
    assert worst["best_steps"] == [[2, 0, 2]]


def test_a_guess_of_a_better_move_is_judged(alone):
    alone.begin([0, 3, 1, 4, 8, 5], game=key_of(alone, "tic_tac_toe"))
    alone.send("guess", ply=4, action=2)
    assert "ask for a review" in alone.next("error")["text"]
    reviewed(alone)
    for action, win_rate, verdict in ((2, 1.0, "as good"), (7, 0.0, "worse")):
        alone.send("guess", ply=4, action=action)
        guessed = alone.next("guessed")
        assert (guessed["ply"], guessed["action"]) == (4, action)
        assert (guessed["win_rate"], guessed["verdict"]) == (win_rate, verdict)
    alone.send("guess", ply=4, action=0)
    assert "not legal" in alone.next("error")["text"]
    alone.send("guess", ply=6, action=0)
    assert "no such move" in alone.next("error")["text"]


def test_a_guess_where_no_table_knows_is_searched(alone):
    # The first player wins with d, on top of three.
    alone.begin([3, 0, 3, 1, 3, 0, 1], game=key_of(alone, "connect_four"))
    reviewed(alone)
    for action, verdict in ((3, "as good"), (6, "worse")):
        alone.send("guess", ply=6, action=action)
        assert alone.next("guessed")["verdict"] == verdict


def test_a_review_knows_what_a_table_knows(alone):
    alone.begin([0, 3], game=key_of(alone, "tic_tac_toe"))
    told = reviewed(alone)
    assert all(message["position"]["is_exact"] for message in told)
    # The answer beside the corner.
    assert told[2]["move"]["loss"] == 0.5 and told[2]["move"]["is_exact"]


def outcomes(message):
    return {action: outcome for action, outcome, _ in message["moves"]}


def exact_after(browser, moves, key=None):
    """What a table knows of a position, on which nobody moves while it is read."""
    browser.begin(game=key)
    browser.set(seats=["person", "person"])
    browser.begin(moves, game=key)
    exact = browser.next("exact")
    while exact["position"] != browser.state["position"]:
        exact = browser.next("exact")
    return exact


def test_what_a_table_knows_of_a_position_is_told_at_once(alone):
    exact = exact_after(alone, [0, 3, 4, 8], key_of(alone, "tic_tac_toe"))
    assert (exact["outcome"], exact["margin"]) == (1, None)
    # Each of these two moves threatens twice; the search is not asked.
    assert outcomes(exact) == {1: 1, 2: 1, 5: 0, 6: 0, 7: 0}
    assert [margin for _, _, margin in exact["moves"]] == [None] * 5


def test_a_position_of_a_file_of_connect_four_has_the_values_of_the_file(alone):
    with np.load(find_positions("connect_four")) as archive:
        moves = archive["moves"][7, : archive["lengths"][7]].tolist()
        scores = archive["scores"][7].tolist()
    exact = exact_after(alone, moves, key_of(alone, "connect_four"))
    assert outcomes(exact) == {a: int(np.sign(s)) for a, s in enumerate(scores) if s != -1000}
    assert exact["outcome"] == np.sign(max(scores))


def test_margins_are_told_where_a_game_has_points(tmp_path):
    overrides = ("game=dots_and_boxes", "game.rows=2", "game.columns=2")
    page, config = make_page(make_run(tmp_path / "boxes", *overrides))
    with np.load(find_positions("dots_and_boxes_2x2")) as archive:
        moves = archive["moves"][0, : archive["lengths"][0]].tolist()
        ahead = int(archive["boxes_so_far"][0] @ (1, -1)) * (1, -1)[archive["to_move"][0]]
        value = int(archive["value"][0])
    with browser(TestClient(config.app, base_url="http://localhost")) as one:
        exact = exact_after(one, moves)
    page.close()
    assert exact["margin"] == value + ahead == max(margin for *_, margin in exact["moves"])


def test_who_hides_the_analysis_hears_of_no_exact_values(alone):
    key = key_of(alone, "tic_tac_toe")
    alone.begin(game=key)
    alone.next("exact")
    alone.set(analyzes=False, seats=["person", "person"])
    alone.play(4)
    assert alone.next("state", "exact")["at"] == 1
    alone.send("jump", to=0)
    assert alone.next("state", "exact")["type"] == "state"
    # As soon as the analysis is shown, it is there.
    alone.set(analyzes=True)
    assert alone.next("exact")["position"] == alone.state["position"]


def said_first(page, config, number):
    """The types of the first messages about the first position of the first game, when its table is read."""
    (game,) = [offered.game for offered in list(page.catalog.games.values())[:1]]
    page.catalog.exact_tables.read(game)
    with browser(TestClient(config.app, base_url="http://localhost")) as one:
        one.send("begin", game=one.games[0]["key"], moves=[], at=0)
        said = [one.next("thoughts", "exact", "state")["type"] for _ in range(number)]
    page.close()
    return said


def test_of_a_board_in_no_file_nothing_is_said(tmp_path, tic_tac_toe):
    assert said_first(*make_page(tic_tac_toe), 3) == ["state", "exact", "thoughts"]
    run = make_run(tmp_path / "small", "game=connect_four", "game.columns=6")
    assert said_first(*make_page(run), 2) == ["state", "thoughts"]


def test_of_a_game_from_outside_with_a_known_name_nothing_is_said():
    game = load_game("tic_tac_toe", source="ddpzero.games.tic_tac_toe")
    page = Page(Catalog([], game), 1, 200)
    # Even if the table of our own game has been read.
    assert page.catalog.exact_tables.read(load_game("tic_tac_toe")) is not None
    said = []
    session = Session(page.catalog, said.append, 200)
    session.start()
    session.receive(Begin(next(iter(page.catalog.games)), (0, 3, 4, 8), 4))
    session.receive(Set(agent=ROLLOUTS, simulations=20, seats=(PERSON, PERSON)))
    wait_for(lambda: any(message["type"] == "thoughts" for message in said))
    session.close()
    assert session.join(10.0)
    assert "exact" not in {message["type"] for message in said}


def variations_of_go(number):
    """Games that differ in their komi."""
    return [load_game("go", size=5, komi=0.5 + index) for index in range(number)]


@pytest.fixture
def few_variations(monkeypatch):
    monkeypatch.setattr(agents, "_MAX_VARIATIONS", 2)
    return Catalog([], load_game("go", size=5, komi=20.5))


def test_a_variation_that_nobody_plays_makes_room_for_another_one(few_variations):
    catalog, (first, second, third, fourth) = few_variations, variations_of_go(4)
    num_games = len(catalog.games)
    keys = [catalog.key_of(game) for game in (first, second)]
    session = Session(catalog, lambda message: None, 10)
    session.start()
    session.receive(Begin(keys[0], (), 0))
    wait_for(lambda: session._game == keys[0])
    # The first is older, but is played.
    keys.append(catalog.key_of(third))
    assert [key in catalog.games for key in keys] == [True, False, True]
    assert len(catalog.games) == num_games + 2
    session.close()
    assert session.join(10.0)
    catalog.key_of(third)
    catalog.key_of(fourth)
    assert keys[0] not in catalog.games


def test_variations_that_are_all_played_leave_no_room(few_variations):
    catalog, (first, second, third) = few_variations, variations_of_go(3)
    for game in (first, second):
        catalog.take(catalog.key_of(game))
    with pytest.raises(UserError, match="too many kinds of games are open here"):
        catalog.key_of(third)
    assert catalog.key_of(second) in catalog.games
    catalog.leave(catalog.key_of(second))
    assert catalog.key_of(third) in catalog.games


def test_a_page_that_no_longer_reads_is_told_to_try_again(page, monkeypatch):
    monkeypatch.setattr(outbox, "_MAX_WAITING_CHARACTERS", 0)
    opened = page.client.websocket_connect("ws://localhost/session")
    with opened as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    assert closed.value.code == 1013
    wait_for(lambda: not page.sessions)


def test_a_table_that_is_read_after_the_search_is_told_of_then(tic_tac_toe):
    catalog = Catalog([str(tic_tac_toe)])
    tables, said = catalog.exact_tables, []
    read, is_there = tables.read, threading.Event()
    tables.read = lambda game: is_there.wait() and read(game)
    session = Session(catalog, said.append, 10**6)
    session.start()
    # X wins at once, which the search proves: then it ends.
    session.receive(Begin(next(iter(catalog.games)), (0, 3, 1, 4), 4))
    session.receive(Set(seats=(PERSON, PERSON)))
    wait_for(lambda: any(message.get("is_proven") for message in said))
    assert "exact" not in {message["type"] for message in said}
    is_there.set()
    wait_for(lambda: said[-1]["type"] == "exact")
    assert (said[-1]["outcome"], outcomes(said[-1])[2]) == (1, 1)
    session.close()
    assert session.join(10.0)


def test_one_can_walk_through_a_game_while_it_is_reviewed(alone):
    alone.begin([3, 3, 3, 3, 3, 3, 2, 2])
    alone.set(seats=["person", "person"])
    alone.send("review", simulations=200)
    alone.send("jump", to=2)
    plies = []
    while not plies or plies[-1] < 8:
        message = alone.next("review", "state")
        if message["type"] == "review":
            plies.append(message["ply"])
    assert plies == list(range(9)) and alone.state["at"] == 2


def test_a_game_is_saved_and_opened_again(alone):
    alone.begin([3, 2, 3], at=2, game=key_of(alone, "connect_four"))
    alone.send("save")
    file = alone.next("file")
    assert file["name"].endswith(".txt") and "d c d" in file["text"]
    alone.begin()
    alone.send("open", text=file["text"])
    alone.next("opened")
    state = alone.next("state")
    assert (state["line"], state["seats"]) == ([3, 2, 3], ["person", "person"])


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("(;GM[1]SZ[9];B[aa])", "a game of go, which is not offered here"),
        ("(;GM[", "line 1"),
        ("d d d d d d d", "line 1"),
        ("", "the file has no line of moves"),
    ],
)
def test_a_file_that_cannot_be_opened_is_one_sentence(alone, text, fragment):
    alone.begin([3], game=key_of(alone, "connect_four"))
    alone.send("open", text=text)
    assert fragment in alone.next("error")["text"]
    assert alone.next("state")["line"] == [3]


def test_a_game_of_the_store_says_which_moves_were_given_and_that_a_proof_ended_it(
    tmp_path, connect_four
):
    run = tmp_path / "four"
    shutil.copytree(connect_four, run)
    moves = [0, 6, 0, 6, 0, 3]
    facts = {"restart_ply": 0, "first_player_return": 1.0, "score": None}
    config = settings_to_dict(compose_settings(["game=connect_four"]))
    with EpisodeStore(run / "episodes", 0, {"run": "four", "config": config}) as store:
        episode = Episode({"value": np.zeros(2)}, {**facts, "moves": moves, "num_plies": 6})
        store.add(episode, is_held_out=False)
    page, config = make_page(run)
    with browser(TestClient(config.app, base_url="http://localhost")) as alone:
        alone.begin()
        alone.send("stored")
        (listed,) = alone.next("stored")["games"]
        assert (listed["winner"], listed["is_proven"]) == ("first", True)
        alone.send("open_stored", key=listed["key"])
        state = alone.until(lambda state: state["at"] == 6)
        assert state["self_play"] == {"opening": 4, "is_proven": True, "winner": 0}
        alone.play(1)
        assert alone.until(lambda state: state["at"] == 7)["self_play"] is None
    page.close()


def test_a_run_without_stored_games_says_so(alone):
    alone.begin()
    alone.send("stored")
    assert "has no stored games" in alone.next("error")["text"]


def test_the_review_for_a_browser_that_has_gone_ends(connect_four):
    page, config = make_page(connect_four)
    client = TestClient(config.app, base_url="http://localhost")
    with browser(client) as one:
        one.begin([3, 3, 3])
        one.send("review", simulations=10_000)
        wait_for(lambda: next(iter(page.sessions))._sweep)
        (session,) = page.sessions
        sweep = session._sweep
    assert session.join(10.0) and sweep.join(10.0)


def a_session(*runs):
    """A session without a page, whose thread has not begun, and what it says."""
    said = []
    return Session(Catalog([str(run) for run in runs]), said.append, 200, seed=0), said


def test_a_resignation_that_comes_late_is_still_the_persons(connect_four):
    session, said = a_session(connect_four)
    session.start()
    (key,) = session._catalog.games
    session.receive(Begin(key, (3, 3), 2))
    # The agent is to move when it arrives.
    session.receive(Set(seats=(AGENT, PERSON), paused=True))
    session.receive(Resign())
    wait_for(lambda: any(message.get("is_over") for message in said))
    assert [m["result"]["winner"] for m in said if m.get("is_over")] == [0]
    session.close()
    assert session.join(10)


def test_a_move_that_is_proven_to_lose_is_not_chosen_for_variety(connect_four):
    session, _ = a_session(connect_four)
    (key,) = session._catalog.games
    session._begin(key, (), 0)
    moves = [
        MoveThought(0, 60, 0.1, 0.3, None, (0,), False),
        MoveThought(1, 100, -1.0, 0.7, None, (1,), True),
    ]
    thoughts = Thoughts(tuple(moves), 160, 0.1, (0.5, 0.1, 0.4), np.zeros(7), None, False)
    assert {session._opponent.varied(0, thoughts) for _ in range(50)} == {0}


def test_a_game_whose_run_has_gone_is_played_without_training(tmp_path, tic_tac_toe):
    gone = tmp_path / "gone"
    shutil.copytree(tic_tac_toe, gone)
    session, said = a_session(gone)
    (key,) = session._catalog.games
    shutil.rmtree(gone)
    session.start()
    session.receive(Begin(key, (), 0))
    wait_for(lambda: any(message["type"] == "state" for message in said))
    assert next(m for m in said if m["type"] == "state")["agent"] == ROLLOUTS
    session.close()
    assert session.join(10)


def test_guesses_of_a_browser_that_has_gone_are_not_searched(connect_four, monkeypatch):
    session, said = a_session(connect_four)
    (key,) = session._catalog.games
    stops = []

    def guess(ply, action, is_stopped):
        session.close()
        stops.append(is_stopped())
        return {"type": "guessed"}

    session.start()
    session.receive(Begin(key, (3, 3), 2))
    session.receive(AskReview(5))
    wait_for(lambda: any(m["type"] == "review" and m["ply"] == 2 for m in said))
    monkeypatch.setattr(session._sweep, "guess", guess)
    for _ in range(40):
        session.receive(Guess(0, 0))
    assert session.join(10)
    assert stops == [True]


def test_what_a_page_waits_for_ends_with_an_error(connect_four):
    session, said = a_session(connect_four)
    (key,) = session._catalog.games
    session.start()
    session.receive(Begin(key, (0,) * 9, 9))
    wait_for(lambda: any(message["type"] == "error" for message in said))
    texts = [message["text"] for message in said if message["type"] in ("preparing", "error")]
    assert texts[0].startswith("Preparing Connect Four")
    assert texts[1] == "" and "not legal" in texts[2]
    session.close()
    assert session.join(10)


def test_a_failure_of_the_server_ends_no_session(connect_four, monkeypatch):
    session, said = a_session(connect_four)
    (key,) = session._catalog.games
    with monkeypatch.context() as patch:
        patch.setattr("ddpzero.web.session.describe_position", lambda line: 1 // 0)
        session.start()
        session.receive(Begin(key, (), 0))
        wait_for(lambda: any("the server failed" in m.get("text", "") for m in said))
    session.receive(Begin(key, (3,), 1))
    wait_for(lambda: any(m["type"] == "state" and m["line"] == [3] for m in said))
    session.close()
    assert session.join(10)


def test_messages_that_nobody_can_obey_in_time_are_refused(connect_four):
    session, _ = a_session(connect_four)
    with pytest.raises(UserError, match="too many messages"):
        for _ in range(10_000):
            session.receive(Undo())


def test_a_review_that_fails_says_so(connect_four):
    game, said = load_game("connect_four"), []
    sweep = Sweep(GameRecord(game, (3,)), lambda: 1 // 0, Limits(simulations=1), said.append)
    sweep.start()
    assert sweep.join(10)
    assert "the server failed at this review" in said[0]["text"]
