"""What the functions that run commands share: games and settings from the command line, output. Imports little."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ddpzero.system.errors import UserError

if TYPE_CHECKING:
    from ddpzero.games import Game, TeamGame
    from ddpzero.settings import Settings
    from ddpzero.system.measurements import Measurement


@contextmanager
def needs_extra(command: str, extra: str) -> Iterator[None]:
    """Turn the absence of a library that an extra brings into a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "ddpzero":
            raise
        raise UserError(f"{command} needs {error.name}: pip install 'ddpzero[{extra}]'.") from None


def with_game(options: Namespace, settings: Sequence[str]) -> Namespace:
    """Put these settings, which choose a game, before the others, unless the options name a game."""
    if not options.game and not any(word.startswith("game=") for word in options.overrides):
        options.overrides = [*settings, *options.overrides]
    return options


def overrides_of(options: Namespace) -> list[str]:
    """Return the settings of the command; --game G stands for game=G."""
    return [*([f"game={options.game}"] if options.game else []), *options.overrides]


def settings_of(options: Namespace) -> Settings:
    """Return the settings that the words of a command compose."""
    from ddpzero.config.hydra import compose_settings

    return compose_settings(overrides_of(options), options.config_dir)


def board_game_of(options: Namespace) -> Game:
    """Return the game that the options name, which must be a board game."""
    from ddpzero.config.hydra import compose_game
    from ddpzero.games import load_game

    game = compose_game(overrides_of(options), options.config_dir)
    return load_game(**game.arguments)


def any_game_of(options: Namespace) -> Game | TeamGame:
    """Return the game that the options name: a board game or a team game."""
    from ddpzero.config.hydra import compose_game
    from ddpzero.games import load_any_game

    game = compose_game(overrides_of(options), options.config_dir)
    return load_any_game(**game.arguments)


def any_game_if_given(options: Namespace) -> Game | TeamGame | None:
    return any_game_of(options) if options.game or options.overrides else None


def print_results(measurements: Sequence[Measurement], options: Namespace) -> int:
    from ddpzero.system.measurements import print_measurements

    print_measurements(measurements, options.json)
    return 0
