"""Agents: the trained ones of runs, and players that need no training."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddpzero.api.numbers import number_from_0, whole_number
from ddpzero.api.position import Position
from ddpzero.api.results import Evaluation, SearchResult, evaluation_of, search_result
from ddpzero.arena import agents as arena
from ddpzero.games import Game, TeamGame, describe_game
from ddpzero.games.core.player_errors import checked_actions, errors_of_player
from ddpzero.games.core.players import (
    Analyst,
    Evaluations,
    NetworkPlayer,
    Player,
    TeamPlayer,
    Thoughtful,
)
from ddpzero.play.engine import Engine, Limits
from ddpzero.system.errors import UserError, require

# Of a search whose end is a time: memory is taken as it is needed.
_MAX_SIMULATIONS = 100_000
# So many are searched at once when searches end by a number of simulations: a tree is made again for larger ones only.
_LEAST_SIMULATIONS = 1_000


def load(source: str | Path, *, game: Game | None = None, device: str | None = None) -> Agent:
    """Load a trained agent, or make a player that needs no training.

        ddpzero.load("runs/quick")                            # the newest checkpoint of a run
        ddpzero.load("runs/quick@best")                       # the model that the run released last
        ddpzero.load("runs/quick@2000")                       # the newest one of at most 2000 episodes
        ddpzero.load("runs/quick/checkpoints/<model>")        # one checkpoint
        ddpzero.load("rollout:1000", game=agent.game)         # tree search with random rollouts, 1000 a move
        ddpzero.load("random", game=agent.game)

    game: None for the game that the agent was trained on; another size of its board if its network fits that.
    device: where its network is evaluated, such as "cpu" or "cuda:0"; None for a GPU if there is one.
    Raises UserError if there is no such run or no usable checkpoint.
    """
    return agent_of(str(source), game, device)


def agent_of(source: str, game: Game | TeamGame | None, device: str | None) -> Agent:
    """Do the same, also for team games and their rule agents."""
    if not arena.is_agent(source, game):
        require(
            game is not None,
            f'load({source!r}): this player can play any game: name one, as in game=ddpzero.load_game("gomoku").',
        )
        assert game is not None
        return Agent(game, source, None, device)
    trained = arena.load_agent(source)
    if game is not None and describe_game(game) != describe_game(trained.game):
        require(
            trained.fits(game),
            f"load({source!r}): {trained.model} was trained on {describe_game(trained.game)}, and its network does "
            f"not fit {describe_game(game)}.",
        )
        trained = trained.on(game)
    return Agent(trained.game, trained.model, trained, device)


class Agent:
    """A player of a game: trained, or a program that needs no training. `ddpzero.load` makes it.

    name: of the model, or "rollout:1000". counters: of the run when it saved the model: minutes, samples,
    learner_step, ...; empty for programs.

    `search` and `choose` think about one position for as long as they are told (an open-ended tree search; each call
    begins anew, so that the same simulations find the same).
    `evaluate` asks the network alone. Algorithms whose players cannot do this say so in a UserError.
    """

    def __init__(
        self,
        game: Game | TeamGame,
        name: str,
        trained: arena.Agent | None,
        device: str | None,
    ) -> None:
        """Called by ddpzero.load. trained: None for a player without training, which `name` says."""
        self.any_game = game
        self.name = name
        self.counters: Mapping[str, Any] = {} if trained is None else trained.counters
        self._trained = trained
        self._device = device
        self._players: dict[int | None, Player | TeamPlayer] = {}
        self._engine: Engine | None = None

    @property
    def game(self) -> Game:
        """The rules. Raises UserError for an agent of a team game, which can only play a match."""
        game = self.any_game
        if isinstance(game, Game):
            return game
        raise UserError(
            f"{self.name} plays the team game {game.name}, in which all agents act at the same time: only "
            "ddpzero.match and ddpzero.load_episodes work with it."
        )

    def position(self, moves: str | Sequence[str | int] = ()) -> Position:
        """Return the position after these moves from the start of a game, as Position(agent.game, moves)."""
        return Position(self.game, moves)

    # ------------------------------------------------------------------ the network alone

    def evaluate(self, position: Position) -> Evaluation:
        """Return what the network alone says of a position that is not over.

        Raises UserError if the agent has no such network.
        """
        self._require_running(position)
        return evaluation_of(position, self.evaluate_batch([position]), 0)

    def evaluate_batch(self, positions: Sequence[Position] | np.ndarray) -> Evaluations:
        """Return what the network alone says of n positions as arrays with n rows: see Evaluations for their shapes.

        Much faster than one by one. positions: objects, or `[n, P]` as Position.array; none of them is over.
        """
        game, player = self.game, self.player()
        require(
            isinstance(player, NetworkPlayer),
            f"the player of {self.name} says nothing about positions without a search: use search or choose.",
        )
        assert isinstance(player, NetworkPlayer)
        require(len(positions) > 0, "evaluate_batch needs at least one position.")
        if isinstance(positions, np.ndarray):
            arrays = positions
        else:
            for position in positions:
                self._require_running(position)
            arrays = np.stack([position.array for position in positions])
        try:
            game.require_running(arrays)
        except ValueError as error:
            raise UserError(f"evaluate_batch: {error}") from None
        with errors_of_player(self.name):
            return player.evaluate(arrays)

    # ------------------------------------------------------------------ with a search

    def search(
        self,
        position: Position,
        simulations: int | None = None,
        seconds: float | None = None,
    ) -> SearchResult:
        """Think about a position that is not over, and return what was found.

        simulations: after which it ends; 0 for the network's own opinion. seconds: likewise; with both, it ends at the
        first of them. Neither: as many simulations as the run's config says for a move. An agent that always searches
        alike, such as rollout:N, accepts neither, and its visits are shares of 100.
        Interrupting it (Ctrl-C) leaves the agent usable. Raises UserError if the agent only chooses moves.
        """
        self._require_running(position)
        require(
            self.can_think or (simulations is None and seconds is None),
            f"{self.name} does not search for as long as it is told: remove simulations and seconds.",
        )
        if simulations is not None:
            simulations = whole_number("simulations", simulations, least=0)
        if seconds is not None:
            seconds = number_from_0("seconds", seconds)
        if simulations is None and seconds is None:
            simulations = getattr(self.player(), "num_simulations", None)
        most = _MAX_SIMULATIONS if simulations is None else max(simulations, _LEAST_SIMULATIONS)
        # Whatever happens within a search, the next one must not find a tree that is half changed.
        engine, self._engine = self._engine_of(most), None
        engine.set_up(position.actions)
        # The time of the search does not count what is made and compiled for it.
        engine.think(Limits(simulations=0))
        result = search_result(position, engine.think(Limits(simulations, seconds)))
        self._engine = engine
        return result

    def choose(
        self,
        position: Position,
        simulations: int | None = None,
        seconds: float | None = None,
    ) -> str:
        """Return the name of the move that the agent plays: the best one of `search`.

        An agent that cannot search chooses as its algorithm does, and accepts neither simulations nor seconds.
        """
        if isinstance(self.player(), (Thoughtful, Analyst)):
            return self.search(position, simulations, seconds).best
        self._require_running(position)
        require(
            simulations is None and seconds is None,
            f"{self.name} does not search: remove simulations and seconds.",
        )
        player: Any = self.player()
        with errors_of_player(self.name):
            chosen = player.choose(position.array[None], np.random.default_rng(time.time_ns()))
        actions = checked_actions(self.name, chosen, (1,), self.game.num_actions)
        return self.game.action_name(int(actions[0]))

    # ------------------------------------------------------------------ parts

    def player(self, simulations: int | None = None) -> Player | TeamPlayer:
        """Return the agent as matches use it: see ddpzero/games/core/players.py.

        simulations: per move of its own search; None for those of its config. Players without training ignore it.
        """
        if simulations is not None:
            simulations = whole_number("simulations", simulations, least=0)
        if simulations not in self._players:
            if self._trained is None:
                made = arena.parse_player(self.name, self.any_game)
            else:
                made = self._trained.make_player(simulations, self._device)
            self._players[simulations] = made
        return self._players[simulations]

    @property
    def can_think(self) -> bool:
        """Whether `search` and `choose` accept simulations and seconds."""
        return isinstance(self.player(), Thoughtful)

    @property
    def can_search(self) -> bool:
        """Whether a number of simulations can be given to its player in a match."""
        return self._trained is not None and self._trained.can_search

    def _engine_of(self, max_simulations: int) -> Engine:
        if self._engine is None or self._engine.max_simulations < max_simulations:
            player: Any = self.player()
            self._engine = Engine(player, self.game, max_simulations)
        return self._engine

    def _require_running(self, position: Position) -> None:
        require(
            isinstance(position, Position),
            f"{position!r:.80} is not a Position: agent.position() is the start of a game.",
        )
        of_position, of_agent = describe_game(position.game), describe_game(self.game)
        require(
            of_position == of_agent,
            f"this is a position of {of_position}, and {self.name} plays {of_agent}"
            ": ddpzero.load(..., game=position.game) makes an agent for that game if its network fits.",
        )
        require(
            not position.is_over, f"this game of {position.game.name} is over: no move is left."
        )

    def __repr__(self) -> str:
        return f"<Agent {self.name}: {describe_game(self.any_game)}>"
