"""What actors are born with, and that their rank keeps its own."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ddpzero.actors import ActorSpec, derive_seed
from ddpzero.actors.environment import actor_environment
from ddpzero.actors.signals import signals_held_back


def test_actors_get_thread_counts_and_no_rank(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setenv("MASTER_PORT", "29500")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    before = dict(os.environ)
    with actor_environment(num_threads=2):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["NUMBA_NUM_THREADS"] == "2"
        assert "MASTER_PORT" not in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ
    assert dict(os.environ) == before


def test_a_rank_gets_the_signals_that_came_while_it_started_an_actor():
    heard: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with signals_held_back():
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            assert heard == []
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_seeds_depend_on_the_whole_path_and_on_nothing_else():
    paths = [(1, rank, index, start) for rank in range(4) for index in range(4) for start in (0, 1)]
    seeds = [derive_seed(*path) for path in paths]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(1, 2, 3) == derive_seed(1, 2, 3) != derive_seed(1, 2, 3, 1)


@pytest.mark.parametrize("factory", ["", "module", "module:", ":function"])
def test_a_factory_is_written_as_module_and_function(factory):
    with pytest.raises(ValueError, match="package"):
        ActorSpec(factory)
