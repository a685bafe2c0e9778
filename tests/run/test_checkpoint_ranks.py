"""Checkpoints of several ranks, and resuming with another number of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddpzero.run.checkpoint import Checkpoints
from ddpzero.run.checkpoint_files import (
    newest_first,
)
from ddpzero.run.ranks import Ranks, join_ranks
from tests.run.checkpointed_runs import filled_buffer, sample_numbers, snapshot
from tests.torchrun import run_ranks

# --------------------------------------------------------------------- several ranks

TWO_RANKS = """
import logging
import numpy as np
from ddpzero.run.checkpoint import Checkpoints
from ddpzero.run.ranks import join_ranks
from tests.run.checkpointed_runs import filled_buffer, sample_numbers, snapshot

with join_ranks("cpu", 30.0) as ranks:
    checkpoints = Checkpoints(folder / "run", ranks, keep_last=3)
    restored = checkpoints.restore()  # saved by one rank
    dealt = {
        "samples": sample_numbers(restored.replay),
        "num_inserted": restored.replay.meta["num_inserted"],
        "rank_state": restored.rank_state,
    }
    own = filled_buffer(50 + 10 * ranks.rank, first=1000 * (ranks.rank + 1), seed=ranks.rank)
    saved = checkpoints.save(snapshot(5, own)) is not None
    again = Checkpoints(folder / "run", ranks, keep_last=3).restore()
    own_samples = sample_numbers(again.replay)

    # One rank's disk fails: no rank believes that there is a checkpoint.
    if ranks.rank == 1:
        import ddpzero.run.checkpoint
        def fail(path, value):
            raise OSError(28, "No space left on device", str(path))
        ddpzero.run.checkpoint.write_json = fail
    failed = checkpoints.save(snapshot(6, own)) is None
    say(dealt=dealt, saved=saved, own_samples=own_samples, has_own_state=again.rank_state is not None,
        failed=failed, error=checkpoints.last_error)
"""


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("two-ranks")
    with join_ranks("cpu") as ranks:
        Checkpoints(folder / "run", ranks, 3).save(snapshot(4, filled_buffer(31)))
    return folder / "run", run_ranks(folder, TWO_RANKS)


def test_more_ranks_share_the_samples_of_one(two_ranks: tuple[Path, list[dict[str, Any]]]) -> None:
    dealt = [answer["dealt"] for answer in two_ranks[1]]
    assert sorted(dealt[0]["samples"] + dealt[1]["samples"]) == list(range(31))
    assert {len(share["samples"]) for share in dealt} == {15, 16}
    assert sum(share["num_inserted"] for share in dealt) == 31
    assert [share["rank_state"] for share in dealt] == [None, None]


def test_each_of_two_ranks_gets_its_own_samples_back(
    two_ranks: tuple[Path, list[dict[str, Any]]],
) -> None:
    for rank, answer in enumerate(two_ranks[1]):
        assert answer["saved"] and answer["has_own_state"]
        first = 1000 * (rank + 1)
        assert answer["own_samples"] == list(range(first, first + 50 + 10 * rank))


def test_fewer_ranks_take_over_all_samples_and_say_so(
    two_ranks: tuple[Path, list[dict[str, Any]]], alone: Ranks, caplog: pytest.LogCaptureFixture
) -> None:
    restored = Checkpoints(two_ranks[0], alone, 3).restore()
    assert restored is not None
    assert restored.rank_state is None
    assert sorted(sample_numbers(restored.replay)) == [
        *range(1000, 1050),
        *range(2000, 2060),
    ]
    assert (
        "was saved with world size 2 and continues with world size 1: the 110 samples"
        in caplog.text
    )


def test_a_failure_at_one_rank_is_a_failure_at_all(
    two_ranks: tuple[Path, list[dict[str, Any]]],
) -> None:
    run_dir, answers = two_ranks
    assert [answer["failed"] for answer in answers] == [True, True]
    assert answers[0]["error"] == answers[1]["error"]
    assert "rank1.json: No space left on device (rank 1 on " in answers[0]["error"]
    assert newest_first(run_dir / "checkpoints")[0].name == "run-b1c8-s160-d10"
    assert not list((run_dir / "checkpoints").glob(".partial-*"))
