"""The kernel contract of team games: all agents of all teams act at once, step after step.

Made of the parts of contract.py: a game's rules are a type for numba, its parameters compile-time constants. Called by
team_lockstep.py in compiled loops over hundreds of games; a learning algorithm never calls it directly.

Letters: P position_size, N num_agents (agents 0 .. K-1 are team 0, the next K team 1, ...), K agents of a team,
A num_actions, F num_features, C num_planes, H x W board_shape.

A policy sees each agent's position from that agent and makes a *choice* 0 .. A-1. What a choice means may depend on the
agent ("straight on"), so every observation comes with the action behind each choice.
"""

from __future__ import annotations

from ddpzero.games.core.contract import generic_kernels

# The parameters' names of every kernel, filled by the decorator below.
TEAM_KERNEL_PARAMETERS: dict[str, tuple[str, ...]] = {}

# What `status` says.
GOING_ON = 0
TERMINATED = 1  # the rules ended the game
TRUNCATED = 2  # the limit of steps ended it: play could go on

_required = generic_kernels(TEAM_KERNEL_PARAMETERS)


@_required
def reset(rules, position, random_state):
    """Write a start position into `position` `[P]`, every entry of it."""


@_required
def step(rules, position, actions, rewards, random_state):
    """Play `actions` `[N]` of a game that goes on, in place; write `rewards` `[N]` float32."""


@_required
def status(rules, position):
    """GOING_ON, TERMINATED or TRUNCATED."""


@_required
def team_points(rules, position, team):
    """The points of a team so far; most points at the end win."""


@_required
def died(rules, position, agent):
    """Whether the last step cost the agent its life; False in games without death."""


@_required
def observe_features(rules, position, team, scratch, features, legal, actions):
    """Write what a team's agents know: `features` `[K, F]` float32, all of it.

    legal: `[K, A]` bool, the choices that make sense, True = legal, at least one each. actions: `[K, A]` integers, the
    action behind each choice. scratch: uint32 of scratch_shape, to work in.
    """


@_required
def observe_planes(rules, position, team, planes, legal, actions):
    """The same as images: `planes` `[K, C, H, W]` uint8 0..255, every entry."""


@_required
def act_by_rule(rules, position, team, level, scratch, actions, random_state):
    """Write a team's entries of `actions` `[N]`, as the rule agent number `level` chooses them."""
