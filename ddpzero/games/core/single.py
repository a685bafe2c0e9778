"""Each kernel for one position, callable from Python: for tools and tests, never in a hot loop."""

from __future__ import annotations

from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled


@compiled(cache=True)
def initial_position(rules, position):
    contract.initial_position(rules, position)


@compiled(cache=True)
def legal_actions(rules, position, legal):
    contract.legal_actions(rules, position, legal)


@compiled(cache=True)
def apply_action(rules, position, action):
    contract.apply_action(rules, position, action)


@compiled(cache=True)
def current_player(rules, position):
    return contract.current_player(rules, position)


@compiled(cache=True)
def is_terminal(rules, position):
    return contract.is_terminal(rules, position)


@compiled(cache=True)
def player_return(rules, position, player):
    return contract.player_return(rules, position, player)


@compiled(cache=True)
def observe(rules, position, planes):
    contract.observe(rules, position, planes)


@compiled(cache=True)
def observe_globals(rules, position, globals):
    contract.observe_globals(rules, position, globals)


@compiled(cache=True)
def copy_position(rules, source, target):
    contract.copy_position(rules, source, target)


@compiled(cache=True)
def score(rules, position):
    return contract.score(rules, position)


@compiled(cache=True)
def ownership(rules, position, owners):
    contract.ownership(rules, position, owners)
