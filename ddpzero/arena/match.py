"""A match between two players: every opening twice, with swapped sides, all games in lockstep.

Called by match_blocks.py for `ddpzero match`, and by code that rates players; prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero.arena.openings import Openings, random_openings
from ddpzero.arena.statistics import (
    elo_difference,
    elo_text,
    paired_score_interval,
    repetition_caveat,
)
from ddpzero.games import Game
from ddpzero.games.core.player_errors import PlayerError, checked_actions, errors_of_player
from ddpzero.games.core.players import Player
from ddpzero.games.core.promises import TOO_LONG, require_no_fault, require_result
from ddpzero.system.errors import require
from ddpzero.system.memory import Factor, require_memory


@dataclass(frozen=True, repr=False)
class MatchResult:
    """The result of a match, from the perspective of player A. A team game has starts instead of openings.

    `str` is a sentence with the match score, its interval, the Elo difference and any caveats.

    returns: `[m, 2]` float32 in [-1, 1]: A's result in the games of opening m, as player 0 and as player 1.
    num_plies: `[m, 2]` int32, the length of each game in plies, its opening included, or in steps of all agents.
    num_distinct_games: the number of games that differ in their opening or in a move; if most games are repeated,
    score_interval is too narrow.
    points: `[m, 2, 2]` integers, of A and of B at the end of each game; None in games that are only won or lost.
    """

    name_a: str
    name_b: str
    returns: np.ndarray
    num_plies: np.ndarray
    num_distinct_games: int
    seconds: float
    points: np.ndarray | None = None

    @property
    def num_games(self) -> int:
        return self.returns.size

    def counts(self, player: int | None = None) -> tuple[int, int, int]:
        """Return how many games A won, drew and lost: of all games, or of those that it played as `player`."""
        returns = self.returns if player is None else self.returns[:, player]
        return int((returns > 0).sum()), int((returns == 0).sum()), int((returns < 0).sum())

    def score(self, player: int | None = None) -> float:
        """Return A's match score per game: a win counts 1, a draw 0.5."""
        wins, draws, losses = self.counts(player)
        return (wins + draws / 2) / (wins + draws + losses)

    def mean_points(self, player: int | None = None) -> tuple[float, float]:
        """Return the points per game of A and of B. Only for games with points."""
        assert self.points is not None, "this game has no points"
        points = self.points if player is None else self.points[:, player]
        of_a, of_b = points.reshape(-1, 2).mean(axis=0)
        return float(of_a), float(of_b)

    @property
    def score_interval(self) -> tuple[float, float]:
        """The 95 % interval of the match score; see paired_score_interval."""
        return paired_score_interval((np.sign(self.returns).mean(axis=1) + 1) / 2)

    @property
    def elo(self) -> float:
        """The Elo difference of A and B; infinite if A won or lost every game."""
        return elo_difference(self.score())

    @property
    def elo_interval(self) -> tuple[float, float]:
        low, high = self.score_interval
        return elo_difference(low), elo_difference(high)

    def points_text(self, player: int | None = None) -> str:
        """Return the points per game, "12.3 : 4.5". Only for games with points."""
        of_a, of_b = self.mean_points(player)
        return f"{of_a:.1f} : {of_b:.1f}"

    def __str__(self) -> str:
        low, high = self.score_interval
        elo = elo_text(self.elo, *self.elo_interval)
        length = f"{self.num_plies.mean():.0f} {'plies' if self.points is None else 'steps'}"
        points = "" if self.points is None else f"{self.points_text()} points a game, "
        sentence = (
            f"{self.name_a} scores {self.score():.1%} (95 %: {low:.1%} to {high:.1%}) against {self.name_b}, {elo}, "
            f"{points}in {self.num_games} games of {length} on average; {self.seconds:.0f} s."
        )
        caveat = repetition_caveat(self.num_distinct_games, self.num_games)
        return f"{sentence} {caveat}".rstrip()

    def __repr__(self) -> str:
        return f"<MatchResult: {self}>"


def play_match(
    player_a: Player,
    player_b: Player,
    game: Game,
    num_games: int,
    seed: int,
    opening_plies: int | None = None,
    on_progress: Callable[[np.ndarray, np.ndarray], None] | None = None,
) -> MatchResult:
    """Play num_games games, an even number, from num_games / 2 random openings.

    opening_plies: see random_openings.
    on_progress: called after the moves of each player with A's returns `[num_games / 2, 2]`, NaN for unfinished games,
    and the plies of each game so far.
    """
    require_match(game, num_games)
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    openings = random_openings(game, num_games // 2, rng, opening_plies)
    games = play_openings(player_a, player_b, game, openings, rng, on_progress)
    return result_of(games, time.perf_counter() - started)


@dataclass(frozen=True)
class Games:
    """Finished games of a match. name_a, name_b, returns, num_plies, points: see MatchResult.

    records: of each game, equal for equal games.
    """

    name_a: str
    name_b: str
    returns: np.ndarray
    num_plies: np.ndarray
    records: Sequence[Hashable]
    points: np.ndarray | None = None


def play_openings(
    player_a: Player,
    player_b: Player,
    game: Game,
    openings: Openings,
    rng: np.random.Generator,
    on_progress: Callable[[np.ndarray, np.ndarray], None] | None = None,
) -> Games:
    """Play each opening twice, with swapped sides. on_progress: see play_match."""
    table = _Table(game, openings)
    while table.is_going_on.any():
        for side, player in enumerate((player_a, player_b)):
            rows = table.rows_to_move(side)
            if len(rows):
                with errors_of_player(player.name):
                    actions = player.choose(table.positions[rows], rng)
                table.play(rows, actions, player)
                if on_progress is not None:
                    on_progress(table.returns.reshape(-1, 2), table.num_plies.reshape(-1, 2))
    returns, num_plies = table.returns.reshape(-1, 2), table.num_plies.reshape(-1, 2)
    return Games(player_a.name, player_b.name, returns, num_plies, table.records)


def result_of(games: Games, seconds: float) -> MatchResult:
    """Return the result of a match with these games, which took `seconds`."""
    return MatchResult(
        name_a=games.name_a,
        name_b=games.name_b,
        returns=games.returns,
        num_plies=games.num_plies,
        num_distinct_games=len(set(games.records)),
        seconds=seconds,
        points=games.points,
    )


def require_match(game: Game, num_games: int) -> None:
    """Raise UserError unless num_games games can be played in pairs and fit in memory."""
    require_pairs(num_games)
    factors = [Factor("--games ", num_games, 200)]
    require_memory("for the games", num_games * _game_bytes(game), factors)


def require_pairs(num_games: int) -> None:
    """Raise UserError unless num_games games can be divided into pairs."""
    require(
        num_games >= 2 and num_games % 2 == 0,
        f"num_games={num_games} (--games) must be even and at least 2, because each start is played twice, with sides "
        f"swapped. Use {max(2, num_games + 1)}.",
    )


def _game_bytes(game: Game) -> int:
    """Return the memory of one game of a match, including its candidate openings and a player's analysis."""
    spec = game.spec
    position_bytes = spec.position_size * spec.position_dtype.itemsize
    return 500 + 10 * position_bytes + 12 * spec.num_actions + 8 * spec.max_plies


class _Table:
    """All games of a match. Game 2i has A as player 0 and game 2i + 1 has A as player 1, both from opening i."""

    def __init__(self, game: Game, openings: Openings):
        self._game = game
        self.positions = np.repeat(openings.positions, 2, axis=0)
        num_games = len(self.positions)
        self.num_plies = np.full(num_games, openings.num_plies, dtype=np.int32)
        self.returns = np.full(num_games, np.nan, dtype=np.float32)
        self.is_going_on = np.ones(num_games, dtype=np.bool_)
        self.records: list[tuple[int, ...]] = [tuple(map(int, row)) for row in self.positions]
        self._player_of_a = np.arange(num_games) % 2

    def rows_to_move(self, side: int) -> np.ndarray:
        """Return the unfinished games in which A (side 0) or B (side 1) is to move."""
        movers = np.array([self._game.current_player(position) for position in self.positions])
        return np.flatnonzero(self.is_going_on & ((movers != self._player_of_a) == side))

    def play(self, rows: np.ndarray, actions: np.ndarray, player: Player) -> None:
        actions = checked_actions(player.name, actions, rows.shape, self._game.num_actions)
        for row, action in zip(rows, actions, strict=True):
            try:
                self.positions[row] = self._game.apply_action(self.positions[row], int(action))
            except ValueError as error:
                raise PlayerError(f"player {player.name} broke the rules: {error}") from None
            self.num_plies[row] += 1
            self.records[row] += (int(action),)
            if self._game.is_terminal(self.positions[row]):
                self.is_going_on[row] = False
                returns = self._game.returns(self.positions[row])
                require_result(self._game, returns)
                self.returns[row] = returns[self._player_of_a[row]]
            elif self.num_plies[row] >= self._game.spec.max_plies:
                require_no_fault(self._game, TOO_LONG)
