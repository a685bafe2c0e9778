"""Requests and commands at the same time: each of them is answered, and what they do is done once."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from ddpzero.arena.openings import random_openings
from ddpzero.games import Game, load_game
from ddpzero.remote.messages import API_PATH
from ddpzero.remote.model_file import model_file_bytes
from ddpzero.serve import collection
from ddpzero.serve.accounts import add_user, find_user
from ddpzero.serve.database import open_database
from ddpzero.serve.models import ModelRow, model_path
from ddpzero.serve.quarantine import Quarantine
from ddpzero.serve.settings import ServeSettings
from tests.serve.material import material, model_name, upload_of
from tests.serve.servers import serving


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest) -> Callable[[], str | None]:
    """Makes an empty database, and returns its address: None for SQLite, which is new in each folder."""
    if request.param == "sqlite":
        return lambda: None
    made: Callable[[], str] = request.getfixturevalue("postgresql")
    return made


def at_once(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """Make calls at the same time, each in a thread; return their results in the same order."""
    calls = list(calls)
    ready = Barrier(len(calls))

    def call(function: Callable[[], Any]) -> Any:
        ready.wait()
        return function()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


def other_model(number: int, run: str = "t", **counters: int) -> bytes:
    """Return the content of a model with the name of another one."""
    model = material().model
    changed = {**model.counters, "weights_version": number, **counters}
    return model_file_bytes(replace(model, model=model_name(number), run=run, counters=changed))


def test_a_model_that_is_pushed_twice_is_added_once(tmp_path, make_database):
    with serving(tmp_path, make_database()) as server:
        material()
        # The first one of a server begins its run, too.
        for number in (1, 2):
            answers = at_once([lambda number=number: server.push(number)] * 2)
            assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
            assert answers[0].json() == answers[1].json()
        assert len(server.statistics()["models"]) == 2
        assert not list((tmp_path / "models").glob(".pushed-*"))


def test_of_two_models_with_the_same_name_one_is_refused(tmp_path):
    with serving(tmp_path) as server:
        contents = [other_model(1), other_model(1, samples_trained=7)]
        where = f"{API_PATH}/models/{model_name(1)}"
        answers = at_once(
            lambda content=content: server.client.put(
                where, content=content, headers=server.learner
            )
            for content in contents
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        added = next(answer.json() for answer in answers if answer.status_code == 200)
        content = model_path(tmp_path, model_name(1)).read_bytes()
        assert hashlib.sha256(content).hexdigest() == added["sha256"]


def test_of_two_runs_one_is_collected(tmp_path):
    # Made beforehand: Hydra composes one config at a time.
    contents = {number: other_model(number, run) for number, run in [(1, "t"), (2, "u")]}
    with serving(tmp_path) as server:
        answers = at_once(
            lambda number=number, content=content: server.client.put(
                f"{API_PATH}/models/{model_name(number)}",
                content=content,
                headers=server.learner,
            )
            for number, content in contents.items()
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        found = server.statistics()
        assert len(found["models"]) == 1
        assert found["run"] == ("t" if answers[0].status_code == 200 else "u")


def test_an_upload_that_is_sent_twice_is_counted_once(server, tmp_path):
    content = upload_of(material(), material().play(4, seed=20), tmp_path / "x.npz")
    before, upload_id = server.statistics()["num_games"], secrets.token_hex(16)
    answers = at_once([lambda: server.upload(content, upload_id=upload_id)] * 2)
    assert sorted(answer.json()["is_known"] for answer in answers) == [False, True]
    assert [answer.json()["accepted"] for answer in answers] == [4, 4]
    assert server.statistics()["num_games"] - before == 4


def test_a_game_in_two_uploads_is_counted_once(server, tmp_path):
    content = upload_of(material(), material().play(4, seed=21), tmp_path / "x.npz")
    before = server.statistics()["num_games"]
    answers = at_once(
        lambda headers=headers: server.upload(content, headers)
        for headers in (server.alice, server.bob)
    )
    assert sorted(answer.json()["accepted"] for answer in answers) == [0, 4]
    assert sorted(answer.json()["repeated"] for answer in answers) == [0, 4]
    assert server.statistics()["num_games"] - before == 4


def test_of_two_readings_of_the_models_the_later_one_stays(tmp_path, monkeypatch):
    new, first = (ModelRow(number, "m", "", 1, 1, 1, 0.0, 0, 0, False) for number in (2, 1))

    def old() -> list[ModelRow]:
        time.sleep(0.3)
        return [first]

    readings = iter([old, lambda: [new, first]])
    monkeypatch.setattr(collection, "list_models", lambda engine: next(readings)())
    monkeypatch.setattr(collection, "read_ratings", lambda engine, models: [])
    engine = open_database(tmp_path, None)
    shared = collection.Collection(tmp_path, ServeSettings(), engine)

    async def refresh_twice() -> None:
        await asyncio.gather(shared.refresh(), shared.refresh())

    asyncio.run(refresh_twice())
    assert shared.models == [new, first]
    engine.dispose()


def test_rejected_uploads_make_room_for_each_other(tmp_path, caplog):
    quarantine = Quarantine(tmp_path, 20_000)
    quarantine.folder.mkdir()
    for number in range(50):
        at_once(
            lambda user=user, number=number: quarantine.keep(user, str(number), bytes(100))
            for user in ("alice", "bob", "carol", "dan")
        )
    assert len(list(quarantine.folder.iterdir())) == 2
    assert not caplog.records


def played_out(game: Game, num_games: int, seed: int) -> list[list[int]]:
    """Play the first legal action from each opening of a match, with either side."""
    games = []
    for position in random_openings(game, num_games // 2, np.random.default_rng(seed)).positions:
        moves = []
        while not game.is_terminal(position):
            moves.append(int(np.flatnonzero(game.legal_actions(position))[0]))
            position = game.apply_action(position, moves[-1])
        games += [moves, moves]
    return games


def test_a_match_that_is_reported_twice_is_counted_once(tmp_path, make_database):
    folder = tmp_path / "server"
    folder.mkdir()
    with serving(folder, make_database(), match_probability=1.0, match_games=4) as server:
        for number in (1, 2):
            server.push(number)
        task = server.client.post(f"{API_PATH}/tasks", json={}, headers=server.alice).json()
        moves = played_out(load_game("tic_tac_toe"), task["num_games"], task["seed"])
        report = {"task": task["id"], "moves": moves, "seconds": 1.0}
        where = f"{API_PATH}/matches/{task['id']}"
        answers = at_once([lambda: server.client.put(where, json=report, headers=server.alice)] * 2)
        assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
        assert server.statistics()["num_match_games"] == 4


def test_a_new_database_is_opened_by_several_at_once(tmp_path, make_database):
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        url = make_database()
        engines = at_once([lambda folder=folder, url=url: open_database(folder, url)] * 4)
        token = add_user(engines[0], "alice")
        for engine in engines:
            user = find_user(engine, token)
            assert user is not None and user.name == "alice", "all have the same database"
            engine.dispose()


def test_a_user_who_is_added_several_times_at_once_has_one_token(tmp_path, make_database):
    url = make_database()
    engines = [open_database(tmp_path, url) for _ in range(4)]
    for name in ("alice", "bob", "carol", "dan", "eve"):
        tokens = at_once(
            lambda engine=engine, name=name: add_user(engine, name) for engine in engines
        )
        # The last one ends those before it.
        assert sum(find_user(engines[0], token) is not None for token in tokens) == 1
    for engine in engines:
        engine.dispose()
