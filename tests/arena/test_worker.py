"""Facts about the process of an arena worker, without the process: what it plays with, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ddpzero.arena import agents
from ddpzero.arena.arena import Arena
from ddpzero.arena.players import RandomPlayer
from ddpzero.arena.schedule import Task
from ddpzero.arena.signs_of_life import SignsOfLife
from ddpzero.arena.worker import WorkerArguments, _Body
from ddpzero.arena.workers import Workers
from ddpzero.games import load_game
from ddpzero.run.models import MODELS_FOLDER
from tests.arena.test_pool import Run, rule

SIGNS = SignsOfLife(lambda: None)


def body(run_dir: Path, device: str = "cpu") -> _Body:
    nothing: Any = None
    return _Body(
        WorkerArguments(
            parent_pid=0,
            rank=0,
            worker_index=0,
            run_dir=run_dir,
            game=load_game("tic_tac_toe").arguments,
            num_simulations=7,
            device=device,
            connection=nothing,
            crash_report=nothing,
            log_file=None,
        )
    )


def test_models_and_opponents_evaluate_on_the_device_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[object, ...]] = []

    def make_player(num_simulations: int | None, device: str) -> RandomPlayer:
        made.append((num_simulations, device))
        return RandomPlayer(load_game("tic_tac_toe"))

    def parse_player(text: str, game: object, **arguments: Any) -> RandomPlayer:
        made.append((text, arguments["device"]))
        return RandomPlayer(load_game("tic_tac_toe"))

    agent: Any = SimpleNamespace(make_player=make_player)
    agent.on = lambda game: agent
    monkeypatch.setattr(agents, "load_agent", lambda path: agent)
    monkeypatch.setattr(agents, "parse_player", parse_player)
    (tmp_path / MODELS_FOLDER / "mine").mkdir(parents=True)
    (tmp_path / "opponents" / "other").mkdir(parents=True)
    worker = body(tmp_path, "cuda:3")
    for name in ("mine", "opponents/other", "rollout:9"):
        worker._make_player(name)
    other = str(tmp_path / "opponents" / "other")
    assert made == [(7, "cuda:3"), (other, "cuda:3"), ("rollout:9", "cuda:3")]


def test_games_with_a_player_that_cannot_be_made_are_refused_in_a_sentence(tmp_path: Path) -> None:
    worker = body(tmp_path)
    refused = worker._play_or_refuse(Task("key", "random", "nonsense", 2, 0, 0), SIGNS)
    assert refused["problem"].startswith("player 'nonsense' is unknown in tic_tac_toe")
    played = worker._play_or_refuse(Task("key", "random", "random", 4, 0, 0), SIGNS)
    assert len(played["scores"]) == 2


def test_an_error_that_is_no_sentence_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = body(tmp_path)
    monkeypatch.setattr(worker, "_make_player", lambda name: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        worker._play_or_refuse(Task("key", "random", "random", 2, 0, 0), SIGNS)


def test_the_arena_leaves_out_games_that_were_refused_and_keeps_its_worker(
    tmp_path: Path, alone, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path, alone, rule())
    run.save(1)
    workers = Workers(
        1,
        rank=0,
        run_dir=tmp_path,
        game=load_game("tic_tac_toe").arguments,
        num_simulations=None,
        device="cpu",
        hang_seconds=60,
    )
    arena = Arena(run.pool, workers, 1.0)
    first = arena._next_task()
    assert isinstance(first, Task)
    workers.tasks[0] = first
    worker: Any = SimpleNamespace(actor_index=0)
    assert workers._result(worker, cpu_seconds=1.0, problem="the file is gone.") == []
    assert f"leaves out the games {first.key}: the file is gone." in caplog.text
    second = arena._next_task()
    assert isinstance(second, Task) and second.key != first.key
    assert workers.has_idle_worker and not workers.problem
