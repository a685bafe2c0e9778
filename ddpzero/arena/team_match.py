"""A match between two players of a team game: every start twice, with swapped sides, all games in lockstep.

Called by match_blocks.py for `ddpzero match`, and by code that rates players; prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ddpzero.arena.match import Games, MatchResult, require_pairs, result_of
from ddpzero.arena.team_table import TeamTable
from ddpzero.games import TeamGame
from ddpzero.games.core.players import TeamPlayer
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.system.errors import require
from ddpzero.system.memory import Factor, require_memory


def play_team_match(
    player_a: TeamPlayer,
    player_b: TeamPlayer,
    game: TeamGame,
    num_games: int,
    seed: int,
    on_progress: Callable[[int, np.ndarray], None] | None = None,
) -> MatchResult:
    """Play num_games games, an even number, from num_games / 2 random starts; more points at the end win.

    on_progress: called after every step with the number of steps and A's lead in points `[num_games / 2, 2]`.
    """
    require_team_match(game, num_games)
    started = time.perf_counter()
    games = play_starts(player_a, player_b, game, random_starts(num_games, seed), on_progress)
    return result_of(games, time.perf_counter() - started)


def require_team_match(game: TeamGame, num_games: int) -> None:
    """Raise UserError unless the game has two teams, and num_games games can be played in pairs and fit in memory."""
    require(
        game.spec.num_teams == 2,
        f"game.teams={game.spec.num_teams}: a match is between two players, so {game.name} must have 2 teams here.",
    )
    require_pairs(num_games)
    factors = [Factor("--games ", num_games, 200)]
    require_memory("for the games", num_games * _game_bytes(game), factors)


def random_starts(num_games: int, seed: int) -> np.ndarray:
    """Return the random states `[3, num_games / 2, 2]` of the games, of player A and of player B."""
    return new_random_states(seed, 3 * num_games // 2).reshape(3, -1, 2)


def play_starts(
    player_a: TeamPlayer,
    player_b: TeamPlayer,
    game: TeamGame,
    starts: np.ndarray,
    on_progress: Callable[[int, np.ndarray], None] | None = None,
) -> Games:
    """Play each start twice, with swapped sides. starts: see random_starts. on_progress: see play_team_match."""
    # The game and each player have separate random streams, the same in both games of a pair, so that a player's luck
    # does not depend on how many random numbers its opponent uses.
    streams = starts.repeat(2, axis=1)
    table = TeamTable(game, streams[0])
    team_of_a = np.arange(streams.shape[1]) % 2
    num_steps = 0
    while table.is_going_on.any():
        table.ask(player_a, team_of_a, streams[1])
        table.ask(player_b, 1 - team_of_a, streams[2])
        table.step()
        num_steps += 1
        if on_progress is not None:
            points = _points_of_a_and_b(table, team_of_a)
            on_progress(num_steps, points[:, :, 0] - points[:, :, 1])
    points = _points_of_a_and_b(table, team_of_a)
    return Games(
        name_a=player_a.name,
        name_b=player_b.name,
        returns=np.sign(points[:, :, 0] - points[:, :, 1]).astype(np.float32),
        num_plies=table.num_steps.reshape(-1, 2),
        # Different games do not end in the same position, because it has every cell and the age of every bean.
        records=[position.tobytes() for position in table.positions],
        points=points,
    )


def _game_bytes(game: TeamGame) -> int:
    """Memory of one game of a match, including the copies made at each step."""
    spec = game.spec
    return 200 + 3 * spec.position_size * spec.position_dtype.itemsize + 60 * spec.num_agents


def _points_of_a_and_b(table: TeamTable, team_of_a: np.ndarray) -> np.ndarray:
    """`[m, 2, 2]`: pair of games, game of the pair, A and B."""
    points = table.points()
    teams = np.stack([team_of_a, 1 - team_of_a], axis=1)
    return np.take_along_axis(points, teams, axis=1).reshape(-1, 2, 2)
