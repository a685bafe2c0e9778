"""An episode survives its way through bytes; anything else in those bytes is refused."""

from __future__ import annotations

import json
import math
import struct
import zlib

import numpy as np
import pytest

from ddpzero.replay import (
    Episode,
    Field,
    check_columns,
    decode_episode,
    encode_episode,
    samples_size_bytes,
)

SPEC = {
    "observation": Field((11,), np.dtype(np.uint8), "bit-packed planes"),
    "policy_target": Field((7,), np.dtype(np.float32)),
    "value_target": Field((), np.dtype(np.float32), "mover's side"),
    "weights_version": Field((), np.dtype(np.int32)),
}


def episode(num_samples: int = 25) -> Episode:
    rng = np.random.default_rng(num_samples)
    return Episode(
        {
            "observation": rng.integers(0, 256, (num_samples, 11), dtype=np.uint8),
            "policy_target": rng.random((num_samples, 7), dtype=np.float32),
            "value_target": rng.random(num_samples, dtype=np.float32),
            "weights_version": np.full(num_samples, 3, np.int32),
        },
        {"length": num_samples, "outcome_first": -1.0, "moves": [3, 2, 1], "end": "line"},
    )


def assert_equal(left: Episode, right: Episode) -> None:
    assert left.info == right.info
    assert left.columns.keys() == right.columns.keys()
    for name, column in left.columns.items():
        assert column.dtype == right.columns[name].dtype
        np.testing.assert_array_equal(column, right.columns[name])


@pytest.mark.parametrize("num_samples", [0, 1, 25])
def test_an_episode_comes_back_as_it_went(num_samples):
    sent = episode(num_samples)
    assert_equal(decode_episode(encode_episode(sent, SPEC), SPEC), sent)


def test_columns_in_another_order_and_strided_columns_come_back_by_name():
    sent = episode()
    shuffled = {name: sent.columns[name] for name in reversed(SPEC)}
    shuffled["policy_target"] = np.asfortranarray(shuffled["policy_target"])
    received = decode_episode(encode_episode(Episode(shuffled, sent.info), SPEC), SPEC)
    assert_equal(received, sent)


def test_columns_are_aligned_read_only_views():
    received = decode_episode(encode_episode(episode(), SPEC), SPEC)
    for column in received.columns.values():
        assert column.flags.aligned and not column.flags.writeable and column.base is not None


def test_every_truncation_is_refused():
    encoded = encode_episode(episode(3), SPEC)
    for size in range(len(encoded)):
        with pytest.raises(ValueError):
            decode_episode(encoded[:size], SPEC)
    with pytest.raises(ValueError):
        decode_episode(encoded + b"\0" * 16, SPEC)


def test_every_flipped_bit_is_refused():
    encoded = bytearray(encode_episode(episode(2), SPEC))
    padding = range(20, 32)  # of the prefix: no part reads it
    for position in set(range(len(encoded))) - set(padding):
        encoded[position] ^= 1 << (position % 8)
        with pytest.raises(ValueError):
            decode_episode(encoded, SPEC)
        encoded[position] ^= 1 << (position % 8)
    decode_episode(encoded, SPEC)


def forged(info: bytes, num_samples: int = 1) -> bytes:
    """An episode with a right checksum around whatever info."""
    layout = json.dumps(
        [[n, f.dtype.str, f.shape] for n, f in SPEC.items()], separators=(",", ":")
    ).encode()

    def pad(part: bytes) -> bytes:
        return part + b"\0" * (-len(part) % 16)

    body = pad(layout) + pad(info)
    body += b"".join(pad(b"\0" * field.size_bytes) for field in SPEC.values())
    return (
        struct.pack("<4sIIII12x", b"dzE1", num_samples, len(layout), len(info), zlib.crc32(body))
        + body
    )


def test_a_forged_episode_is_refused_even_with_a_right_checksum():
    assert decode_episode(forged(b'{"length":1}'), SPEC).info == {"length": 1}
    for info in (b"[1]", b"{", b"\xff", b'{"a":NaN}', b"[" * 100_000, b"", b'"text"'):
        with pytest.raises(ValueError):
            decode_episode(forged(info), SPEC)
    for num_samples in (0, 2, 2**32 - 1):
        with pytest.raises(ValueError, match="samples has"):
            decode_episode(forged(b"{}", num_samples), SPEC)


def test_random_bytes_are_refused():
    rng = np.random.default_rng(0)
    valid = encode_episode(episode(2), SPEC)
    for size in range(0, 400, 7):
        with pytest.raises(ValueError):
            decode_episode(rng.bytes(size), SPEC)
        with pytest.raises(ValueError):
            decode_episode(valid[:32] + rng.bytes(size), SPEC)


def test_an_episode_of_another_spec_is_refused_and_both_are_named():
    other = {**SPEC, "value_target": Field((), np.dtype(np.float64))}
    sent = episode()
    sent.columns["value_target"] = sent.columns["value_target"].astype(np.float64)
    with pytest.raises(ValueError, match=r"<f8.*<f4"):
        decode_episode(encode_episode(sent, other), SPEC)


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, np.float32(1), b"bytes"])
def test_an_info_that_is_not_json_is_refused_in_the_actor(value):
    sent = episode()
    sent.info["wrong"] = value
    with pytest.raises(ValueError, match="not JSON"):
        encode_episode(sent, SPEC)


def test_columns_that_break_the_spec_are_refused_by_name():
    columns = episode().columns
    for name, wrong, words in [
        ("policy_target", columns["policy_target"].astype(np.float64), "float64"),
        ("policy_target", columns["policy_target"][:, :6], r"\[25, 6\]"),
        ("value_target", columns["value_target"][:-1], "24 rows where another has 25"),
        ("extra", columns["value_target"], "extra"),
    ]:
        with pytest.raises(ValueError, match=words):
            check_columns(SPEC, {**columns, name: wrong})
    with pytest.raises(ValueError, match="observation"):
        check_columns(SPEC, {name: columns[name] for name in list(SPEC)[1:]})


def test_fields_hold_plain_numbers_only():
    for dtype in (np.dtype(object), np.dtype("U3"), np.dtype("M8[s]"), np.dtype(">f4")):
        with pytest.raises(ValueError, match="not allowed"):
            Field((), dtype)
    with pytest.raises(ValueError, match="at least 1"):
        Field((0,), np.dtype(np.uint8))


def test_memory_of_a_capacity_is_known_before_it_is_taken():
    assert samples_size_bytes(SPEC, 1) == 11 + 7 * 4 + 4 + 4
    assert samples_size_bytes(SPEC, 500_000) == 47 * 500_000
