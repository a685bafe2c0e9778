"""What the tests of snakes share: boards drawn in the test, steps with given outcomes, games recorded elsewhere, and a
judge of random draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero.games import TeamGame, load_any_game
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_lockstep import act_by_rules, reset_games, step_games
from ddpzero.games.snakes import pictures as snake_pictures
from ddpzero.games.snakes import rules as snake_rules
from tests.places import DATA

RECORDED_GAMES = DATA / "snakes"

UP, DOWN, LEFT, RIGHT = range(4)
# Segments of snakes 0 to 3, from the head on; of longer ones all others are "#" where a board is drawn.
_SEGMENTS = ("abcdefghijklm", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "nopqrstuvwxyz")


def snakes_game(**parameters: int) -> TeamGame:
    game = load_any_game("snakes", None, **parameters)
    assert isinstance(game, TeamGame)
    return game


def board_1v1(**parameters: int) -> TeamGame:
    """Two snakes on 6 x 8 cells, 5 beans, 50 steps: the public variant."""
    return snakes_game(**({"rows": 6, "columns": 8, "snakes": 2, "steps": 50} | parameters))


def board_2v2() -> TeamGame:
    """The same board with four snakes, a and A against 0 and n: so their heads are drawn."""
    return board_1v1(snakes=4)


def drawn(
    game: TeamGame, drawing: str, headings: Sequence[int] | None = None, num_steps: int = 0
) -> np.ndarray:
    """The position of a drawing, a row of characters for each row of the board: _SEGMENTS, `*` a bean, `.` nothing.

    headings: None: from the first neck to the head. Beans are in the order of the cells.
    """
    cells = "".join(drawing.split())
    assert len(cells) == game.parameters.rows * game.parameters.columns
    bodies = [
        [cells.index(letter) for letter in letters if letter in cells]
        for letters in _SEGMENTS[: game.parameters.snakes]
    ]
    beans = [cell for cell, letter in enumerate(cells) if letter == "*"]
    if headings is None:
        headings = [_heading(game, head, neck) for head, neck, *_ in bodies]
    return placed(game, bodies, headings, beans, num_steps)


def lines(drawing: str) -> str:
    """A drawing as `Seen.drawing` has it."""
    return "\n".join(drawing.split())


def _heading(game: TeamGame, head: int, neck: int) -> int:
    rows, columns = game.parameters.rows, game.parameters.columns
    down = (head // columns - neck // columns) % rows
    right = (head % columns - neck % columns) % columns
    return {(rows - 1, 0): UP, (1, 0): DOWN, (0, columns - 1): LEFT, (0, 1): RIGHT}[down, right]


def placed(
    game: TeamGame,
    bodies: Sequence[Sequence[int] | np.ndarray],
    headings: Sequence[int] | np.ndarray,
    beans: Sequence[int] | np.ndarray,
    num_steps: int = 0,
) -> np.ndarray:
    """A position with these cells, each body from the head on, beans the oldest first."""
    position = game.new_positions(1)[0]
    _place(
        game.rules,
        position,
        np.array([len(body) for body in bodies]),
        np.array([cell for body in bodies for cell in body], dtype=np.int64),
        np.array(headings, dtype=np.int64),
        np.array(beans, dtype=np.int64),
        num_steps,
    )
    return position


@compiled(cache=True)
def _place(rules, position, lengths, cells, headings, beans, num_steps):
    snake_rules.clear(rules, position)
    next_cell = 0
    for snake in range(rules.snakes):
        for _ in range(lengths[snake]):
            snake_rules.append_segment(rules, position, snake, cells[next_cell])
            next_cell += 1
        snake_rules.set_heading(rules, position, snake, headings[snake])
    for index in range(beans.shape[0]):
        snake_rules.place_bean(rules, position, beans[index])
    snake_rules.set_steps(position, num_steps)


@dataclass(frozen=True)
class Seen:
    """A position for people. bodies: cells, each from the head on; beans: the oldest first.

    covered, has_bean: what the position says of each cell, `[M]`. rewards: of the step that led there.
    """

    position: np.ndarray
    num_steps: int
    rewards: list[int]
    bodies: list[list[int]]
    beans: list[int]
    headings: list[int]
    last_headings: list[int]
    ate: list[int]
    died: list[int]
    status: int
    covered: np.ndarray
    has_bean: np.ndarray
    columns: int

    @property
    def drawing(self) -> str:
        cells = ["."] * len(self.covered)
        for bean in self.beans:
            cells[bean] = "*"
        for body, letters in zip(self.bodies, _SEGMENTS, strict=False):
            for index, cell in enumerate(body):
                cells[cell] = letters[index] if index < len(letters) else "#"
        rows = range(0, len(cells), self.columns)
        return "\n".join("".join(cells[row : row + self.columns]) for row in rows)

    def assert_consistent(self) -> None:
        """Where bodies and beans are is told twice: in lists and per cell."""
        cells = [cell for body in self.bodies for cell in body]
        assert np.array_equal(self.covered, np.bincount(cells, minlength=len(self.covered)))
        assert np.flatnonzero(self.has_bean).tolist() == sorted(self.beans)


def look_at(game: TeamGame, position: np.ndarray, rewards: Sequence[int] = ()) -> Seen:
    fields = np.zeros((4, game.spec.num_agents), dtype=np.int64)
    per_cell = np.zeros((2, game.parameters.rows * game.parameters.columns), dtype=np.int64)
    status = _read(game.rules, position, fields, per_cell)
    headings, last_headings, ate, died = fields.tolist()
    return Seen(
        position=position,
        num_steps=int(position[0]),
        rewards=list(rewards),
        bodies=snake_pictures.bodies(game.parameters, position),
        beans=snake_pictures.beans(game.parameters, position),
        headings=headings,
        last_headings=last_headings,
        ate=ate,
        died=died,
        status=status,
        covered=per_cell[0],
        has_bean=per_cell[1],
        columns=game.parameters.columns,
    )


@compiled(cache=True)
def _read(rules, position, fields, per_cell):
    for snake in range(rules.snakes):
        fields[0, snake] = snake_rules.heading(rules, position, snake)
        fields[1, snake] = snake_rules.last_heading(rules, position, snake)
        fields[2, snake] = snake_rules.ate(rules, position, snake)
        fields[3, snake] = snake_rules.died(rules, position, snake)
    for cell in range(snake_rules.num_cells(rules)):
        per_cell[0, cell] = snake_rules.covered(rules, position, cell)
        per_cell[1, cell] = snake_rules.has_bean(rules, position, cell)
    return snake_rules.status(position)


def played(
    game: TeamGame,
    position: np.ndarray,
    directions: Sequence[int] | np.ndarray,
    new_beans: Sequence[int] = (),
) -> Seen:
    """A step, given where each snake really goes and where new beans come."""
    position = position.copy()
    rewards = np.zeros(game.spec.num_agents, dtype=np.float32)
    _play(game.rules, position, np.array(directions), np.array(new_beans, np.int64), rewards)
    after = look_at(game, position, rewards.astype(int).tolist())
    after.assert_consistent()
    return after


@compiled(cache=True)
def _play(rules, position, directions, new_beans, rewards):
    snake_rules.move_all(rules, position, directions)
    snake_rules.settle(rules, position, rewards)
    for index in range(new_beans.shape[0]):
        snake_rules.place_bean(rules, position, new_beans[index])
    snake_rules.finish_step(rules, position)


def started(game: TeamGame, num_games: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Start positions `[n, P]`, and random states `[n, 2]` to play on with."""
    positions, random_states = game.new_positions(num_games), new_random_states(seed, num_games)
    reset_games(game.rules, positions, random_states, np.ones(num_games, np.bool_))
    return positions, random_states


def stepped(
    game: TeamGame, positions: np.ndarray, actions: np.ndarray, random_states: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Play `actions` `[n, S]` in place; returns rewards `[n, S]` and statuses `[n]`."""
    rewards = np.zeros(actions.shape, np.float32)
    statuses = np.zeros(len(positions), np.int64)
    step_games(game.rules, positions, actions, rewards, statuses, random_states)
    return rewards, statuses


def ruled(
    game: TeamGame, positions: np.ndarray, name: str, team: int, random_states: np.ndarray
) -> np.ndarray:
    """What a rule agent does for a team in each position: `[n, K]`."""
    num_games, size = len(positions), game.spec.agents_per_team
    actions = np.zeros((num_games, game.spec.num_agents), np.int64)
    act_by_rules(
        game.rules,
        positions,
        np.full(num_games, team),
        np.full(num_games, game.spec.rule_agents.index(name)),
        np.zeros(game.spec.scratch_shape, np.uint32),
        actions,
        random_states,
    )
    return actions[:, team * size : (team + 1) * size]


def positions_of_games(game: TeamGame, num_games: int, seed: int, every: int = 7) -> np.ndarray:
    """Positions `[n, P]` from games of one rule agent against another, `every` so many steps."""
    positions, random_states = started(game, num_games, seed)
    seen = []
    for num_steps in range(game.spec.max_steps - 1):
        if num_steps % every == 0:
            seen.append(positions.copy())
        teams = range(game.spec.num_teams)
        names = ("bfs", "level4", "greedy")
        by_team = [ruled(game, positions, names[t % 3], t, random_states) for t in teams]
        stepped(game, positions, np.concatenate(by_team, axis=1), random_states)
    return np.concatenate(seen)


def seems_uniform(samples: np.ndarray, num_outcomes: int) -> bool:
    """Pearson's chi-square test of whole numbers 0 .. n - 1; of 10,000 fair draws one fails."""
    assert samples.min() >= 0 and samples.max() < num_outcomes
    assert len(samples) >= 10 * num_outcomes
    counts = np.bincount(samples, minlength=num_outcomes)
    expected = len(samples) / num_outcomes
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    degrees = num_outcomes - 1
    # Wilson and Hilferty's approximation: the cube root is nearly normal.
    spread = 2 / (9 * degrees)
    return ((chi_square / degrees) ** (1 / 3) - (1 - spread)) / spread**0.5 < 3.72


def drawn_evenly(ranks: np.ndarray, num_allowed: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether `ranks` `[n]` may be draws, uniform each, from 0 .. num_allowed - 1, `[n]`.

    A rank with a uniform fraction added is uniform over the whole range, whatever its size.
    """
    assert ((ranks >= 0) & (ranks < num_allowed)).all()
    num_bins = 40
    places = (ranks + rng.random(len(ranks))) / num_allowed
    return seems_uniform((num_bins * places).astype(np.int64), num_bins)
