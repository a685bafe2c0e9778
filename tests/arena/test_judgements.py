"""Facts about the judgements of a run's models."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from ddpzero.arena import judging
from ddpzero.arena.arena import Arena
from ddpzero.arena.judgements import (
    JUDGEMENTS_FILE,
    ModelJudge,
    Shares,
    check_judge,
    read_judgements,
)
from ddpzero.arena.players import RandomPlayer
from ddpzero.arena.schedule import JudgeTask, Task
from ddpzero.arena.workers import Judged, Refused
from ddpzero.games import load_any_game
from ddpzero.judges.packaged import find_positions
from ddpzero.judges.solved_positions import read_solved_positions
from ddpzero.system.errors import UserError
from tests.arena.test_pool import Run, rule

SHARES = [Shares(0, 0.5, 0.25), Shares(64, 1.0, 0.75)]


@pytest.fixture
def judge(tmp_path):
    return lambda interval=1.0, file="hex3": ModelJudge(
        tmp_path, file, interval_minutes=interval, num_simulations=(0, 64), max_positions=9
    )


def record(judge: ModelJudge, model: str, minutes: float) -> None:
    task = judge.next_task(model, minutes)
    assert task is not None and task.model == model
    judge.record(task, {"learner_step": 7, "minutes": minutes}, SHARES, 9, seconds=1.0)


def test_each_model_is_judged_once_even_by_a_resumed_run(judge):
    record(judge(), "a", minutes=1.0)
    assert judge().next_task("a", minutes=1.0) is None
    assert judge().next_task("a", minutes=9.0) is None
    assert judge(file="hex4").next_task("a", minutes=1.0) is not None


def test_models_are_judged_at_most_once_in_an_interval_of_training(judge):
    record(judge(), "a", minutes=1.0)
    assert judge().next_task("b", minutes=1.9) is None
    assert judge().next_task("c", minutes=2.0) is not None
    assert judge(interval=0.0).next_task("b", minutes=1.0) is not None


def test_a_model_whose_judging_failed_is_not_tried_again_by_the_same_process(judge):
    it = judge()
    assert it.next_task("a", minutes=1.0) is not None
    assert it.next_task("a", minutes=1.0) is None
    assert it.next_task("b", minutes=1.0) is not None


def test_the_newest_shares_are_metrics_of_a_resumed_run(judge):
    assert judge().metrics() == {}
    record(judge(), "a", minutes=1.0)
    assert judge().metrics() == {
        "judge/outcome_kept_0_simulations": 0.5,
        "judge/best_move_0_simulations": 0.25,
        "judge/outcome_kept_64_simulations": 1.0,
        "judge/best_move_64_simulations": 0.75,
    }


def test_an_incomplete_last_line_is_removed_before_the_next_one(judge, tmp_path):
    record(judge(), "a", minutes=1.0)
    file = tmp_path / JUDGEMENTS_FILE
    whole = file.read_bytes()
    for end in (1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole + whole[:end])
        assert [j.model for j in read_judgements(tmp_path)] == ["a"]
    record(judge(), "b", minutes=9.0)
    assert [j.model for j in read_judgements(tmp_path)] == ["a", "b"]
    assert file.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    ("file", "game", "sentence"),
    [
        ("hex9", "hex", "judge.file=hex9: 'hex9' is not a file"),
        ("hex3", "connect_four", "has positions of hex with size=3"),
        ("hex3", "snakes", "snakes is a team game"),
        ("README.md", "hex", "cannot be read"),
    ],
)
def test_a_file_that_cannot_judge_a_run_is_refused(file, game, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("no archive")
    with pytest.raises(UserError, match=r"^judge\.file=") as error:
        check_judge(file, load_any_game(game))
    assert sentence in str(error.value)


def test_thinned_positions_are_spread_over_the_file():
    solved = read_solved_positions(find_positions("hex3"))
    few = solved.thinned(10)
    assert len(few.positions) == len(few.scores) == len(few.matters) == 10
    assert (few.positions[0] == solved.positions[0]).all()
    assert solved.thinned(100_000) is solved


@pytest.mark.parametrize(("can_search", "judged_with"), [(True, [0, 5]), (False, [0])])
def test_a_model_is_judged_with_each_number_of_simulations(
    can_search, judged_with, tmp_path, monkeypatch
):
    solved = read_solved_positions(find_positions("hex3"))
    asked: list[int | None] = []

    def make_player(num_simulations: int | None, device: str) -> RandomPlayer:
        assert device == "cpu"
        asked.append(num_simulations)
        return RandomPlayer(solved.game)

    agent: Any = SimpleNamespace(can_search=can_search, make_player=make_player)
    agent.on = lambda game: agent
    monkeypatch.setattr(judging, "load_agent", lambda path: agent)
    signs: list[int] = []
    task = JudgeTask("a", "hex3", (0, 5), 100)
    shares, num_positions = judging.judge_model(
        task, tmp_path, solved, "cpu", lambda: signs.append(1)
    )
    assert [each["num_simulations"] for each in shares] == judged_with
    assert asked == (judged_with if can_search else [None])
    assert num_positions == len(solved.positions)
    assert all(0 < each["kept"] < 1 for each in shares)
    assert len(signs) >= len(judged_with)


class FakeWorkers:
    """One worker that ends a task at once; a judgement has shares or a problem."""

    start_cpu_seconds = cpu_seconds = 0.0

    def __init__(self, problem: str = "") -> None:
        self.tasks: dict[int, Task | JudgeTask] = {}
        self.refused: list[Refused] = []
        self.given: list[Task | JudgeTask] = []
        self._problem = problem

    @property
    def has_idle_worker(self) -> bool:
        return not self.tasks

    def play(self, task: Task | JudgeTask) -> None:
        self.tasks[0] = task
        self.given.append(task)

    def poll(self) -> list[Any]:
        return []

    def take_judged(self) -> list[Judged]:
        judged = [task for task in self.tasks.values() if isinstance(task, JudgeTask)]
        self.tasks = {}
        return [Judged(task, SHARES, 9, 1.0, self._problem) for task in judged]


@pytest.mark.parametrize("problem", ["", "the file is gone"])
def test_the_arena_judges_the_newest_model_and_then_plays(problem, judge, tmp_path, alone, caplog):
    run = Run(tmp_path, alone, rule())
    model = run.save(1)
    workers: Any = FakeWorkers(problem)
    arena = Arena(run.pool, workers, 1.0, judge())
    for _ in range(3):
        arena.poll()
    assert [type(task) for task in workers.given] == [JudgeTask, Task, Task]
    assert [j.model for j in read_judgements(tmp_path)] == ([] if problem else [model])
    assert ("judge/best_move_0_simulations" in arena.metrics()) == (not problem)
    assert (f"{model} was not judged: the file is gone" in caplog.text) == bool(problem)


def test_another_file_of_the_same_name_has_judgements_of_its_own(judge, tmp_path):
    other = tmp_path / "hex3.npz"
    other.write_bytes(find_positions("hex4").read_bytes())
    record(judge(), "a", minutes=1.0)
    assert judge(file=str(other)).metrics() == {}
    record(judge(file=str(other)), "a", minutes=1.0)
    assert [j.file for j in read_judgements(tmp_path)] == ["hex3", "hex3"]
    copy = tmp_path / "copy" / "hex3.npz"
    copy.parent.mkdir()
    copy.write_bytes(other.read_bytes())
    assert judge(file=str(copy)).next_task("a", minutes=9.0) is None


def test_judgements_of_earlier_versions_count(judge, tmp_path):
    record(judge(), "a", minutes=1.0)
    file = tmp_path / JUDGEMENTS_FILE
    old, digest = json.loads(file.read_text()), "digest"
    assert len(old.pop(digest)) == 16
    file.write_text(json.dumps(old) + "\n")
    assert [j.digest for j in read_judgements(tmp_path)] == [""]
    assert judge().next_task("a", minutes=9.0) is None
