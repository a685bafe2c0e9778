"""One training row of AlphaZero, and how a finished game becomes rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.selfplay import Record
from ddpzero.games import Game
from ddpzero.games.core.embedding import BoardEmbedding
from ddpzero.replay import Episode, Field, SampleSpec


def sample_spec(
    game: Game,
    auxiliary: Collection[str] = (),
    has_padded_boards: bool = False,
    searches_score: bool = False,
    num_boards: int = 1,
) -> SampleSpec:
    """Every value is seen by the player to move in the sample's position.

    auxiliary: what else is learnt: "score", "ownership", "next_policy". has_padded_boards: boards of several sizes lie in
    `game`'s, num_boards of them; see curriculum.py. searches_score: the search says how many points it expects.
    """
    policy = ((game.num_actions,), np.dtype(np.float16))
    number, version = ((), np.dtype(np.float32)), ((), np.dtype(np.int32))
    spec: SampleSpec = {
        "observation": Field(
            (game.observation_size_bytes,), np.dtype(np.uint8), "bit-packed planes"
        ),
        "policy_target": Field(*policy, "improved policy", low=0, high=1, sums=(1,)),
        "outcome": Field(*number, "what came of the position", low=-1, high=1),
        "outcome_draw": Field(*number, "probability of a draw in it", low=0, high=1),
        "root_value": Field(*number, "the search's value", low=-1, high=1),
        "root_draw": Field(*number, "the network's probability of a draw", low=0, high=1),
        "weights_version": Field(*version, "weights that the move was searched with", low=0),
    }
    most = game.spec.max_score
    if "score" in auxiliary:
        spec["score"] = Field(*number, "points ahead, what came of it", low=-most, high=most)
        if searches_score:
            spec["root_score"] = Field(*number, "as the search expects", low=-most, high=most)
    if "ownership" in auxiliary:
        owners = ((game.num_cells,), np.dtype(np.int8), "1 own at the end, -1 the opponent's")
        spec["ownership"] = Field(*owners, low=-1, high=1)
    if "score" in auxiliary or "ownership" in auxiliary:
        spec["is_played_out"] = Field((), np.dtype(np.bool_), "the end is known")
    if has_padded_boards:
        index = ((), np.dtype(np.int16), "index in Curriculum.embeddings")
        spec["board"] = Field(*index, low=0, high=num_boards - 1)
    if "next_policy" in auxiliary:
        next_policy = Field(*policy, "of the next move; 0 if none", low=0, high=1, sums=(0, 1))
        spec["next_policy_target"] = next_policy
    return spec


def episode_of(
    record: Record, game: int, auxiliary: Collection[str] = (), searches_score: bool = False
) -> Episode:
    """Copy the finished game in place `game` out of the record; auxiliary, searches_score: see sample_spec."""
    num_plies = int(record.num_plies[game])
    rows = np.flatnonzero(record.is_sample[game, :num_plies])
    outcomes, outcome_draws = outcomes_of(record, game, rows)
    columns = {
        "observation": record.observations[game, rows],
        "policy_target": record.policy_targets[game, rows].astype(np.float16),
        "outcome": outcomes,
        "outcome_draw": outcome_draws,
        "root_value": record.root_values[game, rows],
        "root_draw": record.root_draws[game, rows],
        "weights_version": record.weights_versions[game, rows],
    }
    signs = np.where(record.movers[game, rows] == 0, 1, -1)
    if "score" in auxiliary:
        columns["score"] = (signs * record.scores[game]).astype(np.float32)
        if searches_score:
            columns["score"] = scores_of(record, game, rows)
            columns["root_score"] = record.root_scores[game, rows]
    if "ownership" in auxiliary:
        columns["ownership"] = (signs[:, None] * record.owners[game]).astype(np.int8)
    if "score" in auxiliary or "ownership" in auxiliary:
        columns["is_played_out"] = np.full(len(rows), record.is_played_out[game])
    if "next_policy" in auxiliary:
        following = np.zeros_like(columns["policy_target"])
        following[:-1] = columns["policy_target"][1:]
        columns["next_policy_target"] = following
    info: dict[str, Any] = {
        "num_plies": num_plies,
        "first_player_return": float(record.returns[game, 0]),
        "score": int(record.scores[game]) if record.is_played_out[game] else None,
        "moves": record.actions[game, :num_plies].tolist(),
    }
    return Episode(columns=columns, info=info)


def padded_episode(episode: Episode, embedding: BoardEmbedding, board: int) -> Episode:
    """The episode of a board as one of its frame. board: its index in Curriculum.embeddings."""
    columns = dict(episode.columns)
    columns["observation"] = embedding.observations(columns["observation"])
    for name in ("policy_target", "next_policy_target"):
        if name in columns:
            columns[name] = embedding.policies(columns[name])
    if "ownership" in columns:
        columns["ownership"] = embedding.ownership(columns["ownership"])
    columns["board"] = np.full(episode.num_samples, board, np.int16)
    return Episode(columns=columns, info={**episode.info, "board": board})


def outcomes_of(record: Record, game: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What came of the positions at plies `rows` [n]: values [n] for their movers, and probabilities of a draw [n].

    The game's result, unless first the search proved a value, or a random move was made in place of the search's:
    that would make the result no measure of the moves before it. Then the search's value there takes its place.
    """
    values = record.returns[game][record.movers[game, rows]]
    draws = 1.0 - np.abs(values)
    is_found, plies, signs = _next_decided(record, game, rows)
    values[is_found] = signs * record.root_values[game, plies]
    draws[is_found] = record.root_draws[game, plies]
    return values.astype(np.float32), draws.astype(np.float32)


def scores_of(record: Record, game: int, rows: np.ndarray) -> np.ndarray:
    """The same for points: how many the movers at plies `rows` [n] are ahead in what came of it, `[n]` float32."""
    scores = np.where(record.movers[game, rows] == 0, 1, -1) * np.float32(record.scores[game])
    is_found, plies, signs = _next_decided(record, game, rows)
    scores[is_found] = signs * record.root_scores[game, plies]
    return scores.astype(np.float32)


def _next_decided(
    record: Record, game: int, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of `rows` [n] have a decided ply at or after them, that ply, and 1 where both have one mover, else -1."""
    movers = record.movers[game]
    decided = np.flatnonzero(record.is_decided[game, : record.num_plies[game]])
    next_decided = np.searchsorted(decided, rows)
    is_found = next_decided < len(decided)
    plies = decided[next_decided[is_found]]
    return is_found, plies, np.where(movers[rows[is_found]] == movers[plies], 1.0, -1.0)
