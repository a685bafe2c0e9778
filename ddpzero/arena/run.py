"""Runs `ddpzero match A B`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch

from ddpzero.arena.agents import (
    any_game_of_players,
    is_agent,
    pinned_player,
    require_agent_that_searches,
)
from ddpzero.arena.match import MatchResult
from ddpzero.arena.match_blocks import MatchBlock, Players, blocks_of_match, joined, play_here
from ddpzero.arena.match_workers import play_in_processes
from ddpzero.arena.report import (
    match_measurements,
    match_progress,
    print_match,
    team_match_progress,
)
from ddpzero.games import Game, TeamGame
from ddpzero.system.cores import usable_cores
from ddpzero.system.errors import require
from ddpzero.system.measurements import game_settings, print_measurements


def run_match(
    player_a: str,
    player_b: str,
    *,
    game: Game | TeamGame | None = None,
    num_games: int = 200,
    num_simulations: int | None = None,
    opening_plies: int | None = None,
    seed: int = 0,
    num_workers: int | None = 1,
    as_json: bool = False,
) -> MatchResult:
    """Play a match and print its result: a table and a sentence, or one JSON line per measurement.

    player_a, player_b: see agents.ALLOWED_PLAYERS, or the name of a rule agent of a team game.
    game: None for the game of the first trained agent among the players.
    num_games: even, see play_match.
    num_simulations: of trained agents, None for the number in their configs. opening_plies: see play_match. Both only
    in board games. num_workers: processes that play, each with one thread; the games do not depend on it. None: one for
    each block of games, at most one per core, and all cores for them.
    """
    game = game or any_game_of_players((player_a, player_b))
    require_agent_that_searches((player_a, player_b), game, num_simulations)
    settings: dict[str, Any] = {"seed": seed}
    if isinstance(game, TeamGame):
        require(
            opening_plies is None,
            f"opening_plies={opening_plies} (--opening-plies): games of {game.name} start at random already: "
            "remove it.",
        )
    else:
        settings |= {"num_simulations": num_simulations, "opening_plies": opening_plies}
    # Each process loads the players, and all of them must load the same ones.
    player_a, player_b = (pinned_player(text, game) for text in (player_a, player_b))
    if player_a == player_b and is_agent(player_a, game):
        print("Both players are the same: their score shows nothing but chance.", file=sys.stderr)
    blocks = blocks_of_match(game, num_games, seed, opening_plies)
    num_threads = 1
    if num_workers is None:
        num_workers = min(usable_cores(), len(blocks))
        num_threads = usable_cores() // num_workers
    settings["num_workers"] = num_workers
    players = Players(player_a, player_b, game.arguments, num_simulations, num_threads)
    result = play_blocks(players, blocks, num_workers, progress_of(game, num_games, len(blocks)))
    if as_json:
        print_measurements(
            match_measurements(result, game.name, settings | game_settings(game.parameters)),
            as_json,
        )
    else:
        print_match(result)
    return result


def play_blocks(
    players: Players,
    blocks: Sequence[MatchBlock],
    num_workers: int,
    progress: AbstractContextManager[Callable[..., None]] | None = None,
) -> MatchResult:
    """Play a match in this process, or in several. The games do not depend on num_workers.

    progress: gives the function that is called as in play_here. Raises UserError or MatchError.
    """
    progress = progress or nullcontext(lambda *_: None)
    if min(num_workers, len(blocks)) > 1:
        play = partial(play_in_processes, players, blocks, num_workers)
    else:
        play = partial(play_here, players.make(), blocks)
    started = time.perf_counter()
    with progress as on_progress, _torch_threads(players.num_threads):
        games = play(on_progress)
    return joined(games, time.perf_counter() - started)


@contextmanager
def _torch_threads(number: int) -> Iterator[None]:
    """Let torch use so many threads in this process during the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def progress_of(
    game: Game | TeamGame, num_games: int, num_blocks: int
) -> AbstractContextManager[Callable[..., None]]:
    """Return a live line on stderr, if that is a terminal; it gives the on_progress of match_blocks.play_here."""
    if isinstance(game, TeamGame):
        return team_match_progress(num_blocks, game.spec.max_steps)
    return match_progress(num_games, game.spec.max_plies)
