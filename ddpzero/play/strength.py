"""How strong a player plays and how long it thinks: what the options of add_strength mean together.

Called by everything in which an agent plays: the terminal, the page, GTP, Gomocup.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ddpzero.arena.levels import USUAL_SIMULATIONS, Level, LeveledPlayer, level_of, sampled_move
from ddpzero.games import Game
from ddpzero.games.core.players import Player, Thoughtful, Thoughts
from ddpzero.play.clock import Clock, TimeControl, moves_to_come
from ddpzero.play.engine import Engine, Limits
from ddpzero.system.errors import UserError, require
from ddpzero.system.machine import usable_memory
from ddpzero.system.memory import largest_fitting

# Of a move of an agent against people, in the terminal and on the page, if nothing else limits it. Runs train with
# fewer, so that they play more games.
PLAY_SIMULATIONS = 200
# A decision is hard while the second move has so large a share of the visits of the first, or a better value.
_HARD_SHARE = 0.7
# Moves resigned: so many in a row of the own ones were expected to bring less than this result, after so large a part
# of the longest game.
_HOPELESS_VALUE = -0.9
_HOPELESS_MOVES = 3
_SHARE_BEFORE_RESIGNING = 0.1
# Of searches that only time limits. Memory is taken as it is needed.
_MOST_SIMULATIONS = 5_000_000
_MOST_MEMORY_BYTES = 4 * 2**30
# Enough for batches of all sizes; and for code alone.
_WARM_UP_SIMULATIONS = 100
_FEW_SIMULATIONS = 8
# Too many to end it.
_WARM_UP_SECONDS = 1000.0


@dataclass(frozen=True)
class Strength:
    """How strong a player plays.

    time: of its side. simulations: of a move, None: what the time allows, or without one usual_simulations.
    level: 1 to 9, see arena.levels; None or 9: the full strength. resigns: whether it gives up hopeless games.
    ponders: whether it thinks while its opponent does. most_simulations: of a position in any case. usual_simulations:
    None for those of the player's config.
    Raises UserError for a level together with simulations.
    """

    time: TimeControl = field(default_factory=TimeControl)
    simulations: int | None = None
    level: int | None = None
    resigns: bool = False
    ponders: bool = False
    most_simulations: int | None = None
    usual_simulations: int | None = None

    def __post_init__(self) -> None:
        if self.level is not None:
            try:
                level_of(self.level)
            except ValueError as error:
                raise UserError(f"level={self.level} (--level): {error}") from None
        require(
            self.level is None or self.simulations is None,
            f"level={self.level} (--level) and simulations={self.simulations} (--simulations) both say how many "
            "simulations a move has: give one of them.",
        )

    @property
    def lowered(self) -> Level | None:
        """The level that limits it; None for the full strength."""
        return None if self.level is None else level_of(self.level)

    @property
    def options(self) -> list[str]:
        """The words of a command line that say the same, without usual_simulations and most_simulations."""
        words = []
        if self.level is not None:
            words += ["--level", str(self.level)]
        if self.simulations is not None:
            words += ["--simulations", str(self.simulations)]
        if self.time.move_seconds is not None:
            words += ["--seconds", f"{self.time.move_seconds:.10g}"]
        if self.time.game_seconds is not None:
            times = [self.time.game_seconds, self.time.increment_seconds]
            words += [
                "--game-time",
                "+".join(map(_said_of_seconds, times if times[1] else times[:1])),
            ]
        flags = {"--ponder": self.ponders, "--resign": self.resigns}
        return [*words, *(flag for flag, is_given in flags.items() if is_given)]

    def said_of(self, player: Player) -> str:
        """Return how strong a player that searches plays: "level 3", "200 simulations a move"; "" for a time alone."""
        if self.lowered is not None:
            limits = [f"level {self.level}"]
        else:
            simulations = self.simulations_of(player)
            said = "the network alone" if simulations == 0 else f"{simulations} simulations a move"
            limits = [] if simulations is None else [said]
        if self.time.move_seconds is not None:
            limits.append(f"{self.time.move_seconds:.10g} s a move")
        return ", ".join(limits)

    def simulations_of(self, player: Player) -> int | None:
        """Return the simulations of a move; None if only time limits them."""
        limits = [self._wanted_simulations(player), self.most_simulations]
        return min((limit for limit in limits if limit is not None), default=None)

    def _wanted_simulations(self, player: Player) -> int | None:
        if self.lowered is not None:
            return self.lowered.simulations
        if self.simulations is not None:
            return self.simulations
        if not self.time.is_unlimited:
            return None
        if self.usual_simulations is not None:
            return self.usual_simulations
        return int(getattr(player, "num_simulations", USUAL_SIMULATIONS))


@dataclass(frozen=True)
class Choice:
    """What a player does at its turn. action: None if it resigns. thoughts: what it found."""

    action: int | None
    thoughts: Thoughts


def make_engine(
    player: Player,
    game: Game,
    strength: Strength,
    memory_bytes: int | None = None,
    least_simulations: int = 1,
) -> Engine:
    """Return an engine with room for the simulations that the strength asks for, and at least for so many.

    memory_bytes: the most that a search may take; None: a quarter of what is free, and at most 4 GiB. Only what time
    limits, or pondering, heeds it.
    Raises UserError for a player that only chooses moves, for a level of one that does not search as long as it is
    asked, and if there is too little memory.
    """
    require(
        not isinstance(player, LeveledPlayer),
        f"{player.name}: players in matches have such a level; here give --level, and the name without it.",
    )
    if not isinstance(player, Thoughtful):
        require(
            strength.lowered is None,
            f"level={strength.level} (--level): levels are for trained agents that search, and {player.name} is none.",
        )
        return Engine(player, game, USUAL_SIMULATIONS)
    wanted = strength.simulations_of(player)
    if wanted is not None and not strength.ponders:
        return Engine(player, game, max(least_simulations, wanted))
    if memory_bytes is None:
        memory_bytes = min(usable_memory().free_bytes // 4, _MOST_MEMORY_BYTES)
    fitting = largest_fitting(player.thinker_size_bytes, _MOST_SIMULATIONS, memory_bytes)
    return Engine(player, game, max(wanted or 1, fitting))


def warm_up(engine: Engine, *others: Engine) -> None:
    """Compile or load the code that a first move would wait for. The engines begin a new game after it.

    others: with the same network on the same board.
    """
    _run_all_code(engine, _WARM_UP_SIMULATIONS)
    for other in others:
        _run_all_code(other, _FEW_SIMULATIONS)
    # Python looks through all objects now and then, those of torch among them: a tenth of a second within a move.
    gc.collect()
    gc.freeze()


def _run_all_code(engine: Engine, num_simulations: int) -> None:
    engine.set_up()
    # A move with a time also asks whether further simulations could change it.
    engine.think(Limits(simulations=1, seconds=_WARM_UP_SECONDS, is_early=True))
    best = engine.think(Limits(num_simulations)).moves[0]
    engine.play(best.action)
    if not engine.episode.is_over:
        engine.think(Limits(_FEW_SIMULATIONS))
    engine.set_up()


def choose_move(
    engine: Engine,
    strength: Strength,
    clock: Clock,
    rng: np.random.Generator,
    is_stopped: Callable[[], bool] = lambda: False,
    on_thoughts: Callable[[Thoughts], None] | None = None,
    interval_seconds: float = 0.1,
) -> Choice:
    """Think about the engine's position, which is not terminal, and choose a move; play none.

    clock: of the side to move, started when it was asked for its move. rng: of levels. Others: see Engine.think.
    Raises PlayerError for a player that fails.
    """
    started = time.monotonic()
    allowance = clock.allowance(_moves_to_come(engine))
    simulations, level = strength.simulations_of(engine.player), strength.lowered
    # A move that is sampled depends on all simulations.
    limits = Limits(simulations, allowance.usual, is_early=level is None)
    thoughts = engine.think(limits, is_stopped, on_thoughts, interval_seconds)
    if allowance.most is not None and level is None and _is_hard(thoughts):
        seconds = allowance.most - (time.monotonic() - started)
        clock.plan(seconds)
        limits = replace(limits, seconds=seconds)
        thoughts = engine.think(limits, is_stopped, on_thoughts, interval_seconds)
    if strength.resigns and _is_hopeless(engine, thoughts):
        return Choice(None, thoughts)
    temperature = 0.0 if level is None else level.temperature
    return Choice(sampled_move(thoughts, temperature, rng), thoughts)


def ponder(
    engine: Engine, is_stopped: Callable[[], bool], most_simulations: int | None = None
) -> None:
    """Think about the position until is_stopped. What is found below the move that follows is kept."""
    if not engine.episode.is_over:
        engine.think(Limits(most_simulations), is_stopped)


def _said_of_seconds(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:g}m" if minutes >= 1 and minutes.is_integer() else f"{seconds:.10g}s"


def _moves_to_come(engine: Engine) -> float:
    spec = engine.game.spec
    num_cells = min(spec.max_plies, math.prod(spec.board_shape))
    return moves_to_come(num_cells, len(engine.episode.actions))


def _is_hard(thoughts: Thoughts) -> bool:
    """Return whether further simulations may well lead to another move."""
    moves = [move for move in thoughts.moves if not move.is_lost]
    if thoughts.is_proven or len(moves) < 2:
        return False
    first, second = moves[:2]
    is_close = second.visits > _HARD_SHARE * first.visits
    return is_close or (second.visits > 0 and second.value > first.value)


def _is_hopeless(engine: Engine, thoughts: Thoughts) -> bool:
    """Return whether the mover has expected to lose at several moves in a row, and no move is known to do better."""
    plies = len(engine.episode.actions)
    if plies < _SHARE_BEFORE_RESIGNING * engine.game.spec.max_plies:
        return False
    if any(move.is_proven and move.value > _HOPELESS_VALUE for move in thoughts.moves):
        return False
    mover = engine.episode.current_player
    own = [value for player, value in engine.expected if player == mover]
    return len(own) >= _HOPELESS_MOVES and max(own[-_HOPELESS_MOVES:]) < _HOPELESS_VALUE
