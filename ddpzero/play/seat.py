"""Who sits at a board: a person or a player, which may think as long as its strength and its clock allow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.players import Analysis, Player, Thoughtful, Thoughts
from ddpzero.play.clock import Clock, TimeControl
from ddpzero.play.engine import Engine, Limits
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.strength import Strength, make_engine, ponder, warm_up

# Of a hint, whatever the strength at which the player plays.
HINT_SIMULATIONS = 400


@dataclass(frozen=True)
class Seat:
    """The player with index 0 or 1.

    player: None for the person at the keyboard. engine: of a player that thinks as long as it is asked; None for one
    that only answers. time: of this side. argument: what names the player on a command line, "" if nothing does.
    """

    name: str
    player: Player | None
    engine: Engine | None = None
    strength: Strength = field(default_factory=Strength)
    time: TimeControl = field(default_factory=TimeControl)
    argument: str = ""

    def new_clock(self) -> Clock:
        return Clock(self.time)

    @property
    def conditions(self) -> str:
        """How strong it plays, see Strength.said_of; "" for a person and for a player without an engine."""
        if self.engine is None or self.player is None:
            return ""
        return self.strength.said_of(self.player)


def seat_of(name: str, player: Player, game: Game, strength: Strength, argument: str = "") -> Seat:
    """Return the seat of a player; argument: see Seat. Raises UserError if memory is too small for its thinking."""
    engine = None
    if isinstance(player, Thoughtful):
        engine = make_engine(player, game, strength, least_simulations=HINT_SIMULATIONS)
    if engine is not None and not strength.time.is_unlimited:
        # Else its first move would pay with its time for the code that is compiled.
        warm_up(engine)
    return Seat(name, player, engine, strength, strength.time, argument)


def follow(engine: Engine, episode: PlayedEpisode) -> None:
    """Bring an engine to the position of an episode; what it found below the moves since then is kept."""
    known = engine.episode.actions
    if known != episode.actions[: len(known)]:
        engine.set_up(episode.actions)
        return
    for action in episode.actions[len(known) :]:
        engine.play(action)


@contextmanager
def pondering(seat: Seat | None, episode: PlayedEpisode) -> Iterator[None]:
    """Let a player think about the position while the block waits for somebody else; None: let nobody."""
    if seat is None or seat.engine is None or not seat.strength.ponders:
        yield
        return
    engine, is_over = seat.engine, threading.Event()
    follow(engine, episode)
    thread = threading.Thread(target=ponder, args=(engine, is_over.is_set), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def think_for_hint(seat: Seat, episode: PlayedEpisode) -> Thoughts:
    """Return what the engine of a seat, which has one, finds about a position of its opponent.

    It is forgotten then, unless the player ponders anyway: a hint must not make its next move stronger.
    """
    assert seat.engine is not None
    follow(seat.engine, episode)
    thoughts = seat.engine.think(Limits(HINT_SIMULATIONS))
    if not seat.strength.ponders:
        seat.engine.forget()
    return thoughts


def analysis_of(thoughts: Thoughts) -> Analysis:
    """Return the thoughts about one position in the form in which other players give theirs."""
    return Analysis(
        actions=np.array([thoughts.moves[0].action]),
        policy=thoughts.policy[None],
        value=np.array([thoughts.value], dtype=np.float32),
        wdl=np.array([thoughts.wdl], dtype=np.float32),
    )


def short_thoughts(game: Game, thoughts: Thoughts) -> str:
    """Return "D4 62%, 120 simulations": what a player would play now, and its chance to win with half of a draw's."""
    best = thoughts.moves[0]
    certain = ", certain" if thoughts.is_proven else ""
    rate = (thoughts.value + 1) / 2
    return f"{game.action_name(best.action)} {rate:.0%}{certain}, {thoughts.visits:,} simulations"


def told(tell: Callable[[str], None], game: Game) -> Callable[[Thoughts], None]:
    """Return a function that tells thoughts in short."""
    return lambda thoughts: tell(short_thoughts(game, thoughts))
