"""Contributors, a server and a learner as programs: games arrive once, also over kills, and are learned from."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from ddpzero.run.checkpoint_files import CHECKPOINTS_FOLDER, newest_first
from ddpzero.run.shard import read_shard
from ddpzero.serve.accounts import add_user
from ddpzero.serve.database import open_database
from tests.serve.material import TINY, material, model_name
from tests.waiting import wait_for

COMMAND = [sys.executable, "-m", "ddpzero.cli"]
# Else a contributor plays thousands of games a second, faster than a server takes them in, and some twice.
SLOW = ("search.num_simulations=32", "algorithm.evaluation_cache_megabytes=0")
LIMITS = (
    *("serve.min_plies=1", "serve.shard_seconds=1", "serve.match_probability=0"),
    # The tests ask for statistics all the time.
    *("serve.requests_per_minute=100000", "serve.address_requests_per_minute=100000"),
)


class Program:
    """A program whose output is in a file, so that it never waits for a reader."""

    def __init__(self, words: list[str], log: Path, **environment: str) -> None:
        self._log = log
        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                words,
                stdout=file,
                stderr=file,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM, seconds: float = 60.0) -> int:
        if self.is_running:
            self._process.send_signal(number)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


class Collecting:
    """A server's folder, and the programs around it."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder / "server"
        self.folder.mkdir(parents=True)
        self._root = folder
        self._port = port
        self.programs: list[Program] = []
        engine = open_database(self.folder, None)
        self.token = add_user(engine, "alice")
        self.learner_token = add_user(engine, "lea", "learner")
        engine.dispose()
        self.server = self.serve()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, words: list[str], name: str, **environment: str) -> Program:
        program = Program(words, self._root / f"{name}.log", **environment)
        self.programs.append(program)
        return program

    def serve(self) -> Program:
        words = [*COMMAND, "serve", str(self.folder), f"serve.port={self._port}", *LIMITS]
        self.server = self.start(words, "server")
        found = wait_for(
            lambda: (
                re.findall(r"http://127.0.0.1:(\d+)", self.server.output)
                or not self.server.is_running
            )
        )
        assert found is not True, self.server.output
        self._port = int(found[-1])
        wait_for(lambda: self.statistics() is not None)
        return self.server

    def statistics(self) -> dict[str, Any] | None:
        # It is asked for in loops, beside programs that need the processor.
        time.sleep(0.1)
        try:
            found: dict[str, Any] = httpx.get(f"{self.address}/api/v1/statistics").json()
            return found
        except httpx.HTTPError:
            return None

    def num_games(self) -> int:
        found = self.statistics()
        return int(found["num_games"]) if found else 0

    def push(self, number: int) -> None:
        httpx.put(
            f"{self.address}/api/v1/models/{model_name(number)}",
            content=material(*SLOW).numbered(number),
            headers={"Authorization": f"Bearer {self.learner_token}"},
            # The first model makes the server compile the game.
            timeout=120,
        ).raise_for_status()

    def contribute(self, *words: str) -> Program:
        settings = [f"folder={self._root / 'contribution'}", "num_actors=1", "games_per_upload=5"]
        return self.start(
            [*COMMAND, "contribute", self.address, *settings, "poll_seconds=0.5", *words],
            "contributor",
            DDPZERO_TOKEN=self.token,
        )

    def stored_games(self) -> list[str]:
        """Return what tells the games in the server's files apart."""
        return games_of(self.folder / "training_data" / "run_001")


def games_of(folder: Path) -> list[str]:
    """Return what tells the games in the files of a folder apart."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        shard = read_shard(path)
        for episode in shard.episodes:
            values = shard.columns["root_value"][episode.rows]
            policies = shard.columns["policy_target"][episode.rows]
            found.append(f"{episode.info['moves']} {values.tolist()} {policies.tolist()}")
    return found


@pytest.fixture
def collecting(tmp_path: Path) -> Iterator[Collecting]:
    with running(Collecting(tmp_path)) as found:
        yield found


@contextmanager
def running(found: Collecting) -> Iterator[Collecting]:
    try:
        yield found
    finally:
        for program in found.programs:
            if program.is_running:
                program.stop(signal.SIGKILL)


@pytest.mark.slow
def test_a_contributor_follows_the_newest_model_and_stops_in_good_order(collecting):
    check = collecting.contribute("--check")
    assert wait_for(lambda: not check.is_running) and "no learner has pushed" in check.output
    collecting.push(3)
    check = collecting.contribute("--check")
    wait_for(lambda: not check.is_running, 180)
    assert "All is well" in check.output, check.output
    contributor = collecting.contribute()
    wait_for(lambda: collecting.num_games() >= 10, 180)
    # A run that was resumed from an older checkpoint counts its weights again.
    collecting.push(2)

    def games_of_second() -> int:
        models = (collecting.statistics() or {"models": []})["models"]
        return sum(m["num_games"] for m in models if m["name"] == model_name(2))

    wait_for(lambda: games_of_second() >= 10)
    assert contributor.stop(signal.SIGINT) == 0, contributor.output
    assert "finishing what is nearly done" in contributor.output
    assert not list((collecting.folder.parent / "contribution" / "batches").iterdir())
    assert not list((collecting.folder.parent / "contribution" / "finished").iterdir())
    assert "Traceback" not in contributor.output + collecting.server.output
    counted = collecting.num_games()
    assert collecting.server.stop() == 0
    stored = collecting.stored_games()
    assert len(stored) == len(set(stored)) == counted


@pytest.mark.slow
def test_no_game_is_lost_or_counted_twice_over_kills_of_both_sides(collecting):
    collecting.push(1)
    contributor = collecting.contribute()
    wait_for(lambda: collecting.num_games() >= 5, 180)
    for number in range(4):
        before = collecting.num_games()
        if number % 2:
            collecting.server.stop(signal.SIGKILL)
            collecting.serve()
        else:
            contributor.stop(signal.SIGKILL)
            contributor = collecting.contribute()
        wait_for(lambda before=before: collecting.num_games() >= before + 10)
    assert contributor.stop(signal.SIGINT) == 0
    counted = collecting.num_games()
    assert collecting.server.stop() == 0
    stored = collecting.stored_games()
    assert len(stored) == len(set(stored)) == counted
    assert "rejected" not in contributor.output


@pytest.mark.slow
def test_a_run_learns_from_contributors_alone_and_resumes(collecting, tmp_path):
    def learn(*more: str) -> Program:
        words = [*TINY, *SLOW, "game=tic_tac_toe", f"runs_dir={tmp_path}", "actors.num_actors=0"]
        words += [f"collect.server={collecting.address}", "replay.min_samples=50"]
        words += ["learner.batch_size=32", "arena.num_workers=0", "learner.steps_per_epoch=20"]
        words += ["checkpoint.interval_minutes=0", "logging.interval_seconds=1", *more]
        return collecting.start(
            [sys.executable, "-m", "ddpzero.main", *words],
            "learner",
            DDPZERO_TOKEN=collecting.learner_token,
        )

    def names() -> list[str]:
        return [model["name"] for model in (collecting.statistics() or {"models": []})["models"]]

    learner = learn()
    # Else it waits for a model, for longer and longer.
    wait_for(lambda: len(names()) >= 1, 240)
    contributor = collecting.contribute()
    wait_for(lambda: len(names()) >= 2, 240)
    learner.stop(signal.SIGKILL)
    before = len(names())
    learner = learn()
    wait_for(lambda: len(names()) >= before + 2, 240)
    assert learner.stop() == 0, learner.output
    # Contributors go on with the last model.
    newest, *_ = newest_first(tmp_path / "t" / CHECKPOINTS_FOLDER)
    assert names()[0] == newest.name
    another = learn("run_name=another")
    wait_for(lambda: not another.is_running, 120)
    assert another.stop() != 0
    assert "collects games for the run t, not for another: give" in another.output
    assert contributor.stop(signal.SIGINT) == 0, contributor.output
    assert "resumed from" in (tmp_path / "t" / "logs" / "rank0.log").read_text()
    assert names()[-1] == "t-b1c8-s0-d0" and len(set(names())) == len(names())
    # The run has taken in each game at most once.
    collecting.server.stop()
    known, taken = collecting.stored_games(), games_of(tmp_path / "t" / "episodes" / "rank0")
    assert len(taken) >= 20 and len(set(taken)) == len(taken) and set(taken) <= set(known)
    assert "Traceback" not in learner.output + contributor.output + collecting.server.output
