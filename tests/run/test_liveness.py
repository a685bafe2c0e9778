"""Whether a process exists is known without its help."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ddpzero.run.liveness import Address, Watch, address_of, open_listener
from tests.torchrun import environment
from tests.waiting import wait_for

PROGRAM = """
from ddpzero.run.liveness import address_of, open_listener
listener = open_listener(4)
print(*address_of(listener), flush=True)
while True:  # never gives others a turn
    pass
"""


class Rank:
    """A process that listens and is busy."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", PROGRAM]
        self.process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        host, port = self.process.stdout.readline().split()
        self.address = Address(host, int(port))


@pytest.fixture
def rank() -> Iterator[Rank]:
    rank = Rank()
    yield rank
    rank.process.kill()
    rank.process.wait()
    rank.process.stdout.close()


def test_a_process_that_is_busy_or_stopped_exists_until_it_is_killed(rank: Rank) -> None:
    with Watch({3: rank.address}) as watch:
        assert watch.gone() == set()
        rank.process.send_signal(signal.SIGSTOP)
        with Watch({3: rank.address}) as another:
            assert watch.gone() == another.gone() == set()
            rank.process.kill()
            # Nobody has taken note of its death yet: it is a zombie.
            wait_for(lambda: watch.gone() == another.gone() == {3})


def test_a_process_that_died_before_is_known_at_once_to_be_gone(rank: Rank) -> None:
    with open_listener(4) as own:
        rank.process.kill()
        rank.process.wait()
        with Watch({0: address_of(own), 1: rank.address}) as watch:
            wait_for(lambda: watch.gone() == {1})
            assert watch.gone() == {1}


def test_more_onlookers_than_the_socket_was_opened_for_harm_nobody(rank: Rank) -> None:
    with Watch(dict.fromkeys(range(20), rank.address)) as watch:
        assert watch.gone() == set()


def test_listens_on_the_network_that_gloo_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo,eth0")
    with open_listener(2) as listener:
        assert address_of(listener).host == "127.0.0.1"


def test_an_unknown_network_leaves_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nowhere0")
    with open_listener(2) as listener, Watch({1: address_of(listener)}) as watch:
        assert address_of(listener).host == "127.0.0.1"
        assert watch.gone() == set()
