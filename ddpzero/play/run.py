"""`ddpzero play RUN`."""

from __future__ import annotations

import numpy as np

from ddpzero.arena.agents import (
    any_game_of_players,
    parse_player,
    pinned_player,
    require_agent_that_searches,
)
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.players import Player, TeamPlayer
from ddpzero.play.person import Leave, Person
from ddpzero.play.session import Seat, Session
from ddpzero.play.team_session import TeamSession
from ddpzero.system.errors import UserError, require
from ddpzero.system.terminal import plain_console

_MODES = ("human", "ai")
_COLORS = ("first", "second", "ask")
_MOVE_SECONDS = 0.5
_TEAM_STEP_SECONDS = 0.1


def run_play(
    player: str,
    opponent: str | None = None,
    *,
    game: Game | TeamGame | None = None,
    mode: str = "human",
    color: str | None = None,
    num_simulations: int | None = None,
    delay_seconds: float | None = None,
    seed: int | None = None,
) -> None:
    """Play in the terminal until the person quits.

    player, opponent: see arena.agents.ALLOWED_PLAYERS, or rule agents of a team game; an opponent only in mode "ai",
    None for the player itself.
    game: None for the one that the first agent among them was trained on.
    mode: "human": a person against the player; "ai": the player against its opponent, to watch.
    color: the person's place, "first", "second" or "ask", None for "ask"; in a team game, the team whose first agent
    the person controls. Only in mode "human".
    num_simulations: of agents; None for their configured number.
    delay_seconds: the least duration of a move, only in mode "ai"; None for one that suits watching. seed: None for
    different games every time.
    """
    _check_modes(player, opponent, mode, color, delay_seconds)
    texts = [player] if opponent is None else [player, opponent]
    game = game or any_game_of_players(texts)
    require_agent_that_searches(texts, game, num_simulations)
    # Of a run that trains, two loads may find two models, but a player can be its own opponent.
    player = pinned_player(player, game)
    opponent = player if opponent is None else pinned_player(opponent, game)
    color = color or "ask"
    person = Person(plain_console())
    rng = np.random.default_rng(seed)
    try:
        if isinstance(game, TeamGame):
            teams = [parse_player(text, game, num_simulations) for text in (player, opponent)]
            seconds = _TEAM_STEP_SECONDS if delay_seconds is None else delay_seconds
            _play_team_games(game, (teams[0], teams[1]), mode, color, person, rng, seconds)
        else:
            players = [parse_player(text, game, num_simulations) for text in (player, opponent)]
            seconds = _MOVE_SECONDS if delay_seconds is None else delay_seconds
            _play_games(game, (players[0], players[1]), mode, color, person, rng, seconds)
    except (Leave, KeyboardInterrupt):
        person.console.print()
    person.console.print("good bye.")


def _check_modes(
    player: str, opponent: str | None, mode: str, color: str | None, delay_seconds: float | None
) -> None:
    """Raise UserError for arguments that are unknown or belong to the other mode."""
    _check_choice("mode", mode, _MODES)
    if color is not None:
        _check_choice("color", color, _COLORS)
    require(
        mode == "ai" or opponent is None,
        f"opponent={opponent} is for mode=ai: in mode=human the opponent is you.",
    )
    require(
        mode == "human" or color is None,
        f"color={color} is for mode=human: in mode=ai {player} plays first, its opponent second.",
    )
    require(
        mode == "ai" or delay_seconds is None,
        f"delay={delay_seconds} is for mode=ai: in mode=human the game waits for you.",
    )


def _play_games(
    game: Game,
    players: tuple[Player, Player],
    mode: str,
    color: str,
    person: Person,
    rng: np.random.Generator,
    delay_seconds: float,
) -> None:
    session = Session(game, person, rng, delay_seconds if mode == "ai" else 0.0)
    while True:
        if mode == "human":
            you, other = Seat("you", None), Seat(players[0].name, players[0])
            seats = (you, other) if _persons_place(person, color) == 0 else (other, you)
        else:
            seats = (
                Seat(f"{players[0].name} (first)", players[0]),
                Seat(f"{players[1].name} (second)", players[1]),
            )
        session.play_game(seats)
        if not person.ask_another_game():
            return


def _play_team_games(
    game: TeamGame,
    players: tuple[TeamPlayer, TeamPlayer],
    mode: str,
    color: str,
    person: Person,
    rng: np.random.Generator,
    delay_seconds: float,
) -> None:
    require(
        game.spec.num_teams == 2,
        f"game.teams={game.spec.num_teams}: {game.name} is played by 2 teams here.",
    )
    while True:
        place = _persons_place(person, color) if mode == "human" else None
        TeamSession(game, person, players, place, rng, delay_seconds).play_game()
        if not person.ask_another_game():
            return


def _persons_place(person: Person, color: str) -> int:
    """Return 0 if the person plays first, or with team 0; otherwise 1."""
    if color != "ask":
        return _COLORS.index(color)
    answers = {"first": 0, "1": 0, "second": 1, "2": 1}
    return int(str(person.ask("do you play first or second? [1/2] ", answers)))


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{name}={value} is unknown: it is one of {', '.join(allowed)}.")
