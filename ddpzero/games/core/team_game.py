"""A team game as the other packages use it: sizes, names of its rule agents, text; see team_contract.py.

All fast code uses `game.rules` in team_lockstep.py; the methods here are for tools, tests and people.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ddpzero.games.core.contract import Rules
from ddpzero.games.core.spec import MOST_OF_ANYTHING, is_size


@dataclass(frozen=True)
class TeamGameSpec:
    """The sizes of one team game with fixed parameters.

    Letters: N num_agents, A num_actions, P position_size, F num_features, C num_planes, H x W board_shape.

    position_dtype: the integer type of a position's entries. max_steps: upper limit of an episode's length.
    scratch_shape: shape of the kernels' uint32 work space.
    rule_agents: names of the rule agents, from weak to strong; the index of a name is the level of `act_by_rule`.
    action_names, action_keys: of every action, for a person who steers an agent: "up", and the key "w".
    """

    num_agents: int
    num_teams: int
    num_actions: int
    position_size: int
    position_dtype: np.dtype
    num_features: int
    num_planes: int
    board_shape: tuple[int, int]
    max_steps: int
    scratch_shape: tuple[int, int]
    rule_agents: tuple[str, ...]
    action_names: tuple[str, ...]
    action_keys: tuple[str, ...]

    @property
    def agents_per_team(self) -> int:
        return self.num_agents // self.num_teams

    def __post_init__(self) -> None:
        for name in (
            *("num_agents", "num_teams", "num_actions", "position_size", "num_features"),
            *("num_planes", "max_steps"),
        ):
            if not is_size(getattr(self, name), MOST_OF_ANYTHING):
                raise ValueError(
                    f"TeamGameSpec.{name}={getattr(self, name)!r}: a whole number from 1 to "
                    f"{MOST_OF_ANYTHING:,} is allowed."
                )
        if self.num_agents % self.num_teams:
            raise ValueError(
                f"TeamGameSpec.num_agents={self.num_agents} cannot be shared out to "
                f"{self.num_teams} teams of one size."
            )
        for name in ("action_names", "action_keys"):
            if len(set(getattr(self, name))) != self.num_actions:
                raise ValueError(
                    f"TeamGameSpec.{name}={getattr(self, name)}: each of the {self.num_actions} actions needs one of "
                    "its own."
                )
        if not np.issubdtype(self.position_dtype, np.integer):
            raise ValueError(
                f"TeamGameSpec.position_dtype={self.position_dtype}: a position is a row of integers."
            )


@dataclass(frozen=True)
class TeamGame:
    """One team game with fixed parameters.

    source: of a game from outside the tree, as given: the path of its file, or its module; None for a game of ddpzero.
    """

    name: str
    source: str | None
    module: ModuleType
    parameters: Any
    spec: TeamGameSpec
    rules: Rules

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `load_any_game` that make the same game in another process: name, source and parameters."""
        return {"name": self.name, "source": self.source, **asdict(self.parameters)}

    def new_positions(self, num_positions: int) -> np.ndarray:
        """Return `[n, P]` for `reset_games` to fill."""
        return np.zeros((num_positions, self.spec.position_size), self.spec.position_dtype)

    def render(self, position: np.ndarray, in_color: bool = False) -> str:
        """Return the board as text; in_color: with the escape codes of a terminal."""
        return self.module.render(self.parameters, position, in_color)

    def render_marked(self, position: np.ndarray, in_color: bool, agent: int) -> str:
        """Return the board as text with one agent marked, if the game supports that."""
        if not hasattr(self.module, "render_marked"):
            return self.render(position, in_color)
        return self.module.render_marked(self.parameters, position, in_color, agent)

    def picture(self, position: np.ndarray) -> np.ndarray:
        """Return the board as an image `[height, width, 3]` uint8."""
        return self.module.picture(self.parameters, position)

    def team_colors(self) -> list[tuple[int, int, int]]:
        """Return the RGB color of each team in `picture`, or none if the game does not tell."""
        if not hasattr(self.module, "team_colors"):
            return []
        return list(self.module.team_colors(self.parameters))
