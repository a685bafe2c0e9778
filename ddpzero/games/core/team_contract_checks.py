"""Plays random episodes of a team game and checks every promise of its contract (team_contract.py).

Called by the tests and by `ddpzero verify contract`. It knows no particular game. Letters as in team_contract.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from ddpzero.games.core import team_contract, team_lockstep
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.contract_checks import Checked, check_guards, with_guards
from ddpzero.games.core.contract_report import (
    CALL_SECONDS,
    COMPILE_SECONDS,
    Alive,
    ContractReport,
    ignore,
)
from ddpzero.games.core.promises import reason_of
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_contract import GOING_ON, TERMINATED, TRUNCATED
from ddpzero.games.core.team_game import TeamGame
from ddpzero.games.core.team_lockstep import NO_LEVEL

_PROMISES_OF_A_GAME = (
    "reset writes every entry, the same from one random state, of a game that goes on",
    "games end within max_steps, as TERMINATED or TRUNCATED",
    "render returns the same drawing with and without colors, and picture is an image",
)
_PROMISES_OF_A_POSITION = (
    "step changes the position, always in the same way, and writes finite rewards",
    "observations are written whole, the same each time, and finite",
    "each agent has a legal choice, and every choice an action that exists",
    "rule agents write actions that exist, of their own team alone",
    "points are finite, and died is True or False",
    "no kernel writes outside the array it is given",
    "only reset and step change the position",
)
# Initial contents of arrays: entries that a kernel does not write differ between the two calls.
_GARBAGE = (0, 1)


def check_team_contract(game: TeamGame, num_games: int = 20, seed: int = 0) -> list[str]:
    """Play episodes with random actions and rule agents and return the violations of the contract, one sentence each.

    Returns at most ten different sentences, and none if the game keeps the contract.
    """
    return team_contract_report(game, num_games, seed).violations


def team_contract_report(
    game: TeamGame,
    num_games: int = 20,
    seed: int = 0,
    max_seconds: float = float("inf"),
    alive: Alive = ignore,
) -> ContractReport:
    """Play num_games episodes, or those that begin within max_seconds but at least two; return the report.

    alive: called before each step with the maximum number of seconds that the step may take.
    """
    limit = f"max_steps={game.spec.max_steps}"
    report = ContractReport(game.name, game.module.__file__ or "", limit)
    report.collect(_violations(game, report, num_games, seed, max_seconds, alive))
    return report


@compiled(cache=True)
def _status(rules, position):
    return team_contract.status(rules, position)


@dataclass(frozen=True)
class _Seen:
    """A team's observation: entries `[K, F]` or `[K, C, H, W]`; legal, actions `[K, A]`."""

    entries: np.ndarray
    legal: np.ndarray
    actions: np.ndarray


def _violations(
    game: TeamGame,
    report: ContractReport,
    num_games: int,
    seed: int,
    max_seconds: float,
    alive: Alive,
) -> Iterator[str]:
    uncompiled = list(_uncompiled_kernels(game, report, alive))
    yield from uncompiled
    if uncompiled:
        return
    rng = np.random.default_rng(seed)
    deadline = time.monotonic() + max_seconds
    for index, random_state in enumerate(new_random_states(seed, num_games)):
        if index >= 2 and time.monotonic() > deadline:
            break
        report.num_games += 1
        yield from _check_game(game, report, random_state, rng, alive)


def _uncompiled_kernels(game: TeamGame, report: ContractReport, alive: Alive) -> Iterator[str]:
    """Compile each kernel in the loop in which actors call it."""
    spec = game.spec
    size, row = spec.agents_per_team, (1, spec.num_agents)
    positions, random_states = game.new_positions(1), new_random_states(0, 1)
    teams, numbers = np.zeros(1, dtype=np.int64), np.zeros(row, dtype=np.int64)
    scratch = np.zeros(spec.scratch_shape, dtype=np.uint32)
    features = np.zeros((1, size, spec.num_features), dtype=np.float32)
    planes = np.zeros((1, size, spec.num_planes, *spec.board_shape), dtype=np.uint8)
    legal = np.zeros((1, size, spec.num_actions), dtype=np.bool_)
    actions = np.zeros((1, size, spec.num_actions), dtype=np.int64)
    rewards = np.zeros(row, dtype=np.float32)
    # `status` comes first, because `step` is compiled together with it.
    calls: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "status": (_status, (positions[0],)),
        "reset": (team_lockstep.reset_games, (positions, random_states, legal[0, 0])),
        "step": (team_lockstep.step_games, (positions, numbers, rewards, teams, random_states)),
        "team_points": (team_lockstep.points_of, (positions, numbers)),
        "died": (team_lockstep.count_deaths, (positions, numbers)),
        "observe_features": (
            team_lockstep.observe_features_of,
            (positions, teams, scratch, features, legal, actions),
        ),
        "observe_planes": (
            team_lockstep.observe_planes_of,
            (positions, teams, planes, legal, actions),
        ),
        "act_by_rule": (
            team_lockstep.act_by_rules,
            (positions, teams, teams, scratch, numbers, random_states),
        ),
    }
    for name, (loop, arguments) in calls.items():
        alive(COMPILE_SECONDS)
        report.checked["kernels compile, and make no new arrays"] += 1
        try:
            loop.compile(tuple(map(loop.typeof_pyval, (game.rules, *arguments))))
        except NumbaError as error:
            yield f"{name} does not compile: {reason_of(error)}"
            if name == "status":
                return


def _check_game(
    game: TeamGame,
    report: ContractReport,
    random_state: np.ndarray,
    rng: np.random.Generator,
    alive: Alive,
) -> Iterator[str]:
    """Play one episode. Each team plays random actions or follows one of the rule agents."""
    spec = game.spec
    alive(CALL_SECONDS)
    position = yield from _reset(game, random_state)
    for promise in _PROMISES_OF_A_GAME:
        report.checked[promise] += 1
    if _status(game.rules, position) != GOING_ON:
        yield "a start position is over."
        return
    yield from _check_python_side(game, position)
    levels = rng.integers(NO_LEVEL, len(spec.rule_agents), size=spec.num_teams)
    num_steps = 0
    while (status := _status(game.rules, position)) == GOING_ON:
        if num_steps == spec.max_steps:
            yield f"a game is not over after max_steps={spec.max_steps} steps."
            return
        alive(CALL_SECONDS)
        report.num_positions += 1
        for promise in _PROMISES_OF_A_POSITION:
            report.checked[promise] += 1
        by_rule = yield from _check_position(game, position, random_state)
        actions = rng.integers(spec.num_actions, size=spec.num_agents)
        of_teams = actions.reshape(spec.num_teams, -1)
        for team, level in enumerate(levels):
            if level != NO_LEVEL:
                of_teams[team] = by_rule[level, team]
        position = yield from _step(game, position, actions, random_state)
        num_steps += 1
        report.longest_game = max(report.longest_game, num_steps)
    if status not in (TERMINATED, TRUNCATED):
        yield f"status is {status}: it must be {GOING_ON}, {TERMINATED} or {TRUNCATED}."
    # Observe the last position, too: after a truncation its value is part of the earlier returns.
    yield from _check_position(game, position, random_state)
    yield from _check_python_side(game, position)


def _reset(game: TeamGame, random_state: np.ndarray) -> Checked:
    """Sample a start position and return it; advances random_state."""
    starts, states = [], []
    for garbage in _GARBAGE:
        framed, position = with_guards(game.spec.position_size, game.spec.position_dtype)
        position[:] = garbage
        state = random_state.copy()
        team_lockstep.reset_games(
            game.rules, position[None], state[None], np.ones(1, dtype=np.bool_)
        )
        yield from check_guards(framed, "reset")
        starts.append(position)
        states.append(state)
    if not np.array_equal(starts[0], starts[1]):
        yield "reset does not write every entry of the position, or not the same from one random state."
    random_state[:] = states[0]
    return starts[0].copy()


def _step(
    game: TeamGame, position: np.ndarray, actions: np.ndarray, random_state: np.ndarray
) -> Checked:
    """Play a step and return the position after it; advances random_state."""
    results = []
    given = actions.copy()
    for garbage in _GARBAGE:
        framed, successor = with_guards(game.spec.position_size, game.spec.position_dtype)
        successor[:] = position
        framed_rewards, rewards = with_guards(game.spec.num_agents, np.dtype(np.float32))
        rewards[:] = garbage
        state = random_state.copy()
        team_lockstep.step_games(
            game.rules,
            successor[None],
            given[None],
            rewards[None],
            np.zeros(1, dtype=np.int64),
            state[None],
        )
        yield from check_guards(framed, "step")
        yield from check_guards(framed_rewards, "step")
        results.append((successor, rewards, state))
    if not np.array_equal(results[0][1], results[1][1], equal_nan=True):
        yield "step does not write every reward, or not the same for one position, actions and random state."
    if not (
        np.array_equal(results[0][0], results[1][0])
        and np.array_equal(results[0][2], results[1][2])
    ):
        yield "step gives two results for one position, actions and random state."
    successor, rewards, random_state[:] = results[0]
    if not np.isfinite(rewards).all():
        yield "step writes a reward that is not a finite number."
    if not np.array_equal(given, actions):
        yield "step changes the actions that it is given."
    if np.array_equal(successor, position):
        yield "step leaves the position as it was."
    return successor.copy()


def _check_position(game: TeamGame, position: np.ndarray, random_state: np.ndarray) -> Checked:
    """Check the promises about a single position; return `[L, T, K]`, the actions of each rule agent for each team."""
    spec = game.spec
    before = position.copy()
    by_rule = np.zeros((len(spec.rule_agents), spec.num_teams, spec.agents_per_team), np.int64)
    for team in range(spec.num_teams):
        of_features = yield from _check_observation(game, position, team, "observe_features")
        of_planes = yield from _check_observation(game, position, team, "observe_planes")
        if of_features and of_planes and _allowed(of_features) != _allowed(of_planes):
            yield "observe_features and observe_planes do not allow the same actions."
        for level in range(len(spec.rule_agents)):
            by_rule[level, team] = yield from _check_rule_agent(
                game, position, team, level, random_state
            )
    yield from _check_points(game, position)
    yield from _check_deaths(game, position)
    if not np.array_equal(before, position):
        yield "a kernel other than reset and step changes the position."
    return by_rule


def _check_observation(
    game: TeamGame, position: np.ndarray, team: int, kernel: str
) -> Generator[str, None, _Seen | None]:
    """Return the team's observation; None if it cannot be used."""
    seen = []
    for garbage in _GARBAGE:
        observed = yield from _observe(game, position, team, kernel, garbage)
        seen.append(observed)
    for name, one, other in zip(
        ("entry", "entry of legal", "entry of actions"),
        vars(seen[0]).values(),
        vars(seen[1]).values(),
        strict=True,
    ):
        if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            yield f"{kernel} does not write every {name}, or not the same for one position."
    if not np.isfinite(seen[0].entries).all():
        yield f"{kernel} writes a number that is not finite."
    if not seen[0].legal.any(axis=1).all():
        yield f"{kernel} leaves an agent without a legal choice."
    if not _are_actions(game, seen[0].actions):
        yield f"{kernel} writes an action outside 0..{game.spec.num_actions - 1}."
        return None
    return seen[0]


def _observe(
    game: TeamGame, position: np.ndarray, team: int, kernel: str, garbage: int
) -> Generator[str, None, _Seen]:
    spec = game.spec
    size, teams = spec.agents_per_team, np.array([team])
    shape: tuple[int, ...] = (1, size, spec.num_features)
    dtype: np.dtype = np.dtype(np.float32)
    if kernel == "observe_planes":
        shape, dtype = (1, size, spec.num_planes, *spec.board_shape), np.dtype(np.uint8)
    framed_entries, entries = with_guards(int(np.prod(shape)), dtype)
    framed_legal, legal = with_guards(size * spec.num_actions, np.dtype(np.uint8))
    framed_actions, actions = with_guards(size * spec.num_actions, np.dtype(np.int64))
    framed_scratch, scratch = _scratch(game, garbage)
    for array in (entries, legal, actions):
        array[:] = garbage
    choices = (1, size, spec.num_actions)
    outputs = (
        entries.reshape(shape),
        legal.view(np.bool_).reshape(choices),
        actions.reshape(choices),
    )
    if kernel == "observe_features":
        team_lockstep.observe_features_of(game.rules, position[None], teams, scratch, *outputs)
    else:
        team_lockstep.observe_planes_of(game.rules, position[None], teams, *outputs)
    for framed in (framed_entries, framed_legal, framed_actions, framed_scratch):
        yield from check_guards(framed, kernel)
    return _Seen(*(array[0] for array in outputs))


def _check_rule_agent(
    game: TeamGame, position: np.ndarray, team: int, level: int, random_state: np.ndarray
) -> Checked:
    """Return the rule agent's actions `[K]`; all 0 if they are not actions."""
    spec = game.spec
    name = spec.rule_agents[level]
    own = slice(team * spec.agents_per_team, (team + 1) * spec.agents_per_team)
    answers = []
    for garbage in _GARBAGE:
        framed, actions = with_guards(spec.num_agents, np.dtype(np.int64))
        framed_scratch, scratch = _scratch(game, garbage)
        untouched = -1 - garbage
        actions[:] = untouched
        team_lockstep.act_by_rules(
            game.rules,
            position[None],
            np.array([team]),
            np.array([level]),
            scratch,
            actions[None],
            random_state.copy()[None],
        )
        yield from check_guards(framed, "act_by_rule")
        yield from check_guards(framed_scratch, "act_by_rule")
        if (np.delete(actions, own) != untouched).any():
            yield f"act_by_rule: {name} writes actions of another team."
        answers.append(actions[own].copy())
    if not _are_actions(game, answers[0]):
        yield f"act_by_rule: {name} does not write an action of 0..{spec.num_actions - 1} for each agent."
        return np.zeros_like(answers[0])
    if not np.array_equal(answers[0], answers[1]):
        yield f"act_by_rule: {name} does not act the same for one position and random state."
    return answers[0]


def _check_points(game: TeamGame, position: np.ndarray) -> Iterator[str]:
    found = []
    for garbage in _GARBAGE:
        points = np.full((1, game.spec.num_teams), garbage, dtype=np.float64)
        team_lockstep.points_of(game.rules, position[None], points)
        found.append(points)
    if not np.isfinite(found[0]).all():
        yield "team_points gives a number that is not finite."
    if not np.array_equal(found[0], found[1], equal_nan=True):
        yield "team_points gives two numbers for one position."


def _check_deaths(game: TeamGame, position: np.ndarray) -> Iterator[str]:
    deaths = np.zeros((1, game.spec.num_agents), dtype=np.int64)
    team_lockstep.count_deaths(game.rules, position[None], deaths)
    if not np.isin(deaths, (0, 1)).all():
        yield f"died gives {deaths.max()}: it must be True or False."


def _check_python_side(game: TeamGame, position: np.ndarray) -> Iterator[str]:
    plain, colored = game.render(position), game.render(position, in_color=True)
    if not plain.strip() or plain != plain.rstrip():
        yield "render must return a drawing that does not end in blanks or line ends."
    if "\x1b" in plain:
        yield "render writes escape codes without in_color."
    if re.sub(r"\x1b\[[0-9;]*m", "", colored) != plain:
        yield "render(in_color=True) differs from render(in_color=False) in more than escape codes."
    picture = game.picture(position)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        yield f"picture is {picture.dtype} {picture.shape}: it must be uint8 [height, width, 3]."
    colors = game.team_colors()
    if len(colors) not in (0, game.spec.num_teams):
        yield f"team_colors has {len(colors)} colors: one for each of the {game.spec.num_teams} teams is needed."


def _scratch(game: TeamGame, garbage: int) -> tuple[np.ndarray, np.ndarray]:
    """Return work space like with_guards, in the shape of scratch. Contents that another call left must not matter."""
    framed, flat = with_guards(int(np.prod(game.spec.scratch_shape)), np.dtype(np.uint32))
    flat[:] = garbage * 0xFFFFFFFF
    return framed, flat.reshape(game.spec.scratch_shape)


def _are_actions(game: TeamGame, actions: np.ndarray) -> bool:
    return bool(((actions >= 0) & (actions < game.spec.num_actions)).all())


def _allowed(seen: _Seen) -> list[set[int]]:
    """Return the set of actions of each agent's legal choices."""
    return [
        set(actions[legal].tolist())
        for actions, legal in zip(seen.actions, seen.legal, strict=True)
    ]
