"""Compiled loops over many games of a team game at once: what actors, players, tools and tests call.

Letters: G games, the others as in team_contract.py. Every game has its own random state `[2]` uint64.
"""

from __future__ import annotations

from ddpzero.games.core import team_contract
from ddpzero.games.core.compiled import compiled

NO_LEVEL = -1  # no rule agent: somebody else acts for this team


@compiled(cache=True)
def reset_games(rules, positions, random_states, chosen):
    """Begin anew in the games where `chosen` `[G]` bool says so."""
    for game in range(positions.shape[0]):
        if chosen[game]:
            team_contract.reset(rules, positions[game], random_states[game])


@compiled(cache=True)
def step_games(rules, positions, actions, rewards, statuses, random_states):
    """Play `actions` `[G, N]` in every game that goes on; writes `rewards` `[G, N]` and `statuses` `[G]`."""
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
    """What the agents of team `teams` `[G]` see: features `[G, K, F]`, legal and actions `[G, K, A]`."""
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
    """The same as planes `[G, K, C, H, W]` uint8."""
    for game in range(positions.shape[0]):
        team_contract.observe_planes(
            rules, positions[game], teams[game], planes[game], legal[game], actions[game]
        )


@compiled(cache=True)
def act_by_rules(rules, positions, teams, levels, scratch, actions, random_states):
    """The rule agents `levels` `[G]` act for team `teams` `[G]` in `actions` `[G, N]`; NO_LEVEL: nobody does."""
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
