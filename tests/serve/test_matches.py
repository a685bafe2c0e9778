"""Which matches a collection server hands out, and for how long it waits for their games."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from ddpzero.games import load_game
from ddpzero.remote.messages import API_PATH
from ddpzero.serve import tasks
from ddpzero.serve.database import matches
from tests.serve.material import model_name
from tests.serve.servers import ServerOfTest, serving
from tests.serve.test_at_the_same_time import played_out


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path, match_probability=1.0, match_games=4) as found:
        for number in (1, 2, 3):
            assert found.push(number).status_code == 200
        yield found


def asked(server: ServerOfTest, headers: dict[str, str]) -> dict:
    task: dict = server.client.post(f"{API_PATH}/tasks", json={}, headers=headers).json()
    return task


def reported(server: ServerOfTest, task: dict, headers: dict[str, str]) -> int:
    """Report a match; return the status of the answer."""
    moves = played_out(load_game("tic_tac_toe"), task["num_games"], task["seed"])
    report = {"task": task["id"], "moves": moves, "seconds": 1.0}
    where = f"{API_PATH}/matches/{task['id']}"
    return server.client.put(where, json=report, headers=headers).status_code


def test_only_matches_whose_games_have_arrived_count_as_played(server):
    # Of three models without games, the newest one plays, however often it was only handed out.
    for _ in range(20):
        assert asked(server, server.alice)["model"]["name"] == model_name(3)
    of_bob = asked(server, server.bob)
    assert of_bob["model"]["name"] == model_name(3)
    assert reported(server, of_bob, server.bob) == 200
    played = Counter({of_bob["opponent"]["name"]: 1, model_name(3): 1})
    following = asked(server, server.bob)["model"]["name"]
    assert not played[following]


def test_who_reports_no_match_gets_a_bounded_number_of_them(tmp_path):
    with serving(tmp_path, match_probability=1.0, match_games=4, max_open_matches=3) as server:
        for number in (1, 2):
            assert server.push(number).status_code == 200
        tasks = [asked(server, server.alice) for _ in range(6)]
        assert [task["kind"] for task in tasks] == ["match"] * 3 + ["self_play"] * 3
        only = {"kinds": ["match"]}
        none = server.client.post(f"{API_PATH}/tasks", json=only, headers=server.alice)
        assert none.status_code == 503 and int(none.headers["Retry-After"]) > 0
        # Others are not concerned, and whoever reports gets further ones.
        assert asked(server, server.bob)["kind"] == "match"
        assert reported(server, tasks[1], server.alice) == 200
        assert asked(server, server.alice)["kind"] == "match"
        assert asked(server, server.alice)["kind"] == "self_play"
        # So does who waits until they are forgotten.
        with server.parts.collection.engine.begin() as connection:
            connection.execute(matches.update().values(created_at=time.time() - 3 * 24 * 3600))
        assert asked(server, server.alice)["kind"] == "match"


def test_matches_expire_whose_games_do_not_arrive(server):
    old, new = asked(server, server.alice), asked(server, server.alice)
    engine = server.parts.collection.engine
    with engine.begin() as connection:
        connection.execute(
            matches.update()
            .where(matches.c.id == old["id"])
            .values(created_at=time.time() - 3 * 24 * 3600)
        )
    assert reported(server, old, server.alice) == 422
    assert reported(server, new, server.alice) == 200
    asked(server, server.alice)
    with engine.begin() as connection:
        left = set(connection.execute(sa.select(matches.c.id)).scalars())
    assert old["id"] not in left and new["id"] in left and len(left) == 2


def test_games_are_replayed_while_others_write(server, monkeypatch):
    replay, is_written = tasks.replay_match, threading.Event()

    def slow(*arguments):
        assert is_written.wait(20.0)
        return replay(*arguments)

    monkeypatch.setattr(tasks, "replay_match", slow)
    task = asked(server, server.alice)
    status: list[int] = []
    reporting = threading.Thread(target=lambda: status.append(reported(server, task, server.alice)))
    reporting.start()
    asked(server, server.bob)
    is_written.set()
    reporting.join()
    assert status == [200]
