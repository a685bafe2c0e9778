"""Players from the command line: what a person types becomes a player, a run folder becomes its trained agent.

Called by match, judge and play. Knows no plugin: the run's own one makes the player.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddpzero.algorithms.base import Algorithm, Player
from ddpzero.algorithms.loader import load_plugin
from ddpzero.arena.players import RandomPlayer, RolloutPlayer
from ddpzero.conversion import settings_from_dict
from ddpzero.games import Game, load_game
from ddpzero.settings import UserError

if TYPE_CHECKING:
    import torch

ALLOWED_PLAYERS = "random, rollout:N (plain tree search, N simulations a move), the folder of a run or of a checkpoint"


@dataclass(frozen=True)
class Agent:
    """A trained agent as a checkpoint released it, ready to play with any number of simulations."""

    model: str
    game: Game
    algorithm: Algorithm
    weights: dict[str, torch.Tensor]

    def make_player(self, num_simulations: int | None = None) -> Player:
        """num_simulations: a move's budget; 0 is the bare network; None as the run was configured."""
        import torch

        overrides: dict[str, Any] = {"device": "cuda" if torch.cuda.is_available() else "cpu"}
        if num_simulations is not None:
            overrides["num_simulations"] = num_simulations
        return self.algorithm.make_player(self.game, self.weights, self.model, **overrides)


def load_agent(folder: Path) -> Agent:
    """The newest agent of a run, or the one of a checkpoint; UserError when there is none."""
    # Not at the top of the file: torch takes a second to import, and players that need no training do without.
    from ddpzero.checkpoint import load_weights

    released = load_weights(folder)
    settings = settings_from_dict(released.config)
    game = load_game(settings.game.name, settings.game.source, **settings.game.parameters)
    algorithm = load_plugin(settings.algorithm).make_algorithm(settings.sections)
    return Agent(released.model, game, algorithm, released.weights)


def is_agent(text: str) -> bool:
    """Whether `text` names the folder of an agent, not a player that needs no training.

    UserError when it names neither.
    """
    if text == "random" or text.startswith("rollout:"):
        return False
    if not Path(text).is_dir():
        raise UserError(
            f"player {text!r} is unknown, and no such folder exists. Allowed: {ALLOWED_PLAYERS}."
        )
    return True


def parse_player(text: str, game: Game, num_simulations: int | None = None) -> Player:
    """The player that a person named; UserError with what is allowed.

    num_simulations: of an agent, see Agent.make_player; the others have theirs in the name or need none.
    """
    if not is_agent(text):
        if text == "random":
            return RandomPlayer(game)
        return RolloutPlayer(game, _parse_num_simulations(text))
    agent = load_agent(Path(text))
    if describe_game(agent.game) != describe_game(game):
        raise UserError(
            f"player {text} was trained on {describe_game(agent.game)}, but the game here is "
            f"{describe_game(game)}."
        )
    return agent.make_player(num_simulations)


def game_of_players(texts: Sequence[str]) -> Game:
    """The game of the first of the players that is an agent; UserError where none is."""
    agents = [text for text in texts if is_agent(text)]
    if not agents:
        raise UserError(
            f"{' and '.join(texts)} can play any game: say which one, as in --game connect_four."
        )
    return load_agent(Path(agents[0])).game


def describe_game(game: Game) -> str:
    """ "gomoku with size=15, line=5, exact_five=False"."""
    parameters = asdict(game.parameters)
    listed = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return f"{game.name} with {listed}" if listed else game.name


def game_settings(game: Game) -> dict[str, Any]:
    """The parameters of a game as settings of a figure: {"game.size": 15}."""
    return {f"game.{name}": value for name, value in asdict(game.parameters).items()}


def _parse_num_simulations(text: str) -> int:
    digits = text.removeprefix("rollout:")
    if not (digits.isascii() and digits.isdecimal() and int(digits) >= 1):
        raise UserError(
            f"player {text!r}: {digits!r} is not a number of simulations: give a whole number from 1 on, as in "
            "rollout:1000."
        )
    return int(digits)
