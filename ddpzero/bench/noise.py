"""Random samples for any sample spec, to measure a learner without self-play."""

from __future__ import annotations

import numpy as np

from ddpzero.replay import SampleSpec


def noise(spec: SampleSpec, num_samples: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return columns `[num_samples, ...]`: floats in 0..1, bytes 0 or 1, booleans True, other integers 0.

    Other integers may be indices, of which 0 is always valid.
    """
    columns = {}
    for name, field in spec.items():
        shape = (num_samples, *field.shape)
        if field.dtype.kind == "f":
            columns[name] = rng.random(shape, dtype=np.float32).astype(field.dtype)
        elif field.dtype == np.uint8:
            columns[name] = rng.integers(0, 2, shape, dtype=np.uint8)
        elif field.dtype == np.bool_:
            columns[name] = np.ones(shape, dtype=np.bool_)
        else:
            columns[name] = np.zeros(shape, dtype=field.dtype)
    return columns
