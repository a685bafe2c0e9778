"""`ddpzero gomocup RUN`."""

from __future__ import annotations

import os
import sys

import numpy as np

from ddpzero.play.engine import use_one_thread
from ddpzero.play.protocols.gomocup.agent import load_five_in_a_row
from ddpzero.play.protocols.gomocup.brain import Brain
from ddpzero.play.protocols.gomocup.input import Commands
from ddpzero.play.strength import Strength


def run_gomocup(player: str, strength: Strength, seed: int | None = None) -> None:
    """Play for the manager at stdin and stdout until it sends END or closes stdin.

    player: a run or a checkpoint. seed: of levels; None for different moves every time. Raises UserError.
    """
    agent = load_five_in_a_row(player)
    # What else is printed, by any library, must not reach the manager.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    commands = Commands(sys.stdin.buffer)
    use_one_thread()

    def say(text: str) -> None:
        answers.write(f"{text}\n")
        answers.flush()

    brain = Brain(
        agent,
        strength,
        say,
        lambda: commands.have_ended,
        np.random.default_rng(seed),
    )
    obey_all(brain, commands)
    # Python takes seconds to end with torch and numba loaded, and managers wait for one.
    sys.stderr.flush()
    os._exit(0)


def obey_all(brain: Brain, commands: Commands) -> None:
    """Carry out all commands, and think about the next ones until they come."""
    while (line := commands.next()) is not None:
        if commands.have_ended or not brain.obey(line.text, line.arrived):
            return
        brain.ponder(lambda: commands.is_next_there)
