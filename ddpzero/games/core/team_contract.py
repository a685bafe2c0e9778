"""The kernel contract of team games, in which all agents of all teams act simultaneously in every step.

It is built like contract.py: a game's rules are a type for numba, most parameters are compile-time constants. Called by
team_lockstep.py in compiled loops over hundreds of episodes; a learning algorithm never calls it directly.

Letters: P position_size, N num_agents (agents 0 .. K-1 are team 0, the next K team 1, ...), K agents per team, A
num_actions, F num_features, C num_planes, H x W board_shape.

A policy sees each agent's position from that agent's point of view and makes a *choice* 0 .. A-1. The meaning of a
choice may depend on the agent ("straight on"), so every observation includes the action for each choice.
"""

from __future__ import annotations

from ddpzero.games.core.contract import generic_kernels

# Parameter names of every kernel, filled by the decorator below.
TEAM_KERNEL_PARAMETERS: dict[str, tuple[str, ...]] = {}

# The values of `status`.
GOING_ON = 0
TERMINATED = 1  # the rules ended the episode
TRUNCATED = 2  # the limit of steps ended the episode; play could continue

_required = generic_kernels(TEAM_KERNEL_PARAMETERS)


@_required
def reset(rules, position, random_state):
    """Write every entry of a start position into `position` `[P]`."""


@_required
def step(rules, position, actions, rewards, random_state):
    """Play `actions` `[N]` in a position that is not terminal, in place; write `rewards` `[N]` float32."""


@_required
def status(rules, position):
    """Return GOING_ON, TERMINATED or TRUNCATED."""


@_required
def team_points(rules, position, team):
    """Return the points of a team so far; the team with most points at the end wins."""


@_required
def died(rules, position, agent):
    """Return whether the agent died in the last step; always False in games without death."""


@_required
def observe_features(rules, position, team, scratch, features, legal, actions):
    """Write the observations of a team's agents: every entry of `features` `[K, F]` float32.

    legal: `[K, A]` bool, True for the choices to consider, at least one per agent. actions: `[K, A]` integers, the
    action for each choice. scratch: uint32 work space of scratch_shape.
    """


@_required
def observe_planes(rules, position, team, planes, legal, actions):
    """Write the observations as images: every entry of `planes` `[K, C, H, W]` uint8 0..255.

    legal, actions: as in observe_features.
    """


@_required
def act_by_rule(rules, position, team, level, scratch, actions, random_state):
    """Write a team's entries of `actions` `[N]`, as chosen by rule agent number `level`."""
