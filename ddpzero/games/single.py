"""The kernels for one position at a time, called from Python: for tools and tests, never in a hot loop."""

from __future__ import annotations

from numba import njit

from ddpzero.games import contract


@njit(cache=True)
def initial_position(rules, position):
    contract.initial_position(rules, position)


@njit(cache=True)
def legal_actions(rules, position, legal):
    contract.legal_actions(rules, position, legal)


@njit(cache=True)
def apply_action(rules, position, action):
    contract.apply_action(rules, position, action)


@njit(cache=True)
def current_player(rules, position):
    return contract.current_player(rules, position)


@njit(cache=True)
def is_terminal(rules, position):
    return contract.is_terminal(rules, position)


@njit(cache=True)
def player_return(rules, position, player):
    return contract.player_return(rules, position, player)


@njit(cache=True)
def observe(rules, position, planes):
    contract.observe(rules, position, planes)
