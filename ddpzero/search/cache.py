"""The evaluation cache of one actor: answers of the evaluator by observation.

Openings repeat across lockstep games, and a move's root was a leaf of the previous search. An entry is valid for the
weights_version that produced it and the next max_age versions. Look-ups compare whole observations, so a hash collision
is never a hit.

With symmetric views, all views of a position share an entry: each position is evaluated and looked up in its smallest
view, the one whose planes come first in lexicographic order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.evaluators.answers import OUTCOME_SIZE
from ddpzero.games import Game
from ddpzero.games.core.compiled import compiled
from ddpzero.system.memory import Layout, empty_arrays, layout_size_bytes

NO_ENTRY = -1
_EMPTY = -1  # a weights_version that there is not


class EvaluationCache(NamedTuple):
    """A hash table with two possible places for each entry.

    Letters: E entries (a power of two, or 0), A actions, S symmetric views (1 without them), H x W board.
    """

    versions: np.ndarray  # [E] int32, weights_version of the entry; _EMPTY = none
    observations: np.ndarray  # [E, bytes] uint8
    logits: np.ndarray  # [E, A] float32
    outcomes: np.ndarray  # [E, 4] float32, see evaluators/answers.py
    counts: np.ndarray  # [2] int64: look-ups, hits
    max_age: int  # versions by which an entry may be older than the current weights
    cell_views: np.ndarray  # [S, H * W] int32, GameSpec.cell_symmetries
    action_views: np.ndarray  # [S, A] int32, the action's index in each view
    num_planes: int
    # scratch
    planes: np.ndarray  # like forest.planes, of a view
    plane_words: np.ndarray  # the same memory as uint64


def new_cache(
    game: Game, size_megabytes: float, max_age: int = 0, uses_views: bool = False
) -> EvaluationCache:
    """Allocate the largest cache that fits; 0 megabytes disables it. uses_views: share entries between views."""
    max_entries = int(size_megabytes * 1e6 / layout_size_bytes(_layout(game, 1)))
    num_entries = 1 << (max_entries.bit_length() - 1) if max_entries >= 2 else 0
    arrays = empty_arrays(_layout(game, num_entries))
    arrays["versions"].fill(_EMPTY)
    num_views = len(game.spec.cell_symmetries) if uses_views and num_entries > 0 else 1
    action_views = np.argsort(game.spec.action_symmetries[:num_views], axis=1)
    planes = np.zeros(8 * game.planes_size_bytes, np.uint8)
    return EvaluationCache(
        **arrays,
        counts=np.zeros(2, np.int64),
        max_age=max_age,
        cell_views=np.ascontiguousarray(game.spec.cell_symmetries[:num_views], np.int32),
        action_views=action_views.astype(np.int32),
        num_planes=game.num_planes,
        planes=planes,
        plane_words=planes.view(np.uint64),
    )


def empty(cache: EvaluationCache) -> None:
    """Drop all entries."""
    cache.versions.fill(_EMPTY)


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
def _age(cache, place, weights_version):
    """Return by how many versions the entry is older than the weights; more than max_age if it is not usable."""
    version = np.int64(cache.versions[place])
    if version == _EMPTY or version > weights_version:
        return cache.max_age + 1
    return weights_version - version


@compiled
def _is_entry_of(cache, place, observation, weights_version):
    if _age(cache, place, weights_version) > cache.max_age:
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
def _is_smaller(cache, planes, view, other):
    num_cells = cache.cell_views.shape[1]
    for start in range(0, cache.num_planes * num_cells, num_cells):
        for cell in range(num_cells):
            own = planes[start + cache.cell_views[view, cell]]
            others = planes[start + cache.cell_views[other, cell]]
            if own != others:
                return own < others
    return False


@compiled
def smallest_view(cache, planes):
    """Return the index of the position's smallest view; planes: all planes, one after another.

    The first differing cell decides between two views, so that most comparisons are short.
    """
    best = 0
    for view in range(1, cache.cell_views.shape[0]):
        if _is_smaller(cache, planes, view, best):
            best = view
    return best


@compiled
def write_view(cache, planes, view):
    """Write a view of the planes into cache.planes."""
    num_cells = cache.cell_views.shape[1]
    for start in range(0, cache.num_planes * num_cells, num_cells):
        for cell in range(num_cells):
            cache.planes[start + cell] = planes[start + cache.cell_views[view, cell]]


@compiled
def add_entry(cache, observation, logits, outcome, weights_version):
    """Store an evaluation: replace an entry that is not usable, else the older one, else that in the second place."""
    if cache.versions.shape[0] == 0:
        return
    place = _first_place(cache, observation)
    age = _age(cache, place, weights_version)
    if age <= cache.max_age:
        if _is_entry_of(cache, place, observation, weights_version):
            return
        if age <= _age(cache, place ^ 1, weights_version):
            place ^= 1
    cache.versions[place] = weights_version
    for index in range(observation.shape[0]):
        cache.observations[place, index] = observation[index]
    for action in range(logits.shape[0]):
        cache.logits[place, action] = logits[action]
    for index in range(outcome.shape[0]):
        cache.outcomes[place, index] = outcome[index]
