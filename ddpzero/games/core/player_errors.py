"""Checks of what players choose, and their errors as one sentence. Called by all code that lets players choose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ddpzero.system.errors import in_one_line, is_sentence_of_ours, line_of


class PlayerError(RuntimeError):
    """A player broke the rules of the game or of its contract. The message is one sentence that names it."""


@contextmanager
def errors_of_player(name: str) -> Iterator[None]:
    """Raise PlayerError for any error of a player's own code in the block; sentences of ddpzero pass unchanged.

    name: of the player.
    """
    try:
        yield
    # The player of a plugin can raise anything.
    except (Exception, SystemExit) as error:
        if is_sentence_of_ours(error):
            raise
        raise PlayerError(
            f"player {name} failed: {in_one_line(error)} ({line_of(error)})."
        ) from error


def checked_actions(
    name: str, chosen: np.ndarray, shape: tuple[int, ...], num_actions: int
) -> np.ndarray:
    """Return what a player chose as int64; PlayerError unless it is `shape` indices of actions that exist.

    name: of the player. Compiled rules look at no index: one out of range would write beside the board.
    """
    with errors_of_player(name):
        chosen = np.asarray(chosen)
    if chosen.shape != shape or not np.issubdtype(chosen.dtype, np.integer):
        raise PlayerError(
            f"player {name} broke its contract: it chose {chosen.dtype}{list(chosen.shape)} instead of integers "
            f"{list(shape)}."
        )
    if ((chosen < 0) | (chosen >= num_actions)).any():
        raise PlayerError(
            f"player {name} broke the rules: it chose {chosen.min()} to {chosen.max()}, and actions are 0 to "
            f"{num_actions - 1}."
        )
    return chosen.astype(np.int64)
