"""What all tests share: the marker `gpu`, an environment in which no test believes that torchrun started it, ranks."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ddpzero.run.ranks import Ranks

# Several processes with tests share the cores: torch's threads would take a fifth of the time to wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Left over when the tests themselves run inside a job; any of them would make a test join a process group.
for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
    os.environ.pop(name, None)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Garbage collections would visit all modules and tests again and again: half a second each."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


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


@pytest.fixture(autouse=True)
def restored_signals() -> Iterator[None]:
    """A test may call the main function of a program, whose handlers of signals would otherwise meet later tests."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    for number, handler in before.items():
        # None: it was not installed by Python.
        if handler is not None:
            signal.signal(number, handler)


@pytest.fixture
def alone() -> Iterator[Ranks]:
    """The only rank of a run."""
    from ddpzero.run.ranks import join_ranks

    with join_ranks("cpu") as ranks:
        yield ranks


@pytest.fixture
def clean_logging() -> Iterator[None]:
    """A test may call setup_logging."""
    root, ours = logging.getLogger(), logging.getLogger("ddpzero")
    before = root.handlers[:], root.level, ours.level
    hooks = threading.excepthook, sys.unraisablehook
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(False)
    threading.excepthook, sys.unraisablehook = hooks
    faulthandler.enable()
