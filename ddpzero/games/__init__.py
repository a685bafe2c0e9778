"""Rules of games, one file a game, behind one kernel contract (contract.py)."""

from ddpzero.games.game import Game
from ddpzero.games.loader import known_games, load_game

__all__ = ["Game", "known_games", "load_game"]
