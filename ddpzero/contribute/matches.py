"""Plays a rating match for a collection server."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ddpzero.arena.agents import load_agent
from ddpzero.arena.match import play_openings
from ddpzero.arena.openings import random_openings
from ddpzero.games import Game
from ddpzero.remote.messages import MatchReport, Task


def play_match(task: Task, model: Path, opponent: Path, device: str) -> MatchReport:
    """Play the games of a task. model, opponent: folders of the players."""
    players = [load_agent(path) for path in (model, opponent)]
    game = players[0].game
    assert isinstance(game, Game)
    a, b = (player.make_player(device=device) for player in players)
    rng = np.random.default_rng(task.seed)
    openings = random_openings(game, task.num_games // 2, rng)
    started = time.perf_counter()
    games = play_openings(a, b, game, openings, rng)  # type: ignore[arg-type]  # players of a board game
    # A record begins with the position after the opening.
    size = openings.positions.shape[1]
    moves = [list(record)[size:] for record in games.records]  # type: ignore[call-overload]
    return MatchReport(task.id, moves, time.perf_counter() - started)
