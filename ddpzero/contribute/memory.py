"""Whether the games that a server wants fit into the memory of this machine: known before any of it is allocated."""

from __future__ import annotations

from dataclasses import replace

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError
from ddpzero.system.machine import usable_memory
from ddpzero.system.memory import Need

_SHARE_OF_FREE = 0.9


def require_room(
    algorithm: CompleteAlgorithm, settings: Settings, own: ContributeSettings, on_gpu: bool
) -> None:
    """Raise UserError unless the actors of a contributor find room.

    settings: of the run, with the contributor's actors. on_gpu: whether these evaluate on a GPU.
    """
    num_actors, num_games = settings.actors.num_actors or 1, settings.actors.num_games
    needs = _needs(algorithm, settings, num_actors, num_games, on_gpu)
    room, limit = _room(own)
    if _total(needs) <= room:
        return
    of_one_game = _total(_needs(algorithm, settings, 1, 1, on_gpu))
    if of_one_game <= room:
        remedy = "lower num_actors or num_games"
    elif of_one_game <= _free_bytes():
        remedy = "not even one game at a time fits, so raise max_memory_gib"
    else:
        remedy = "not even one game at a time fits, so ask the server's operator"
    cause = max(needs, key=lambda need: need.size_bytes).main_factor
    raise UserError(
        f"the server's run has {cause}: its games need {_gib(_total(needs))} GiB here with num_actors={num_actors} and "
        f"num_games={num_games}, and {limit} is {_gib(room)} GiB: {remedy}."
    )


def _room(own: ContributeSettings) -> tuple[float, str]:
    """Return how many bytes may be used, and what limits them."""
    free_bytes = _free_bytes()
    if own.max_memory_gib is not None and own.max_memory_gib * 2**30 < free_bytes:
        return own.max_memory_gib * 2**30, "max_memory_gib"
    return free_bytes, "nine tenths of the free memory"


def _free_bytes() -> float:
    return _SHARE_OF_FREE * usable_memory().free_bytes


def _needs(
    algorithm: CompleteAlgorithm, settings: Settings, num_actors: int, num_games: int, on_gpu: bool
) -> list[Need]:
    actors = replace(settings.actors, num_actors=num_actors, num_games=num_games)
    # As if the training, which is not done here, were on a GPU.
    needs = algorithm.memory_needs(actors, num_actors, settings.learner, True, on_gpu)
    return [need for need in needs if not need.on_gpu]


def _total(needs: list[Need]) -> int:
    return sum(need.size_bytes for need in needs)


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / 2**30:,.3g}"
