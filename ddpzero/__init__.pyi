from pathlib import Path

from ddpzero.api.agent import Agent as Agent
from ddpzero.api.agent import load as load
from ddpzero.api.episodes import load_episodes as load_episodes
from ddpzero.api.games import load_game as load_game
from ddpzero.api.matches import match as match
from ddpzero.api.matches import play_game as play_game
from ddpzero.api.position import Position as Position
from ddpzero.api.training import train as train
from ddpzero.system.errors import UserError as UserError

__version__: str
PACKAGE_DIR: Path

__all__ = [
    "Agent",
    "Position",
    "UserError",
    "__version__",
    "load",
    "load_episodes",
    "load_game",
    "match",
    "play_game",
    "train",
]
