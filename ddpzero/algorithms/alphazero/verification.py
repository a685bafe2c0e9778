"""What is known of a finished episode from its moves, and whether AlphaZero can have played it: for episodes from files
and from other machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.curriculum import Curriculum
from ddpzero.algorithms.base import EpisodeFacts
from ddpzero.games import Game
from ddpzero.games.core.replayed import IllegalMoveError, ReplayedEpisode, replay


def facts_of(frame: Game, curriculum: Curriculum, info: Mapping[str, Any]) -> EpisodeFacts:
    """Return the facts of an episode. frame: the config's game. Raises as facts_of_episode in base.py."""
    moves, result, restart = info.get("moves", []), info["first_player_return"], info["restart_ply"]
    if not (isinstance(moves, list) and all(type(move) is int for move in moves)):
        raise ValueError("its moves are no list of actions")
    if not (type(result) in (int, float) and -1 <= result <= 1):
        raise ValueError(f"its result {str(result)[:40]} is not in [-1, 1]")
    if not (type(restart) is int and 0 <= restart <= len(moves) == info["num_plies"]):
        raise ValueError("its number of plies is not that of its moves")
    game = frame
    if "board" in info:
        board = info["board"]
        if not (type(board) is int and 0 <= board < len(curriculum.embeddings)):
            raise ValueError(f"its board {str(board)[:40]} is none of the curriculum's")
        game = curriculum.embeddings[board].board
    is_ended_by_rules = info["score"] is not None
    return EpisodeFacts(game, len(moves), (result, -result), moves, restart, is_ended_by_rules)


def problem_of(
    frame: Game, curriculum: Curriculum, info: Mapping[str, Any], columns: Mapping[str, np.ndarray]
) -> str:
    """Return what is wrong with an episode, as a sentence that goes on after "the episode"; "" if nothing is.

    Its moves are legal, its result is that of the rules, each sample shows a position of the episode, in their order,
    and each policy prefers only legal moves. A result that a proof gave is not checked.
    """
    try:
        facts = facts_of(frame, curriculum, info)
    except (KeyError, TypeError, ValueError) as error:
        return f"has damaged facts: {error}."
    game = facts.game
    assert isinstance(game, Game) and facts.moves is not None
    try:
        episode = replay(game, facts.moves)
    except IllegalMoveError as error:
        return f"{error}."
    return _problem_of_result(game, facts, info, episode) or _problem_of_samples(
        curriculum, facts, info, columns, episode
    )


def _problem_of_result(
    game: Game, facts: EpisodeFacts, info: Mapping[str, Any], episode: ReplayedEpisode
) -> str:
    is_over = game.is_terminal(episode.position)
    if is_over != facts.is_ended_by_rules:
        return (
            "is over by the rules, but has no score."
            if is_over
            else "is not over, but has a score."
        )
    if not is_over:
        return "" if facts.length else "has no moves."
    result = float(game.returns(episode.position)[0])
    if result != facts.returns[0]:
        return f"has the result {facts.returns[0]:g} for the first player; by the rules it is {result:g}."
    score = game.score(episode.position) if game.has_score else 0
    if info["score"] != score:
        return f"has the score {str(info['score'])[:40]}; by the rules it is {score}."
    return ""


def _problem_of_samples(
    curriculum: Curriculum,
    facts: EpisodeFacts,
    info: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
    episode: ReplayedEpisode,
) -> str:
    observations, legal = episode.observations, episode.legal
    if "board" in info:
        embedding = curriculum.embeddings[info["board"]]
        observations = embedding.observations(observations)
        legal = embedding.policies(legal.astype(np.float16)) > 0
        if "board" in columns and (columns["board"] != info["board"]).any():
            return "has samples of another board."
    plies = _plies_of(columns["observation"], observations, facts.first_ply)
    if plies is None:
        return "has a sample whose position does not occur in it."
    for name, of_next in (("policy_target", False), ("next_policy_target", True)):
        if name in columns:
            policies = columns[name]
            of_samples = np.append(plies[1:], -1) if of_next else plies
            allowed = np.where((of_samples >= 0)[:, None], legal[of_samples], False)
            if (policies[~allowed] != 0).any():
                return f"has a {name} that prefers an illegal move."
    return ""


def _plies_of(samples: np.ndarray, observations: np.ndarray, first_ply: int) -> np.ndarray | None:
    """Return the plies `[n]`, ascending, whose observations `[T, bytes]` are the samples `[n, bytes]`, or None."""
    plies = np.full(len(samples), -1)
    known = [row.tobytes() for row in observations]
    ply = first_ply
    for number, row in enumerate(samples):
        content = row.tobytes()
        while ply < len(known) and known[ply] != content:
            ply += 1
        if ply == len(known):
            return None
        plies[number] = ply
        ply += 1
    return plies
