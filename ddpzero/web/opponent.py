"""The agent of one browser: which checkpoint of which run it is, how strong it plays, and the engine it thinks with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ddpzero.games.core.players import Player, Thoughtful, Thoughts
from ddpzero.play.clock import Clock, TimeControl
from ddpzero.play.engine import Engine
from ddpzero.play.strength import PLAY_SIMULATIONS, Choice, Strength, choose_move, warm_up
from ddpzero.system.errors import require
from ddpzero.web.agents import MAX_ROLLOUTS, ROLLOUTS, Catalog
from ddpzero.web.game_line import GameLine
from ddpzero.web.messages import Set

# In so many moves at the start the agent varies, between moves with at least half the visits of the best one.
_NUM_VARIED_MOVES = 4


class Opponent:
    """See above. Only the thread of its session touches it.

    game, agent, checkpoint: keys of the catalog; game: "" before the first one. engine: None until it is needed.
    """

    def __init__(
        self,
        catalog: Catalog,
        max_simulations: int,
        rng: np.random.Generator,
        tell_preparing: Callable[[str], None],
    ) -> None:
        """tell_preparing: called with what the page waits for, and with "" at its end."""
        self.game, self.agent, self.checkpoint = "", ROLLOUTS, ""
        self.strength = Strength(
            simulations=PLAY_SIMULATIONS,
            most_simulations=max_simulations,
            usual_simulations=PLAY_SIMULATIONS,
        )
        self.engine: Engine | None = None
        self._catalog = catalog
        self._max_simulations = max_simulations
        self._rng = rng
        self._tell_preparing = tell_preparing

    def describe(self) -> dict[str, Any]:
        """Return what a state message says about it."""
        return {
            "agent": self.agent,
            "checkpoint": self.checkpoint,
            "simulations": self.strength.simulations,
            "seconds": self.strength.time.move_seconds,
            "level": self.strength.level,
            "resigns": self.strength.resigns,
        }

    # ------------------------------------------------------------------ who it is

    def choice_for(self, game: str) -> tuple[str, str]:
        """Return agent and checkpoint for a game: the same ones if it has them. Changes nothing."""
        if all(agent.key != self.agent for agent in self._catalog.offered(game).agents):
            return self._catalog.first_choice(game)
        return self.agent, self.checkpoint

    def enter(self, game: str, choice: tuple[str, str]) -> None:
        """Go to another game. choice: from choice_for. Raises UserError or PlayerError, and changes nothing."""
        keeps_level = self.strength.level is None or self._has_levels(game, choice)
        self.game, self.engine = game, None
        self.agent, self.checkpoint = choice
        if not keeps_level:
            self._limit(simulations=PLAY_SIMULATIONS)

    def set(self, message: Set) -> None:
        """Change agent, checkpoint and strength as far as they are given. Raises UserError, ValueError, PlayerError."""
        if message.agent is not None or message.checkpoint is not None:
            self._set_agent(message)
        if message.simulations is not None:
            self._limit(simulations=message.simulations)
        if message.seconds is not None:
            self._limit(seconds=message.seconds)
        if message.level is not None:
            require(
                self._has_levels(self.game, (self.agent, self.checkpoint)),
                "levels are for trained agents that search, and this one is none.",
            )
            self._limit(level=message.level)
        if message.resigns is not None:
            self.strength = replace(self.strength, resigns=message.resigns)

    def player(self, simulations: int) -> Player:
        return self._catalog.player(self.game, self.agent, self.checkpoint, simulations)

    def _set_agent(self, message: Set) -> None:
        agent, checkpoint = self.agent, message.checkpoint
        if message.agent is not None and message.agent != agent:
            agent = message.agent
            if agent == ROLLOUTS:
                checkpoint = ""
            elif checkpoint is None:
                checkpoint = self._catalog.agent(self.game, agent).first_choice().key
        if checkpoint is None:
            return
        # It raises an error before anything changes.
        self._catalog.player(self.game, agent, checkpoint, PLAY_SIMULATIONS)
        self.enter(self.game, (agent, checkpoint))

    def _limit(
        self,
        simulations: int | None = None,
        seconds: float | None = None,
        level: int | None = None,
    ) -> None:
        """Let its moves be limited by one of these alone. Raises UserError."""
        time_of_move = TimeControl(move_seconds=seconds)
        self.strength = replace(
            self.strength, simulations=simulations, time=time_of_move, level=level
        )
        if self.agent == ROLLOUTS:
            # The player itself knows how many it makes.
            self.engine = None

    def _has_levels(self, game: str, choice: tuple[str, str]) -> bool:
        return isinstance(self._catalog.player(game, *choice, PLAY_SIMULATIONS), Thoughtful)

    # ------------------------------------------------------------------ what it does

    def engine_at(self, line: GameLine, keeps_tree: bool) -> Engine:
        """Return the engine at the position on the board, with what it knows of it if that is kept."""
        if self.engine is None:
            self._tell_preparing("Loading the agent …")
            player = self.player(self.strength.simulations or MAX_ROLLOUTS)
            self.engine = Engine(player, line.game, self._max_simulations)
            if self._catalog.is_new(self.game, self.agent == ROLLOUTS):
                warm_up(self.engine)
            self._tell_preparing("")
        made, engine = line.made, self.engine
        has_made = tuple(engine.episode.actions)
        is_further = has_made == made[: len(has_made)]
        if not keeps_tree or not is_further or len(made) - len(has_made) > 1:
            engine.forget()
        if not is_further:
            engine.set_up(made)
        # Not anew: it also knows what it expected at earlier moves.
        for action in made[len(engine.episode.actions) :]:
            engine.play(action)
        return engine

    def choose(
        self,
        line: GameLine,
        is_stopped: Callable[[], bool],
        on_thoughts: Callable[[Thoughts], None] | None,
        interval_seconds: float,
    ) -> Choice:
        """Choose a move in the position on the board, or to resign. The other arguments are those of choose_move."""
        # What was thought for the person must not make the agent stronger than it is said to be.
        engine = self.engine_at(line, keeps_tree=False)
        clock = Clock(self.strength.time)
        clock.start()
        choice = choose_move(
            engine, self.strength, clock, self._rng, is_stopped, on_thoughts, interval_seconds
        )
        if choice.action is None or self.strength.lowered is not None:
            return choice
        return replace(choice, action=self.varied(line.at, choice.thoughts))

    def varied(self, num_moves: int, thoughts: Thoughts) -> int:
        """Return the best move, or at the start of a game another one that is nearly as good."""
        moves = thoughts.moves
        if num_moves >= _NUM_VARIED_MOVES or moves[0].is_proven:
            return moves[0].action
        good = [
            move
            for move in moves
            if move.visits * 2 >= moves[0].visits and move.visits > 0 and not move.is_lost
        ]
        if not good:
            return moves[0].action
        visits = np.array([move.visits for move in good], dtype=np.float64)
        return good[int(self._rng.choice(len(good), p=visits / visits.sum()))].action
