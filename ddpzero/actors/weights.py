"""Weights from a rank to its actors through shared memory: the newest version wins, and nobody waits.

    head      uint64 words: number of publishes; per slot: sequence, weights_version, crc32, layout
    slots     two, written in turn: all arrays one after the other

A slot's sequence is odd while it is written (a seqlock). A reader copies the newest slot and keeps the copy only if
the sequence has not moved meanwhile and the checksum is right; the writer never looks at readers.

Actors inherit the memory (system/shared_memory.py) when they start, and map it read-only.
"""

from __future__ import annotations

import math
import mmap
import os
import zlib
from collections.abc import Mapping
from multiprocessing.context import assert_spawning
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from ddpzero.system.shared_memory import open_shared

NOTHING_PUBLISHED = -1

_NUM_PUBLISHES = 0
_SEQUENCE, _VERSION, _CHECKSUM, _LAYOUT = 8, 9, 10, 11  # of slot 0
_WORDS_PER_SLOT = 8
_HEAD_SIZE_BYTES = 4096
_ALIGNMENT = 64
_MAX_READ_ATTEMPTS = 100


# Name, dtype, shape and offset in a slot of each array.
Layout = list[tuple[str, np.dtype, tuple[int, ...], int]]


class WeightsChannel:
    """One per rank. Names, shapes and dtypes of the arrays are those of one of the examples given at construction.

    examples: up to 256, numpy or torch, on any device. Only their layouts are used; nothing is published yet.
    """

    def __init__(self, *examples: Mapping[str, Any]) -> None:
        self._layouts = [_layout(arrays) for arrays in examples]
        self._slot_size_bytes = max(_size_bytes(layout) for layout in self._layouts)
        try:
            self._fd = open_shared("weights", self.size_bytes)
        except OSError as error:
            raise RuntimeError(
                f"{self.size_bytes / 2**20:.0f} MiB of shared memory for the weights cannot be allocated: "
                f"{error.strerror}. Give the container or job more memory, or choose a smaller network."
            ) from error
        self._map(mmap.PROT_READ | mmap.PROT_WRITE)

    @property
    def size_bytes(self) -> int:
        """Shared memory of the whole channel: two copies of the weights."""
        return _HEAD_SIZE_BYTES + 2 * self._slot_size_bytes

    @property
    def weights_version(self) -> int:
        """Version of the newest weights; NOTHING_PUBLISHED before the first publish."""
        num_publishes = int(self._words[_NUM_PUBLISHES])
        if num_publishes == 0:
            return NOTHING_PUBLISHED
        return int(self._words[_word(_VERSION, num_publishes % 2)])

    def publish(self, arrays: Mapping[str, Any], weights_version: int) -> None:
        """Rank: make these the newest weights. Never waits for readers. Raises ValueError if no layout is theirs."""
        index = self._layout_of(arrays)
        num_publishes = int(self._words[_NUM_PUBLISHES]) + 1
        slot = num_publishes % 2
        self._words[_word(_SEQUENCE, slot)] = 2 * num_publishes - 1
        for (name, *_), target in zip(
            self._layouts[index], self._views(self._slots[slot], index), strict=True
        ):
            np.copyto(target, _as_numpy(arrays[name]))
        self._words[_word(_LAYOUT, slot)] = index
        self._words[_word(_VERSION, slot)] = weights_version
        self._words[_word(_CHECKSUM, slot)] = _checksum(self._slots[slot], weights_version, index)
        self._words[_word(_SEQUENCE, slot)] = 2 * num_publishes
        self._words[_NUM_PUBLISHES] = num_publishes

    def receive(
        self, newer_than: int = NOTHING_PUBLISHED
    ) -> tuple[dict[str, np.ndarray], int] | None:
        """Actor: return a private copy of the newest weights and their version, or None if there are none newer.

        Also None if weights are published faster than they can be copied: try again later.
        """
        for _ in range(_MAX_READ_ATTEMPTS):
            num_publishes = int(self._words[_NUM_PUBLISHES])
            slot = num_publishes % 2
            weights_version = int(self._words[_word(_VERSION, slot)])
            if num_publishes == 0 or weights_version <= newer_than:
                return None
            checksum = int(self._words[_word(_CHECKSUM, slot)])
            index = int(self._words[_word(_LAYOUT, slot)])
            copy = self._slots[slot].copy()
            sequence = int(self._words[_word(_SEQUENCE, slot)])
            # On processors that reorder stores, only the checksum finds a torn copy.
            if (
                sequence == 2 * num_publishes
                and _checksum(copy, weights_version, index) == checksum
            ):
                names = [name for name, *_ in self._layouts[index]]
                return dict(zip(names, self._views(copy, index), strict=True)), weights_version
        return None

    def close(self) -> None:
        """Free the memory as soon as no array refers to it."""
        if self._fd >= 0:
            del self._words, self._slots
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> WeightsChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        assert_spawning(self)
        return {
            "layouts": self._layouts,
            "slot_size_bytes": self._slot_size_bytes,
            "fd": DupFd(self._fd),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._layouts = state["layouts"]
        self._slot_size_bytes = state["slot_size_bytes"]
        self._fd = state["fd"].detach()
        self._map(mmap.PROT_READ)

    def _map(self, protection: int) -> None:
        memory = mmap.mmap(self._fd, self.size_bytes, prot=protection)
        self._words = np.frombuffer(memory, np.int64, _HEAD_SIZE_BYTES // 8)
        self._slots = np.frombuffer(memory, np.uint8, offset=_HEAD_SIZE_BYTES).reshape(
            2, self._slot_size_bytes
        )

    def _views(self, slot: np.ndarray, index: int) -> list[np.ndarray]:
        """Return the arrays in a slot with the layout of that index."""
        return [
            slot[offset : offset + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
            for _, dtype, shape, offset in self._layouts[index]
        ]

    def _layout_of(self, arrays: Mapping[str, Any]) -> int:
        """Return the index of the layout of these arrays. Raises ValueError if there is none."""
        problem = ""
        for index, layout in enumerate(self._layouts):
            here = _difference(arrays, layout)
            if not here:
                return index
            problem = problem or here
        raise ValueError(problem)


def _layout(arrays: Mapping[str, Any]) -> Layout:
    layout, offset = [], 0
    for name, value in arrays.items():
        dtype, shape = _kind(value)
        layout.append((name, dtype, shape, offset))
        offset += -(-math.prod(shape) * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT
    return layout


def _size_bytes(layout: Layout) -> int:
    _, dtype, shape, offset = layout[-1]
    size_bytes = offset + math.prod(shape) * dtype.itemsize
    return -(-size_bytes // _ALIGNMENT) * _ALIGNMENT


def _difference(arrays: Mapping[str, Any], layout: Layout) -> str:
    """Return a sentence about the first difference between arrays and a layout; "" if there is none."""
    names = [name for name, *_ in layout]
    if arrays.keys() != set(names):
        return f"weights {sorted(arrays)} are published on a channel for {names}."
    for name, dtype, shape, _ in layout:
        given = _kind(arrays[name])
        if given != (dtype, shape):
            return f"weights {name} are {given[0]}{list(given[1])}; the channel was made for {dtype}{list(shape)}."
    return ""


def _word(field: int, slot: int) -> int:
    return field + slot * _WORDS_PER_SLOT


def _checksum(slot: np.ndarray, weights_version: int, index: int) -> int:
    return zlib.crc32(slot.data, zlib.crc32(bytes([index]), weights_version))


def _kind(value: Any) -> tuple[np.dtype, tuple[int, ...]]:
    """Return dtype and shape of an array or of a torch tensor, which may be on the device "meta"."""
    if hasattr(value, "new_empty"):
        return value.new_empty(0, device="cpu").numpy().dtype, tuple(value.shape)
    array = np.asarray(value)
    return array.dtype, array.shape


def _as_numpy(value: Any) -> np.ndarray:
    """Return a torch tensor on any device as numpy, without importing torch."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
