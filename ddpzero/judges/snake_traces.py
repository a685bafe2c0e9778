"""Replays recorded games of snakes and compares the rules with the recording after every step: `ddpzero verify snakes`.

A replay takes the recorded results of chance instead of random numbers.

Letters: E episodes, T steps of the longest, N steps of all together, S snakes, B beans at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddpzero.games import Game, TeamGame
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.team_contract import GOING_ON
from ddpzero.games.snakes import game as snakes
from ddpzero.games.snakes import rules as snake_rules
from ddpzero.judges.rules_report import Comparison, RulesReport, first_mismatches
from ddpzero.judges.snake_trace_files import NOTHING, read_snake_traces, was_played

_Describe = Callable[[np.ndarray, np.ndarray], str]

_DIRECTIONS = ("up", "down", "left", "right")


def verify_snakes(file: str | Path, game: Game | TeamGame) -> RulesReport:
    """Replay every episode of a file and compare what the rules say after each step with what was recorded.

    Also checks that the rules could have produced the recorded results of chance. The replay of an episode stops where
    the rules end it.
    Raises ValueError for a file that has another format or is for another board, and for another game.
    """
    if not isinstance(game, TeamGame) or not isinstance(game.parameters, snakes.Parameters):
        raise ValueError(
            f"game={game.name}: this command replays games of snakes; recorded board games are for `verify rules`."
        )
    file = Path(file)
    traces = read_snake_traces(file, game)
    replay = _replay(traces, game)
    comparisons = list(_comparisons(traces, replay))
    return RulesReport(
        file=file,
        game_name=game.name,
        num_games=len(traces["n_steps"]),
        num_plies=int(replay.was_reached.sum()),
        num_checks={comparison.what: len(comparison.plies) for comparison in comparisons},
        num_mismatches={
            comparison.what: int(comparison.differs.sum()) for comparison in comparisons
        },
        mismatches=first_mismatches(comparisons, partial(_draw, game, traces)),
        plies_name="steps",
        agent_name="snake",
    )


class _Recording(NamedTuple):
    """What the replay reads of a file, as int64; names and meaning as in the file, steps in the order of episodes.

    offsets: `[E + 1]`, the first step of each episode among all N.
    """

    offsets: np.ndarray
    init_step_cnt: np.ndarray  # [E]
    init_len: np.ndarray  # [E, S]
    init_body_cells: np.ndarray  # [sum(init_len)]
    init_dir: np.ndarray  # [E, S]
    init_beans: np.ndarray  # [E, B]
    eff_dir: np.ndarray  # [N, S]
    n_new_beans: np.ndarray  # [N]
    new_beans: np.ndarray  # [N, B]


class _Replay(NamedTuple):
    """What the rules say after each step; names and meaning as in the file, steps in the order of episodes.

    NamedTuples, because compiled code reads and writes them by name.

    was_reached: `[N]` bool, the steps that were replayed.
    ate, hit, length, heading, last_heading: `[N, S]`; reward: `[N, S]` float32.
    bodies: `[N, S, W]`, W cells of each, the length of the longest recorded; beans: `[N, B]`; padded with NOTHING.
    num_new_beans: `[N]`, the number that the rules would add; are_new_beans_free: `[N]` bool, whether all were.
    goes_on: `[N]` bool. positions: `[E, P]` after the last step replayed.
    """

    was_reached: np.ndarray
    ate: np.ndarray
    hit: np.ndarray
    reward: np.ndarray
    length: np.ndarray
    bodies: np.ndarray
    heading: np.ndarray
    last_heading: np.ndarray
    beans: np.ndarray
    num_new_beans: np.ndarray
    are_new_beans_free: np.ndarray
    goes_on: np.ndarray
    positions: np.ndarray


def _replay(traces: dict[str, np.ndarray], game: TeamGame) -> _Replay:
    played = was_played(traces)
    num_steps, board = int(played.sum()), game.parameters
    per_snake = (num_steps, board.snakes)
    replay = _Replay(
        was_reached=np.zeros(num_steps, dtype=np.bool_),
        ate=np.zeros(per_snake, dtype=np.int16),
        hit=np.zeros(per_snake, dtype=np.int16),
        reward=np.zeros(per_snake, dtype=np.float32),
        length=np.zeros(per_snake, dtype=np.int16),
        bodies=np.full((*per_snake, _longest(traces)), NOTHING, dtype=np.int16),
        heading=np.zeros(per_snake, dtype=np.int8),
        last_heading=np.zeros(per_snake, dtype=np.int8),
        beans=np.full((num_steps, board.beans), NOTHING, dtype=np.int16),
        num_new_beans=np.zeros(num_steps, dtype=np.int16),
        are_new_beans_free=np.zeros(num_steps, dtype=np.bool_),
        goes_on=np.zeros(num_steps, dtype=np.bool_),
        positions=game.new_positions(len(played)),
    )
    _replay_episodes(game.rules, _recording(traces, played), replay)
    return replay


def _recording(traces: dict[str, np.ndarray], played: np.ndarray) -> _Recording:
    arrays = {name: traces[name] for name in _Recording._fields if name.startswith("init")}
    steps = {name: traces[name][played] for name in ("eff_dir", "n_new_beans", "new_beans")}
    return _Recording(
        offsets=np.concatenate([[0], np.cumsum(traces["n_steps"], dtype=np.int64)]),
        **{name: array.astype(np.int64) for name, array in (arrays | steps).items()},
    )


@compiled(cache=True)
def _replay_episodes(rules, recording, replay):
    """Replay all episodes of a _Recording into the arrays of a _Replay, made by _replay."""
    next_cell = 0
    for episode in range(replay.positions.shape[0]):
        position = replay.positions[episode]
        next_cell = _place_start(rules, recording, episode, next_cell, position)
        for row in range(recording.offsets[episode], recording.offsets[episode + 1]):
            if snake_rules.status(position) != GOING_ON:
                break
            replay.was_reached[row] = True
            snake_rules.move_all(rules, position, recording.eff_dir[row])
            snake_rules.settle(rules, position, replay.reward[row])
            _add_recorded_beans(rules, recording, replay, row, position)
            snake_rules.finish_step(rules, position)
            replay.goes_on[row] = snake_rules.status(position) == GOING_ON
            _note_step(rules, replay, row, position)


@compiled
def _place_start(rules, recording, episode, next_cell, position):
    """Set up an episode whose bodies begin at init_body_cells[next_cell]; return the next episode's next_cell."""
    snake_rules.clear(rules, position)
    for snake in range(rules.snakes):
        for _ in range(recording.init_len[episode, snake]):
            cell = recording.init_body_cells[next_cell]
            snake_rules.append_segment(rules, position, snake, cell)
            next_cell += 1
        snake_rules.set_heading(rules, position, snake, recording.init_dir[episode, snake])
    for index in range(rules.beans):
        if recording.init_beans[episode, index] != NOTHING:
            snake_rules.place_bean(rules, position, recording.init_beans[episode, index])
    snake_rules.set_steps(position, recording.init_step_cnt[episode] - 1)
    return next_cell


@compiled
def _add_recorded_beans(rules, recording, replay, row, position):
    """Add the recorded beans of a step, and note whether the rules could have placed them."""
    num_free = 0
    for cell in range(snake_rules.num_cells(rules)):
        num_free += snake_rules.is_free(rules, position, cell)
    num_missing = rules.beans - snake_rules.num_beans(position)
    replay.num_new_beans[row] = min(num_missing, num_free)
    replay.are_new_beans_free[row] = True
    for index in range(recording.n_new_beans[row]):
        cell = recording.new_beans[row, index]
        if not snake_rules.is_free(rules, position, cell):
            replay.are_new_beans_free[row] = False
        # A position has no room for more.
        if snake_rules.num_beans(position) < rules.beans:
            snake_rules.place_bean(rules, position, cell)


@compiled
def _note_step(rules, replay, row, position):
    """Write the position after a step into the replay."""
    for index in range(snake_rules.num_beans(position)):
        replay.beans[row, index] = snake_rules.bean(position, index)
    for snake in range(rules.snakes):
        replay.ate[row, snake] = snake_rules.ate(rules, position, snake)
        replay.hit[row, snake] = snake_rules.died(rules, position, snake)
        replay.length[row, snake] = snake_rules.length(rules, position, snake)
        replay.heading[row, snake] = snake_rules.heading(rules, position, snake)
        replay.last_heading[row, snake] = snake_rules.last_heading(rules, position, snake)
        num_shown = min(snake_rules.length(rules, position, snake), replay.bodies.shape[2])
        for index in range(num_shown):
            replay.bodies[row, snake, index] = snake_rules.segment(rules, position, snake, index)


@dataclass(frozen=True)
class _ReachedSteps:
    """The n recorded steps that the replay reached. recorded: arrays `[n, ...]` of the file, by name."""

    episodes: np.ndarray  # [n]
    steps: np.ndarray  # [n]
    recorded: dict[str, np.ndarray]

    def compare(
        self, what: str, expected: np.ndarray, got: np.ndarray, describe: _Describe
    ) -> Comparison:
        """Compare something of each step: expected and got are `[n, ...]`."""
        return Comparison(what, self.episodes, self.steps + 1, expected, got, describe)

    def compare_snakes(
        self,
        what: str,
        expected: np.ndarray,
        got: np.ndarray,
        describe: _Describe,
        which: np.ndarray | None = None,
    ) -> Comparison:
        """Compare something of each snake: expected and got are `[n, S, ...]`, which `[n, S]` bool (None: all)."""
        if which is None:
            which = np.ones(self.recorded["length"].shape, dtype=np.bool_)
        rows, snakes_there = np.nonzero(which)
        return Comparison(
            what,
            self.episodes[rows],
            self.steps[rows] + 1,
            expected[which],
            got[which],
            describe,
            snakes_there,
        )


def _comparisons(traces: dict[str, np.ndarray], replay: _Replay) -> Iterator[Comparison]:
    """Compare the recording and the replay after each step that the replay reached."""
    played, reached = was_played(traces), replay.was_reached
    episodes, steps = (indices[reached] for indices in np.nonzero(played))
    recorded = {
        name: array[played][reached]
        for name, array in traces.items()
        if array.shape[:2] == played.shape
    }
    at = _ReachedSteps(episodes, steps, recorded)
    yield from _compare_snakes(at, _recorded_bodies(traces)[reached], replay)
    yield from _compare_beans(at, replay)
    goes_on = replay.goes_on[reached]
    yield at.compare("goes on", recorded["done"] == 0, goes_on, _describe_goes_on)


def _compare_snakes(
    at: _ReachedSteps, recorded_bodies: np.ndarray, replay: _Replay
) -> Iterator[Comparison]:
    reached, recorded = replay.was_reached, at.recorded
    length, bodies = replay.length[reached], replay.bodies[reached]
    last_heading, hit = replay.last_heading[reached], recorded["hit"] == 1
    action, direction = recorded["action"], recorded["eff_dir"]
    is_possible = (action == direction) ^ (action == last_heading ^ 1)
    score = length - snake_rules.START_LENGTH
    start_bodies = bodies[..., : snake_rules.START_LENGTH]
    for what, expected, got, describe in (
        ("direction", np.ones_like(is_possible), is_possible, _describe_direction),
        ("ate", recorded["ate"], replay.ate[reached], _describe_number),
        ("hit", recorded["hit"], replay.hit[reached], _describe_number),
        ("reward", recorded["reward"], replay.reward[reached], _describe_number),
        ("score", recorded["score"], score, _describe_number),
        ("length", recorded["length"], length, _describe_number),
        ("body", recorded_bodies, bodies, _describe_cells),
        ("heading", recorded["dir"], replay.heading[reached], _describe_heading),
        ("last heading", recorded["obs_last_direction"], last_heading, _describe_heading),
    ):
        yield at.compare_snakes(what, expected, got, describe)
    yield at.compare_snakes(
        "respawn", recorded["respawn_cells"], start_bodies, _describe_cells, which=hit
    )


def _compare_beans(at: _ReachedSteps, replay: _Replay) -> Iterator[Comparison]:
    reached, recorded = replay.was_reached, at.recorded
    num_new, are_free = replay.num_new_beans[reached], replay.are_new_beans_free[reached]
    yield at.compare("new beans", recorded["n_new_beans"], num_new, _describe_number)
    yield at.compare("free cells", np.ones_like(are_free), are_free, _describe_free)
    is_bean = np.arange(recorded["beans"].shape[1]) < recorded["n_beans"][:, None]
    beans = np.where(is_bean, recorded["beans"], NOTHING)
    yield at.compare("beans", beans, replay.beans[reached], _describe_cells)


def _recorded_bodies(traces: dict[str, np.ndarray]) -> np.ndarray:
    """`[N, S, W]`, padded with NOTHING; W as in _Replay."""
    lengths = traces["length"][was_played(traces)]
    bodies = np.full((*lengths.shape, _longest(traces)), NOTHING, dtype=np.int16)
    bodies[np.arange(bodies.shape[-1]) < lengths[..., None]] = traces["body_cells"]
    return bodies


def _longest(traces: dict[str, np.ndarray]) -> int:
    lengths = traces["length"][was_played(traces)]
    return max(snake_rules.START_LENGTH, int(lengths.max(initial=0)))


def _draw(game: TeamGame, traces: dict[str, np.ndarray], episode: int, num_steps: int) -> str:
    """Draw the board of an episode after num_steps steps, by the rules."""
    num_episodes = len(traces["n_steps"])
    start_cells = np.split(traces["init_body_cells"], traces["init_len"].sum(1).cumsum()[:-1])
    alone = {
        name: array[episode : episode + 1]
        for name, array in traces.items()
        if len(array) == num_episodes
    }
    alone |= {"n_steps": np.array([num_steps]), "init_body_cells": start_cells[episode]}
    return game.render(_replay(alone, game).positions[0])


def _describe_number(number: np.ndarray, _: np.ndarray) -> str:
    return f"{number:g}"


def _describe_heading(direction: np.ndarray, _: np.ndarray) -> str:
    is_known = 0 <= direction < len(_DIRECTIONS)
    return _DIRECTIONS[direction] if is_known else str(direction)


def _describe_cells(cells: np.ndarray, _: np.ndarray) -> str:
    return " ".join(str(cell) for cell in cells if cell != NOTHING) or "none"


def _describe_direction(is_possible: np.ndarray, _: np.ndarray) -> str:
    return "it moved in this direction" if is_possible else "its action cannot lead there"


def _describe_free(is_free: np.ndarray, _: np.ndarray) -> str:
    return "new beans were placed there" if is_free else "one of these cells is not free"


def _describe_goes_on(goes_on: np.ndarray, _: np.ndarray) -> str:
    return "the game goes on" if goes_on else "the game is over"
