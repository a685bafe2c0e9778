"""AlphaZero's training samples, and the conversion of a finished episode to samples."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.selfplay import EpisodeBuffers
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.games import Game
from ddpzero.games.core.embedding import BoardEmbedding
from ddpzero.networks.settings import NUM_SHORT_VALUES
from ddpzero.replay import Episode, Field, SampleSpec

_DEFAULTS = AlphaZeroSettings()
# In nats. A mean below this is rounding noise of targets that equal the priors.
_SMALLEST_SURPRISE = 1e-6


def sample_spec(
    game: Game,
    auxiliary: Collection[str] = (),
    has_padded_boards: bool = False,
    searches_score: bool = False,
    num_boards: int = 1,
    settings: AlphaZeroSettings = _DEFAULTS,
) -> SampleSpec:
    """Return the fields of a sample. Values are from the perspective of the player to move in the sample's position.

    auxiliary: heads of the network with targets of their own: "score", "ownership", "next_policy", "short_value".
    has_padded_boards: samples come from num_boards boards and are padded to the board of `game`; see curriculum.py.
    searches_score: whether the search estimates the score.
    """
    policy = ((game.num_actions,), np.dtype(np.float16))
    number, version = ((), np.dtype(np.float32)), ((), np.dtype(np.int32))
    spec: SampleSpec = {
        "observation": Field(
            (game.observation_size_bytes,), np.dtype(np.uint8), "bit-packed planes"
        ),
        "policy_target": Field(
            *policy, "improved policy; 0 after a fast search", low=0, high=1, sums=(0, 1)
        ),
        "outcome": Field(*number, "of the episode, or the value proven for it", low=-1, high=1),
        "outcome_draw": Field(*number, "probability of a draw in it", low=0, high=1),
        "root_value": Field(*number, "the search's value", low=-1, high=1),
        "root_draw": Field(*number, "the network's probability of a draw", low=0, high=1),
        "weights_version": Field(*version, "weights that the move was searched with", low=0),
    }
    most = game.spec.max_score
    if "score" in auxiliary:
        spec["score"] = Field(*number, "score margin at the end", low=-most, high=most)
        if searches_score:
            spec["root_score"] = Field(
                *number, "score margin that the search expects", low=-most, high=most
            )
    if "ownership" in auxiliary:
        owners = ((game.num_cells,), np.dtype(np.int8), "1 own at the end, -1 the opponent's")
        spec["ownership"] = Field(*owners, low=-1, high=1)
    if "score" in auxiliary or "ownership" in auxiliary:
        spec["is_played_out"] = Field((), np.dtype(np.bool_), "the rules ended the episode")
    if has_padded_boards:
        index = ((), np.dtype(np.int16), "index in Curriculum.embeddings")
        spec["board"] = Field(*index, low=0, high=num_boards - 1)
    if "next_policy" in auxiliary:
        next_policy = Field(*policy, "of the next move; 0 if none", low=0, high=1, sums=(0, 1))
        spec["next_policy_target"] = next_policy
    if "short_value" in auxiliary:
        values = ((NUM_SHORT_VALUES,), np.dtype(np.float32))
        spec["short_value"] = Field(*values, "lambda-returns", low=-1, high=1)
        spec["short_draw"] = Field(*values, "probabilities of a draw in them", low=0, high=1)
    if settings.value_lambda is not None:
        spec["lambda_value"] = Field(*number, "lambda-return", low=-1, high=1, stand_in="outcome")
        spec["lambda_draw"] = Field(
            *number, "probability of a draw in it", low=0, high=1, stand_in="outcome_draw"
        )
    if settings.surprise_weight > 0:
        spec["surprise"] = Field(*number, "KL of target and prior, by its mean", low=0, stand_in=1)
    return spec


def episode_of(
    buffers: EpisodeBuffers,
    slot: int,
    auxiliary: Collection[str] = (),
    searches_score: bool = False,
    settings: AlphaZeroSettings = _DEFAULTS,
) -> Episode:
    """Return a copy of the finished episode in `slot`. auxiliary, searches_score: see sample_spec."""
    num_plies = int(buffers.num_plies[slot])
    rows = np.flatnonzero(buffers.is_sample[slot, :num_plies])
    outcomes, outcome_draws = outcomes_of(buffers, slot, rows)
    columns = {
        "observation": buffers.observations[slot, rows],
        "policy_target": buffers.policy_targets[slot, rows].astype(np.float16),
        "outcome": outcomes,
        "outcome_draw": outcome_draws,
        "root_value": buffers.root_values[slot, rows],
        "root_draw": buffers.root_draws[slot, rows],
        "weights_version": buffers.weights_versions[slot, rows],
    }
    signs = np.where(buffers.movers[slot, rows] == 0, 1, -1)
    if "score" in auxiliary:
        columns["score"] = (signs * buffers.scores[slot]).astype(np.float32)
        if searches_score:
            columns["score"] = scores_of(buffers, slot, rows)
            columns["root_score"] = buffers.root_scores[slot, rows]
    if "ownership" in auxiliary:
        columns["ownership"] = (signs[:, None] * buffers.owners[slot]).astype(np.int8)
    if "score" in auxiliary or "ownership" in auxiliary:
        columns["is_played_out"] = np.full(len(rows), buffers.is_played_out[slot])
    columns |= _optional_columns(buffers, slot, rows, auxiliary, settings)
    info: dict[str, Any] = {
        "num_plies": num_plies,
        "restart_ply": int(buffers.restart_plies[slot]),
        "first_player_return": float(buffers.returns[slot, 0]),
        "score": int(buffers.scores[slot]) if buffers.is_played_out[slot] else None,
        "moves": buffers.actions[slot, :num_plies].tolist(),
    }
    return Episode(columns=columns, info=info)


def _optional_columns(
    buffers: EpisodeBuffers,
    slot: int,
    rows: np.ndarray,
    auxiliary: Collection[str],
    settings: AlphaZeroSettings,
) -> dict[str, np.ndarray]:
    """Return the columns of the targets that look at the search of several plies."""
    columns: dict[str, np.ndarray] = {}
    if "next_policy" in auxiliary:
        policies = buffers.policy_targets[slot, rows].astype(np.float16)
        following = np.zeros_like(policies)
        following[:-1] = policies[1:]
        columns["next_policy_target"] = following
    if "short_value" in auxiliary:
        decays = settings.short_value_lambdas
        returns = np.array([lambda_returns(buffers, slot, rows, decay) for decay in decays])
        columns["short_value"], columns["short_draw"] = returns.transpose(1, 2, 0)
    if settings.value_lambda is not None:
        columns["lambda_value"], columns["lambda_draw"] = lambda_returns(
            buffers, slot, rows, settings.value_lambda
        )
    if settings.surprise_weight > 0:
        # The mean weight of the samples that have a policy target is 1.
        has_policy = buffers.policy_targets[slot, rows].any(axis=1)
        columns["surprise"] = np.ones(len(rows), np.float32)
        columns["surprise"][has_policy] = relative(buffers.surprises[slot, rows[has_policy]])
    return columns


def padded_episode(episode: Episode, embedding: BoardEmbedding, board: int) -> Episode:
    """Pad the samples of an episode to the frame. board: the index of its board in Curriculum.embeddings."""
    columns = dict(episode.columns)
    columns["observation"] = embedding.observations(columns["observation"])
    for name in ("policy_target", "next_policy_target"):
        if name in columns:
            columns[name] = embedding.policies(columns[name])
    if "ownership" in columns:
        columns["ownership"] = embedding.ownership(columns["ownership"])
    columns["board"] = np.full(episode.num_samples, board, np.int16)
    return Episode(columns=columns, info={**episode.info, "board": board})


def outcomes_of(
    buffers: EpisodeBuffers, slot: int, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outcomes of the positions at plies `rows` [n]: values [n] for their movers, draw probabilities [n].

    The outcome is the result of the episode, unless at that ply or later the search proved a value or a random move
    replaced the search's move. The result says nothing about the moves before such a ply; the search's value at the
    first such ply replaces it.
    """
    values = buffers.returns[slot][buffers.movers[slot, rows]]
    draws = 1.0 - np.abs(values)
    is_found, plies, signs = _next_decided(buffers, slot, rows)
    values[is_found] = signs * buffers.root_values[slot, plies]
    draws[is_found] = buffers.root_draws[slot, plies]
    return values.astype(np.float32), draws.astype(np.float32)


def lambda_returns(
    buffers: EpisodeBuffers, slot: int, rows: np.ndarray, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lambda-returns at plies `rows` [n]: values [n], draw probabilities [n].

    All plies from the first row on were searched. The root value k plies later counts (1 - decay) * decay ** k, seen by
    the mover of the row, who need not be the one whose turn it is then. The rest of the weight goes to `outcomes_of`:
    up to the ply that decides, or to the end.
    """
    outcomes, outcome_draws = outcomes_of(buffers, slot, rows)
    num_plies = buffers.num_plies[slot]
    is_found, decided_plies, _ = _next_decided(buffers, slot, rows)
    ends = np.full(len(rows), num_plies)
    ends[is_found] = decided_plies
    powers = np.power(decay, np.arange(num_plies + 1))
    plies = np.arange(rows.min(initial=num_plies), num_plies)
    ahead = plies[None, :] - rows[:, None]
    counts = (ahead >= 0) & (plies[None, :] < ends[:, None])
    weights = np.where(counts, (1.0 - decay) * powers[np.maximum(ahead, 0)], 0.0)
    movers = buffers.movers[slot]
    signs = np.where(movers[plies][None, :] == movers[rows][:, None], 1.0, -1.0)
    rest = powers[ends - rows]
    values = (weights * signs) @ buffers.root_values[slot, plies] + rest * outcomes
    draws = weights @ buffers.root_draws[slot, plies] + rest * outcome_draws
    return values.astype(np.float32), draws.astype(np.float32)


def relative(surprises: np.ndarray) -> np.ndarray:
    """Return surprises `[n]` divided by their mean; ones if nothing was a surprise."""
    mean = surprises.mean() if len(surprises) else 0.0
    if mean <= _SMALLEST_SURPRISE:
        return np.ones_like(surprises)
    ratios: np.ndarray = surprises / mean
    return ratios


def scores_of(buffers: EpisodeBuffers, slot: int, rows: np.ndarray) -> np.ndarray:
    """Return score margins, `[n]` float32, for the movers at plies `rows` [n]; chosen as in outcomes_of."""
    scores = np.where(buffers.movers[slot, rows] == 0, 1, -1) * np.float32(buffers.scores[slot])
    is_found, plies, signs = _next_decided(buffers, slot, rows)
    scores[is_found] = signs * buffers.root_scores[slot, plies]
    return scores.astype(np.float32)


def _next_decided(
    buffers: EpisodeBuffers, slot: int, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which of `rows` [n] have a decided ply at or after them, that ply, and 1 for the same mover, else -1."""
    movers = buffers.movers[slot]
    decided = np.flatnonzero(buffers.is_decided[slot, : buffers.num_plies[slot]])
    next_decided = np.searchsorted(decided, rows)
    is_found = next_decided < len(decided)
    plies = decided[next_decided[is_found]]
    return is_found, plies, np.where(movers[rows[is_found]] == movers[plies], 1.0, -1.0)
