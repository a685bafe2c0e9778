"""`ddpzero play RUN`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ddpzero.arena.agents import (
    any_game_of_players,
    is_agent,
    parse_player,
    pinned_player,
    require_agent_that_searches,
)
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.players import Player, TeamPlayer
from ddpzero.play.after_game import AfterGame, PlayedGame
from ddpzero.play.engine import use_one_thread
from ddpzero.play.person import Leave, Person
from ddpzero.play.seat import Seat, seat_of
from ddpzero.play.session import Session
from ddpzero.play.strength import PLAY_SIMULATIONS, Strength
from ddpzero.play.team_session import TeamSession
from ddpzero.records import GameRecord, read_record, said_of_result
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
    strength: Strength | None = None,
    delay_seconds: float | None = None,
    seed: int | None = None,
    resume: str | None = None,
) -> None:
    """Play in the terminal until the person quits.

    player, opponent: see arena.agents.ALLOWED_PLAYERS, or rule agents of a team game; an opponent only in mode "ai",
    None for the player itself.
    game: None for the one that the first agent among them was trained on.
    mode: "human": a person against the player; "ai": the player against its opponent, to watch.
    color: the person's place, "first", "second" or "ask", None for "ask"; in a team game, the team whose first agent
    the person controls. Only in mode "human".
    strength: of agents; None for the full one. Its usual_simulations are always PLAY_SIMULATIONS. A time for the game
    is also that of the person. delay_seconds: the least duration of a move, only in mode "ai"; None for one that suits
    watching.
    seed: None for different games every time. resume: a file with a game to go on with.
    """
    _check_modes(player, opponent, mode, color, delay_seconds)
    texts = [player] if opponent is None else [player, opponent]
    strength = replace(strength or Strength(), usual_simulations=PLAY_SIMULATIONS)
    game = game or any_game_of_players(texts)
    record = None if resume is None else _unfinished(resume, game)
    game = game if record is None else record.game
    _check_strength(texts, game, strength)
    arguments = [player] if mode == "human" else [player, player if opponent is None else opponent]
    # Of a run that trains, two loads may find two models, but a player can be its own opponent.
    player = pinned_player(player, game)
    opponent = player if opponent is None else pinned_player(opponent, game)
    if record is not None and color is None and mode == "human" and "you" in record.names:
        color = _COLORS[record.names.index("you")]
    color = color or "ask"
    use_one_thread()
    person = Person(plain_console())
    rng = np.random.default_rng(seed)
    try:
        if isinstance(game, TeamGame):
            teams = [parse_player(text, game, strength.simulations) for text in (player, opponent)]
            seconds = _TEAM_STEP_SECONDS if delay_seconds is None else delay_seconds
            _play_team_games(game, (teams[0], teams[1]), mode, color, person, rng, seconds)
        else:
            texts = [player] if mode == "human" else [player, opponent]
            players = [parse_player(text, game, strength.simulations) for text in texts]
            seconds = _MOVE_SECONDS if delay_seconds is None else delay_seconds
            session = Session(game, person, rng, seconds if mode == "ai" else 0.0)
            moves = () if record is None else record.actions
            _play_games(session, game, players, arguments, strength, color, person, moves)
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


def _check_strength(texts: Sequence[str], game: Game | TeamGame, strength: Strength) -> None:
    """Raise UserError for options of strength that no player here heeds."""
    require_agent_that_searches(texts, game, strength.simulations)
    options = {
        "--seconds": strength.time.move_seconds is not None,
        "--game-time": strength.time.game_seconds is not None and isinstance(game, TeamGame),
        "--level": strength.level is not None,
        "--ponder": strength.ponders,
        "--resign": strength.resigns,
    }
    given = next((option for option, is_given in options.items() if is_given), None)
    if given is None:
        return
    require(
        not isinstance(game, TeamGame),
        f"{given} has no effect in {game.name}, whose players do not search: remove it.",
    )
    require(
        any(is_agent(text, game) for text in texts),
        f"{given} applies to trained agents, and none plays here ({', '.join(dict.fromkeys(texts))}): remove it.",
    )


def _unfinished(file: str, game: Game | TeamGame) -> GameRecord:
    """Return a saved game that can go on. Raises UserError."""
    if isinstance(game, TeamGame):
        raise UserError(f"--resume {file}: games of {game.name} cannot be resumed.")
    record = read_record(file, game)
    require(
        not record.result,
        f"--resume {file}: this game is over ({said_of_result(record.result)}): look at it with "
        f"ddpzero review {file} RUN.",
    )
    return record


def _play_games(
    session: Session,
    game: Game,
    players: Sequence[Player],
    arguments: Sequence[str],
    strength: Strength,
    color: str,
    person: Person,
    moves: Sequence[int],
) -> None:
    """Play until the person wants no other game. moves: of the first game.

    players: one, against the person, or two. arguments: what names each of them on a command line.
    """
    after = AfterGame(person)
    if len(players) == 1:
        names = [players[0].name]
    else:
        names = [
            f"{player.name} ({place})"
            for player, place in zip(players, ("first", "second"), strict=True)
        ]
    agents = [
        seat_of(name, player, game, strength, argument)
        for name, player, argument in zip(names, players, arguments, strict=True)
    ]
    time = strength.time
    you = Seat("you", None, time=replace(time, move_seconds=None))
    while True:
        if len(agents) == 2:
            seats = agents[0], agents[1]
        else:
            is_first = _persons_place(person, color) == 0
            seats = (you, agents[0]) if is_first else (agents[0], you)
        episode = session.play_game(seats, moves)
        moves = ()
        if not after.ask(PlayedGame(episode, seats)):
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
