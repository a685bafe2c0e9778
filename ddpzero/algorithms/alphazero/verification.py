"""What is known of a finished episode from its moves, and whether AlphaZero can have played it: for episodes from files
and from other machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpzero.algorithms.alphazero.curriculum import Curriculum
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings
from ddpzero.algorithms.alphazero.target_verification import problem_of_policies, problem_of_values
from ddpzero.algorithms.base import EpisodeFacts
from ddpzero.games import Game
from ddpzero.games.core.replayed import IllegalMoveError, ReplayedEpisode, replay
from ddpzero.search import SearchSettings

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
    frame: Game,
    curriculum: Curriculum,
    settings: AlphaZeroSettings,
    search: SearchSettings,
    info: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
) -> str:
    """Return what is wrong with an episode, as a sentence that goes on after "the episode"; "" if nothing is.

    Its moves are legal, its result is that of the rules, its samples show the positions of its last plies, each policy
    prefers only legal moves, and the targets are those of the result and of the searched values, by the definitions in
    samples.py. Not checked are the searched values themselves, and whether a value that counts as proven was proven.
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
        curriculum, settings, search, facts, info, columns, episode
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
    settings: AlphaZeroSettings,
    search: SearchSettings,
    facts: EpisodeFacts,
    info: Mapping[str, Any],
    columns: Mapping[str, np.ndarray],
    episode: ReplayedEpisode,
) -> str:
    # After the first searched ply, all plies are.
    first = facts.length - len(columns["observation"])
    if first < facts.first_ply:
        return (
            f"has {len(columns['observation'])} samples of {facts.length - facts.first_ply} plies."
        )
    observations, legal = episode.observations[first:], episode.legal[first:]
    if "board" in info:
        embedding = curriculum.embeddings[info["board"]]
        observations = embedding.observations(observations)
        legal = embedding.policies(legal.astype(np.float16)) > 0
        if "board" in columns and (columns["board"] != info["board"]).any():
            return "has samples of another board."
    if (columns["observation"] != observations).any():
        return "has a sample that does not show the position before its move."
    # From the view of the first player.
    signs = np.where(episode.movers[first:] == 0, np.float32(1), np.float32(-1))
    return (
        problem_of_policies(settings, columns, legal)
        or problem_of_values(settings, search, facts, info, columns, signs)
        or _problem_of_ends(curriculum, facts, info, columns, episode.position, signs)
    )


def _problem_of_ends(
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
    if "ownership" in columns and is_known:
        owners = (signs[:, None] * game.ownership(position)).astype(np.int8)
        if "board" in info:
            owners = curriculum.embeddings[info["board"]].ownership(owners)
        if (columns["ownership"] != owners).any():
            return "has a sample with another ownership than its own."
    return ""
