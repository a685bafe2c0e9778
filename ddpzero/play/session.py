"""A board game in the terminal: asks the person for moves, lets players move, shows their analysis and the result."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from rich.text import Text

from ddpzero.games import Game
from ddpzero.games.core.player_errors import PlayerError, checked_actions, errors_of_player
from ddpzero.games.core.players import Analysis, Analyst, Player
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.person import Leave, Person
from ddpzero.play.views import (
    PLAYER_STYLES,
    Look,
    analysis_view,
    board_view,
    look_of,
    player_marks,
    side_by_side,
)

# Deterministic players would repeat one game forever: in this many plies at the start, an action is sampled from those
# with at least half the probability of the best one.
_NUM_VARIED_PLIES = 4

_COMMANDS = "help, hint, undo, resign, quit"


@dataclass(frozen=True)
class Seat:
    """The player with index 0 or 1. player: None for the person at the keyboard."""

    name: str
    player: Player | None


class Session:
    """Plays episodes in the terminal."""

    def __init__(
        self,
        game: Game,
        person: Person,
        rng: np.random.Generator,
        delay_seconds: float = 0.0,
    ):
        self._game = game
        self._person = person
        self._console = person.console
        self._rng = rng
        # Compiling takes a few seconds, once for each game and machine.
        self._note = " (the first move may take long: the code of the game is loaded or compiled)"
        self._delay_seconds = delay_seconds

    def play_game(self, seats: tuple[Seat, Seat]) -> PlayedEpisode:
        """Play one episode and return it. Raises Leave if the person quits."""
        episode = PlayedEpisode(self._game)
        self._show(episode, seats, None)
        while not (episode.is_over or episode.resigned is not None):
            mover = episode.current_player
            player = seats[mover].player
            if player is None:
                adviser = seats[1 - mover].player
                assert adviser is not None, "two persons have no use for this program"
                self._take_persons_turn(episode, seats, adviser)
            else:
                self._take_players_turn(episode, seats, player)
        self._announce(episode, seats)
        return episode

    def _take_persons_turn(
        self, episode: PlayedEpisode, seats: tuple[Seat, Seat], adviser: Player
    ) -> None:
        """Read one command and execute it."""
        mover = episode.current_player
        line = self._person.read_line(f"your move ({self._some_moves(episode)}; {_COMMANDS}): ")
        if line in ("quit", "exit", "q"):
            raise Leave
        if line in ("help", "?", ""):
            self._help(episode)
        elif line == "hint":
            self._hint(episode, adviser)
        elif line == "undo":
            if episode.take_back(mover):
                self._show(episode, seats, None, note="taken back.")
            else:
                self._person.say("there is nothing to take back yet.")
        elif line == "resign":
            episode.resigned = mover
        else:
            try:
                action = self._game.parse_action(line)
            except ValueError as error:
                self._person.say(f"{error} Type help for everything you can do.")
                return
            if action not in episode.legal_actions():
                self._person.say(
                    f"{self._game.action_name(action)} is not possible here. Legal: {self._moves(episode)}"
                )
                return
            episode.play(action)
            self._show(episode, seats, None, note=f"you play {self._game.action_name(action)}")

    def _take_players_turn(
        self, episode: PlayedEpisode, seats: tuple[Seat, Seat], player: Player
    ) -> None:
        seat = seats[episode.current_player]
        started = time.perf_counter()
        with self._console.status(self._thinking(seat.name)), errors_of_player(player.name):
            action, analysis = self._think(episode, player)
            if action not in episode.legal_actions():
                raise PlayerError(
                    f"player {seat.name} broke the rules: it chose action {action}, which is not legal here."
                )
        time.sleep(max(0.0, self._delay_seconds - (time.perf_counter() - started)))
        episode.play(action)
        note = f"{seat.name} plays {self._game.action_name(action)}"
        if analysis is not None and action != int(analysis.actions[0]):
            note += " (openings vary)"
        self._show(episode, seats, analysis, f"{seat.name} expects", note)

    def _thinking(self, name: str) -> Text:
        """Return what is shown while a player thinks. The first time it may take long."""
        note, self._note = self._note, ""
        return Text(f"{name} is thinking{note}")

    def _think(self, episode: PlayedEpisode, player: Player) -> tuple[int, Analysis | None]:
        position = episode.position[None]
        num_actions = self._game.num_actions
        if not isinstance(player, Analyst):
            chosen = player.choose(position, self._rng)
            return int(checked_actions(player.name, chosen, (1,), num_actions)[0]), None
        analysis = player.analyze(position, self._rng)
        action = int(checked_actions(player.name, analysis.actions, (1,), num_actions)[0])
        if len(episode.actions) < _NUM_VARIED_PLIES:
            policy = analysis.policy[0].astype(np.float64)
            policy[policy < policy.max() / 2] = 0.0
            action = int(self._rng.choice(len(policy), p=policy / policy.sum()))
        return action, analysis

    def _hint(self, episode: PlayedEpisode, adviser: Player) -> None:
        if not isinstance(adviser, Analyst):
            self._person.say(f"{adviser.name} has no opinion to share.")
            return
        with self._console.status(self._thinking(adviser.name)), errors_of_player(adviser.name):
            analysis = adviser.analyze(episode.position[None], self._rng)
        best = self._game.action_name(int(analysis.actions[0]))
        self._person.say(f"in your place {adviser.name} would play {best}")
        self._console.print(analysis_view(self._game, analysis, "it would expect"))

    def _help(self, episode: PlayedEpisode) -> None:
        self._person.say(
            f"legal moves: {self._moves(episode)}\n"
            "hint     what your opponent would do in your place, and what it would expect\n"
            "undo     take back your last move and what came after it\n"
            "resign   give up this game\n"
            "quit     leave"
        )

    def _announce(self, episode: PlayedEpisode, seats: tuple[Seat, Seat]) -> None:
        """Print the winner, the score and the number of moves."""
        winner = self._winner(episode)
        after = f"after {len(episode.actions)} moves"
        if winner is None:
            self._person.say(f"\na draw {after}{self._points(episode)}.", style="bold")
            return
        verb = "win" if seats[winner].player is None else "wins"
        resigned = "you resign: " if episode.resigned is not None else ""
        self._person.say(
            f"\n{resigned}{seats[winner].name} {verb} {after}{self._points(episode)}.",
            style=PLAYER_STYLES[winner],
        )
        if self._look != "color" and episode.is_over and self._game.winning_cells(episode.position):
            self._person.say("the winning line is marked with *.")

    def _winner(self, episode: PlayedEpisode) -> int | None:
        if episode.resigned is not None:
            return 1 - episode.resigned
        returns = self._game.returns(episode.position)
        return None if returns[0] == returns[1] else int(np.argmax(returns))

    def _points(self, episode: PlayedEpisode) -> str:
        """Return ", 40 : 24" at the end of a game with a score, with the second player's komi; otherwise ""."""
        points = self._game.final_points(episode.position) if episode.is_over else None
        if points is None:
            return ""
        komi = getattr(self._game.parameters, "komi", 0)
        return f", {points[0]} : {points[1]}{f' + {komi:g} komi' if komi else ''}"

    def _show(
        self,
        episode: PlayedEpisode,
        seats: tuple[Seat, Seat],
        analysis: Analysis | None,
        title: str = "",
        note: str = "",
    ) -> None:
        """Redraw the screen: the players, the last move (note), the board, the current player."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._console.clear()
        names = Text("   ").join(
            Text(f"{mark} {seat.name}", style)
            for mark, seat, style in zip(
                player_marks(self._look), seats, PLAYER_STYLES, strict=True
            )
        )
        self._console.print(names)
        self._person.say(f"move {len(episode.actions)}: {note}" if note else "")
        board = board_view(self._game, episode.position, episode.last_action, self._look)
        thoughts = None if analysis is None else analysis_view(self._game, analysis, title)
        self._console.print(side_by_side(board, thoughts))
        if not episode.is_over:
            self._person.say(self._turn(episode, seats), style="bold")

    def _turn(self, episode: PlayedEpisode, seats: tuple[Seat, Seat]) -> str:
        """Return "move 8: ○ you to play, 3 : 2 on the board"."""
        player = episode.current_player
        text = f"move {len(episode.actions) + 1}: {player_marks(self._look)[player]} {seats[player].name} to play"
        if self._game.has_score:
            board = self._game.board(episode.position)
            text += f", {(board == 1).sum()} : {(board == 2).sum()} on the board"
        return text

    @property
    def _look(self) -> Look:
        return look_of(self._console)

    def _some_moves(self, episode: PlayedEpisode) -> str:
        """Return "a to g": the first and the last legal move, as examples of the notation."""
        legal = episode.legal_actions()
        ends = dict.fromkeys(self._game.action_name(action) for action in (legal[0], legal[-1]))
        return " to ".join(ends)

    def _moves(self, episode: PlayedEpisode) -> str:
        return " ".join(map(self._game.action_name, episode.legal_actions()))
