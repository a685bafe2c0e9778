"""What the server gives a contributor to do arrives through a thread; rating matches are played in a process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ddpzero.contribute.matches import RatingMatch
from ddpzero.contribute.models import DownloadedModels
from ddpzero.contribute.work import WantedMatch, Work
from ddpzero.remote.client import ServerRefused, ServerUnavailable
from ddpzero.remote.messages import MatchReport, ModelInformation, Task, TaskRequest
from ddpzero.remote.model_file import model_file_bytes
from ddpzero.system.errors import UserError
from tests.serve.material import material, model_name
from tests.waiting import wait_for


def information(number: int) -> ModelInformation:
    content = material().numbered(number)
    sha256 = hashlib.sha256(content).hexdigest()
    return ModelInformation(model_name(number), sha256, len(content), number, number, 0.0)


class ServerOfTasks:
    """Answers like a server: `answers` holds a task, or an error, for each request; the last one is repeated."""

    url = "http://127.0.0.1"

    def __init__(self, *answers: Task | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []
        self.reports: list[MatchReport] = []
        self.report_errors: list[Exception] = []

    def task(self, request: TaskRequest) -> Task:
        self.asked.append(request.kinds)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def download_model(self, model: ModelInformation, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(material().numbered(model.weights_version))

    def report_match(self, report: MatchReport) -> None:
        if self.report_errors:
            raise self.report_errors.pop(0)
        self.reports.append(report)

    def close(self) -> None:
        pass


@contextmanager
def work_of(server: Any, folder: Path, plays_matches: bool = True) -> Iterator[Work]:
    with Work(server, DownloadedModels(folder), plays_matches, 0.02) as work:
        yield work


def self_play(number: int) -> Task:
    return Task("self_play", "", information(number))


def match(num_games: int = 4) -> Task:
    return Task("match", "0" * 32, information(1), information(2), num_games, seed=3)


def test_each_newer_model_arrives_once_and_failures_are_waited_out(tmp_path):
    gone = ServerRefused("there is no such model", 404)
    away = ServerUnavailable("cannot be reached", 0.01)
    server = ServerOfTasks(away, self_play(1), self_play(1), gone, self_play(2))
    with work_of(server, tmp_path, plays_matches=False) as work:
        names = [wait_for(work.take_model).model for _ in range(2)]
        wait_for(lambda: len(server.asked) >= 8)
        assert work.take_model() is None
        assert work.waits_for == ""
    assert names == [model_name(1), model_name(2)]
    assert all(kinds == ["self_play"] for kinds in server.asked)


def test_a_model_with_other_content_and_an_old_name_arrives(tmp_path):
    counters = {**material().model.counters, "weights_version": 2}
    renamed = model_file_bytes(replace(material().model, counters=counters))
    first = information(1)
    second = replace(first, sha256=hashlib.sha256(renamed).hexdigest(), size_bytes=len(renamed))
    server = ServerOfTasks(*(Task("self_play", "", model) for model in (first, second)))
    contents = {first.sha256: material().numbered(1), second.sha256: renamed}
    server.download_model = lambda model, path: (  # type: ignore[method-assign]
        path.parent.mkdir(parents=True, exist_ok=True),
        path.write_bytes(contents[model.sha256]),
    )
    with work_of(server, tmp_path) as work:
        versions = [wait_for(work.take_model).weights_version for _ in range(2)]
    assert versions == [1, 2]


def test_a_refused_token_ends_the_work_with_its_sentence(tmp_path):
    server = ServerOfTasks(ServerRefused("unknown token", 401))
    with work_of(server, tmp_path) as work, pytest.raises(ServerRefused, match="unknown token"):
        wait_for(work.take_model)


def test_a_model_that_is_not_the_announced_one_ends_the_work_with_a_sentence(tmp_path):
    server = ServerOfTasks(Task("self_play", "", information(1)))
    server.download_model = lambda model, path: (  # type: ignore[method-assign]
        path.parent.mkdir(parents=True, exist_ok=True),
        path.write_bytes(b"?" * model.size_bytes),
    )
    with work_of(server, tmp_path) as work, pytest.raises(UserError):
        wait_for(work.take_model)


def test_a_match_is_handed_out_once_and_its_report_is_sent_until_it_arrives(tmp_path):
    server = ServerOfTasks(match(), self_play(1))
    server.report_errors = [ServerUnavailable("cannot be reached", 0.01)]
    with work_of(server, tmp_path) as work:
        wanted = wait_for(work.take_match)
        assert wanted.task == match() and wanted.model != wanted.opponent
        # Meanwhile it looks for newer models only.
        wait_for(lambda: len(server.asked) >= 4)
        assert work.take_match() is None
        assert server.asked[1:] == [["self_play"]] * len(server.asked[1:])
        report = MatchReport(wanted.task.id, [[0]] * 4, 1.0)
        work.end_match(report)
        wait_for(lambda: server.reports)
        wait_for(lambda: server.asked[-1] == ["self_play", "match"])
    assert server.reports == [report]


def test_a_report_is_sent_although_the_program_ends(tmp_path):
    server = ServerOfTasks(match(), self_play(1))
    with work_of(server, tmp_path) as work:
        wait_for(work.take_match)
        work.end_match(MatchReport("0" * 32, [[0]] * 4, 1.0))
    assert len(server.reports) == 1


@pytest.mark.parametrize("num_games", [-2, 3, 10**9])
def test_a_server_cannot_ask_for_a_match_without_bounds(num_games):
    with pytest.raises(UserError, match="num_games"):
        match(num_games)


@pytest.mark.slow
def test_a_match_is_played_in_a_process_of_its_own(tmp_path):
    models = DownloadedModels(tmp_path)
    server: Any = ServerOfTasks(match())
    players = [models.as_player(models.fetch(server, information(n))) for n in (1, 2)]
    with RatingMatch(WantedMatch(match(), *players), "cpu") as playing:
        wait_for(lambda: playing.has_ended, 120)
        report = playing.report()
    assert report is not None and report.task == match().id
    assert len(report.moves) == 4 and all(2 < len(moves) <= 9 for moves in report.moves)
    with RatingMatch(WantedMatch(match(), tmp_path / "gone", players[1]), "cpu") as playing:
        wait_for(lambda: playing.has_ended, 120)
        assert playing.report() is None
