"""Rules of games, one file a game, behind two kernel contracts: contract.py for board games, team_contract.py for
games that teams play all at once."""

from ddpzero.games.core.game import Game
from ddpzero.games.core.loader import known_games, load_any_game, load_game, variation
from ddpzero.games.core.team_game import TeamGame

__all__ = ["Game", "TeamGame", "known_games", "load_any_game", "load_game", "variation"]
