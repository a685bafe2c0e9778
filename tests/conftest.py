"""What all tests share: the marker `gpu`, an environment in which no test believes that torchrun started it, ranks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ddpzero.distributed import Ranks

# Left over when the tests themselves run inside a job; any of them would make a test join a process group.
for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
    os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Files with many slow tests first: no process is to be at work long after the others.
    num_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -num_slow[item.path])
    needs_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not needs_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in needs_gpu:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.fixture
def alone() -> Iterator[Ranks]:
    """The only rank of a run."""
    from ddpzero.distributed import join_ranks

    with join_ranks("cpu") as ranks:
        yield ranks
