"""Plays episodes and checks every promise of the kernel contract.

Called by the tests, by `ddpzero verify contract`, and before a training with a game from outside the tree
(contract_process.py). It knows no particular game. It always ends: an episode ends after max_plies, and the number of
episodes is given. team_contract_checks.py does the same for team games.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import numpy as np
from numba.core.errors import NumbaError

from ddpzero.games.core import single
from ddpzero.games.core.contract_report import (
    CALL_SECONDS,
    COMPILE_SECONDS,
    Alive,
    ContractReport,
    ignore,
)
from ddpzero.games.core.game import Game
from ddpzero.games.core.promises import TOO_LONG, GamePromiseError, fault_sentence, reason_of
from ddpzero.games.core.sought_games import (
    HIGHEST_SCORE,
    LONGEST,
    LOWEST_SCORE,
    compile_seek,
    seek_game,
)

# Guard entries around a position or mask, which a kernel must not change: compiled code does not
# check its indices.
_GUARD = 256
_GUARD_VALUE = 85
# Two contents of the guards around a position: a kernel that reads them gives two results.
_GUARD_VALUES = (85, 2)
# Two initial contents of the arrays: entries that a kernel does not write differ.
_GARBAGE = (0, 1)
_ROUNDING = 1e-6

# Yields the violations, and returns what a kernel wrote.
Checked = Generator[str, None, np.ndarray]


def check_contract(game: Game, num_games: int = 20, seed: int = 0) -> list[str]:
    """Play episodes of `game` and return its violations of the contract, one sentence each.

    Returns at most ten different sentences, and none if the game keeps the contract.
    """
    return contract_report(game, num_games, seed).violations


def contract_report(
    game: Game,
    num_games: int = 20,
    seed: int = 0,
    max_seconds: float = float("inf"),
    alive: Alive = ignore,
) -> ContractReport:
    """Play num_games episodes, or those that begin within max_seconds but at least two; return the report.

    Half of the episodes are random. If the game keeps the contract in these, the others are the results of searches for
    long ones or for extreme scores.
    alive: called before each step with the maximum number of seconds that the step may take.
    """
    spec = game.spec
    report = ContractReport(game.name, game.module.__file__ or "", f"max_plies={spec.max_plies}")
    report.collect(_Check(game, report, alive, seed).violations(num_games, max_seconds))
    return report


def _repeated(number: int, max_seconds: float) -> Iterator[int]:
    """Yield 0 to number - 1, as long as it takes at most max_seconds; at least 0."""
    deadline = time.monotonic() + max_seconds
    for index in range(number):
        if index and time.monotonic() > deadline:
            return
        yield index


class _Check:
    """One check. Its generators yield violations, and count in the report what they checked."""

    def __init__(self, game: Game, report: ContractReport, alive: Alive, seed: int):
        self.game = game
        self.spec = game.spec
        self.report = report
        self.kernels = _GuardedKernels(game)
        self.alive = alive
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    def violations(self, num_games: int, max_seconds: float) -> Iterator[str]:
        uncompiled = list(self.uncompiled_kernels())
        yield from uncompiled
        if uncompiled:
            return
        self.alive(CALL_SECONDS)
        yield from self.check_start()
        yield from self.check_action_names()
        for _ in _repeated((num_games + 1) // 2, max_seconds / 2):
            yield from self.check_game([])
        # Compiling the searches takes longer than all else.
        if self.report.violations:
            return
        self.alive(COMPILE_SECONDS)
        compile_seek(self.game)
        objectives = [LONGEST, LONGEST]
        if self.game.has_score:
            objectives += [HIGHEST_SCORE, LOWEST_SCORE]
        for index in _repeated(num_games // 2, max_seconds / 2):
            self.alive(CALL_SECONDS)
            objective = objectives[index % len(objectives)]
            yield from self.check_game(seek_game(self.game, objective, self.seed + index))

    def count(self, promise: str) -> None:
        self.report.checked[promise] += 1

    def uncompiled_kernels(self) -> Iterator[str]:
        """Compile every kernel on its own, so that an error names the kernel and not the search that inlines it."""
        game = self.game
        position = np.zeros(self.spec.position_size, dtype=self.spec.position_dtype)
        calls = {
            "initial_position": (position,),
            "legal_actions": (position, np.zeros(game.num_actions, dtype=np.bool_)),
            "apply_action": (position, 0),
            "current_player": (position,),
            "is_terminal": (position,),
            "player_return": (position, 0),
            "observe": (position, np.zeros(_observation_size(game), dtype=np.uint8)),
            "observe_globals": (position, np.zeros(self.spec.num_globals, dtype=np.int8)),
            "copy_position": (position, position.copy()),
        }
        if game.has_score:
            calls["score"] = (position,)
        if game.has_ownership:
            calls["ownership"] = (position, np.zeros(1, dtype=np.int8))
        for name, arguments in calls.items():
            self.alive(COMPILE_SECONDS)
            self.count("kernels compile, and make no new arrays")
            try:
                kernel = getattr(single, name)
                kernel.compile(tuple(map(kernel.typeof_pyval, (game.rules, *arguments))))
            except NumbaError as error:
                yield f"{name} does not compile: {reason_of(error)}"

    def check_start(self) -> Iterator[str]:
        self.count("initial_position writes every entry of a position that is not terminal")
        starts: list[np.ndarray] = []
        for garbage in _GARBAGE:
            position, is_inside = self.kernels.initial_position(garbage)
            if not is_inside:
                yield _writes_outside("initial_position")
            starts.append(position)
        if not np.array_equal(starts[0], starts[1]):
            yield "initial_position does not write every entry of the position."
        if self.game.is_terminal(starts[0]):
            yield "the start position is terminal."

    def check_action_names(self) -> Iterator[str]:
        game = self.game
        names = [game.action_name(action) for action in range(game.num_actions)]
        if len(set(names)) != len(names):
            yield "two actions have the same name."
        for action, name in enumerate(names):
            self.count("actions have names of their own, which parse_action reads")
            for text in (name, name.lower(), name.upper(), f" {name} "):
                try:
                    parsed = game.parse_action(text)
                except GamePromiseError:
                    raise
                except ValueError as error:
                    yield f"parse_action({text!r}) refuses the name of action {action}: {error}"
                    return
                if parsed != action:
                    yield f"parse_action({text!r}) is {parsed} but action {action} has that name."
                    return
        for text in ("", "?!"):
            try:
                game.parse_action(text)
            except GamePromiseError:
                raise
            except ValueError:
                continue
            yield f"parse_action({text!r}) must raise a ValueError that tells what is allowed."

    def check_game(self, sought: list[int]) -> Iterator[str]:
        """Play an episode, first the moves `sought` and then random ones.

        Along with it, play its image under every symmetry that keeps the start position.
        """
        self.report.num_games += 1
        game, spec = self.game, self.spec
        position = game.initial_position()
        images = game.new_positions(len(spec.action_symmetries[: spec.num_start_symmetries]))
        # image_actions[s, a]: action a, as it is on the board moved by symmetry s.
        image_actions = np.argsort(spec.action_symmetries[: len(images)], axis=1)
        last_action = None
        for ply in range(spec.max_plies + 1):
            self.alive(CALL_SECONDS)
            self.report.num_positions += 1
            yield from self.check_position(position, last_action)
            asymmetries = list(self.check_images(position, images))
            yield from asymmetries
            # An action that is not legal in the image could write outside the arrays.
            if asymmetries or game.is_terminal(position):
                break
            self.count("a position that is not terminal has a legal action")
            legal = np.flatnonzero(game.legal_actions(position))
            if not legal.size:
                yield "a position that is not terminal has no legal action."
                return
            if ply == spec.max_plies:
                yield fault_sentence(game, TOO_LONG)
                return
            last_action = int(self.rng.choice(legal))
            if ply < len(sought) and sought[ply] in legal:
                last_action = sought[ply]
            previous, position = position, (yield from self.apply(position, last_action))
            if np.array_equal(previous, position):
                yield "apply_action leaves the position as it was."
            for image, actions in zip(images, image_actions, strict=True):
                single.apply_action(game.rules, image, actions[last_action])
            self.report.longest_game = max(self.report.longest_game, ply + 1)
        self.count("games end within max_plies")

    def apply(self, position: np.ndarray, action: int) -> Checked:
        """Yield the violations; return the position after the action."""
        self.count("apply_action changes the position, always in the same way")
        successors = []
        for guard_value in _GUARD_VALUES:
            successor, is_inside = self.kernels.apply_action(position, action, guard_value)
            if not is_inside:
                yield _writes_outside("apply_action")
            successors.append(successor)
        if not np.array_equal(successors[0], successors[1]):
            yield "apply_action gives two results for one position and action."
        return successors[0]

    def check_position(self, position: np.ndarray, last_action: int | None) -> Iterator[str]:
        """Check the promises about a single position."""
        game = self.game
        before = position.copy()
        terminal = game.is_terminal(position)
        masks = yield from self.call_twice("legal_actions", position, "every entry of the mask")
        self.count("no action is legal in a terminal position")
        if terminal and masks.any():
            yield "legal_actions allows an action in a terminal position."
        self.count("current_player is 0 or 1")
        if (player := game.current_player(position)) not in (0, 1):
            yield f"current_player is {player}: it must be 0 or 1."
        self.count("observe writes 0 and 1")
        planes, is_inside = self.kernels.observe(position, 0, _GUARD_VALUES[0])
        again, _ = self.kernels.observe(position, 0, _GUARD_VALUES[1])
        if not is_inside:
            yield _writes_outside("observe")
        if planes.max() > 1:
            yield f"observe writes {planes.max()}: planes hold only 0 and 1."
        if not np.array_equal(planes, again):
            yield "observe gives two results for one position: it may read outside of it."
        if self.spec.num_globals:
            yield from self.call_twice("observe_globals", position, "every entry")
        yield from self.check_copy(position)
        yield from self.check_python_side(position, last_action)
        if terminal:
            yield from self.check_result(position)
        self.count("no kernel writes outside the array it is given")
        self.count("only apply_action changes the position")
        if not np.array_equal(before, position):
            yield "a kernel other than apply_action changes the position."

    def call_twice(self, kernel: str, position: np.ndarray, what: str) -> Checked:
        """Call a kernel that writes an array on two initial contents; yield the violations and return the array."""
        self.count(f"{kernel} writes {what}, always the same")
        results = []
        for garbage, guard_value in zip(_GARBAGE, _GUARD_VALUES, strict=True):
            written, is_inside = getattr(self.kernels, kernel)(position, garbage, guard_value)
            if not is_inside:
                yield _writes_outside(kernel)
            results.append(written)
        if not np.array_equal(results[0], results[1]):
            yield f"{kernel} does not write {what}, or not always the same."
        return results[0]

    def check_copy(self, position: np.ndarray) -> Iterator[str]:
        """Check that a copy into a row that was used before equals the original."""
        self.count("copy_position copies all that the rules look at")
        game = self.game
        copied, is_inside = self.kernels.copy_position(position)
        if not is_inside:
            yield _writes_outside("copy_position")
        is_same = np.array_equal(game.legal_actions(copied), game.legal_actions(position))
        if not is_same or not np.array_equal(
            game.packed_observation(copied), game.packed_observation(position)
        ):
            yield "copy_position leaves something out that the rules look at."

    def check_python_side(self, position: np.ndarray, last_action: int | None) -> Iterator[str]:
        self.count("board is a row of 0, 1 and 2, and render returns a drawing")
        if self.game.board(position).size != self.game.num_cells:
            yield "board must be a row of as many cells in every position."
        if self.game.is_terminal(position):
            self.game.winning_cells(position)
        drawing = self.game.render(position, last_action)
        if not drawing.strip() or drawing != drawing.rstrip():
            yield "render must return a drawing that does not end in blanks or line ends."

    def check_result(self, position: np.ndarray) -> Iterator[str]:
        """Check the promises that concern only a terminal position."""
        game = self.game
        self.count("returns are in [-1, 1] and sum to 0")
        returns = game.returns(position)
        if not np.all(np.abs(returns) <= 1):
            yield f"the returns {returns.tolist()} are outside [-1, 1]."
        if not abs(returns.sum()) <= _ROUNDING:
            yield f"the returns {returns.tolist()} do not sum to 0."
        if game.has_score:
            self.count("scores are within max_score")
            if abs(score := game.score(position)) > self.spec.max_score:
                yield f"a game ends with the score {score}, above max_score={self.spec.max_score}."
        if game.has_ownership:
            self.count("ownership writes -1, 0 and 1")
            owners, is_inside = self.kernels.ownership(position)
            if not is_inside:
                yield _writes_outside("ownership")
            if not np.isin(owners, (-1, 0, 1)).all():
                yield "ownership must write 1 (first player), -1 (second player) or 0 everywhere."

    def check_images(self, position: np.ndarray, images: np.ndarray) -> Iterator[str]:
        """Check that the rules give the same results, moved, in each moved position as in the position itself."""
        spec, game = self.spec, self.game
        legal, planes = game.legal_actions(position), game.observation(position)
        flat_planes = planes.reshape(game.num_planes, -1)
        for index, image in enumerate(images):
            self.count("the rules see the same under every symmetry")
            symmetry = f"under symmetry {index}"
            if not np.array_equal(game.legal_actions(image), legal[spec.action_symmetries[index]]):
                yield f"legal_actions is not the moved mask {symmetry}."
            moved_planes = flat_planes[:, spec.cell_symmetries[index]].reshape(planes.shape)
            if not np.array_equal(game.observation(image), moved_planes):
                yield f"observe does not write the moved planes {symmetry}."
            if not np.array_equal(game.observed_globals(image), game.observed_globals(position)):
                yield f"observe_globals differs {symmetry}."
            if game.current_player(image) != game.current_player(position):
                yield f"current_player differs {symmetry}."
            if game.is_terminal(image) != game.is_terminal(position):
                yield f"is_terminal differs {symmetry}."
            if game.is_terminal(position) and not np.array_equal(
                game.returns(image), game.returns(position)
            ):
                yield f"the returns differ {symmetry}."


class _GuardedKernels:
    """The kernels that write arrays, called with guards around all arrays.

    Each method has the name of its kernel, which a crash shows, and returns the written array and whether the guards
    are unchanged.
    """

    def __init__(self, game: Game):
        self._game = game

    def initial_position(self, garbage: int) -> tuple[np.ndarray, bool]:
        guarded, position = self._position()
        position[:] = garbage
        single.initial_position(self._game.rules, position)
        return position.copy(), guards_hold(guarded)

    def apply_action(
        self, position: np.ndarray, action: int, guard_value: int
    ) -> tuple[np.ndarray, bool]:
        guarded, successor = self._position(position, guard_value)
        single.apply_action(self._game.rules, successor, action)
        return successor.copy(), guards_hold(guarded, guard_value)

    def legal_actions(
        self, position: np.ndarray, garbage: int, guard_value: int
    ) -> tuple[np.ndarray, bool]:
        guarded, legal = with_guards(self._game.num_actions, np.dtype(np.uint8))
        legal[:] = garbage
        around, inside = self._position(position, guard_value)
        single.legal_actions(self._game.rules, inside, legal.view(np.bool_))
        return legal, guards_hold(guarded) and guards_hold(around, guard_value)

    def observe(
        self, position: np.ndarray, garbage: int, guard_value: int
    ) -> tuple[np.ndarray, bool]:
        guarded, planes = with_guards(_observation_size(self._game), np.dtype(np.uint8))
        planes[:] = garbage
        around, inside = self._position(position, guard_value)
        single.observe(self._game.rules, inside, planes)
        return planes, guards_hold(guarded) and guards_hold(around, guard_value)

    def observe_globals(
        self, position: np.ndarray, garbage: int, guard_value: int
    ) -> tuple[np.ndarray, bool]:
        guarded, numbers = with_guards(self._game.spec.num_globals, np.dtype(np.int8))
        numbers[:] = garbage
        around, inside = self._position(position, guard_value)
        single.observe_globals(self._game.rules, inside, numbers)
        return numbers, guards_hold(guarded) and guards_hold(around, guard_value)

    def copy_position(self, position: np.ndarray) -> tuple[np.ndarray, bool]:
        guarded, copied = self._position()
        copied[:] = 1
        single.copy_position(self._game.rules, position, copied)
        return copied.copy(), guards_hold(guarded)

    def ownership(self, position: np.ndarray) -> tuple[np.ndarray, bool]:
        guarded, owners = with_guards(self._game.num_cells, np.dtype(np.int8))
        single.ownership(self._game.rules, position, owners)
        return owners, guards_hold(guarded)

    def _position(
        self, position: np.ndarray | None = None, guard_value: int = _GUARD_VALUE
    ) -> tuple[np.ndarray, np.ndarray]:
        spec = self._game.spec
        guarded, inside = with_guards(spec.position_size, spec.position_dtype, guard_value)
        if position is not None:
            inside[:] = position
        return guarded, inside


def _observation_size(game: Game) -> int:
    height, width = game.board_shape
    return game.num_planes * height * width


def with_guards(
    size: int, dtype: np.dtype, guard_value: int = _GUARD_VALUE
) -> tuple[np.ndarray, np.ndarray]:
    """Return an array with guards on both sides, and the view between them that a kernel may write."""
    guarded = np.full(size + 2 * _GUARD, guard_value, dtype=dtype)
    return guarded, guarded[_GUARD:-_GUARD]


def guards_hold(guarded: np.ndarray, guard_value: int = _GUARD_VALUE) -> bool:
    """Return whether nothing was written outside the view that with_guards returned."""
    return bool(
        (guarded[:_GUARD] == guard_value).all() and (guarded[-_GUARD:] == guard_value).all()
    )


def check_guards(guarded: np.ndarray, kernel: str) -> list[str]:
    """Return the violations that the guards around an array show after a call of `kernel`."""
    return [] if guards_hold(guarded) else [_writes_outside(kernel)]


def _writes_outside(kernel: str) -> str:
    return f"{kernel} writes outside the array it is given."
