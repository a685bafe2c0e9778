"""Metrics of finished episodes: lengths, results, and how different their openings are. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.curriculum import Curriculum
from ddpzero.games.core import single

Infos = Sequence[Mapping[str, Any]]

# The positions after these plies are compared, of at most so many episodes of a row.
_OPENING_PLIES = (4, 8, 12)
_MAX_COMPARED_EPISODES = 256


def summarize(curriculum: Curriculum, infos: Infos) -> dict[str, float]:
    """Return the metrics of episodes, from the infos that samples.episode_of made.

    Lengths and results are those of episodes from the initial position: archived positions come from long and uneven
    games more often than from others.
    """
    if not infos:
        return {}
    num_restarts = sum(info["restart_ply"] > 0 for info in infos)
    metrics = {"self_play/restart_share": num_restarts / len(infos)} if num_restarts else {}
    return {
        **_results(curriculum, [info for info in infos if info["restart_ply"] == 0]),
        **metrics,
        **_distinct_positions(curriculum, infos[-_MAX_COMPARED_EPISODES:]),
        **_shares_of_boards(curriculum, infos),
    }


def _results(curriculum: Curriculum, infos: Infos) -> dict[str, float]:
    """Return the mean length and the shares of results; in games with points, also the first player's mean margin."""
    if not infos:
        return {}
    lengths = np.array([info["num_plies"] for info in infos])
    results = np.array([info["first_player_return"] for info in infos])
    metrics = {
        "self_play/episode_length": float(lengths.mean()),
        "self_play/first_player_wins": float((results > 0).mean()),
        "self_play/draws": float((results == 0).mean()),
        "self_play/second_player_wins": float((results < 0).mean()),
    }
    scores = [info["score"] for info in infos if info["score"] is not None]
    if curriculum.frame.has_score and scores:
        metrics["self_play/first_player_score"] = float(np.mean(scores))
    return metrics


def _distinct_positions(curriculum: Curriculum, infos: Infos) -> dict[str, float]:
    """Return for each of _OPENING_PLIES the number of distinct positions as a share of the episodes.

    Of episodes that are as long and that did not restart later; no value if there are none.
    """
    reached: dict[int, list[tuple[int, bytes]]] = {ply: [] for ply in _OPENING_PLIES}
    for info in infos:
        board = info.get("board", 0)
        game = curriculum.embeddings[board].board
        position = game.initial_position()
        for ply, action in enumerate(info["moves"][: _OPENING_PLIES[-1]], start=1):
            single.apply_action(game.rules, position, action)
            if ply in reached and ply >= info["restart_ply"]:
                reached[ply].append((board, position.tobytes()))
    return {
        f"self_play/distinct_positions_ply_{ply}": len(set(positions)) / len(positions)
        for ply, positions in reached.items()
        if positions
    }


def _shares_of_boards(curriculum: Curriculum, infos: Infos) -> dict[str, float]:
    """Return the share of the episodes that were played on each board."""
    if not curriculum.has_padded_boards:
        return {}
    labels = [curriculum.label(info["board"]) for info in infos]
    everything = dict.fromkeys(map(curriculum.label, range(len(curriculum.embeddings))))
    return {
        f"curriculum/share_of_{label}": labels.count(label) / len(labels) for label in everything
    }
