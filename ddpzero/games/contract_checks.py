"""Plays random games and checks whatever the kernel contract promises: for the tests and `ddpzero verify contract`.

It knows no particular game, so it serves a game from outside the tree just as well. team_contract_checks.py does the
same for team games.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator

import numpy as np
from numba.core.errors import NumbaError

from ddpzero.games import single
from ddpzero.games.game import Game
from ddpzero.games.team_game import TeamGame

# Entries around a position or mask that a kernel must leave alone: compiled code does not check its indices.
_GUARD = 16
_GUARD_VALUE = 85
# What numba says of code without reference counts (compiled.py) that would need them.
_SIGNS_OF_ALLOCATION = ("NRT required", "Only accept returning of array")
# A broken rule shows at every ply: a person needs it told once.
_MAX_VIOLATIONS = 10


def check_contract(game: Game, num_games: int = 20, seed: int = 0) -> list[str]:
    """Play random games by `game` and tell, one sentence each, what of the contract it breaks.

    Returns at most ten different sentences; none when the game keeps the contract.
    """
    return collect(_violations(game, num_games, np.random.default_rng(seed)))


def collect(found: Iterable[str]) -> list[str]:
    """The first ten different sentences; an error raised in between is the last one."""
    violations: list[str] = []
    try:
        for violation in found:
            if violation not in violations:
                violations.append(violation)
            if len(violations) == _MAX_VIOLATIONS:
                break
    except Exception as error:  # the Python of the game may raise anything
        function = traceback.extract_tb(error.__traceback__)[-1].name
        violations.append(f"{function} raises {type(error).__name__}: {error}")
    return violations


def print_violations(game: Game | TeamGame, num_games: int, violations: list[str]) -> int:
    """Print what check_contract found, for people; returns the program's exit code."""
    print(f"contract of {game.name}: {num_games} random games, {len(violations)} violations")
    for violation in violations:
        print(f"  {violation}")
    return 1 if violations else 0


def _violations(game: Game, num_games: int, rng: np.random.Generator) -> Iterator[str]:
    uncompiled = list(_uncompiled_kernels(game))
    yield from uncompiled
    if uncompiled:
        return
    yield from _check_start(game)
    yield from _check_action_names(game)
    for _ in range(num_games):
        yield from _check_random_game(game, rng)


def _uncompiled_kernels(game: Game) -> Iterator[str]:
    """Compile every kernel by itself, so that an error names the kernel and not the search that inlines it."""
    position = np.zeros(game.spec.position_size, dtype=game.spec.position_dtype)
    calls = {
        "initial_position": (position,),
        "legal_actions": (position, np.zeros(game.num_actions, dtype=np.bool_)),
        "apply_action": (position, 0),
        "current_player": (position,),
        "is_terminal": (position,),
        "player_return": (position, 0),
        "observe": (position, np.zeros(_observation_size(game), dtype=np.uint8)),
        "observe_globals": (position, np.zeros(game.spec.num_globals, dtype=np.int8)),
        "copy_position": (position, position.copy()),
    }
    if game.has_score:
        calls["score"] = (position,)
    if game.has_ownership:
        calls["ownership"] = (position, np.zeros(1, dtype=np.int8))
    for name, arguments in calls.items():
        try:
            kernel = getattr(single, name)
            kernel.compile(tuple(map(kernel.typeof_pyval, (game.rules, *arguments))))
        except NumbaError as error:
            yield f"{name} does not compile: {reason_of(error)}"


def reason_of(error: NumbaError) -> str:
    """The part of numba's message that speaks of the kernel; the rest is how numba got there."""
    if any(sign in str(error) for sign in _SIGNS_OF_ALLOCATION):
        return "it makes a new array, but kernels must work in the arrays that they get."
    _, found, inner = str(error).partition("raised a specific error:")
    message = inner if found else str(error)
    return " ".join(message.partition("During: ")[0].split())


def _check_start(game: Game) -> Iterator[str]:
    starts: list[np.ndarray] = []
    for garbage in (0, 1):
        guarded, position = with_guards(game.spec.position_size, game.spec.position_dtype)
        position[:] = garbage
        single.initial_position(game.rules, position)
        yield from check_guards(guarded, "initial_position")
        starts.append(position.copy())
    if not np.array_equal(starts[0], starts[1]):
        yield "initial_position does not write every entry of the position."
    if game.is_terminal(starts[0]):
        yield "the start position is terminal."


def _check_action_names(game: Game) -> Iterator[str]:
    names = [game.action_name(action) for action in range(game.num_actions)]
    if len(set(names)) != len(names):
        yield "two actions have the same name."
    for action, name in enumerate(names):
        for text in (name, name.lower(), name.upper(), f" {name} "):
            try:
                parsed = game.parse_action(text)
            except ValueError as error:
                yield f"parse_action({text!r}) refuses the name of action {action}: {error}"
                return
            if parsed != action:
                yield f"parse_action({text!r}) is {parsed} but action {action} has that name."
                return
    for text in ("", "?!"):
        try:
            game.parse_action(text)
        except ValueError:
            continue
        yield f"parse_action({text!r}) must raise a ValueError that tells what is allowed."


def _check_random_game(game: Game, rng: np.random.Generator) -> Iterator[str]:
    """Play one game to its end, and beside it its image under every symmetry that has the same start."""
    spec = game.spec
    position = game.initial_position()
    images = game.new_positions(len(spec.action_symmetries[: spec.num_start_symmetries]))
    # image_actions[s, a]: what action a is on the board moved by symmetry s.
    image_actions = np.argsort(spec.action_symmetries[: len(images)], axis=1)
    last_action = None
    for ply in range(spec.max_plies + 1):
        yield from _check_position(game, position, last_action)
        asymmetries = list(_check_images(game, position, images))
        yield from asymmetries
        # An action that is not legal in the image could write anywhere.
        if asymmetries or game.is_terminal(position):
            return
        legal = np.flatnonzero(game.legal_actions(position))
        if ply == spec.max_plies or not legal.size:
            yield (
                f"a game is not over after max_plies={spec.max_plies} plies."
                if legal.size
                else "a position that is not terminal has no legal action."
            )
            return
        last_action = int(rng.choice(legal))
        successor, again = (_apply_guarded(game, position, last_action) for _ in range(2))
        yield from check_guards(successor, "apply_action")
        if not np.array_equal(successor, again):
            yield "apply_action gives two results for one position and action."
        previous, position = position, successor[_GUARD:-_GUARD].copy()
        if np.array_equal(previous, position):
            yield "apply_action leaves the position as it was."
        for image, actions in zip(images, image_actions, strict=True):
            single.apply_action(game.rules, image, actions[last_action])


def _check_position(game: Game, position: np.ndarray, last_action: int | None) -> Iterator[str]:
    """Check what is promised of a single position."""
    before = position.copy()
    terminal = game.is_terminal(position)
    legal_masks: list[np.ndarray] = []
    for garbage in (False, True):
        guarded, legal = with_guards(game.num_actions, np.dtype(np.uint8))
        legal[:] = garbage
        single.legal_actions(game.rules, position, legal.view(np.bool_))
        yield from check_guards(guarded, "legal_actions")
        legal_masks.append(legal)
    if not np.array_equal(legal_masks[0], legal_masks[1]):
        yield "legal_actions does not write every entry of the mask."
    if terminal and legal_masks[0].any():
        yield "legal_actions allows an action in a terminal position."
    if game.current_player(position) not in (0, 1):
        yield f"current_player is {game.current_player(position)}: it must be 0 or 1."
    guarded, planes = with_guards(_observation_size(game), np.dtype(np.uint8))
    planes[:] = 0
    single.observe(game.rules, position, planes)
    yield from check_guards(guarded, "observe")
    if planes.max() > 1:
        yield f"observe writes {planes.max()}: planes hold only 0 and 1."
    yield from _check_globals(game, position)
    yield from _check_copy(game, position)
    yield from _check_python_side(game, position, last_action)
    if terminal:
        yield from _check_result(game, position)
    if not np.array_equal(before, position):
        yield "a kernel other than apply_action changes the position."


def _check_globals(game: Game, position: np.ndarray) -> Iterator[str]:
    written = []
    for garbage in (0, 1):
        guarded, numbers = with_guards(game.spec.num_globals, np.dtype(np.int8))
        numbers[:] = garbage
        single.observe_globals(game.rules, position, numbers)
        yield from check_guards(guarded, "observe_globals")
        written.append(numbers)
    if not np.array_equal(written[0], written[1]):
        yield "observe_globals does not write every entry."


def _check_copy(game: Game, position: np.ndarray) -> Iterator[str]:
    """A copy over a row that was used before must be as good as the original."""
    guarded, copied = with_guards(game.spec.position_size, game.spec.position_dtype)
    copied[:] = 1
    single.copy_position(game.rules, position, copied)
    yield from check_guards(guarded, "copy_position")
    is_same = np.array_equal(game.legal_actions(copied), game.legal_actions(position))
    if not is_same or not np.array_equal(
        game.packed_observation(copied), game.packed_observation(position)
    ):
        yield "copy_position leaves something out that the rules look at."


def _check_python_side(game: Game, position: np.ndarray, last_action: int | None) -> Iterator[str]:
    board = game.board(position)
    if board.ndim != 1 or board.size != game.num_cells or board.max() > 2:
        yield "board must be a row of 0 (empty), 1 (first player) and 2 (second player)."
    drawing = game.render(position, last_action)
    if not drawing.strip() or drawing != drawing.rstrip():
        yield "render must draw something, without blanks or line ends behind it."


def _check_result(game: Game, position: np.ndarray) -> Iterator[str]:
    """Check what is promised of a terminal position alone."""
    returns = game.returns(position)
    if not np.all(np.abs(returns) <= 1):
        yield f"the returns {returns.tolist()} are outside [-1, 1]."
    if returns.sum() != 0:
        yield f"the returns {returns.tolist()} do not sum to 0."
    if game.has_ownership:
        guarded, owners = with_guards(game.num_cells, np.dtype(np.int8))
        single.ownership(game.rules, position, owners)
        yield from check_guards(guarded, "ownership")
        if not np.isin(owners, (-1, 0, 1)).all():
            yield "ownership must write 1 (first player), -1 (second player) or 0 everywhere."


def _check_images(game: Game, position: np.ndarray, images: np.ndarray) -> Iterator[str]:
    """Check that the rules see in each moved position what they see in the position itself, moved."""
    spec = game.spec
    legal, planes = game.legal_actions(position), game.observation(position)
    flat_planes = planes.reshape(game.num_planes, -1)
    for index, image in enumerate(images):
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


def _observation_size(game: Game) -> int:
    height, width = game.board_shape
    return game.num_planes * height * width


def with_guards(size: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """An array with guards on both sides, and the view between them that a kernel may write."""
    guarded = np.full(size + 2 * _GUARD, _GUARD_VALUE, dtype=dtype)
    return guarded, guarded[_GUARD:-_GUARD]


def _apply_guarded(game: Game, position: np.ndarray, action: int) -> np.ndarray:
    guarded, successor = with_guards(game.spec.position_size, game.spec.position_dtype)
    successor[:] = position
    single.apply_action(game.rules, successor, action)
    return guarded


def check_guards(guarded: np.ndarray, kernel: str) -> Iterable[str]:
    if (guarded[:_GUARD] != _GUARD_VALUE).any() or (guarded[-_GUARD:] != _GUARD_VALUE).any():
        return [f"{kernel} writes outside the array it is given."]
    return []
