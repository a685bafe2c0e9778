"""Assignments by which the type checker compares the included plugins with the contract of base.py. Runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddpzero.actors.spec import Actor
    from ddpzero.algorithms import alphazero, ddpg
    from ddpzero.algorithms.alphazero.actor import AlphaZeroActor
    from ddpzero.algorithms.alphazero.algorithm import AlphaZero
    from ddpzero.algorithms.base import CompleteAlgorithm, PluginModule
    from ddpzero.algorithms.ddpg.actor import DDPGActor
    from ddpzero.algorithms.ddpg.algorithm import DDPG
    from ddpzero.games import Game, TeamGame

    of_board_games: PluginModule[Game] = alphazero
    of_team_games: PluginModule[TeamGame] = ddpg
    algorithms: tuple[type[CompleteAlgorithm], ...] = (AlphaZero, DDPG)
    actors: tuple[type[Actor], ...] = (AlphaZeroActor, DDPGActor)
