"""A team game that a browser watches: agents and rule agents play it, one step after the other at a pace.

Belongs to the thread of its session, which also waits between the steps.
"""

from __future__ import annotations

import base64
import io
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ddpzero.arena.team_players import RulePlayer
from ddpzero.arena.team_table import TeamTable
from ddpzero.games import TeamGame, describe_game
from ddpzero.games.core.players import TeamPlayer
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.titles import title_of
from ddpzero.system.errors import require
from ddpzero.web.agents import Catalog, OfferedGame, rule_of

NUM_TEAMS = 2
_USUAL_STEPS_PER_SECOND = 8.0


@dataclass(frozen=True)
class TeamSeat:
    """Who plays a team. agent: its key. checkpoint: "" for a rule agent."""

    agent: str
    checkpoint: str
    player: TeamPlayer


class TeamWatch:
    """See above. is_paused: whether only `step` goes on."""

    def __init__(self, catalog: Catalog, key: str, rng: np.random.Generator) -> None:
        """The first agent that is offered plays against the strongest rule agent. Raises UserError."""
        self._catalog = catalog
        self._offered: OfferedGame[TeamGame] = catalog.offered_team_game(key)
        self._rng = rng
        strongest_rule = catalog.rule_keys(key)[-1]
        agents = [agent.key for agent in self._offered.agents]
        self._seats = [
            self._seat(agents[0] if agents else strongest_rule, None),
            self._seat(strongest_rule, None),
        ]
        self._steps_per_second = _USUAL_STEPS_PER_SECOND
        # On the clock of time.monotonic.
        self._due_at = 0.0
        self.is_paused = False
        self.restart()

    def restart(self) -> None:
        """Begin a new episode."""
        streams = new_random_states(int(self._rng.integers(2**32)), 1 + NUM_TEAMS)[:, None]
        self._streams = streams[1:]
        self._table = TeamTable(self._offered.game, streams[0])
        self._due_at = time.monotonic() + 1.0 / self._steps_per_second

    def seat(self, team: int, agent: str, checkpoint: str | None) -> None:
        """Let an agent play a team, from a new episode on. checkpoint: None for its usual one. Raises UserError."""
        self._seats[team] = self._seat(agent, checkpoint)
        self.restart()

    def set_pace(self, steps_per_second: float) -> None:
        self._due_at += 1.0 / steps_per_second - 1.0 / self._steps_per_second
        self._steps_per_second = steps_per_second

    @property
    def is_over(self) -> bool:
        return not self._table.is_going_on[0]

    @property
    def seconds_to_next_step(self) -> float:
        return max(0.0, self._due_at - time.monotonic())

    def step(self) -> None:
        """Let all agents act, and play a step. Raises PlayerError, and ValueError if the episode is over."""
        require(not self.is_over, "the game is over: begin a new one.")
        for team, seat in enumerate(self._seats):
            self._table.ask(seat.player, np.array([team]), self._streams[team])
        self._table.step()
        # A step that came late does not make the following ones hurry.
        period = 1.0 / self._steps_per_second
        self._due_at = max(self._due_at, time.monotonic() - period) + period

    def describe_game(self) -> dict[str, Any]:
        """Return the message team_game."""
        game = self._offered.game
        return {
            "type": "team_game",
            "key": self._offered.key,
            "title": title_of(game),
            "description": describe_game(game),
            "agents_per_team": game.spec.agents_per_team,
            "max_steps": game.spec.max_steps,
            "colors": game.team_colors(),
            "agents": self._catalog.describe_team_agents(self._offered.key),
        }

    def describe(self) -> dict[str, Any]:
        """Return the message team_state, without its id. size: of the picture, width and height."""
        picture = self._offered.game.picture(self._table.positions[0])
        return {
            "type": "team_state",
            "game": self._offered.key,
            "step": int(self._table.num_steps[0]),
            "points": self._table.points()[0].tolist(),
            "is_over": self.is_over,
            "paused": self.is_paused,
            "steps_per_second": self._steps_per_second,
            "seats": [{"agent": seat.agent, "checkpoint": seat.checkpoint} for seat in self._seats],
            "size": [picture.shape[1], picture.shape[0]],
            "picture": _png_url(picture),
        }

    def _seat(self, agent: str, checkpoint: str | None) -> TeamSeat:
        game, key = self._offered.game, self._offered.key
        rule = rule_of(agent)
        if rule in game.spec.rule_agents:
            return TeamSeat(agent, "", RulePlayer(game, rule))
        if checkpoint is None:
            checkpoint = self._catalog.team_agent(key, agent).first_choice().key
        return TeamSeat(agent, checkpoint, self._catalog.team_player(key, agent, checkpoint))


def _png_url(picture: np.ndarray) -> str:
    """Return an image `[height, width, 3]` uint8 as a data URL."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
