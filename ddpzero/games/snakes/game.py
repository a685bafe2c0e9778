"""Snakes on a torus: two or more teams move simultaneously; 3v3 on 10 x 20 cells as in the public competition.

rules.py has the rules and the layout of a position, views.py the observations, agents.py the rule agents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.team_game import TeamGameSpec
from ddpzero.games.snakes import agents as snake_agents
from ddpzero.games.snakes import bits as snake_bits
from ddpzero.games.snakes import pictures as snake_pictures
from ddpzero.games.snakes import rules as snake_rules
from ddpzero.games.snakes import views as snake_views


@dataclass(frozen=True)
class Parameters:
    """rows, columns: shape of the torus. snakes: total number, divided into `teams` teams of equal size, team 0 first.

    beans: number on the board, if there is room. steps: an episode's length, unless the board is full earlier.
    """

    rows: int = 10
    columns: int = 20
    snakes: int = 6
    teams: int = 2
    beans: int = 5
    steps: int = 200

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("rows", 3, 64),
            ("columns", 3, 32),  # the cells of a row are bits of a 32-bit word
            ("snakes", 1, 32),
            ("teams", 1, 32),
            ("beans", 1, 64),
            ("steps", 1, 10_000),
        ):
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ValueError(
                    f"game.{name}={value} is outside {lowest}..{highest}: choose a number between them."
                )
        if self.snakes % self.teams:
            raise ValueError(
                f"game.snakes={self.snakes} cannot be shared out to game.teams={self.teams} teams of one size: "
                "choose a multiple."
            )
        cells = self.rows * self.columns
        # Snakes start on at most a third of the board, because they are sampled until all fit.
        if 9 * self.snakes + self.beans > cells:
            raise ValueError(
                f"game.rows={self.rows} by game.columns={self.columns} is too small for game.snakes={self.snakes} "
                f"and game.beans={self.beans}: there must be 9 cells for each snake and 1 for each bean."
            )

    def variables(self) -> dict[str, int]:
        return {"steps": self.steps}


def spec(parameters: Parameters) -> TeamGameSpec:
    rows, columns = parameters.rows, parameters.columns
    return TeamGameSpec(
        num_agents=parameters.snakes,
        num_teams=parameters.teams,
        num_actions=snake_rules.NUM_ACTIONS,
        position_size=snake_rules.position_size(rows, columns, parameters.snakes, parameters.beans),
        position_dtype=np.dtype(np.int16),
        num_features=snake_views.num_features(parameters.snakes, parameters.teams),
        num_planes=snake_views.NUM_PLANES,
        board_shape=(rows, columns),
        max_steps=parameters.steps,
        scratch_shape=snake_bits.scratch_shape(rows, parameters.snakes, parameters.beans),
        rule_agents=snake_agents.NAMES,
        action_names=("up", "down", "left", "right"),
        action_keys=("w", "s", "a", "d"),
    )


reset = snake_rules.reset
step = snake_rules.step
observe_features = snake_views.observe_features
observe_planes = snake_views.observe_planes
act_by_rule = snake_agents.act_by_rule


def status(rules, position):
    return snake_rules.status(position)


def died(rules, position, agent):
    return snake_rules.died(rules, position, agent) != 0


def team_points(rules, position, team):
    """Return the number of cells by which the team's snakes have grown since the start."""
    size = rules.snakes // rules.teams
    points = 0
    for snake in range(team * size, (team + 1) * size):
        points += snake_rules.length(rules, position, snake) - snake_rules.START_LENGTH
    return points


def render(parameters: Parameters, position: np.ndarray, in_color: bool) -> str:
    return snake_pictures.text(parameters, position, in_color)


def render_marked(parameters: Parameters, position: np.ndarray, in_color: bool, agent: int) -> str:
    return snake_pictures.text(parameters, position, in_color, marked=agent)


def picture(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    return snake_pictures.image(parameters, position)


def team_colors(parameters: Parameters) -> list[tuple[int, int, int]]:
    return snake_pictures.colors(parameters)
