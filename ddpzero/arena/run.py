"""Runs `ddpzero match A B`."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from ddpzero.arena.agents import (
    any_game_of_players,
    parse_player,
    require_agent_that_searches,
)
from ddpzero.arena.match import MatchResult, play_match
from ddpzero.arena.report import (
    match_measurements,
    match_progress,
    print_match,
    team_match_progress,
)
from ddpzero.arena.team_match import play_team_match
from ddpzero.games import Game, TeamGame
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
    as_json: bool = False,
) -> MatchResult:
    """Play a match and print its result: a table and a sentence, or one JSON line per measurement.

    player_a, player_b: see agents.ALLOWED_PLAYERS, or the name of a rule agent of a team game.
    game: None for the game of the first trained agent among the players.
    num_games: even, see play_match.
    num_simulations: of trained agents, None for the number in their configs. opening_plies: see play_match. Both only
    in board games.
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
        team_a, team_b = (
            parse_player(text, game, num_simulations) for text in (player_a, player_b)
        )
        with team_match_progress(game.spec.max_steps) as on_step:
            result = play_team_match(team_a, team_b, game, num_games, seed, on_step)
    else:
        a, b = (parse_player(text, game, num_simulations) for text in (player_a, player_b))
        with match_progress(num_games, game.spec.max_plies) as on_ply:
            result = play_match(a, b, game, num_games, seed, opening_plies, on_ply)
        settings |= {"num_simulations": num_simulations, "opening_plies": opening_plies}
    if as_json:
        print_measurements(
            match_measurements(result, game.name, settings | game_settings(game.parameters)),
            as_json,
        )
    else:
        print_match(result, Console())
    return result
