"""`ddpzero play RUN`."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from ddpzero.algorithms.base import Player
from ddpzero.arena.agents import game_of_players, parse_player
from ddpzero.games import Game
from ddpzero.play.session import Leave, Seat, Session
from ddpzero.play.views import PLAYER_STYLES
from ddpzero.settings import UserError

_MODES = ("human", "ai")
_COLOURS = ("ask", "first", "second")


def run_play(
    player: str,
    opponent: str | None = None,
    *,
    game: Game | None = None,
    mode: str = "human",
    colour: str = "ask",
    num_simulations: int | None = None,
    delay_seconds: float = 0.5,
    seed: int | None = None,
) -> None:
    """Play in the terminal until the person has enough.

    player, opponent: see arena.agents.ALLOWED_PLAYERS; an opponent only in mode "ai", None for the player itself.
    game: None for the one that the first agent among them was trained on.
    mode: "human": a person against the player; "ai": the player against its opponent, to watch.
    colour: whom the person plays, "first", "second" or "ask". num_simulations: of agents; None as they were configured.
    delay_seconds: a move takes at least so long in mode "ai". seed: None for other games every time.
    """
    _check_choice("mode", mode, _MODES)
    _check_choice("colour", colour, _COLOURS)
    if mode == "human" and opponent is not None:
        raise UserError(f"opponent={opponent} is for mode=ai: in mode=human the opponent is you.")
    game = game or game_of_players([player] if opponent is None else [player, opponent])
    first = parse_player(player, game, num_simulations)
    second = first if opponent is None else parse_player(opponent, game, num_simulations)
    console = Console(highlight=False)
    delay_seconds = delay_seconds if mode == "ai" else 0.0
    session = Session(
        game,
        console,
        lambda prompt: console.input(prompt, markup=False),
        np.random.default_rng(seed),
        delay_seconds,
    )
    try:
        while True:
            if mode == "human":
                seats = _seats_with_person(session, first, colour)
            else:
                seats = (
                    Seat(f"{first.name} (first)", first),
                    Seat(f"{second.name} (second)", second),
                )
            for index, seat in enumerate(seats):
                console.print(f"● {seat.name}", style=PLAYER_STYLES[index], markup=False)
            session.play_game(seats)
            if not session.ask_another_game():
                break
    except (Leave, KeyboardInterrupt):
        console.print()
    console.print("good bye.")


def _seats_with_person(session: Session, player: Player, colour: str) -> tuple[Seat, Seat]:
    if colour == "ask":
        answers: dict[str, object] = {
            "first": "first",
            "1": "first",
            "second": "second",
            "2": "second",
        }
        colour = str(session.ask("do you play first or second? [1/2] ", answers))
    person, other = Seat("you", None), Seat(player.name, player)
    return (person, other) if colour == "first" else (other, person)


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{name}={value} is unknown: it is one of {', '.join(allowed)}.")
