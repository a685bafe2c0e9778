"""What the tests of buffers share."""

from __future__ import annotations

import numpy as np

from ddpzero.replay import ReplayBuffer, ReplayState


def columns_of(buffer: ReplayBuffer) -> dict[str, np.ndarray]:
    """All samples of a buffer, oldest first."""
    return buffer.read(np.arange(buffer.num_samples))


def whole_state(buffer: ReplayBuffer) -> ReplayState:
    """The state of a buffer with its columns, as checkpoints of format 1 have it."""
    return ReplayState(columns_of(buffer), buffer.state().meta)
