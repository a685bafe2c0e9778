"""`ddpzero gomocup RUN`."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ddpzero.arena.agent_name import name_of_agent
from ddpzero.play.protocols.gomocup.about import about
from ddpzero.play.protocols.gomocup.compiling import compile_in_process
from ddpzero.play.protocols.gomocup.input import Commands

if TYPE_CHECKING:
    from ddpzero.play.protocols.gomocup.brain import Brain
    from ddpzero.play.strength import Strength

_STDIN = 0
# Managers wait for ABOUT as long as for START, or longer: so long it waits for the rest, which START needs.
_ABOUT_SECONDS = 2.0


def run_gomocup(player: str, strength: Callable[[], Strength], seed: int | None = None) -> None:
    """Play for the manager at stdin and stdout until it sends END or closes stdin.

    player: a run or a checkpoint. strength: called once the manager has been heard, because it imports much.
    seed: of levels; None for different moves every time. Raises UserError.
    """
    name, is_loaded, is_ready = name_of_agent(player), threading.Event(), threading.Event()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")

    def say(text: str) -> None:
        answers.write(f"{text}\n")
        answers.flush()

    def is_answered(text: str) -> bool:
        """Answer ABOUT, which comes first, while everything else is being loaded."""
        if text.upper() != "ABOUT":
            return False
        is_ready.wait(_ABOUT_SECONDS)
        say(about(name))
        return True

    def leave() -> None:
        # What is wrong with the agent is told, even if the manager has gone.
        is_loaded.wait()
        os._exit(0)

    # A file of its own: Python closes stdin at its end, even while a thread reads from it.
    commands = Commands(os.fdopen(os.dup(_STDIN), "rb"), leave, is_answered)
    brain = _load(player, strength(), say, commands, seed)
    # What else is printed, by any library, must not reach the manager.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    is_loaded.set()
    prepare(brain, commands)
    is_ready.set()
    obey_all(brain, commands)
    # Python takes seconds to end with torch and numba loaded, and managers wait for one.
    sys.stderr.flush()
    os._exit(0)


def _load(
    player: str,
    strength: Strength,
    say: Callable[[str], None],
    commands: Commands,
    seed: int | None,
) -> Brain:
    import numpy as np

    from ddpzero.play.engine import use_one_thread
    from ddpzero.play.protocols.gomocup.agent import load_five_in_a_row
    from ddpzero.play.protocols.gomocup.brain import Brain

    agent = load_five_in_a_row(player, partial(compile_in_process, player))
    use_one_thread()
    rng = np.random.default_rng(seed)
    return Brain(agent, strength, say, lambda: commands.have_ended, rng)


def prepare(brain: Brain, commands: Commands) -> None:
    """Load what the first game probably needs, unless a command waits that knows better."""
    if not commands.is_next_there:
        brain.prepare()


def obey_all(brain: Brain, commands: Commands) -> None:
    """Carry out all commands, and think about the next ones until they come."""
    while (line := commands.next()) is not None:
        if commands.have_ended or not brain.obey(line.text, line.arrived):
            return
        brain.ponder(lambda: commands.is_next_there)
