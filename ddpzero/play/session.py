"""A board game in the terminal: asks the person for moves, lets players move, shows their analysis and the result."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from ddpzero.games import Game
from ddpzero.games.core.player_errors import PlayerError, checked_actions, errors_of_player
from ddpzero.games.core.players import Analysis, Analyst, Player
from ddpzero.play.after_game import PlayedGame, offer_to_save, save
from ddpzero.play.clock import Clock, TimeControl
from ddpzero.play.engine import Engine
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.person import Leave, Person, TimeIsUp
from ddpzero.play.seat import Seat, analysis_of, follow, pondering, think_for_hint, told
from ddpzero.play.strength import choose_move
from ddpzero.play.views import (
    PLAYER_STYLES,
    SHARES_OF_NETWORK,
    SHARES_OF_PLAYER,
    SHARES_OF_SEARCH,
    Look,
    analysis_view,
    board_view,
    look_of,
    player_marks,
    side_by_side,
)
from ddpzero.records import file_endings

# Deterministic players would repeat one game forever: in this many plies at the start, an action is sampled from those
# with at least half the probability of the best one.
_NUM_VARIED_PLIES = 4

_COMMANDS = "help, hint, undo, resign, save, quit"


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
        self._clocks = (Clock(TimeControl()), Clock(TimeControl()))
        # Compiling takes a few seconds, once for each game and machine.
        self._note = " (the first move may take long: the code of the game is loaded or compiled)"
        self._delay_seconds = delay_seconds

    def play_game(self, seats: tuple[Seat, Seat], moves: Sequence[int] = ()) -> PlayedEpisode:
        """Play one episode and return it. moves: already made. Raises Leave if the person quits."""
        episode = PlayedEpisode(self._game)
        for action in moves:
            episode.play(action)
        self._clocks = (seats[0].new_clock(), seats[1].new_clock())
        self._show(episode, seats)
        while not episode.is_finished:
            mover = episode.current_player
            player = seats[mover].player
            self._clocks[mover].start()
            if player is None:
                adviser = seats[1 - mover]
                assert adviser.player is not None, "two persons have no use for this program"
                self._take_persons_turn(episode, seats, adviser)
            else:
                self._take_players_turn(episode, seats, player)
        self._announce(episode, seats)
        return episode

    def _take_persons_turn(
        self, episode: PlayedEpisode, seats: tuple[Seat, Seat], adviser: Seat
    ) -> None:
        """Read commands and execute them until one of them changes the game."""
        number = len(episode.actions), episode.resigned
        while (len(episode.actions), episode.resigned) == number:
            self._take_command(episode, seats, adviser)
            if episode.out_of_time is not None:
                return

    def _take_command(
        self, episode: PlayedEpisode, seats: tuple[Seat, Seat], adviser: Seat
    ) -> None:
        mover = episode.current_player
        prompt = f"your move ({self._some_moves(episode)}; {_COMMANDS}): "
        clock = self._clocks[mover]
        left = "" if clock.control.game_seconds is None else f"[{_said_of_clock(clock)}] "
        try:
            with pondering(adviser, episode):
                words = self._person.read_words(f"{left}{prompt}", clock.seconds_to_loss)
        except TimeIsUp:
            episode.out_of_time = mover
            return
        line = words.lower()
        if line in ("quit", "exit", "q"):
            if episode.actions:
                offer_to_save(self._person, PlayedGame(episode, seats))
            raise Leave
        if clock.has_expired:
            episode.out_of_time = mover
            return
        if line.split()[:1] == ["save"]:
            save(self._person, PlayedGame(episode, seats), words[len("save") :].strip())
            return
        if line in ("help", "?", ""):
            self._help(episode)
        elif line == "hint":
            self._hint(episode, adviser)
        elif line == "undo":
            if not seats[mover].time.is_unlimited:
                self._person.say("with a clock, moves cannot be taken back.")
            elif episode.take_back(mover):
                self._show(episode, seats, note="taken back.")
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
            clock.stop()
            episode.play(action)
            note = f"move {len(episode.actions)}: you play {self._game.action_name(action)}"
            self._show(episode, seats, note=note)

    def _take_players_turn(
        self, episode: PlayedEpisode, seats: tuple[Seat, Seat], player: Player
    ) -> None:
        mover = episode.current_player
        seat = seats[mover]
        started = time.perf_counter()
        action: int | None
        with errors_of_player(player.name):
            if seat.engine is None:
                with self._console.status(self._thinking(seat.name)):
                    action, analysis = self._think(episode, player)
            else:
                action, analysis = self._think_with_engine(episode, seat, seat.engine)
            if action is not None and action not in episode.legal_actions():
                raise PlayerError(
                    f"player {seat.name} broke the rules: it chose action {action}, which is not legal here."
                )
        if self._clocks[mover].has_expired:
            episode.out_of_time = mover
            return
        self._clocks[mover].stop()
        time.sleep(max(0.0, self._delay_seconds - (time.perf_counter() - started)))
        if action is None:
            episode.resigned = mover
            return
        episode.play(action)
        note = f"move {len(episode.actions)}: {seat.name} plays {self._game.action_name(action)}"
        if analysis is not None and action != int(analysis.actions[0]):
            best = self._game.action_name(int(analysis.actions[0]))
            lowered = seat.strength.lowered is not None
            why = f"level {seat.strength.level}" if lowered else "so that openings vary"
            note += f" and not {best}, its first choice ({why})"
        panel = None
        if analysis is not None:
            title = f"{seat.name} expects"
            panel = analysis_view(self._game, analysis, title, _heading_of(seat))
        self._show(episode, seats, panel, note)

    def _think_with_engine(
        self, episode: PlayedEpisode, seat: Seat, engine: Engine
    ) -> tuple[int | None, Analysis]:
        """Return the move that an engine chooses, None if it resigns, and what it expects. Shows a live line."""
        follow(engine, episode)
        clock = self._clocks[episode.current_player]
        thinking = self._thinking(seat.name)
        with self._console.status(thinking) as status:
            choice = choose_move(
                engine,
                seat.strength,
                clock,
                self._rng,
                on_thoughts=told(
                    lambda text: status.update(Text(f"{thinking.plain}: {text}")), self._game
                ),
            )
        analysis, action = analysis_of(choice.thoughts), choice.action
        if action is not None and seat.strength.lowered is None:
            action = self._varied(episode, action, analysis)
        return action, analysis

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
        return self._varied(episode, action, analysis), analysis

    def _varied(self, episode: PlayedEpisode, action: int, analysis: Analysis) -> int:
        """Return an action, or at the start one that is almost as good."""
        if len(episode.actions) >= _NUM_VARIED_PLIES:
            return action
        policy = analysis.policy[0].astype(np.float64)
        policy[policy < policy.max() / 2] = 0.0
        return int(self._rng.choice(len(policy), p=policy / policy.sum()))

    def _hint(self, episode: PlayedEpisode, seat: Seat) -> None:
        adviser, engine = seat.player, seat.engine
        if engine is None and not isinstance(adviser, Analyst):
            self._person.say(f"{seat.name} has no opinion to share.")
            return
        with self._console.status(self._thinking(seat.name)), errors_of_player(seat.name):
            if engine is not None:
                thoughts = think_for_hint(seat, episode)
                analysis, heading = analysis_of(thoughts), SHARES_OF_SEARCH
                certain = " (certain)" if thoughts.is_proven else ""
                how = f", by a search of {thoughts.visits} simulations{certain}"
            else:
                assert isinstance(adviser, Analyst)
                analysis = adviser.analyze(episode.position[None], self._rng)
                heading, how = _heading_of(seat), ""
        best = self._game.action_name(int(analysis.actions[0]))
        self._person.say(f"in your place {seat.name} would play {best}{how}")
        self._console.print(analysis_view(self._game, analysis, "it would expect", heading))

    def _help(self, episode: PlayedEpisode) -> None:
        self._person.say(
            f"legal moves: {self._moves(episode)}\n"
            "hint     what your opponent would do in your place, and what it would expect\n"
            "undo     take back your last move and what came after it\n"
            "resign   give up this game\n"
            "save     save the game so far; save FILE: to this file "
            f"({', '.join(file_endings(self._game))})\n"
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
        self._person.say(
            f"\n{self._reason(episode, seats)}{seats[winner].name} {verb} {after}{self._points(episode)}.",
            style=PLAYER_STYLES[winner],
        )
        if self._look != "color" and episode.is_over and self._game.winning_cells(episode.position):
            self._person.say("the winning line is marked with *.")

    def _reason(self, episode: PlayedEpisode, seats: tuple[Seat, Seat]) -> str:
        """Return why the game ended before its end by the rules; "" if it did not."""
        loser = episode.loser
        if loser is None:
            return ""
        is_person = seats[loser].player is None
        if episode.resigned is not None:
            return "you resign: " if is_person else f"{seats[loser].name} resigns: "
        return "your time is up: " if is_person else f"the time of {seats[loser].name} is up: "

    def _winner(self, episode: PlayedEpisode) -> int | None:
        if episode.loser is not None:
            return 1 - episode.loser
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
        panel: RenderableType | None = None,
        note: str = "",
    ) -> None:
        """Redraw the screen: the players, what happened (note), the board, the current player.

        panel: stands beside the board.
        """
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._console.clear()
        sides = [
            Text(f"{mark} {_said_of_side(seat, clock)}", style)
            for mark, seat, clock, style in zip(
                player_marks(self._look), seats, self._clocks, PLAYER_STYLES, strict=True
            )
        ]
        in_one_line = Text("   ").join(sides)
        is_narrow = in_one_line.cell_len > self._console.width
        self._console.print(Text("\n").join(sides) if is_narrow else in_one_line)
        self._person.say(note)
        board = board_view(self._game, episode.position, episode.last_action, self._look)
        self._console.print(side_by_side(board, panel))
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
        """Return "a to g": the first and the last legal move, as examples of the notation; or "A1 to J9, or pass"."""
        legal, shapes = episode.legal_actions(), self._game.geometry.actions
        elsewhere = [action for action in legal if shapes[action] is None]
        on_board = [action for action in legal if action not in elsewhere]
        # More actions without a place are moves like all others.
        if not on_board or len(elsewhere) > 1:
            on_board, elsewhere = legal, []
        ends = [self._game.action_name(action) for action in (on_board[0], on_board[-1])]
        alone = [self._game.action_name(action) for action in elsewhere]
        return ", or ".join([" to ".join(dict.fromkeys(ends)), *alone])

    def _moves(self, episode: PlayedEpisode) -> str:
        return " ".join(map(self._game.action_name, episode.legal_actions()))


def _said_of_side(seat: Seat, clock: Clock) -> str:
    """Return who plays with which time left and how strong: "quick 4:40, level 3"."""
    name = (
        seat.name if clock.control.game_seconds is None else f"{seat.name} {_said_of_clock(clock)}"
    )
    return ", ".join(filter(None, (name, seat.conditions)))


def _said_of_clock(clock: Clock) -> str:
    """Return what is left of the time for the game: "4:32"."""
    seconds = max(0, int(clock.seconds_left_now or 0.0))
    return f"{seconds // 60}:{seconds % 60:02d}"


def _heading_of(seat: Seat) -> str:
    """Return what the shares of moves are in what a player says about its own move."""
    if seat.engine is None or seat.player is None:
        return SHARES_OF_PLAYER
    is_alone = seat.strength.simulations_of(seat.player) == 0
    return SHARES_OF_NETWORK if is_alone else SHARES_OF_SEARCH
