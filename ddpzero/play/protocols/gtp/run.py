"""`ddpzero gtp RUN`."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

import numpy as np

from ddpzero.games import Game, describe_game
from ddpzero.play.engine import use_one_thread
from ddpzero.play.protocols.gtp.agent import GtpAgent
from ddpzero.play.protocols.gtp.dialects import commands_of
from ddpzero.play.protocols.gtp.input import LineReader
from ddpzero.play.protocols.gtp.session import Session
from ddpzero.play.strength import Strength

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def run_gtp(
    player: str,
    strength: Strength,
    *,
    game: Game | None = None,
    seed: int | None = None,
) -> None:
    """Speak GTP on stdin and stdout until the other program quits or leaves; then end this process at once.

    player: see arena.agents.ALLOWED_PLAYERS. game: None for the one that it was trained on. seed: of levels; None for
    different moves every time. Raises UserError.
    """
    started = time.monotonic()
    # From now on only answers reach stdout: what a library prints goes to stderr.
    output = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    use_one_thread()
    agent = GtpAgent(player, game)
    _log(f"{agent.name}, {describe_game(agent.game)}: loading")
    lines = LineReader(_STDIN)
    rng = np.random.default_rng(seed)
    session = Session(agent, commands_of, strength, lines, lambda text: _write(output, text), rng)
    session.prepare()
    _log(f"ready after {time.monotonic() - started:.1f} s")
    # A program that leaves without quit closes one end or the other.
    with suppress(BrokenPipeError):
        while (line := lines.next()) is not None and session.obey(line):
            session.ponder()
    # Every answer is written and nothing is left to save. With torch and numba loaded Python takes seconds to end, and
    # Sabaki kills a program that has not ended three seconds after quit.
    sys.stderr.flush()
    os._exit(0)


def _write(descriptor: int, text: str) -> None:
    content = text.encode(errors="replace")
    while content:
        content = content[os.write(descriptor, content) :]


def _log(text: str) -> None:
    print(f"ddpzero gtp: {text}", file=sys.stderr, flush=True)
