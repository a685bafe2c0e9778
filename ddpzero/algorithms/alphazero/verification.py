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
from ddpzero.games.core.replayed import IllegalMoveError, ReplayedEpisode, plies_of, replay

# As samples.py makes them; the rank adds the index of the actor.
_FACTS = {
    *("num_plies", "restart_ply", "first_player_return", "score", "moves", "board"),
    "actor_index",
}


def facts_of(frame: Game, curriculum: Curriculum, info: Mapping[str, Any]) -> EpisodeFacts:
    """Return the facts of an episode. frame: the config's game. Raises as facts_of_episode in base.py."""
    moves, result, restart = info.get("moves", []), info["first_player_return"], info["restart_ply"]
    if not (isinstance(moves, list) and all(type(move) is int for move in moves)):
        raise ValueError("its moves are no list of actions")
    if not (type(result) in (int, float) and -1 <= result <= 1):
        raise ValueError(f"its result {str(result)[:40]} is not in [-1, 1]")
    plies = info["num_plies"]
    if not (type(plies) is type(restart) is int and 0 <= restart <= len(moves) == plies):
        raise ValueError("its number of plies is not that of its moves")
    if not (info["score"] is None or type(info["score"]) is int):
        raise ValueError(f"its score {str(info['score'])[:40]} is no whole number")
    if unknown := sorted(info.keys() - _FACTS):
        raise ValueError(f"{unknown[0][:40]!r} is not a fact of AlphaZero's episodes")
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
    each policy prefers only legal moves, and the targets are those of the result. A result that a proof gave, and what
    the search and the network said, are not checked.
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
    if facts.is_ended_by_rules and not is_over:
        return "is not over, but has a score."
    if not is_over:
        return "" if facts.length else "has no moves."
    result = float(game.returns(episode.position)[0])
    if result != facts.returns[0]:
        return f"has the result {facts.returns[0]:g} for the first player; by the rules it is {result:g}."
    # The last move of an episode whose result was proven may also end the game.
    score = game.score(episode.position) if game.has_score else 0
    if facts.is_ended_by_rules and info["score"] != score:
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
    plies = plies_of(columns["observation"], observations, facts.first_ply)
    if (plies < 0).any():
        return "has a sample whose position does not occur in it."
    # From the view of the first player.
    signs = np.where(episode.movers[plies] == 0, np.float32(1), np.float32(-1))
    return (
        _problem_of_policies(columns, plies, legal)
        or _problem_of_values(facts, columns, signs)
        or _problem_of_scores(curriculum, facts, info, columns, episode.position, signs)
    )


def _problem_of_policies(
    columns: Mapping[str, np.ndarray], plies: np.ndarray, legal: np.ndarray
) -> str:
    """legal: `[T, A]`, before each ply."""
    policies = columns["policy_target"]
    if (policies[~legal[plies]] != 0).any():
        return "has a policy_target that prefers an illegal move."
    if "next_policy_target" in columns:
        following = np.zeros_like(policies)
        following[:-1] = policies[1:]
        if (columns["next_policy_target"] != following).any():
            return "has a next_policy_target that is not the policy_target of its next sample."
    return ""


def _problem_of_values(
    facts: EpisodeFacts, columns: Mapping[str, np.ndarray], signs: np.ndarray
) -> str:
    """Each outcome is that of the next sample, or the search's value in its own position; see samples.outcomes_of.

    signs: `[n]`, 1 for samples of the first player, -1 for the others.
    """
    result = np.float32(facts.returns[0])
    if _breaks_chain(signs * columns["outcome"], signs * columns["root_value"], result):
        return "has a sample whose outcome is neither its result nor a value of its search."
    draw = np.float32(1 - abs(result))
    if _breaks_chain(columns["outcome_draw"], columns["root_draw"], draw):
        return (
            "has a sample whose outcome_draw is neither that of its result nor one of its search."
        )
    return ""


def _problem_of_scores(
    curriculum: Curriculum,
    facts: EpisodeFacts,
    info: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
    position: np.ndarray,
    signs: np.ndarray,
) -> str:
    """position: the last one. signs: as above."""
    game, is_known = facts.game, facts.is_ended_by_rules
    assert isinstance(game, Game)
    if "is_played_out" in columns and (columns["is_played_out"] != is_known).any():
        return "has a sample with another is_played_out."
    if "score" in columns and is_known:
        score = np.float32(info["score"])
        searched = columns.get("root_score", columns["score"])
        if (
            _breaks_chain(signs * columns["score"], signs * searched, score)
            if "root_score" in columns
            else (signs * columns["score"] != score).any()
        ):
            return "has a sample with another score than its own."
    if "ownership" in columns and is_known:
        owners = (signs[:, None] * game.ownership(position)).astype(np.int8)
        if "board" in info:
            owners = curriculum.embeddings[info["board"]].ownership(owners)
        if (columns["ownership"] != owners).any():
            return "has a sample with another ownership than its own."
    return ""


def _breaks_chain(values: np.ndarray, searched: np.ndarray, last: np.float32) -> bool:
    """Return whether any of the values `[n]` is neither the next one, after the last sample `last`, nor its own
    searched value.
    """
    following = np.append(values[1:], last)
    return bool(((values != following) & (values != searched)).any())
