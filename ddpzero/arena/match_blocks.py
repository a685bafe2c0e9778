"""Divides a match into blocks of games, which this process or several ones play, and joins their results.

Blocks have a fixed size and their own random numbers, so the games do not depend on the number of processes.
Called by run.run_match and match_workers.py; knows no processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpzero.arena.agents import parse_player
from ddpzero.arena.match import Games, MatchResult, play_openings, require_match, result_of
from ddpzero.arena.openings import Openings, random_openings
from ddpzero.arena.team_match import play_starts, random_starts, require_team_match
from ddpzero.games import Game, TeamGame, load_any_game
from ddpzero.system.seeds import derive_seed

# Enough games to fill a player's batches.
BLOCK_GAMES = 100

# Called with the state of a block's games: see the on_progress of play_openings and play_starts.
OnProgress = Callable[..., None]


@dataclass(frozen=True)
class BoardBlock:
    """Some openings of a board game, and the random numbers of their games."""

    openings: Openings
    rng: np.random.Generator


@dataclass(frozen=True)
class TeamBlock:
    """Some random starts of a team game: see random_starts."""

    starts: np.ndarray


MatchBlock = BoardBlock | TeamBlock
PlayBlock = Callable[[MatchBlock, OnProgress], Games]


@dataclass(frozen=True)
class Players:
    """The players of a match as words, from which each process makes them. Arguments: see run_match, parse_player.

    game: arguments of load_any_game. num_threads: of each process, for its players.
    """

    player_a: str
    player_b: str
    game: dict[str, Any]
    num_simulations: int | None
    num_threads: int = 1

    def make(self) -> PlayBlock:
        """Make the players; return the function that plays a block. Raises UserError."""
        game = load_any_game(**self.game)
        a, b = (
            parse_player(text, game, self.num_simulations, self.num_threads)
            for text in (self.player_a, self.player_b)
        )
        return lambda block, on_progress: play_block(a, b, game, block, on_progress)


def play_block(
    player_a: Any, player_b: Any, game: Game | TeamGame, block: MatchBlock, on_progress: OnProgress
) -> Games:
    """Play the games of a block. player_a, player_b: of a board game or of a team game, as `game` is."""
    if isinstance(block, TeamBlock):
        assert isinstance(game, TeamGame)
        return play_starts(player_a, player_b, game, block.starts, on_progress)
    assert isinstance(game, Game)
    return play_openings(player_a, player_b, game, block.openings, block.rng, on_progress)


def blocks_of_match(
    game: Game | TeamGame,
    num_games: int,
    seed: int,
    opening_plies: int | None = None,
    block_games: int = BLOCK_GAMES,
) -> list[MatchBlock]:
    """Divide the games of a match into blocks of block_games. Other arguments: see play_match. Raises UserError."""
    if isinstance(game, TeamGame):
        require_team_match(game, num_games)
    else:
        require_match(game, num_games)
    rows = [
        slice(start, start + block_games // 2)
        for start in range(0, num_games // 2, block_games // 2)
    ]
    if isinstance(game, TeamGame):
        starts = random_starts(num_games, seed)
        return [TeamBlock(starts[:, block]) for block in rows]
    # The first block continues the random numbers of the openings, as play_match does.
    rng = np.random.default_rng(seed)
    openings = random_openings(game, num_games // 2, rng, opening_plies)
    others = [np.random.default_rng(derive_seed(seed, "block", i)) for i in range(1, len(rows))]
    return [
        BoardBlock(Openings(openings.positions[block], openings.num_plies), generator)
        for block, generator in zip(rows, [rng, *others], strict=True)
    ]


def play_here(
    play: PlayBlock, blocks: Sequence[MatchBlock], on_progress: Callable[..., None]
) -> list[Games]:
    """Play the blocks in this process, one after another.

    play: of Players.make. on_progress: called with the number of a block before the state of its games.
    """
    return [
        play(block, lambda *state, number=number: on_progress(number, *state))
        for number, block in enumerate(blocks)
    ]


def joined(parts: Sequence[Games], seconds: float) -> MatchResult:
    """Return the result of a match from the games of its blocks. seconds: of playing them."""
    points = [part.points for part in parts if part.points is not None]
    return result_of(
        Games(
            parts[0].name_a,
            parts[0].name_b,
            np.concatenate([part.returns for part in parts]),
            np.concatenate([part.num_plies for part in parts]),
            [record for part in parts for record in part.records],
            np.concatenate(points) if points else None,
        ),
        seconds,
    )
