"""The specification of one training row. A plugin declares it once; buffer, transport and checkpoint follow it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Plain numbers only: objects and strings would need pickle, and no learner reads dates.
_ALLOWED_KINDS = "biuf"
# Tolerance of a limit or a sum: float16 rounds each of several hundred entries.
_TOLERANCE = 0.01
# Chunks that stay in the processor's cache.
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Field:
    """One named value of a sample.

    shape: of a single sample, `()` for a scalar; a column of n samples is `[n, *shape]`.
    dtype: bool, integer or float, in the machine's byte order.
    description: one phrase for people: perspective, unit, range.
    low, high: the least and the largest value; low <= 0 <= high. By default any finite value is allowed.
    sums: the allowed sums of a sample's entries, up to rounding: (1.0,) for a distribution. Empty: any sum.
    stand_in: for samples that a run recorded before it had this field: a number, or another field's name. None: such
        samples are of no use.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    description: str = ""
    low: float = -math.inf
    high: float = math.inf
    sums: tuple[float, ...] = ()
    stand_in: float | str | None = None

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
        """The size of this field in one sample, in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


SampleSpec = dict[str, Field]


def samples_size_bytes(spec: SampleSpec, num_samples: int) -> int:
    """Return the size of `num_samples` samples in bytes."""
    return num_samples * sum(field.size_bytes for field in spec.values())


def adapted_columns(
    spec: SampleSpec, columns: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the columns of `spec` for samples that were recorded with another spec, and a sentence on each change.

    Fields that `spec` lacks are dropped; missing ones are replaced by their stand-ins. A missing field without one
    stays missing, which check_columns reports.
    """
    adapted: dict[str, np.ndarray] = {}
    sentences = [
        f"the saved samples have {name}, which is no longer used"
        for name in columns
        if name not in spec
    ]
    for name, field in spec.items():
        stand_in = field.stand_in
        if name in columns:
            adapted[name] = columns[name]
        elif isinstance(stand_in, str) and stand_in in columns:
            adapted[name] = columns[stand_in].astype(field.dtype)
        elif isinstance(stand_in, (int, float)):
            num_samples = len(next(iter(columns.values()), ()))
            adapted[name] = np.full((num_samples, *field.shape), stand_in, field.dtype)
        if name in adapted and name not in columns:
            sentences.append(f"the saved samples have no {name}: {stand_in} takes its place")
    return adapted, sentences


def check_columns(spec: SampleSpec, columns: Mapping[str, np.ndarray]) -> int:
    """Return n, the number of samples in columns `[n, ...]`. Raises ValueError unless they match the spec."""
    if columns.keys() != spec.keys():
        missing = sorted(spec.keys() - columns.keys())
        unknown = sorted(columns.keys() - spec.keys())
        raise ValueError(f"samples lack the fields {missing} and have unknown fields {unknown}.")
    num_samples = -1
    for name, field in spec.items():
        column = columns[name]
        if column.dtype != field.dtype or column.shape[1:] != field.shape or column.ndim < 1:
            shape = ", ".join(map(str, ("n", *field.shape)))
            raise ValueError(
                f"sample field {name} is {column.dtype}{list(column.shape)}; its spec says "
                f"{field.dtype}[{shape}]."
            )
        if num_samples not in (-1, len(column)):
            raise ValueError(
                f"sample field {name} has {len(column)} rows where another has {num_samples}."
            )
        num_samples = len(column)
    return max(num_samples, 0)


def check_values(spec: SampleSpec, columns: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless all values of columns `[n, ...]` with this spec's shapes are allowed by their fields.

    For samples that come from a file. It takes 0.1 s per GB, and almost 1 s per GB for fields with sums.
    """
    for name, field in spec.items():
        rows_at_once = max(1, _CHUNK_BYTES // field.size_bytes)
        for start in range(0, len(columns[name]), rows_at_once):
            if problem := _problem_of_values(field, columns[name][start : start + rows_at_once]):
                raise ValueError(f"sample field {name} {problem}")


def _problem_of_values(field: Field, values: np.ndarray) -> str:
    """Return what is wrong with values `[n, *shape]`, as the rest of a sentence; "" if they are valid."""
    is_float = field.dtype.kind == "f"
    is_limited = (field.low, field.high) != (-math.inf, math.inf)
    if field.dtype.kind == "b" and values.view(np.uint8).max() > 1:
        return "holds bytes that are neither true nor false."
    if is_float or is_limited:
        tolerance = _TOLERANCE if is_float else 0.0
        for value in map(float, _extremes(values)):
            is_inside = field.low - tolerance <= value <= field.high + tolerance
            if not (is_inside and math.isfinite(value)):
                return f"holds {value:g}, which is not in [{field.low:g}, {field.high:g}]."
    if field.sums:
        rows = values.reshape(len(values), -1).astype(np.float32)
        # Unlike sum, einsum is equally fast for few and for many columns.
        totals = np.einsum("na->n", rows)
        deviations = [np.abs(totals - allowed) for allowed in field.sums]
        if not np.minimum.reduce(deviations).max() <= _TOLERANCE:
            return f"has rows whose sum is not {' or '.join(f'{total:g}' for total in field.sums)}."
    return ""


def _extremes(values: np.ndarray) -> tuple[Any, Any]:
    """Return the least value if any is below 0 and the largest if any is above 0, as a pair; NaN if any is NaN."""
    if values.dtype != np.float16:
        return values.min(), values.max()
    # numpy compares float16 forty times as slowly as integers of the same bits, the first of which is the sign.
    bits = values.view(np.uint16)
    return bits.max().view(np.float16), bits.view(np.int16).max().view(np.float16)
