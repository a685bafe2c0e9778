"""Compiled loops over many episodes of a team game, called by actors, players, tools and tests.

Letters: G episodes, the others as in team_contract.py. Every episode has its own random state `[2]` uint64.
"""

from __future__ import annotations

from ddpzero.games.core import team_contract
from ddpzero.games.core.compiled import compiled

# No rule agent acts for this team: its actions come from elsewhere.
NO_LEVEL = -1


@compiled(cache=True)
def reset_games(rules, positions, random_states, chosen):
    """Start new episodes in the slots where `chosen` `[G]` bool is True."""
    for game in range(positions.shape[0]):
        if chosen[game]:
            team_contract.reset(rules, positions[game], random_states[game])


@compiled(cache=True)
def step_games(rules, positions, actions, rewards, statuses, random_states):
    """Play `actions` `[G, N]` in every running episode; write `rewards` `[G, N]` and `statuses` `[G]`."""
    for game in range(positions.shape[0]):
        if team_contract.status(rules, positions[game]) == team_contract.GOING_ON:
            team_contract.step(
                rules, positions[game], actions[game], rewards[game], random_states[game]
            )
        else:
            for agent in range(rewards.shape[1]):
                rewards[game, agent] = 0.0
        statuses[game] = team_contract.status(rules, positions[game])


@compiled(cache=True)
def observe_features_of(rules, positions, teams, scratch, features, legal, actions):
    """Observe for the agents of team `teams` `[G]`: write features `[G, K, F]`, legal and actions `[G, K, A]`."""
    for game in range(positions.shape[0]):
        team_contract.observe_features(
            rules,
            positions[game],
            teams[game],
            scratch,
            features[game],
            legal[game],
            actions[game],
        )


@compiled(cache=True)
def observe_planes_of(rules, positions, teams, planes, legal, actions):
    """Observe as images: write planes `[G, K, C, H, W]` uint8; the rest as observe_features_of."""
    for game in range(positions.shape[0]):
        team_contract.observe_planes(
            rules, positions[game], teams[game], planes[game], legal[game], actions[game]
        )


@compiled(cache=True)
def act_by_rules(rules, positions, teams, levels, scratch, actions, random_states):
    """Let the rule agents `levels` `[G]` act for team `teams` `[G]` in `actions` `[G, N]`; NO_LEVEL: write nothing."""
    for game in range(positions.shape[0]):
        if levels[game] != NO_LEVEL:
            team_contract.act_by_rule(
                rules,
                positions[game],
                teams[game],
                levels[game],
                scratch,
                actions[game],
                random_states[game],
            )


@compiled(cache=True)
def count_deaths(rules, positions, deaths):
    """Add 1 to `deaths` `[G, N]` for every agent that died in the last step."""
    for game in range(positions.shape[0]):
        for agent in range(deaths.shape[1]):
            deaths[game, agent] += team_contract.died(rules, positions[game], agent)


@compiled(cache=True)
def points_of(rules, positions, points):
    """Write the points of every team, `points` `[G, T]`."""
    for game in range(positions.shape[0]):
        for team in range(points.shape[1]):
            points[game, team] = team_contract.team_points(rules, positions[game], team)
