"""What a spec prepares is done once, in a process of its own, before the first actor starts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ToyPool, is_running, wait_until

from ddpzero.actors import ActorSpec
from tests.places import REPO


def prepared_pool(tmp_path: Path, **options) -> ToyPool:
    return ToyPool(
        num_actors=2,
        factory="toy_actors:make_prepared_actor",
        preparation="toy_actors:prepare",
        count_file=str(tmp_path / "toys"),
        **options,
    )


def test_actors_start_when_the_preparation_is_over(tmp_path: Path):
    with prepared_pool(tmp_path) as toys:
        assert toys.pool.pids == [] and toys.pool.is_preparing
        episodes = toys.poll_until(lambda episodes: len(episodes) > 20)
        assert toys.pool.num_restarts == 0 and not toys.pool.is_preparing
        pid = int((tmp_path / "toys.prepared").read_text())
        assert not is_running(pid)
        assert pid not in {episode.info["pid"] for episode in episodes}


@pytest.mark.parametrize("compiles", [True, False])
def test_a_preparation_that_compiles_says_so(tmp_path: Path, compiles: bool):
    with prepared_pool(tmp_path, seconds=0.5, compiles=compiles) as toys:
        seen = set()
        while toys.pool.is_preparing:
            toys.pool.poll(timeout_seconds=0.05)
            seen.add(toys.pool.is_compiling)
    assert (True in seen) == compiles


def test_the_traceback_of_a_failed_preparation_is_in_the_log_of_its_rank(tmp_path: Path, capfd):
    options = {"log_dir": tmp_path / "logs"}
    with prepared_pool(tmp_path, fails=True, pool_options=options) as toys:
        toys.poll_until(lambda episodes: len(episodes) > 2)
    assert "the preparation's own words" in (tmp_path / "logs" / "rank3.log").read_text()
    assert "Traceback" not in capfd.readouterr().err


def test_waiting_for_the_preparation_takes_no_processor_time(tmp_path: Path):
    with prepared_pool(tmp_path, seconds=1.5) as toys:
        started = time.process_time()
        toys.pool.poll(timeout_seconds=1.0)
        assert time.process_time() - started < 0.3


def test_after_a_failed_preparation_actors_start_all_the_same(tmp_path: Path, caplog):
    with prepared_pool(tmp_path, fails=True) as toys:
        toys.poll_until(lambda episodes: len(episodes) > 2)
    assert "preparing for actors failed with exit code 1" in caplog.text


def test_a_pool_that_closes_ends_the_preparation(tmp_path: Path):
    with prepared_pool(tmp_path, seconds=60.0) as toys:
        preparation = toys.pool._preparation
        assert preparation is not None and preparation.pid is not None
        pid = preparation.pid
        assert is_running(pid)
    assert wait_until(lambda: not is_running(pid))


def test_pools_of_a_node_take_turns(tmp_path: Path):
    """Each preparation sleeps in the locked part: two of them need the sum of their times."""
    started = time.monotonic()
    with (
        prepared_pool(tmp_path, seconds=1.0) as first,
        prepared_pool(tmp_path, seconds=1.0) as second,
    ):
        first.poll_until(len)
        second.poll_until(len)
    assert time.monotonic() - started >= 2.0


@pytest.mark.parametrize("preparation", ["toy_actors", ":prepare", "toy_actors:"])
def test_a_misspelt_preparation_is_refused(preparation: str):
    with pytest.raises(ValueError, match=r"package\.module:function"):
        ActorSpec("toy_actors:make_actor", preparation=preparation)


def test_alphazero_s_preparation_leaves_nothing_for_its_actors_to_compile(tmp_path: Path):
    program = """
import sys
from ddpzero.algorithms.alphazero import lockstep
from ddpzero.algorithms.alphazero.curriculum import STAGE, CurriculumSettings
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS
from ddpzero.search.settings import SearchSettings
from ddpzero.search import rounds
arguments = dict(game={"name": "tic_tac_toe"}, search=SearchSettings(), settings=AlphaZeroSettings(),
    loss=LossSettings(), curriculum=CurriculumSettings())
if sys.argv[1] == "prepare":
    lockstep.compile_self_play(**arguments)
    assert "torch" not in sys.modules
else:
    import numpy as np
    from ddpzero.algorithms.alphazero.actor import make_actor
    from ddpzero.games import load_game
    from ddpzero.networks import NetworkSettings, make_network
    small = NetworkSettings(blocks=1, channels=8)
    actor = make_actor(**arguments, network=small, num_games=8, device="cpu",
        precision="float32", compile=False, cuda_graphs=False, cache_megabytes=1.0, rank=0,
            actor_index=0, seed=1)
    weights = make_network(load_game("tic_tac_toe"), small).state_dict()
    actor.receive({**weights, STAGE: np.array(0), SIMULATIONS: np.array([32])}, 0)
    while not actor.play():
        pass
functions = (lockstep.start_game, lockstep.propose_moves_and_leaves, rounds.absorb_evaluations)
print(*(sum(function.stats.cache_misses.values()) for function in functions))
"""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(REPO)}
    compiled = {}
    for role in ("prepare", "play"):
        result = subprocess.run(
            [sys.executable, "-c", program, role], capture_output=True, text=True, env=environment
        )
        assert result.returncode == 0, result.stderr
        compiled[role] = result.stdout.split()
    assert compiled == {"prepare": ["1", "1", "1"], "play": ["0", "0", "0"]}
