"""Reports that a game broke a promise of its contract: compiled code records a fault code, Python raises an error.

Compiled code must not continue after a broken promise, because it would write outside its arrays, and it cannot raise
cheaply. It stores one of the codes below beside its results, and its Python caller passes the code to
`require_no_fault`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numba.core.errors import NumbaError

from ddpzero.games.core.spec import GameSpec
from ddpzero.games.core.team_contract import GOING_ON, TRUNCATED
from ddpzero.games.core.team_game import TeamGame
from ddpzero.system.errors import UserError, in_one_line

NO_FAULT = 0
NO_LEGAL_ACTION = 1
WRONG_MOVER = 2
WRONG_RETURN = 3
TOO_LONG = 4

_SENTENCES = {
    NO_LEGAL_ACTION: "a position that is not terminal has no legal action.",
    WRONG_MOVER: "current_player is neither 0 nor 1.",
    WRONG_RETURN: "player_return is outside [-1, 1].",
}

# Tolerance for returns, which are float32.
_ROUNDING = 1e-6
# Numba's messages for code that needs reference counts, which compiled.py turns off.
_SIGNS_OF_ALLOCATION = ("NRT required", "Only accept returning of array")


class NamedGame(Protocol):
    """The attributes that an error message about a game needs, of a Game or a TeamGame; their files import this one."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def module(self) -> ModuleType: ...
    @property
    def parameters(self) -> Any: ...


class BoardGame(NamedGame, Protocol):
    """The attributes of a Game that are used here."""

    @property
    def spec(self) -> GameSpec: ...


class GamePromiseError(UserError):
    """A kernel or function of a game broke a promise of its contract. The message names a command that shows more.

    promise: the violation, as a sentence that does not name the game.
    """

    promise: str = ""


def broken_promise(game: NamedGame, what: str) -> GamePromiseError:
    """Return the error to raise. what: the violation, as a sentence."""
    error = GamePromiseError(
        f"game {game.name} ({game.module.__file__}) breaks its contract: {what} `{verify_command(game)}` checks it."
    )
    error.promise = what
    return error


def require_no_fault(game: BoardGame, fault: int) -> None:
    """Raise GamePromiseError if compiled code has recorded a fault."""
    if fault != NO_FAULT:
        raise broken_promise(game, fault_sentence(game, int(fault)))


def require_result(game: BoardGame, returns: np.ndarray) -> None:
    """Raise GamePromiseError unless the returns `[2]` of a terminal position are in [-1, 1] and sum to 0."""
    if not (np.abs(returns) <= 1).all():
        raise broken_promise(game, f"the returns {returns.tolist()} are outside [-1, 1].")
    if not abs(returns.sum()) <= _ROUNDING:
        raise broken_promise(game, f"the returns {returns.tolist()} do not sum to 0.")


def require_end(game: TeamGame, statuses: np.ndarray, num_steps: np.ndarray) -> None:
    """Raise GamePromiseError for statuses `[n]` that do not exist, or for an episode that continues after max_steps."""
    if not ((statuses >= GOING_ON) & (statuses <= TRUNCATED)).all():
        raise broken_promise(
            game, f"status is {statuses.max()}: it must be from {GOING_ON} to {TRUNCATED}."
        )
    if ((statuses == GOING_ON) & (num_steps >= game.spec.max_steps)).any():
        raise broken_promise(
            game, f"a game is not over after max_steps={game.spec.max_steps} steps."
        )


def require_actions(game: TeamGame, actions: np.ndarray) -> None:
    """Raise GamePromiseError for actions, written by observation kernels or rule agents, that do not exist."""
    if actions.min() < 0 or actions.max() >= game.spec.num_actions:
        raise broken_promise(
            game,
            f"its kernels name the actions {actions.min()} to {actions.max()}: there are 0 to "
            f"{game.spec.num_actions - 1}.",
        )


def require_rewards(game: TeamGame, rewards: np.ndarray) -> None:
    """Raise GamePromiseError for rewards that are not finite."""
    if not np.isfinite(rewards).all():
        raise broken_promise(game, "step writes a reward that is not a finite number.")


def fault_sentence(game: BoardGame, fault: int) -> str:
    """Return the sentence that describes a fault code."""
    if fault == TOO_LONG:
        return f"a game is not over after max_plies={game.spec.max_plies} plies."
    return _SENTENCES[fault]


def suspicion(game: NamedGame) -> str:
    """Return the hint for a person whose process crashed or hung with this game; "" for a game of ddpzero."""
    if game.source is None:
        return ""
    return (
        f"Compiled code checks no index, and it ran the game {game.name} ({game.module.__file__}): "
        f"`{verify_command(game)}` may tell what is wrong."
    )


@contextmanager
def no_exceptions(game: NamedGame) -> Iterator[None]:
    """Turn exceptions of kernels into GamePromiseError.

    The block calls compiled code in which only the kernels can raise.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except NumbaError as error:
        raise broken_promise(game, f"its kernels do not compile: {reason_of(error)}") from error
    except Exception as error:
        raise broken_promise(game, f"a kernel raises {in_one_line(error)}.") from error


def reason_of(error: NumbaError) -> str:
    """Return the part of numba's message that concerns the kernel, without the path by which numba reached it."""
    if any(sign in str(error) for sign in _SIGNS_OF_ALLOCATION):
        return "it makes a new array, but kernels must work in the arrays that they get."
    _, found, inner = str(error).partition("raised a specific error:")
    message = inner if found else str(error)
    return " ".join(message.partition("During: ")[0].split())


def verify_command(game: NamedGame, words: Sequence[str] | None = None) -> str:
    """Return the command line that checks this game with these parameters.

    words: this program's command line, which may contain --config-dir; None: sys.argv, which actors inherit.
    """
    command = ["ddpzero verify contract", *_config_dir(sys.argv if words is None else words)]
    command.append(f"--game {game.name}")
    command += [f"game.{key}={value}" for key, value in asdict(game.parameters).items()]
    return " ".join(command)


def _config_dir(words: Sequence[str]) -> list[str]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        for option in ("--config-dir", "-cd"):
            if word == option:
                return [f"--config-dir {shlex.quote(following)}"]
            if word.startswith(f"{option}="):
                return [f"--config-dir {shlex.quote(word.partition('=')[2])}"]
    return []
