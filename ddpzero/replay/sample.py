"""What one training row consists of. A plugin says it once; buffer, transport and checkpoint follow it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Plain numbers only: objects and strings would need pickle, and no learner reads dates.
_ALLOWED_KINDS = "biuf"


@dataclass(frozen=True)
class Field:
    """One named value of a sample.

    shape: of a single sample, `()` for a scalar; a column of n samples is `[n, *shape]`.
    dtype: bool, integer or float, in the machine's byte order.
    description: one phrase for people: perspective, unit, range.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    description: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if any(size < 1 for size in self.shape):
            raise ValueError(f"sample field shape {self.shape} must have sizes of at least 1.")
        if self.dtype.kind not in _ALLOWED_KINDS or not self.dtype.isnative:
            raise ValueError(
                f"sample field dtype {self.dtype.str} is not allowed: use bool, an integer or a float in the "
                "machine's byte order."
            )

    @property
    def size_bytes(self) -> int:
        """Bytes of this field in one sample."""
        return math.prod(self.shape) * self.dtype.itemsize


SampleSpec = dict[str, Field]


def samples_size_bytes(spec: SampleSpec, num_samples: int) -> int:
    """Bytes that `num_samples` samples occupy: with a buffer's capacity, the memory to state at start."""
    return num_samples * sum(field.size_bytes for field in spec.values())


def check_columns(spec: SampleSpec, columns: Mapping[str, np.ndarray]) -> int:
    """Return n, the number of samples in columns `[n, ...]`; ValueError unless they are what the spec says."""
    if columns.keys() != spec.keys():
        missing = sorted(spec.keys() - columns.keys())
        unknown = sorted(columns.keys() - spec.keys())
        raise ValueError(f"samples lack the fields {missing} and have unknown fields {unknown}.")
    num_samples = -1
    for name, field in spec.items():
        column = columns[name]
        if column.dtype != field.dtype or column.shape[1:] != field.shape or column.ndim < 1:
            raise ValueError(
                f"sample field {name} is {column.dtype}{list(column.shape)}; its spec says "
                f"{field.dtype}{['n', *field.shape]}."
            )
        if num_samples not in (-1, len(column)):
            raise ValueError(
                f"sample field {name} has {len(column)} rows where another has {num_samples}."
            )
        num_samples = len(column)
    return max(num_samples, 0)
