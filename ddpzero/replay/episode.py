"""One finished episode: its samples, and its encoding as bytes for the transport from an actor to its rank.

    prefix   magic, num_samples, layout size, info size, crc32 of everything after the prefix
    layout   JSON [[name, dtype, shape of one sample], ...]: compared with the receiver's, never interpreted
    info     JSON object
    columns  raw, in the layout's order

Each part begins at a multiple of 16 bytes. Decoding trusts nothing: any fault raises ValueError.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ddpzero.replay.sample import SampleSpec, check_columns

_PREFIX = struct.Struct("<4sIIII12x")
_MAGIC = b"dzE1"
_ALIGNMENT = 16


@dataclass
class Episode:
    """One game from start to end.

    columns: name -> `[n, *shape]`, as in the plugin's sample spec; n may be 0.
    info: facts about the whole game (length, outcome_first, moves, seconds, ...): finite numbers, strings, lists of
        integers.
    """

    columns: dict[str, np.ndarray]
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def num_samples(self) -> int:
        return min((len(column) for column in self.columns.values()), default=0)


def encode_episode(episode: Episode, spec: SampleSpec) -> bytes:
    """Return the episode as bytes. Raises ValueError for columns that violate the spec or an info that is not JSON."""
    num_samples = check_columns(spec, episode.columns)
    layout = _layout(tuple((name, f.dtype, f.shape) for name, f in spec.items()))
    try:
        info = json.dumps(episode.info, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"the episode's info {episode.info!r} is not JSON: {error}.") from None
    parts = [_padded(layout), _padded(info)]
    parts += [_padded(episode.columns[name].tobytes()) for name in spec]
    body = b"".join(parts)
    return _PREFIX.pack(_MAGIC, num_samples, len(layout), len(info), zlib.crc32(body)) + body


def decode_episode(buffer: bytes | bytearray | memoryview, spec: SampleSpec) -> Episode:
    """Return the episode in `buffer`, which must contain exactly one, encoded with the same spec.

    The columns are read-only views of the buffer and keep it alive. Raises ValueError for anything else.
    """
    view = memoryview(buffer).cast("B").toreadonly()
    if len(view) < _PREFIX.size:
        raise ValueError(f"an episode of {len(view)} bytes is cut short.")
    magic, num_samples, layout_size, info_size, checksum = _PREFIX.unpack_from(view)
    if magic != _MAGIC:
        raise ValueError(
            f"these bytes are not an episode: they begin with {magic!r}, not {_MAGIC!r}."
        )
    layout_start = _PREFIX.size
    info_start = layout_start + _padded_size(layout_size)
    columns_start = info_start + _padded_size(info_size)
    sizes = [num_samples * field.size_bytes for field in spec.values()]
    expected_size = columns_start + sum(_padded_size(size) for size in sizes)
    layout = bytes(view[layout_start : layout_start + layout_size])
    expected_layout = _layout(tuple((name, f.dtype, f.shape) for name, f in spec.items()))
    if layout != expected_layout:
        raise ValueError(
            f"the episode has the fields {layout[:500]!r}; expected are {expected_layout!r}."
        )
    if len(view) != expected_size:
        raise ValueError(
            f"an episode of {num_samples} samples has {len(view)} bytes, not {expected_size}."
        )
    if zlib.crc32(view[layout_start:]) != checksum:
        raise ValueError(
            f"an episode of {len(view)} bytes is corrupt: its checksum does not match."
        )

    columns = {}
    start = columns_start
    for (name, spec_field), size in zip(spec.items(), sizes, strict=True):
        column = np.frombuffer(view[start : start + size], dtype=spec_field.dtype)
        columns[name] = column.reshape(num_samples, *spec_field.shape)
        start += _padded_size(size)
    return Episode(columns, _parse_info(bytes(view[info_start : info_start + info_size])))


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a finite number")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _parse_info(text: bytes) -> dict[str, Any]:
    try:
        info = _JSON.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the episode's info is not JSON: {error}.") from None
    if not isinstance(info, dict):
        raise ValueError(f"the episode's info is a {type(info).__name__}, not an object.")
    return info


# All episodes share a few layouts.
@lru_cache
def _layout(fields: tuple[tuple[str, np.dtype, tuple[int, ...]], ...]) -> bytes:
    rows = [[name, dtype.str, shape] for name, dtype, shape in fields]
    return json.dumps(rows, separators=(",", ":")).encode()


def _padded_size(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _padded(part: bytes) -> bytes:
    return part.ljust(_padded_size(len(part)), b"\0")
