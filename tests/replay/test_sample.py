"""What a column of samples may hold is looked at when samples come from a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ddpzero.replay import Field, ReplayBuffer
from ddpzero.replay.sample import adapted_columns, check_columns, check_values

SPEC = {
    "policy": Field((400,), np.dtype(np.float16), low=0, high=1, sums=(0, 1)),
    "feature": Field((3,), np.dtype(np.float16)),
    "value": Field((), np.dtype(np.float32), low=-1, high=1),
    "reward": Field((), np.dtype(np.float64)),
    "choice": Field((), np.dtype(np.uint8), low=0, high=3),
    "version": Field((), np.dtype(np.int32), low=0),
    "legal": Field((4,), np.dtype(np.bool_)),
    "planes": Field((5,), np.dtype(np.uint8)),
}
NUM_SAMPLES = 5000


def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {
        name: rng.random((NUM_SAMPLES, *field.shape)).astype(field.dtype)
        for name, field in SPEC.items()
    }
    policy = rng.dirichlet(np.full(400, 0.03), NUM_SAMPLES)
    policy[::7] = 0
    made["policy"] = policy.astype(np.float16)
    made["feature"] -= np.float16(0.5)
    made["value"][:2] = -1, 1 + 1e-6
    made["choice"][:] = rng.integers(4, size=NUM_SAMPLES)
    made["version"][0] = 2**31 - 1
    made["planes"][:] = rng.integers(256, size=(NUM_SAMPLES, 5))
    return made


def test_what_a_spec_allows_passes() -> None:
    check_values(SPEC, columns())
    check_values(SPEC, {name: column[:0] for name, column in columns().items()})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("policy", np.nan, "holds nan"),
        ("policy", -0.25, "holds -0.25, which is not in [0, 1]"),
        ("policy", 0.5, "has rows whose sum is not 0 or 1."),
        ("feature", -np.nan, "holds nan"),
        ("feature", np.inf, "holds inf"),
        ("feature", -np.inf, "holds -inf"),
        ("value", np.nan, "holds nan"),
        ("value", 1.25, "holds 1.25, which is not in [-1, 1]"),
        ("reward", -np.inf, "holds -inf"),
        ("choice", 4, "holds 4, which is not in [0, 3]"),
        ("version", -1, "holds -1, which is not in [0, inf]"),
    ],
)
@pytest.mark.parametrize("row", [0, NUM_SAMPLES - 1])
def test_a_single_wrong_value_is_found(name: str, value: Any, problem: str, row: int) -> None:
    wrong = columns()
    wrong[name][row] = 0
    wrong[name].reshape(NUM_SAMPLES, -1)[row, -1] = value
    with pytest.raises(ValueError, match="sample field") as raised:
        check_values(SPEC, wrong)
    assert f"sample field {name} {problem}" in str(raised.value)


def test_samples_of_another_spec_are_adapted_and_every_change_is_told() -> None:
    number, shape = ((), np.dtype(np.float32)), ((2,), np.dtype(np.int8))
    spec = {
        "outcome": Field(*number),
        "copy": Field(*number, stand_in="outcome"),
        "weight": Field(*shape, stand_in=1),
        "plane": Field(*shape),
    }
    old = {"outcome": np.array([1.0, -1.0], np.float32), "gone": np.zeros(2)}
    columns, sentences = adapted_columns(spec, old)
    assert columns.keys() == {"outcome", "copy", "weight"}
    assert columns["copy"].tolist() == [1.0, -1.0]
    assert columns["weight"].tolist() == [[1, 1], [1, 1]]
    assert sentences == [
        "the saved samples have gone, which is no longer used",
        "the saved samples have no copy: outcome takes its place",
        "the saved samples have no weight: 1 takes its place",
    ]
    with pytest.raises(ValueError, match=r"lack the fields \['plane'\]"):
        check_columns(spec, columns)


def test_bytes_that_are_no_booleans_are_found() -> None:
    wrong = columns()
    wrong["legal"].view(np.uint8)[7, 2] = 9
    with pytest.raises(ValueError, match="legal holds bytes that are neither true nor false"):
        check_values(SPEC, wrong)


def test_a_buffer_that_is_restored_from_wrong_values_stays_as_it_was() -> None:
    buffer = ReplayBuffer(SPEC, NUM_SAMPLES, seed=1)
    buffer.add({name: column[:10] for name, column in columns().items()})
    wrong = columns()
    wrong["value"][3] = np.nan
    with pytest.raises(ValueError, match="value holds nan"):
        buffer.restore(wrong, buffer.state().meta | {"num_inserted": NUM_SAMPLES})
    assert (buffer.num_samples, buffer.num_inserted) == (10, 10)
