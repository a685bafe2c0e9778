"""What ranks say to each other, and what happens when one of them does not answer."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from ddpzero.run.ranks import join_ranks
from ddpzero.system.devices import choose_device
from ddpzero.system.errors import UserError
from ddpzero.system.signals import install_stop_signal
from tests.torchrun import environment, run_ranks, torchrun_command, write_program

CONVERSATION = """
import torch
from ddpzero.run.ranks import join_ranks
from ddpzero.system.errors import UserError
torch.manual_seed(int(os.environ["RANK"]))
with join_ranks("cpu", 30.0) as ranks:
    answer = {"world_size": ranks.world_size, "is_first": ranks.is_first}
    answer["any"] = [ranks.any_rank(ranks.rank == 1), ranks.any_rank(False)]
    answer["flags"] = ranks.any_flags([ranks.rank == 0, ranks.rank == 1, False])
    answer["vote"] = ranks.vote([ranks.rank == 1, False], [5, 10 + ranks.rank], 7 - ranks.rank)
    answer["broadcast"] = ranks.broadcast({"from": ranks.rank, "text": "é" * 10})
    answer["gather"] = ranks.gather(["a" * ranks.rank, ranks.rank])
    figures = {"both": ranks.rank + 1.0, f"only_{ranks.rank}": 5}
    answer["sum"] = ranks.sum(figures)
    try:
        ranks.check_same_config({"learner": {"batch_size": 64 + ranks.rank, "compile": False}})
    except UserError as error:
        answer["config"] = str(error)
    ranks.check_same_config({"range": (1, 2)})
    module = ranks.wrap(torch.nn.Linear(2, 1))
    module(torch.full((1, 2), float(ranks.rank))).sum().backward()
    answer["parameters"] = [p.tolist() for p in module.parameters()]
    answer["gradient"] = module.module.weight.grad.tolist()
    constant, state = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    constant.register_buffer("places", torch.full((2,), float(ranks.rank)), persistent=False)
    state.register_buffer("mean", torch.full((2,), float(ranks.rank)))
    for module in (constant, state):
        wrapped = ranks.wrap(module)
        with torch.no_grad():
            next(module.buffers()).fill_(ranks.rank)
        wrapped(torch.zeros(1, 2))
    answer["buffers"] = [float(next(module.buffers())[0]) for module in (constant, state)]
    try:
        with ranks.watch("update"):
            raise RuntimeError("out of cheese")
    except RuntimeError as error:
        answer["error"] = str(error)
    ranks.barrier("the end")
say(**answer)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_ranks(tmp_path_factory.mktemp("conversation"), CONVERSATION)


def test_ranks_know_how_many_they_are_and_who_is_first(answers: list[dict[str, Any]]) -> None:
    assert [answer["world_size"] for answer in answers] == [2, 2]
    assert [answer["is_first"] for answer in answers] == [True, False]


def test_a_flag_of_one_rank_is_seen_by_all_and_counts_are_summed(
    answers: list[dict[str, Any]],
) -> None:
    for answer in answers:
        assert answer["any"] == [True, False]
        assert answer["flags"] == [True, True, False]
        assert answer["vote"] == [[True, False], [10, 21], 6]


def test_every_rank_gets_what_rank_0_broadcasts(answers: list[dict[str, Any]]) -> None:
    assert [a["broadcast"] for a in answers] == 2 * [{"from": 0, "text": "é" * 10}]


def test_every_rank_gets_what_all_gather_in_the_order_of_ranks(
    answers: list[dict[str, Any]],
) -> None:
    assert [a["gather"] for a in answers] == 2 * [[["", 0], ["a", 1]]]


def test_figures_are_combined_over_the_ranks_that_have_them(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        assert answer["sum"] == {"both": 3.0, "only_0": 5.0, "only_1": 5.0}


def test_a_rank_with_another_config_is_refused_by_all_with_the_key(
    answers: list[dict[str, Any]],
) -> None:
    for answer in answers:
        assert "rank 1" in answer["config"]
        assert "learner.batch_size=65 (64)" in answer["config"]
        assert "compile" not in answer["config"]


def test_wrapped_modules_start_equal_and_average_their_gradients(
    answers: list[dict[str, Any]],
) -> None:
    assert answers[0]["parameters"] == answers[1]["parameters"]
    assert [answer["gradient"] for answer in answers] == 2 * [[[0.5, 0.5]]]


def test_an_error_of_the_program_is_not_taken_for_a_missing_rank(
    answers: list[dict[str, Any]],
) -> None:
    assert [answer["error"] for answer in answers] == 2 * ["out of cheese"]


MISSING_RANK = """
import signal, torch
from ddpzero.run.ranks import RankError, join_ranks
with join_ranks("cpu", 1.5) as ranks:
    module = ranks.wrap(torch.nn.Linear(2, 1))
    ranks.barrier("the start")
    if ranks.rank == 1:
        if CASE == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not (folder / "answer-rank0.json").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's answer to the death of rank 1
    try:
        if PLACE == "barrier":
            ranks.barrier("epoch 3")
        else:
            with ranks.watch("the update"):
                module(torch.ones(1, 2)).sum().backward()
    except RankError as error:
        say(sentence=str(error))
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("case", "place", "expected"),
    [
        ("hangs", "barrier", "epoch 3: rank 1 (node {node}) did not arrive within 1.5 s"),
        ("hangs", "update", "the update: rank 1 (node {node}) did not arrive within 1.5 s"),
        ("is killed", "barrier", "epoch 3: rank 1 (node {node}) is gone"),
    ],
)
def test_a_rank_that_does_not_come_is_named(
    tmp_path: Path, case: str, place: str, expected: str
) -> None:
    program = write_program(tmp_path, f"CASE, PLACE = {case!r}, {place!r}\n{MISSING_RANK}")
    command = torchrun_command(program, tmp_path)
    subprocess.run(command, env=environment(), capture_output=True, timeout=60, check=False)
    sentence = (tmp_path / "answer-rank0.json").read_text()
    assert expected.format(node=os.uname().nodename) in sentence
    assert "logs/rank1.log" in sentence


def test_only_buffers_that_are_state_are_kept_equal(answers: list[dict[str, Any]]) -> None:
    # Constants are equal anyway: here they are made different to see that no message is spent on them.
    assert [answer["buffers"] for answer in answers] == [[0.0, 0.0], [1.0, 0.0]]


def test_without_torchrun_a_rank_is_alone_and_needs_no_group() -> None:
    with join_ranks("cpu") as ranks:
        assert (ranks.rank, ranks.world_size, ranks.is_first) == (0, 1, True)
        assert ranks.any_flags([True, False]) == [True, False]
        assert ranks.vote([True, False], [3], 9) == ([True, False], [3], 9)
        assert ranks.broadcast({"a": (1, 2)}) == {"a": [1, 2]}
        assert ranks.gather(3) == [3]
        assert ranks.sum({"a": 2}) == {"a": 2.0}
        ranks.barrier("nobody else is there")
        module = torch.nn.Linear(1, 1)
        assert ranks.wrap(module) is module
    assert not torch.distributed.is_initialized()


def test_a_gpu_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", 0, 1) == torch.device("cpu")
    with pytest.raises(UserError, match="device=cuda: PyTorch sees no GPU"):
        choose_device("cuda", 0, 1)


def test_more_ranks_than_gpus_are_refused_with_the_right_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert choose_device("auto", 3, 4) == torch.device("cuda", 3)
    with pytest.raises(UserError, match="--nproc_per_node=4"):
        choose_device("auto", 0, 8)


@pytest.fixture
def restored_handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.usefixtures("restored_handlers")
def test_a_signal_asks_for_a_stop_once(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored, and stays so
    stop = install_stop_signal()
    assert not stop.is_set
    signal.raise_signal(number)
    assert stop.is_set
    signal.raise_signal(signal.SIGTERM)
    assert stop.reason == number.name


@pytest.mark.usefixtures("restored_handlers")
def test_a_second_interrupt_leaves_at_once() -> None:
    stop = install_stop_signal()
    signal.raise_signal(signal.SIGINT)
    assert stop.reason == "SIGINT"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


ORPHANS = """
from ddpzero.system.parent import die_with_parent
from ddpzero.system.signals import install_stop_signal
install_stop_signal()
die_with_parent()
say(pid=os.getpid())
time.sleep(60)
"""


def test_no_rank_outlives_a_killed_torchrun(tmp_path: Path) -> None:
    program = write_program(tmp_path, ORPHANS)
    agent = subprocess.Popen(torchrun_command(program, tmp_path), env=environment())
    try:
        wait_until(lambda: len(list(tmp_path.glob("answer-rank*.json"))) == 2, seconds=30)
        ranks = psutil.Process(agent.pid).children()
        assert len(ranks) == 2
    finally:
        agent.kill()
        agent.wait()
    gone, alive = psutil.wait_procs(ranks, timeout=5)
    assert (len(gone), alive) == (2, [])


def wait_until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
