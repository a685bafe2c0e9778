"""The agent that plays, on any board that its network fits."""

from __future__ import annotations

from typing import cast

from ddpzero.arena.agents import is_agent, load_agent, parse_player
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.players import Player
from ddpzero.system.errors import UserError, require


class GtpAgent:
    """game: the board it was trained on, or that was asked for."""

    def __init__(self, text: str, game: Game | None = None, device: str | None = None) -> None:
        """text: see arena.agents.ALLOWED_PLAYERS. game: None for the one that the agent was trained on.

        Raises UserError for an agent that is unknown, plays a team game, or does not fit the game.
        """
        self._text, self._device = text, device
        self._agent = load_agent(text) if is_agent(text, game) else None
        if game is None:
            require(
                self._agent is not None,
                f"{text} can play any game: name one, as in --game go.",
            )
            assert self._agent is not None
            trained_on = self._agent.game
            if isinstance(trained_on, TeamGame):
                raise UserError(
                    f"{text}: {trained_on.name} is a team game, and GTP is for games in which two players take turns."
                )
            game = trained_on
        require(
            self.fits(game),
            f"player {text}: its networks do not fit {game.name} on this board.",
        )
        self.game = game

    @property
    def name(self) -> str:
        return self._text if self._agent is None else self._agent.model

    def fits(self, game: Game) -> bool:
        """Return whether it can play a game. A game as it was trained always fits."""
        agent = self._agent
        return agent is None or agent.game.arguments == game.arguments or agent.fits(game)

    def player_of(self, game: Game) -> Player:
        """Return a new player of a game that fits. Raises UserError."""
        if self._agent is None:
            return parse_player(self._text, game, device=self._device)
        agent = self._agent
        agent = agent if agent.game.arguments == game.arguments else agent.on(game)
        # Of a board game, as `game` is.
        return cast(Player, agent.make_player(device=self._device))
