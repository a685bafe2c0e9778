"""Rules of games behind two contracts: core/contract.py for board games, core/team_contract.py for team games."""

from ddpzero.games.core.game import Game
from ddpzero.games.core.loader import (
    describe_game,
    known_games,
    load_any_game,
    load_game,
    variation,
)
from ddpzero.games.core.team_game import TeamGame

__all__ = [
    "Game",
    "TeamGame",
    "describe_game",
    "known_games",
    "load_any_game",
    "load_game",
    "variation",
]
