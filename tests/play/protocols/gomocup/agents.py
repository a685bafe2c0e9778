"""Agents that the tests of this folder play with, and a manager like piskvork."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.play.protocols.gomocup.agent import FiveInARow
from ddpzero.run.ranks import Ranks
from ddpzero.search import SearchSettings
from tests.places import REPO
from tests.run.checkpointed_runs import saved_run, snapshot

# Chooses a move, "X,Y", after the opponent's; "" at the start of a game.
Mover = Callable[[str], str]

SMALL = NetworkSettings(blocks=1, channels=8, value_head="pooled")


def untrained_agent(num_simulations: int = 8) -> FiveInARow:
    """An agent with a small network that was never trained, on boards of any size."""

    def player_on(game: Any) -> AlphaZeroPlayer:
        torch.manual_seed(0)
        network = make_network(game, SMALL)
        settings = SearchSettings(num_simulations=num_simulations, forced_win_plies=1)
        return AlphaZeroPlayer(game, network, settings, "small", "cpu", "float32")

    return FiveInARow("small", load_game("gomoku", size=9), player_on)


def saved_untrained_run(run_dir: Path, ranks: Ranks, *overrides: str) -> Path:
    """A run with a checkpoint of such an agent; with settings, of another game."""
    words = overrides or ("game=gomoku", "game.size=9", "network.value_head=pooled")
    small = ("network.blocks=1", "network.channels=8", "algorithm.play_averages_symmetries=false")
    settings = compose_settings([*words, *small], None)
    torch.manual_seed(0)
    network = load_algorithm(settings).make_networks()["network"]
    content = snapshot(1, weights=network.state_dict(), config=settings_to_dict(settings))
    saved_run(run_dir, ranks).save(content)
    return run_dir


class Manager:
    """Starts a brain and plays with it as piskvork does: over pipes, and every answer must come in time."""

    def __init__(self, words: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPO)},
            text=True,
        )
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\r\n" for line in lines))
        self.process.stdin.flush()

    def ask(self, *lines: str, seconds: float = 300.0) -> str:
        """Send lines; return the answer to them, which is no message."""
        self.send(*lines)
        while True:
            answer = self._answers.get(timeout=seconds)
            assert answer is not None, "the brain has ended"
            if not answer.startswith(("MESSAGE ", "DEBUG ")):
                return answer

    def end(self) -> int:
        self.send("END")
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._answers.put(line.rstrip("\n"))
        self._answers.put(None)


def referee_game(size: int, exactly_five: bool, movers: Sequence[Mover]) -> list[int]:
    """Let two movers play a game, in turn, which our rules referee; return its moves.

    movers: called with the last move, "X,Y", or "" at the start. An illegal move raises ValueError.
    """
    game = load_game("gomoku", size=size, exact_five=exactly_five)
    position, moves, last = game.initial_position(), [], ""
    while not game.is_terminal(position):
        last = movers[len(moves) % 2](last)
        column, row = map(int, last.split(","))
        assert 0 <= column < size and 0 <= row < size, last
        position = game.apply_action(position, row * size + column)
        moves.append(row * size + column)
    return moves


def random_mover(size: int, seed: int) -> Mover:
    """Return a mover that plays at random next to the center, so that games last."""
    rng, taken = np.random.default_rng(seed), set()

    def move(last: str) -> str:
        taken.add(last)
        free = [f"{x},{y}" for x in range(size) for y in range(size) if f"{x},{y}" not in taken]
        chosen = free[int(rng.integers(len(free)))]
        taken.add(chosen)
        return chosen

    return move
