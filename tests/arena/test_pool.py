"""Facts about the pool of a run's models: what plays next, and what is released."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ddpzero.arena.pool import RATINGS_FILE, ModelPool
from ddpzero.arena.release import ReleaseRule
from ddpzero.arena.schedule import Task
from ddpzero.run.finder import find_run
from ddpzero.run.models import read_models, remove_model
from ddpzero.run.releases import read_verdicts
from ddpzero.system.errors import UserError
from tests.run.checkpointed_runs import saved_run, snapshot

OPPONENTS = ["random", "rollout:10"]


def rule(kind: str = "always", **release: float) -> ReleaseRule:
    usual = {"games": 400, "threshold": 0.55, "min_elo": 20.0, "max_steps": 10_000}
    return ReleaseRule(kind, **{**usual, **release})


class Run:
    """A run whose models are saved and whose games are decided by the test."""

    def __init__(self, run_dir: Path, ranks, release: ReleaseRule, **arena: Any) -> None:
        self.run_dir = run_dir
        self.release = release
        self.arena = {"num_games": 40, "max_models": 32, **arena}
        self.checkpoints = saved_run(run_dir, ranks, keep_last=1)
        self.open()

    def open(self) -> None:
        self.pool = ModelPool(
            self.run_dir, self.release, OPPONENTS, seed=0, num_simulations=None, **self.arena
        )

    def save_checkpoint(self, step: int) -> Path:
        path = self.checkpoints.save(snapshot(step))
        assert path is not None
        return path

    def save(self, step: int) -> str:
        path = self.save_checkpoint(step)
        self.pool.add(path)
        return path.name

    def play(
        self, score: float, num_blocks: int = 1000, num_distinct_games: int | None = None
    ) -> int:
        """Play blocks until nothing is left; the model scores `score` in each. Returns how many were played."""
        num_played = 0
        while num_played < num_blocks and (task := self.pool.next_task([])):
            self.record(task, score, num_distinct_games)
            num_played += 1
        return num_played

    def record(self, task: Task, score: float, num_distinct_games: int | None = None) -> None:
        num_pairs = task.num_games // 2
        won = round(score * num_pairs)
        scores = [(1.0, 1.0)] * won + [(0.0, 0.0)] * (num_pairs - won)
        self.pool.record(task, scores, 9.0, 1.0, num_distinct_games)

    def verdicts(self) -> list[tuple[str, bool]]:
        return [(verdict.model, verdict.is_released) for verdict in read_verdicts(self.run_dir)]


@pytest.fixture
def run(tmp_path, alone):
    return lambda **release: Run(tmp_path / "x", alone, rule(**release))


def test_every_model_is_released_by_default_and_outlives_its_checkpoint(run):
    it = run()
    names = [it.save(step) for step in (1, 2, 3)]
    assert it.verdicts() == [(name, True) for name in names]
    assert [path.name for path in (it.run_dir / "checkpoints").glob("[!.]*")] == names[-1:]
    assert [manifest.model for manifest in read_models(it.run_dir)] == names
    assert find_run("x@best", it.run_dir.parent).name == names[-1]


def test_a_resumed_run_continues_with_the_next_block_and_plays_none_twice(run):
    it = run()
    it.save(1)
    num_blocks = it.play(0.5)
    assert it.play(0.5) == 0
    it.save(2)
    assert it.play(0.5, num_blocks=1) == 1
    it.open()
    assert it.play(0.5) == num_blocks
    it.open()
    assert it.play(0.5) == 0


def test_a_model_plays_all_its_games_before_the_newest_one_begins(run):
    it = run()
    first = it.save(1)
    it.play(0.5, num_blocks=1)
    newest = [it.save(step) for step in (2, 3)][-1]
    task = it.pool.next_task([])
    assert task.player_a == first
    assert it.pool.next_task([task]).player_a == newest


def test_a_gate_rejects_a_model_below_the_threshold_and_keeps_the_best_one(run):
    it = run(kind="gate", games=80, threshold=0.55)
    first, weak = it.save(1), it.save(2)
    assert it.verdicts() == [(first, True)]
    it.play(0.5)
    assert it.verdicts() == [(first, True), (weak, False)]
    assert "50.0%" in read_verdicts(it.run_dir)[-1].reason
    strong = it.save(3)
    it.play(0.6)
    assert it.verdicts()[-1] == (strong, True)
    assert {rating.player for rating in it.pool.ratings} >= {first, weak, strong}
    assert it.pool.best == strong
    assert find_run("x@best", it.run_dir.parent).name == strong


def test_with_a_gate_only_the_models_of_rounds_play_its_matches_and_are_released(tmp_path, alone):
    it = Run(tmp_path / "x", alone, rule("gate", games=80), is_gated=True)
    stopped = it.save(100)  # inside the first round, by a signal
    it.play(1.0)
    assert it.verdicts() == []
    first = it.save(200)
    it.pool.decide(first)
    assert it.verdicts() == [(first, True)]
    kept = it.save(290)  # by checkpoint.at_minutes
    it.play(1.0)
    assert it.verdicts() == [(first, True)]
    second = it.save(400)
    match = it.pool.tasks_of_match(second)
    assert {(task.player_a, task.player_b) for task in match} == {(second, first)}
    assert sum(task.num_games for task in match) == 80
    for task in match:
        it.pool.decide(second)
        assert it.verdicts() == [(first, True)]
        it.record(task, 0.0)
    it.pool.decide(second)
    assert it.verdicts() == [(first, True), (second, False)]
    assert {stopped, kept} <= {rating.player for rating in it.pool.ratings}


def test_a_best_model_whose_files_are_lost_is_replaced_and_the_verdict_says_so(run):
    it = run(kind="gate", games=80)
    first = it.save(1)
    remove_model(it.run_dir, first)
    with pytest.raises(UserError, match=f"has released {first}, whose files are lost"):
        find_run("x@best", it.run_dir.parent)
    second = it.save(2)
    assert it.verdicts() == [(first, True), (second, True)]
    assert (
        f"{first}, which it should have played, is no longer"
        in read_verdicts(it.run_dir)[-1].reason
    )


def test_the_rule_elo_releases_a_stronger_model_and_otherwise_one_after_many_steps(run):
    it = run(kind="elo", games=400, min_elo=20.0, max_steps=10)
    first, equal = it.save(1), it.save(2)
    it.play(0.5)
    stronger = it.save(3)
    it.play(0.55)
    late = it.save(20)
    it.play(0.45)
    assert it.verdicts() == [(first, True), (equal, False), (stronger, True), (late, True)]
    reasons = [verdict.reason for verdict in read_verdicts(it.run_dir)]
    assert "release.min_elo=20" in reasons[1] and "+35 Elo" in reasons[2]
    assert "17 updates have passed since the last release" in reasons[3]


def test_the_best_model_survives_when_others_are_removed(run, tmp_path, alone):
    it = Run(tmp_path / "y", alone, rule("gate", games=2), max_models=4, num_games=2)
    best = it.save(1)
    for step in range(2, 14):
        it.save(step)
        it.play(0.0)
    models = [manifest.model for manifest in read_models(it.run_dir)]
    assert best in models and len(models) <= 5
    assert it.pool.best == best


def test_ratings_are_in_a_file(run):
    it = run()
    name = it.save(1)
    it.play(0.75)
    document = json.loads((it.run_dir / RATINGS_FILE).read_text())
    assert document["anchor"] == "random" and document["best"] == name
    assert {entry["player"] for entry in document["ratings"]} == {name, *OPPONENTS}


def test_a_run_without_releases_has_no_best_model(tmp_path, alone):
    saved_run(tmp_path / "x", alone, 1)
    with pytest.raises(UserError, match="has not released a model"):
        find_run("x@best", tmp_path)
    assert find_run("x@latest", tmp_path) == tmp_path / "x"


def test_a_verdict_says_that_games_were_repeated(run):
    run = run(kind="gate", games=40)
    run.save(1)
    run.play(0.5)
    run.save(2)
    run.play(0.75, num_distinct_games=5)
    reason = read_verdicts(run.run_dir)[-1].reason
    assert "(only 5 of the 40 games differ: the interval is too narrow)" in reason
