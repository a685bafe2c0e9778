"""A pool keeps its actors playing, replaces the dead, reports what they said, and ends quickly."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import ToyPool, is_running, wait_until

from ddpzero.actors import ActorError
from ddpzero.actors import supervised as supervised_module

FLOOD = {"episodes_per_slice": 50, "num_samples": 200, "slice_seconds": 0.0}


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(supervised_module, "_BACKOFF_SECONDS", 0.05)


def made_by(episodes) -> set[int]:
    return {episode.info["actor_index"] for episode in episodes}


def test_all_actors_play_and_their_episodes_say_who_made_them():
    with ToyPool(num_actors=2) as toys:
        episodes = toys.poll_until(lambda episodes: made_by(episodes) == {0, 1})
        assert len(toys.pool.pids) == 2 and toys.pool.num_restarts == 0
    for episode in episodes:
        assert episode.info["made_by"] == episode.info["actor_index"]
        assert episode.info["rank"] == 3
        assert episode.columns["number"].shape == (5,)
    seeds = {(e.info["actor_index"], e.info["seed"]) for e in episodes}
    assert len(seeds) == 2 and len({seed for _, seed in seeds}) == 2


def test_actors_neither_import_torch_nor_think_that_they_are_ranks(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with ToyPool() as toys:
        (first, *_) = toys.poll_until(len)
        assert os.environ["RANK"] == "3" and os.environ["OMP_NUM_THREADS"] == "1"
    assert first.info["heavy_modules"] == ""
    assert first.info["RANK"] == "" and first.info["OMP_NUM_THREADS"] == "2"


def test_actors_take_the_newest_weights():
    with ToyPool() as toys:
        toys.poll_until(len)
        for version in (2, 3, 4):
            toys.publish(version)
        episodes = toys.poll_until(lambda e: e and e[-1].columns["weights_version"][0] == 4)
    assert episodes[-1].info["weights_sum"] == 16.0


def test_metrics_are_summed_over_actors_and_since_the_last_call():
    with ToyPool(num_actors=2) as toys:
        metrics: dict[str, float] = {}
        num_polled = 0
        while metrics.get("simulations", 0) < 200:
            num_polled += len(toys.pool.poll(0.1))
            for name, value in toys.pool.take_metrics().items():
                metrics[name] = metrics.get(name, 0.0) + value
        assert 200 <= metrics["simulations"] <= num_polled
        assert {"seconds_waiting_for_rank", "seconds_waiting_for_weights"} <= metrics.keys()


def test_a_killed_actor_is_replaced_with_a_fresh_seed():
    with ToyPool(num_actors=2) as toys:
        before = toys.poll_until(lambda episodes: made_by(episodes) == {0, 1})
        seeds = {e.info["seed"] for e in before}
        victim = toys.pool.pids[1]
        os.kill(victim, signal.SIGKILL)
        after = toys.poll_until(
            lambda episodes: any(
                e.info["actor_index"] == 1 and e.info["pid"] != victim for e in episodes
            )
        )
        assert toys.pool.num_restarts == 1 and len(toys.pool.pids) == 2
        new_seeds = {e.info["seed"] for e in after if e.info["pid"] != victim} - seeds
        assert len(new_seeds) == 1


def test_a_replacement_is_logged_with_the_signal(caplog):
    with ToyPool() as toys:
        toys.poll_until(len)
        os.kill(toys.pool.pids[0], signal.SIGKILL)
        wait_until(lambda: toys.pool.poll(0.1) is not None and toys.pool.num_restarts == 1)
    assert "actor 0 of rank 3 failed (1 of 5 restarts)" in caplog.text
    assert "killed by SIGKILL (the kernel does that when memory runs out)" in caplog.text


def fail_for_good(max_restarts: int = 1, hang_seconds: float = 300.0, **arguments) -> str:
    """Poll a pool whose actors always fail; returns the error's text."""
    options = {"max_restarts": max_restarts, "hang_seconds": hang_seconds}
    with ToyPool(pool_options=options, **arguments) as toys:
        with pytest.raises(ActorError) as caught:
            toys.poll_until(lambda _: False)
        assert toys.pool.num_restarts == max_restarts
    return str(caught.value)


def test_an_actor_that_keeps_raising_ends_the_run_with_its_own_traceback():
    text = fail_for_good(trouble="raise", max_restarts=2)
    assert "actor 0 of rank 3 failed 3 times (actors.max_restarts=2)" in text
    assert "in a_toy_that_breaks" in text
    assert "ZeroDivisionError: the toy broke on purpose" in text


def test_an_actor_that_cannot_be_made_ends_the_run_with_its_own_traceback():
    assert "FileNotFoundError: no toy to be had" in fail_for_good(factory="toy_actors:make_nothing")


def test_a_crash_in_native_code_is_reported_with_its_stack():
    text = fail_for_good(trouble="crash", max_restarts=0)
    assert "killed by SIGSEGV" in text and "_maybe_make_trouble" in text


def test_an_actor_that_hangs_is_reported_with_the_place_where_it_hangs():
    text = fail_for_good(trouble="hang", max_restarts=0, hang_seconds=2.5)
    assert "actors.hang_seconds=2.5" in text and "in a_toy_that_hangs" in text


def test_what_no_restart_could_help_ends_the_run_at_once_with_its_sentence_alone():
    with ToyPool(trouble="user error") as toys, pytest.raises(ActorError) as caught:
        toys.poll_until(lambda _: False)
    assert str(caught.value) == "the toy was given by hand what cannot work."
    assert toys.pool.num_restarts == 0


@pytest.mark.parametrize(("trouble", "is_suspect"), [("crash", 1), ("hang", 1), ("raise", 0)])
def test_foreign_compiled_code_is_named_after_a_crash_or_a_hang(trouble, is_suspect):
    suspect = "Compiled code ran somebody's game."
    text = fail_for_good(trouble=trouble, max_restarts=0, hang_seconds=2.5, suspect=suspect)
    assert text.splitlines()[0].count(suspect) == is_suspect


def test_a_stopped_actor_counts_as_hanging():
    """It can say nothing, not even its stack."""
    with ToyPool(pool_options={"hang_seconds": 2.0}) as toys:
        toys.poll_until(len)
        victim = toys.pool.pids[0]
        os.kill(victim, signal.SIGSTOP)
        toys.poll_until(lambda e: any(episode.info["pid"] != victim for episode in e))
        assert toys.pool.num_restarts == 1 and not is_running(victim)


def test_samples_that_break_the_spec_are_refused_in_the_actor():
    text = fail_for_good(trouble="wrong columns", max_restarts=0)
    assert "sample field number is float32[5]; its spec says int64" in text


def test_an_actor_that_fails_once_is_forgiven(tmp_path):
    once = str(tmp_path / "once")
    with ToyPool(pool_options={"max_restarts": 1}, trouble="raise", trouble_once_file=once) as toys:
        toys.poll_until(lambda episodes: len(episodes) > 20)
        assert toys.pool.num_restarts == 1


def played(count_file: Path) -> int:
    return count_file.stat().st_size if count_file.exists() else 0


def test_actors_of_a_rank_that_does_not_poll_wait(tmp_path):
    count = tmp_path / "count"
    with ToyPool(count_file=str(count), **FLOOD) as toys:
        count = count.with_name("count.0")
        wait_until(lambda: played(count) > 0)
        time.sleep(0.5)
        waiting_at = played(count)
        time.sleep(1.0)
        assert played(count) == waiting_at
        # Two slices of 50 episodes of 2.7 kB: one that blocks, and what fits into the socket.
        assert waiting_at <= 300
        toys.poll_until(lambda episodes: len(episodes) >= 1000)
        assert played(count) > waiting_at


def test_a_rank_that_did_not_poll_for_long_does_not_blame_its_actors():
    with ToyPool(pool_options={"hang_seconds": 1.5}, **FLOOD) as toys:
        toys.poll_until(len)
        time.sleep(2.0)
        for _ in range(20):
            toys.pool.poll(0.05)
        assert toys.pool.num_restarts == 0


def test_actors_without_weights_wait_and_are_not_taken_for_hanging():
    with ToyPool(pool_options={"hang_seconds": 2.0}, published=False) as toys:
        end = time.monotonic() + 3.5
        while time.monotonic() < end:
            assert toys.pool.poll(0.1) == []
        assert toys.pool.num_restarts == 0
        toys.publish(5)
        assert toys.poll_until(len)[0].columns["weights_version"][0] == 5


def test_a_pool_closes_quickly_while_its_actors_are_blocked():
    with ToyPool(num_actors=2, **FLOOD) as toys:
        toys.poll_until(lambda episodes: made_by(episodes) == {0, 1})
        time.sleep(0.5)
        pids = toys.pool.pids
        started = time.monotonic()
        toys.pool.close()
        assert time.monotonic() - started < 2.0
        assert not any(is_running(pid) for pid in pids)
        toys.pool.close()


def test_a_pool_closes_quickly_while_its_actors_start():
    started = time.monotonic()
    with ToyPool(num_actors=2) as toys:
        pids = toys.pool.pids
    assert time.monotonic() - started < 2.0
    assert not any(is_running(pid) for pid in pids)


def test_a_pool_leaves_no_descriptors_behind():
    with ToyPool() as toys:
        toys.poll_until(len)
    before = len(os.listdir("/proc/self/fd"))
    with ToyPool(num_actors=2) as toys:
        toys.poll_until(lambda episodes: made_by(episodes) == {0, 1})
        os.kill(toys.pool.pids[0], signal.SIGKILL)
        wait_until(lambda: toys.pool.poll(0.1) is not None and toys.pool.num_restarts == 1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_actors_write_logs_of_their_own(tmp_path):
    with (
        ToyPool(
            pool_options={"log_dir": tmp_path / "logs", "max_restarts": 0}, trouble="raise"
        ) as toys,
        pytest.raises(ActorError),
    ):
        toys.poll_until(lambda _: False)
    text = (tmp_path / "logs" / "rank3.actor0.log").read_text()
    assert "actor 0 of rank 3: pid" in text and "ZeroDivisionError" in text


def test_what_an_actor_writes_to_standard_error_is_in_its_log(tmp_path, capfd):
    options = {"log_dir": tmp_path / "logs", "max_restarts": 0}
    with (
        ToyPool(pool_options=options, trouble="complain") as toys,
        pytest.raises(ActorError),
    ):
        toys.poll_until(lambda _: False)
    assert "a library complains" in (tmp_path / "logs" / "rank3.actor0.log").read_text()
    assert "a library complains" not in capfd.readouterr().err


def test_the_first_line_of_an_error_says_what_happened():
    first_line, _, rest = fail_for_good(trouble="raise", max_restarts=0).partition("\n")
    assert first_line.endswith(
        "failed once (actors.max_restarts=0): it ended with exit code 1: ZeroDivisionError: the toy broke on purpose"
    )
    assert "Traceback" in rest
    first_line, _, _ = fail_for_good(trouble="crash", max_restarts=0).partition("\n")
    assert "killed by SIGSEGV" in first_line and "Segmentation fault" in first_line


def test_numbers_differ_between_actors():
    with ToyPool(num_actors=2) as toys:
        episodes = toys.poll_until(lambda episodes: made_by(episodes) == {0, 1})
    numbers = np.concatenate([episode.columns["number"] for episode in episodes])
    assert len(np.unique(numbers)) == len(numbers)


def test_weights_of_no_use_are_reported_before_the_pool_gives_up():
    options = {"max_restarts": 0}
    with ToyPool(trouble="bad weights", trouble_after=0, pool_options=options) as toys:
        toys.poll_until(lambda _: toys.pool.num_restarts == 1)
        assert toys.pool.take_bad_weights()
        assert not toys.pool.take_bad_weights()
        with pytest.raises(ActorError, match="UnusableWeightsError: weights_version 1 is NaN"):
            toys.poll_until(lambda _: False)
