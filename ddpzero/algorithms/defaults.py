"""Defaults for the optional methods of base.py that a plugin leaves out.

Called by loader.py, which completes every algorithm and thereby every updater that the algorithm makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ddpzero.algorithms.base import (
    Algorithm,
    CompleteAlgorithm,
    CompleteUpdater,
    Exportable,
    Grown,
    RunProgress,
    Updater,
)
from ddpzero.system.errors import UserError

if TYPE_CHECKING:
    from ddpzero.algorithms.base import Tensors


def complete_algorithm(given: Algorithm) -> CompleteAlgorithm:
    """Return `given` with defaults for the methods that it lacks; its updaters are completed likewise."""
    make_updater = partial(_make_updater, given)
    return cast(
        CompleteAlgorithm, _Completed(given, _ALGORITHM_DEFAULTS, make_updater=make_updater)
    )


def complete_updater(given: Updater) -> CompleteUpdater:
    """Return `given` if it is complete, else `given` with defaults for the methods that it lacks."""
    if isinstance(given, CompleteUpdater):
        return given
    return cast(CompleteUpdater, _Completed(given, _UPDATER_DEFAULTS))


def can_evaluate(updater: CompleteUpdater) -> bool:
    """Return whether an updater has an `evaluate` of its own, so that held-out episodes are of use."""
    return not (isinstance(updater, _Completed) and "evaluate" in vars(updater))


def can_export(algorithm: CompleteAlgorithm) -> bool:
    """Return whether an algorithm has an `exportable` of its own."""
    return not (isinstance(algorithm, _Completed) and "exportable" in vars(algorithm))


class _Completed:
    """A proxy for `given` that adds default methods where `given` has none.

    defaults: name -> function, called with `given` as its first argument. replaced: attributes that take precedence
    over those of `given`.
    """

    def __init__(
        self, given: object, defaults: Mapping[str, Callable[..., Any]], **replaced: Any
    ) -> None:
        self._given = given
        vars(self).update(replaced)
        for name, default in defaults.items():
            if not hasattr(given, name):
                setattr(self, name, partial(default, given))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)


def _make_updater(given: Algorithm, *arguments: Any, **named: Any) -> CompleteUpdater:
    return complete_updater(given.make_updater(*arguments, **named))


# ---------------------------------------------------------------------- of algorithms


def model_tag(algorithm: Algorithm) -> str:
    return "own"


def fits(algorithm: Algorithm, game: object) -> bool:
    return False


def grow(algorithm: object, weights: Tensors, changes: Mapping[str, int], seed: int) -> Grown:
    raise UserError("networks of this algorithm cannot grow.")


def exportable(algorithm: object, weights: Tensors, name: str) -> Exportable:
    raise UserError(
        "networks of this algorithm cannot be exported: it lacks the optional method exportable."
    )


def memory_needs(algorithm: Algorithm, *of_run: object, **named: object) -> list[Any]:
    return []


def evaluator_spec(algorithm: Algorithm, *of_run: object, **named: object) -> None:
    return None


def summarize_episodes(
    algorithm: Algorithm, infos: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    return {}


def summary_line(algorithm: Algorithm, metrics: Mapping[str, float]) -> str:
    return ""


def can_show(algorithm: Algorithm, info: Mapping[str, Any]) -> bool:
    return False


def describe_episode(algorithm: Algorithm, info: Mapping[str, Any]) -> str:
    return ""


def film_episode(algorithm: Algorithm, info: Mapping[str, Any]) -> list[Any]:
    return []


def facts_of_episode(algorithm: Algorithm, info: Mapping[str, Any]) -> None:
    return None


def problem_of_episode(
    algorithm: Algorithm, info: Mapping[str, Any], columns: Mapping[str, Any]
) -> str:
    return ""


def settings_for_checks(algorithm: Algorithm) -> None:
    return None


# ------------------------------------------------------------------------ of updaters


def actor_weights(updater: Updater) -> Tensors:
    return updater.released_weights()


def set_self_play(updater: Updater, fraction_done: float, effort: float) -> None:
    return None


def possible_actor_weights(updater: Updater) -> list[Tensors]:
    return [getattr(updater, "actor_weights", updater.released_weights)()]


def grow_networks(updater: Updater, progress: RunProgress, seed: int) -> str:
    return ""


def take_size_of(updater: Updater, weights: Tensors) -> None:
    return None


def size_tag(updater: Updater) -> str:
    return ""


def start_from(updater: Updater, weights: Tensors) -> None:
    raise UserError(
        "init_from: this algorithm cannot begin with given weights: leave init_from out."
    )


def count_results(updater: Updater, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {}


def apply_results(updater: Updater, counts: Mapping[str, float]) -> dict[str, float]:
    return {}


def accumulates_gradients(updater: Updater) -> bool:
    return False


def skipped_in_a_row(updater: Updater) -> int:
    return 0


def is_trainable(updater: Updater, batch: Tensors) -> bool:
    return True


def evaluate(updater: Updater, batch: Tensors) -> Tensors:
    return {}


_ALGORITHM_DEFAULTS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(model_tag, fits, grow, exportable, memory_needs, evaluator_spec),
        *(summarize_episodes, summary_line, can_show, describe_episode, film_episode),
        *(facts_of_episode, problem_of_episode, settings_for_checks),
    )
}
_UPDATER_DEFAULTS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(actor_weights, possible_actor_weights, take_size_of, size_tag, set_self_play),
        *(start_from, count_results, apply_results, skipped_in_a_row, is_trainable, evaluate),
        accumulates_gradients,
    )
}
# An algorithm has a method of this name, too.
_UPDATER_DEFAULTS["grow"] = grow_networks
