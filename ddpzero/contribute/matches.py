"""Plays a rating match for a collection server, in a process of its own: the actors' games go on meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection

import numpy as np
import torch

from ddpzero.arena.agents import load_agent
from ddpzero.arena.match import play_openings
from ddpzero.arena.openings import random_openings
from ddpzero.contribute.work import WantedMatch
from ddpzero.games import Game
from ddpzero.remote.messages import MatchReport
from ddpzero.system.allocator import keep_freed_memory
from ddpzero.system.parent import follow_parent

_SPAWN = multiprocessing.get_context("spawn")


class RatingMatch:
    """Context manager: leaving it kills the process, which starts at once. Make it in the main thread.

    wanted: what is played. device: where networks are evaluated.
    """

    def __init__(self, wanted: WantedMatch, device: str) -> None:
        self.wanted = wanted
        self._receiving, sending = _SPAWN.Pipe(duplex=False)
        self._process = _SPAWN.Process(
            target=_play, args=(os.getpid(), sending, wanted, device), name="match", daemon=True
        )
        self._process.start()
        sending.close()

    def __enter__(self) -> RatingMatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._receiving.close()

    @property
    def has_ended(self) -> bool:
        """Whether `report` can be called without waiting."""
        return self._receiving.poll()

    def report(self) -> MatchReport | None:
        """Return what was played; None if the process died."""
        try:
            found: MatchReport = self._receiving.recv()
        except EOFError:
            return None
        return found


def play_match(wanted: WantedMatch, device: str) -> MatchReport:
    """Play the games of a task."""
    task = wanted.task
    players = [load_agent(path) for path in (wanted.model, wanted.opponent)]
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


def _play(parent_pid: int, sending: Connection, wanted: WantedMatch, device: str) -> None:
    follow_parent(parent_pid)
    keep_freed_memory()
    # A Ctrl-C in the terminal reaches this process, too; the main one decides.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    sending.send(play_match(wanted, device))
