"""One GTP session: the table, the agent and its clocks, and what happens to a command line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ddpzero.games import Game, variation
from ddpzero.games.core.players import Thoughts
from ddpzero.play.clock import Clock, TimeControl
from ddpzero.play.engine import Engine, Limits
from ddpzero.play.protocols.gtp.agent import GtpAgent
from ddpzero.play.protocols.gtp.analysis import Analyzed
from ddpzero.play.protocols.gtp.bans import without_pointless
from ddpzero.play.protocols.gtp.input import Lines
from ddpzero.play.protocols.gtp.lines import (
    Refused,
    Request,
    answer,
    begin_answer,
    parse_request,
)
from ddpzero.play.protocols.gtp.names import Names, names_of
from ddpzero.play.protocols.gtp.rules import GoRules
from ddpzero.play.protocols.gtp.table import Table
from ddpzero.play.protocols.gtp.times import TimeSystem
from ddpzero.play.protocols.gtp.turns import can_pass_always
from ddpzero.play.strength import Strength, choose_move, make_engine, ponder, warm_up
from ddpzero.system.errors import is_sentence_of_ours
from ddpzero.system.machine import usable_memory

# Of what is free, for each of the two searches: without and with banned moves.
_SHARE_OF_MEMORY = 1 / 8
_MOST_MEMORY_BYTES = 2 * 2**30

# Does a command and returns its answer; None if it has answered itself. Raises Refused.
Command = Callable[["Session", Request], str | None]


@dataclass(frozen=True)
class Chosen:
    """A move that was chosen. action: None and name "resign" if the game is given up."""

    action: int | None
    name: str
    analyzed: Analyzed


@dataclass
class GoSettings:
    """What was said about the rules of Go. komi: without white's points for handicap stones."""

    komi: float
    rules: GoRules

    def game_of(self, game: Game, num_handicap_stones: int, **parameters: int) -> Game:
        """Return a variation of a game with these rules. Raises ValueError."""
        return variation(
            game,
            komi=self.komi + self.rules.bonus(num_handicap_stones),
            ko=self.rules.ko,
            suicide=self.rules.suicide,
            **parameters,
        )


class Session:
    """See above. Call `prepare`, then `obey` with each line, and `ponder` before waiting for one.

    go: None in other games. clocks: of both colors. speaks_gogui: whether the other program was found to be GoGui, or
    one like it, by a question about the rules of its game; see names.py.
    """

    def __init__(
        self,
        agent: GtpAgent,
        commands_of: Callable[[Game], dict[str, Command]],
        strength: Strength,
        lines: Lines,
        write: Callable[[str], None],
        rng: np.random.Generator | None = None,
    ) -> None:
        """write: to the other program, at once."""
        self.agent = agent
        self.strength = strength
        # Those of --simulations. maxVisits asks for no room: it is a limit, and often one beyond all memory.
        self._least_room = strength.simulations
        self.lines = lines
        self._write = write
        self._rng = np.random.default_rng() if rng is None else rng
        self.table = Table(agent.game)
        self.commands = commands_of(agent.game)
        self.go = _go_settings(agent.game)
        self.speaks_gogui = False
        self.set_times(TimeSystem(strength.time))
        self._engine: Engine | None = None
        self._is_streaming = self._ponders_next = False

    # ------------------------------------------------------------------ lines

    def obey(self, line: str) -> bool:
        """Answer a line; return whether the session goes on."""
        request = parse_request(line)
        if request is None:
            return True
        self._ponders_next = False
        command = self.commands.get(request.command)
        if command is None:
            self._write(answer(request, "unknown command", is_failure=True))
            return True
        try:
            text = command(self, request)
        except BrokenPipeError:
            raise
        # Of the network, of a game from outside: the session goes on whatever happens.
        except Exception as error:
            self._fail(request, error)
        else:
            if text is not None:
                self._write(answer(request, text))
        return request.command != "quit"

    def begin_stream(self, request: Request) -> None:
        """Begin an answer of several lines, which `stream` continues and `end_stream` ends."""
        self._write(f"{begin_answer(request)}\n")
        self._is_streaming = True

    def stream(self, line: str) -> None:
        self._write(f"{line}\n")

    def end_stream(self) -> None:
        self._is_streaming = False
        self._write("\n")

    def _fail(self, request: Request, error: Exception) -> None:
        if isinstance(error, Refused | ValueError) or is_sentence_of_ours(error):
            text = " ".join(str(error).split())
        else:
            traceback.print_exc(file=sys.stderr)
            text = f"internal error: {type(error).__name__}"
        if self._is_streaming:
            print(f"ddpzero gtp: {request.command}: {text}", file=sys.stderr, flush=True)
            self.end_stream()
        else:
            self._write(answer(request, text, is_failure=True))

    # ------------------------------------------------------------------ the game

    @property
    def game(self) -> Game:
        return self.table.game

    @property
    def names(self) -> Names:
        return names_of(self.game, self.speaks_gogui)

    def begin_game(self, game: Game) -> None:
        """Begin a game on a board that the agent fits."""
        self.table.clear(game)
        self.reset_clocks()

    def change_rules(self) -> None:
        """Go on with the rules that `go` says now. Raises Refused, or ValueError, and changes nothing else."""
        assert self.go is not None
        self.table.change_rules(self.go.game_of(self.game, self.table.num_handicap_stones))

    def prepare(self) -> None:
        """Load and compile what the first move needs, so that its time is for thinking."""
        if not self._has_engine:
            warm_up(self.engine_at([]))

    # ------------------------------------------------------------------ time

    def set_times(self, times: TimeSystem) -> None:
        """Give both sides this time. The time for each move that --seconds or maxTime gives stays."""
        move_seconds = self.strength.time.move_seconds
        self._times = replace(times, control=replace(times.control, move_seconds=move_seconds))
        self.strength = replace(self.strength, time=self._times.control)
        self.reset_clocks()

    def set_move_seconds(self, seconds: float) -> None:
        control = replace(self._times.control, move_seconds=seconds)
        self._times = replace(self._times, control=control)
        self.strength = replace(self.strength, time=control)
        for clock in self.clocks:
            clock.control = replace(clock.control, move_seconds=seconds)

    def reset_clocks(self) -> None:
        self.clocks = [Clock(self._times.control), Clock(self._times.control)]

    def set_time_left(self, player: int, seconds: float, moves: int) -> None:
        """Believe another clock. moves: to make in this time, or in a byoyomi the periods that are left."""
        if self._times.control.game_seconds is None:
            # Nobody has said how time is given: this is all there is.
            self.set_times(TimeSystem(TimeControl(game_seconds=max(seconds, 0.0))))
        if self._times.counts_periods:
            moves = min(moves, 1)
        self.clocks[player].set_left(seconds, moves)

    # ------------------------------------------------------------------ thinking

    def engine_at(self, actions: Sequence[int]) -> Engine:
        """Return the engine with the position after these actions of the table's game."""
        if not self._has_engine:
            player = self.agent.player_of(self.game)
            # Analyses go on beyond the simulations of a move.
            roomy = replace(self.strength, ponders=True, simulations=self._least_room)
            memory_bytes = min(usable_memory().free_bytes * _SHARE_OF_MEMORY, _MOST_MEMORY_BYTES)
            self._engine = make_engine(player, self.game, roomy, int(memory_bytes))
        assert self._engine is not None
        _follow(self._engine, list(actions))
        return self._engine

    def engine_for(self, player: int, bans: np.ndarray | None = None) -> Engine:
        """Return the engine with a player to move, whoever's turn it is. bans: see Engine.ban. Raises Refused.

        Every thought about a move begins here: a pass out of turn would look to the rules like the end of the game.
        """
        turn = self.table.turn_of(player)
        engine = self.engine_at(turn.actions)
        engine.ban(without_pointless(self.game, turn, engine.position, bans))
        return engine

    def forget_thoughts(self) -> None:
        """Forget all that was found, and give the memory back."""
        self._engine = None
        self.prepare()

    @property
    def _has_engine(self) -> bool:
        return self._engine is not None and self._engine.game.arguments == self.game.arguments

    def choose(
        self,
        player: int,
        bans: np.ndarray | None = None,
        is_timed: bool = True,
        may_resign: bool = True,
        on_analyzed: Callable[[Analyzed], None] | None = None,
        interval_seconds: float = 1.0,
    ) -> Chosen:
        """Think about a player's move; make none. bans: see Engine.ban. Raises Refused.

        is_timed: on the player's clock. on_analyzed: told what was found, at intervals and at the end.
        """
        clock = self.clocks[player] if is_timed else Clock(self._times.control)
        clock.start()
        try:
            engine = self.engine_for(player, bans)
            choice = choose_move(
                engine,
                self.strength if may_resign else replace(self.strength, resigns=False),
                clock,
                self._rng,
                self.lines.is_interrupted,
                self._teller(engine, on_analyzed),
                interval_seconds,
            )
        finally:
            clock.stop()
        analyzed = self._analyzed(engine, choice.thoughts)
        if on_analyzed is not None:
            on_analyzed(analyzed)
        if choice.action is None:
            return Chosen(None, "resign", analyzed)
        name = self.names.name(analyzed.position, choice.action)
        return Chosen(choice.action, name, analyzed)

    def analyze(
        self,
        player: int,
        bans: np.ndarray | None,
        on_analyzed: Callable[[Analyzed], None],
        interval_seconds: float,
    ) -> None:
        """Think about a player's move until a line arrives. Raises Refused."""
        engine = self.engine_for(player, bans)
        is_waiting = self.lines.is_waiting
        thoughts = engine.think(
            Limits(), is_waiting, self._teller(engine, on_analyzed), interval_seconds
        )
        on_analyzed(self._analyzed(engine, thoughts))

    def evaluate(self, player: int) -> Analyzed:
        """Return what the network says about a position with this player to move. Raises Refused."""
        self.engine_for(player).forget()
        engine = self.engine_for(player)
        return self._analyzed(engine, engine.think(Limits(simulations=0)))

    def ponder_next(self) -> None:
        """Let the next call of `ponder` think: this move was the agent's own."""
        self._ponders_next = self.strength.ponders and not self.table.episode.is_over

    def ponder(self) -> None:
        """Think in the opponent's time until a line arrives, if that is wanted now."""
        if self._ponders_next:
            self._ponders_next = False
            try:
                ponder(self.engine_at(self.table.episode.actions), self.lines.is_waiting)
            # The same error will come, and be answered, at the next move.
            except Exception:
                traceback.print_exc(file=sys.stderr)

    def _teller(
        self, engine: Engine, on_analyzed: Callable[[Analyzed], None] | None
    ) -> Callable[[Thoughts], None] | None:
        if on_analyzed is None:
            return None
        return lambda thoughts: on_analyzed(self._analyzed(engine, thoughts))

    def _analyzed(self, engine: Engine, thoughts: Thoughts) -> Analyzed:
        return Analyzed(engine.game, self.names, engine.position, thoughts)


def _follow(engine: Engine, actions: list[int]) -> None:
    """Take back moves of an engine and make others, so that it has made these."""
    known = engine.episode.actions
    num_kept = 0
    while num_kept < min(len(known), len(actions)) and known[num_kept] == actions[num_kept]:
        num_kept += 1
    while len(engine.episode.actions) > num_kept:
        engine.undo()
    for action in actions[num_kept:]:
        engine.play(action)


def _go_settings(game: Game) -> GoSettings | None:
    if not can_pass_always(game):
        return None
    parameters = game.parameters
    return GoSettings(parameters.komi, GoRules(parameters.ko, parameters.suicide))
