"""The evaluation cache of one actor: answers of the evaluator by observation.

Openings repeat across lockstep games, and a move's root was a leaf of the previous search. An entry is valid only for
the weights_version that produced it. Look-ups compare whole observations, so a hash collision is never a hit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.evaluators.answers import OUTCOME_SIZE
from ddpzero.games import Game
from ddpzero.games.core.compiled import compiled
from ddpzero.system.memory import Layout, empty_arrays, layout_size_bytes

NO_ENTRY = -1


class EvaluationCache(NamedTuple):
    """A hash table with two possible places for each entry. Letters: E entries (a power of two, or 0), A actions."""

    versions: np.ndarray  # [E] int32, weights_version of the entry; -1 = empty
    observations: np.ndarray  # [E, bytes] uint8
    logits: np.ndarray  # [E, A] float32
    outcomes: np.ndarray  # [E, 4] float32, see evaluators/answers.py
    counts: np.ndarray  # [2] int64: look-ups, hits


def new_cache(game: Game, size_megabytes: float) -> EvaluationCache:
    """Allocate the largest cache that fits; 0 megabytes disables it."""
    max_entries = int(size_megabytes * 1e6 / layout_size_bytes(_layout(game, 1)))
    num_entries = 1 << (max_entries.bit_length() - 1) if max_entries >= 2 else 0
    arrays = empty_arrays(_layout(game, num_entries))
    arrays["versions"].fill(-1)
    return EvaluationCache(**arrays, counts=np.zeros(2, np.int64))


def _layout(game: Game, num_entries: int) -> Layout:
    return {
        "versions": ((num_entries,), np.int32),
        "observations": ((num_entries, game.observation_size_bytes), np.uint8),
        "logits": ((num_entries, game.num_actions), np.float32),
        "outcomes": ((num_entries, OUTCOME_SIZE), np.float32),
    }


@compiled
def _first_place(cache, observation):
    """Return the first place of an observation's entry; flip its lowest bit for the second place."""
    key = np.uint64(0x9E3779B97F4A7C15)
    for index in range(observation.shape[0]):
        key = (key ^ np.uint64(observation[index])) * np.uint64(0x100000001B3)
    key ^= key >> np.uint64(32)
    key *= np.uint64(0xD6E8FEB86659FD93)
    key ^= key >> np.uint64(32)
    return np.int64(key & np.uint64(cache.versions.shape[0] - 1))


@compiled
def _is_entry_of(cache, place, observation, weights_version):
    if cache.versions[place] != weights_version:
        return False
    for index in range(observation.shape[0]):
        if cache.observations[place, index] != observation[index]:
            return False
    return True


@compiled
def find_entry(cache, observation, weights_version):
    """Return the place of the observation's entry, or NO_ENTRY."""
    if cache.versions.shape[0] == 0:
        return NO_ENTRY
    cache.counts[0] += 1
    place = _first_place(cache, observation)
    for candidate in (place, place ^ 1):
        if _is_entry_of(cache, candidate, observation, weights_version):
            cache.counts[1] += 1
            return candidate
    return NO_ENTRY


@compiled
def add_entry(cache, observation, logits, outcome, weights_version):
    """Store an evaluation: replace an entry of another weights_version, else the entry in the second place."""
    if cache.versions.shape[0] == 0:
        return
    place = _first_place(cache, observation)
    if cache.versions[place] == weights_version:
        if _is_entry_of(cache, place, observation, weights_version):
            return
        place ^= 1
    cache.versions[place] = weights_version
    for index in range(observation.shape[0]):
        cache.observations[place, index] = observation[index]
    for action in range(logits.shape[0]):
        cache.logits[place, action] = logits[action]
    for index in range(outcome.shape[0]):
        cache.outcomes[place, index] = outcome[index]
