"""What a rank takes in: from actors and contributors within their share, into store and replay buffer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ddpzero.replay import Episode, ReplayBuffer, SampleBalance
from ddpzero.training.intake import UNLIMITED, Intake
from tests.serve.material import material


class Collected:
    """Games of contributors: always one more, of as many samples as `episode` has."""

    def __init__(self, episode: Episode) -> None:
        self.num_samples = self.num_left_out = 0
        self._episode = episode

    def poll(self, newest_version: int) -> list[Episode]:
        self.num_samples += self._episode.num_samples
        return [self._episode]


def intake(
    buffer: ReplayBuffer, own: list[Episode], collected: Any, share: float, num_actors: int = 1
) -> Intake:
    pool: Any = SimpleNamespace(num_actors=num_actors, has_heard=False, poll=lambda seconds: own)
    store: Any = SimpleNamespace(
        size_bytes=2**30, num_dropped=2, add=lambda episode, held_out: episode.num_samples
    )
    balance = SampleBalance(4.0, min_samples=10, batch_size=8)
    return Intake(pool, collected, share, store, buffer, balance, holdout_fraction=0.0)


def new_buffer() -> ReplayBuffer:
    return ReplayBuffer(material().algorithm.sample_spec(), 10_000, seed=1)


@pytest.mark.parametrize("num_restored", [0, 40])
def test_contributors_have_their_share_of_what_is_new(num_restored):
    episode = material().episodes[0]
    buffer = new_buffer()
    for _ in range(num_restored):
        buffer.add(episode.columns, False, 0)
    collected = Collected(episode)
    took = intake(buffer, [episode], collected, share=0.25)
    for _ in range(200):
        took.insert(took.poll(0.0, newest_version=1))
    num_new = buffer.num_inserted - num_restored * episode.num_samples
    assert collected.num_samples / num_new == pytest.approx(0.25, abs=0.01)
    assert took.metrics() == {
        "store/gib_written": 1.0,
        "store/episodes_dropped": 2,
        "collect/samples": collected.num_samples,
        "collect/files_left_out": 0,
    }


def test_without_actors_contributors_give_everything():
    episode = material().episodes[0]
    took = intake(new_buffer(), [], Collected(episode), share=1.0, num_actors=0)
    assert took.is_open and took.allowed_inserts() > 0 and took.allowed_steps() == 0
    for _ in range(10):
        took.insert(took.poll(0.0, newest_version=1))
    assert took.buffer.num_inserted == 10 * episode.num_samples and took.allowed_steps() > 0


def test_without_any_source_the_run_trains_on_what_it_has():
    took = intake(new_buffer(), [], None, share=1.0, num_actors=0)
    assert not took.is_open
    assert (took.allowed_steps(), took.allowed_inserts()) == (UNLIMITED, 0)
    assert "collect/samples" not in took.metrics()


def test_it_looks_again_at_once_while_an_actor_sends_and_otherwise_soon(monkeypatch):
    now = 100.0
    monkeypatch.setattr("ddpzero.training.intake.time.monotonic", lambda: now)
    took = intake(new_buffer(), [], None, share=1.0)
    assert took.is_look_due
    took.poll(0.0, newest_version=1)
    assert not took.is_look_due
    took.pool.has_heard = True
    assert took.is_look_due
    took.pool.has_heard = False
    now += 0.05
    assert took.is_look_due
