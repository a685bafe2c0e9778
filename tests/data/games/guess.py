"""Guess, a team game from outside the tree: each step every agent names a number, and who names the drawn one gets a
point. The first agent with `goal` points ends the game, or the limit of steps.

    position [2 + agents] int16: steps, the number drawn, points
    features [numbers + 1]: which number is drawn, own points; planes [1, 1, numbers]: the first of these
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import next_below
from ddpzero.games.core.team_contract import GOING_ON, TERMINATED, TRUNCATED
from ddpzero.games.core.team_game import TeamGameSpec


@dataclass(frozen=True)
class Parameters:
    """agents: in two teams. numbers: to choose from. goal, steps: limits."""

    agents: int = 4
    numbers: int = 3
    goal: int = 10
    steps: int = 20


def spec(parameters: Parameters) -> TeamGameSpec:
    return TeamGameSpec(
        num_agents=parameters.agents,
        num_teams=2,
        num_actions=parameters.numbers,
        position_size=2 + parameters.agents,
        position_dtype=np.dtype(np.int16),
        num_features=parameters.numbers + 1,
        num_planes=1,
        board_shape=(1, parameters.numbers),
        max_steps=parameters.steps,
        scratch_shape=(1, 4),
        rule_agents=("random", "knowing"),
        action_names=tuple(f"number {number}" for number in range(parameters.numbers)),
        action_keys=tuple(str(number) for number in range(parameters.numbers)),
    )


def reset(rules, position, random_state):
    position[0] = 0
    position[1] = next_below(random_state, rules.numbers)
    for agent in range(rules.agents):
        position[2 + agent] = 0


def step(rules, position, actions, rewards, random_state):
    position[0] += 1
    for agent in range(rules.agents):
        rewards[agent] = actions[agent] == position[1]
        position[2 + agent] += actions[agent] == position[1]
    position[1] = next_below(random_state, rules.numbers)


@compiled
def status(rules, position):
    for agent in range(rules.agents):
        if position[2 + agent] >= rules.goal:
            return TERMINATED
    return TRUNCATED if position[0] >= rules.steps else GOING_ON


def team_points(rules, position, team):
    points = 0
    for agent in range(team * (rules.agents // 2), (team + 1) * (rules.agents // 2)):
        points += position[2 + agent]
    return points


def died(rules, position, agent):
    return False


def observe_features(rules, position, team, scratch, features, legal, actions):
    for agent in range(rules.agents // 2):
        features[agent, rules.numbers] = position[2 + team * (rules.agents // 2) + agent]
        for number in range(rules.numbers):
            features[agent, number] = position[1] == number
            legal[agent, number] = True
            actions[agent, number] = number


def observe_planes(rules, position, team, planes, legal, actions):
    for agent in range(rules.agents // 2):
        for number in range(rules.numbers):
            planes[agent, 0, 0, number] = 255 * (position[1] == number)
            legal[agent, number] = True
            actions[agent, number] = rules.numbers - 1 - number


def act_by_rule(rules, position, team, level, scratch, actions, random_state):
    for agent in range(team * (rules.agents // 2), (team + 1) * (rules.agents // 2)):
        actions[agent] = position[1] if level == 1 else next_below(random_state, rules.numbers)


def render(parameters: Parameters, position: np.ndarray, in_color: bool) -> str:
    number = f"\x1b[1m{position[1]}\x1b[0m" if in_color else str(position[1])
    return f"step {position[0]}, number {number}, points {position[2:].tolist()}"


def picture(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    row = np.zeros((1, parameters.numbers, 3), np.uint8)
    row[0, position[1]] = 255
    return row
