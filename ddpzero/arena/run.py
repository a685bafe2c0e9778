"""`ddpzero match A B`."""

from __future__ import annotations

from rich.console import Console

from ddpzero.arena.agents import game_of_players, game_settings, parse_player
from ddpzero.arena.match import MatchResult, play_match
from ddpzero.arena.report import match_figures, match_progress, print_match
from ddpzero.bench.figures import print_figures
from ddpzero.games import Game


def run_match(
    player_a: str,
    player_b: str,
    *,
    game: Game | None = None,
    num_games: int = 200,
    num_simulations: int | None = None,
    opening_plies: int | None = None,
    seed: int = 0,
    as_json: bool = False,
) -> MatchResult:
    """Play a match and print its result: a table and a sentence, or one JSON line per figure.

    player_a, player_b: see agents.ALLOWED_PLAYERS.
    game: None for the one that the first agent among the players was trained on.
    num_games: even, see play_match.
    num_simulations: of agents; None as their runs were configured.
    """
    game = game or game_of_players((player_a, player_b))
    a, b = (parse_player(text, game, num_simulations) for text in (player_a, player_b))
    with match_progress(num_games) as on_progress:
        result = play_match(a, b, game, num_games, seed, opening_plies, on_progress)
    if as_json:
        settings = {
            "num_simulations": num_simulations,
            "opening_plies": opening_plies,
            "seed": seed,
        }
        print_figures(match_figures(result, game.name, settings | game_settings(game)), as_json)
    else:
        print_match(result, Console())
    return result
