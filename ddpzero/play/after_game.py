"""What a person may do with a finished game: review it, look for better moves, save it, play another one."""

from __future__ import annotations

import datetime
import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from ddpzero.games.core.player_errors import errors_of_player
from ddpzero.games.core.players import Player, Thoughtful
from ddpzero.judges.exact_values import ExactTables
from ddpzero.play.engine import Engine, Limits
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.person import Leave, Person
from ddpzero.play.review import (
    DOUBTFUL_LOSS,
    Review,
    ReviewedMove,
    review_game,
    verdict_of_guess,
    win_rate_instead,
)
from ddpzero.play.review_report import DEFAULT_SIMULATIONS, before_view, line_text, review_view
from ddpzero.play.seat import Seat
from ddpzero.play.strength import Strength, make_engine
from ddpzero.records import GameRecord, file_endings, result_at_end, write_record
from ddpzero.system.errors import UserError

_NUM_WORST = 5
_NUM_RIDDLES = 3
_YES, _NO = ("y", "yes"), ("n", "no")


@dataclass(frozen=True)
class PlayedGame:
    """A game, finished or not, and who plays it."""

    episode: PlayedEpisode
    seats: tuple[Seat, Seat]

    def record(self) -> GameRecord:
        """Return it as it is saved, also while it goes on."""
        episode = self.episode
        if episode.out_of_time is not None:
            result = f"{'WB'[episode.out_of_time]}+T"
        else:
            result = result_at_end(episode.game, episode.position, episode.resigned)
        return GameRecord(
            game=episode.game,
            actions=tuple(episode.actions),
            names=(self.seats[0].name, self.seats[1].name),
            result=result,
            date=datetime.date.today().isoformat(),
        )


class AfterGame:
    """The dialogue after a game. One object serves all games of an evening: it keeps the engine that reviews."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._console = person.console
        self._engine: Engine | None = None
        self._tables = ExactTables()
        self._game: PlayedGame | None = None
        self._review: Review | None = None

    def ask(self, game: PlayedGame) -> bool:
        """Do what the person asks for until it is another game (True) or none (False). Raises Leave on quit."""
        self._game, self._review = game, None
        while True:
            words = self._person.read_words("another game? [y/n; better, review, save FILE] ")
            command = words.lower()
            if command in ("quit", "exit", "q"):
                raise Leave
            if command in (*_YES, *_NO):
                return command in _YES
            if command == "review":
                self._show_review()
            elif command == "better":
                self._riddle()
            elif command.split()[:1] == ["save"]:
                save(self._person, game, words[len("save") :].strip())
            else:
                self._person.say(
                    "please answer with one of: y, yes, n, no, review, better, save FILE"
                )

    def _show_review(self) -> None:
        review = self._reviewed()
        if review is not None:
            self._console.print(review_view(review, self._console, _NUM_WORST))

    def _riddle(self) -> None:
        """Ask for a better move where the worst moves were played."""
        review = self._reviewed()
        if review is None:
            return
        # Of the person, or of both if nobody at the keyboard played.
        assert self._game is not None
        persons = [player for player in (0, 1) if self._game.seats[player].player is None]
        worst = [
            move for move in review.worst(len(review.moves)) if move.player in (persons or (0, 1))
        ][:_NUM_RIDDLES]
        if not worst:
            self._person.say(f"there is no better move: none lost more than {DOUBTFUL_LOSS:.0%}.")
        for number, move in enumerate(worst, start=1):
            self._console.print(before_view(review, move, self._console, shows_better=False))
            self._person.say(
                f"{number} of {len(worst)}: this move lost {move.loss:.0%}. What is better? (a move, show, next, done)"
            )
            if not self._guess(review, move):
                return

    def _guess(self, review: Review, move: ReviewedMove) -> bool:
        """Let the person guess until the move is found or shown; return whether to go on with the next one."""
        game = review.record.game
        better = f"{line_text(game, move.best_line)} ({move.best_win_rate:.0%})"
        legal = set(game.possible_actions(review.record.positions()[move.ply]).tolist())
        while True:
            words = self._person.read_words("better: ")
            line = words.lower()
            if line in ("quit", "exit", "q"):
                raise Leave
            if line in ("next", "", "done"):
                return line != "done"
            if line.split()[:1] == ["save"]:
                assert self._game is not None
                save(self._person, self._game, words[len("save") :].strip())
                continue
            if line == "show":
                self._person.say(f"better is {better}")
                return True
            try:
                action = game.parse_action(line)
            except ValueError as error:
                self._person.say(f"{error} Or say show, next or done.")
                continue
            if action not in legal:
                self._person.say(f"{game.action_name(action)} is not possible here.")
                continue
            if action == move.best_action:
                self._person.say(f"yes: {better}")
                return True
            rate = self._rate_after(review, move, action)
            verdict = verdict_of_guess(move, rate)
            if verdict != "worse":
                even = "even better" if verdict == "better" else "as good"
                self._person.say(f"yes, that is {even} ({rate:.0%}). Also {better}")
                return True
            self._person.say(
                f"no: with {game.action_name(action)} it is {rate:.0%}, with the best move {move.best_win_rate:.0%}"
            )

    def _rate_after(self, review: Review, move: ReviewedMove, action: int) -> float:
        """Return the win rate of the player of a move after another action instead."""
        assert self._engine is not None
        record, limits = review.record, Limits(DEFAULT_SIMULATIONS)
        with errors_of_player(review.reviewer):
            table = self._tables.read(record.game)
            return win_rate_instead(record, move, action, self._engine, limits, table)

    def _reviewed(self) -> Review | None:
        """Return the review of the game; None, after saying why, if nobody here can review it."""
        if self._review is not None:
            return self._review
        assert self._game is not None
        player = reviewer_of(self._game.seats)
        if player is None:
            self._person.say("nobody here has an opinion: reviews need a trained agent.")
            return None
        record = self._game.record()
        if not record.actions:
            self._person.say("there is no move to review.")
            return None
        if self._engine is None or self._engine.player is not player:
            strength = Strength(simulations=DEFAULT_SIMULATIONS)
            self._engine = make_engine(player, record.game, strength)
        total = len(record.actions) + 1
        with self._console.status(Text("reviewing the game")) as status:

            def tell(review: Review) -> None:
                done = f"reviewing the game: position {len(review.positions)} of {total}"
                status.update(Text(done))

            limits, table = Limits(DEFAULT_SIMULATIONS), self._tables.read(record.game)
            self._review = review_game(record, self._engine, limits, tell, table=table)
        return self._review


def reviewer_of(seats: tuple[Seat, Seat]) -> Player | None:
    """Return the player at the board that can think about positions."""
    players = [seat.player for seat in seats if isinstance(seat.player, Thoughtful)]
    return players[0] if players else None


def save(person: Person, game: PlayedGame, name: str) -> bool:
    """Save a game to the file of this name, and say so, or why not; return whether it was saved.

    name: without an ending, it gets the one of the game's own format; "": a new file in the current folder.
    """
    record = game.record()
    try:
        file = _file_named(record, name) if name else _new_file(record)
        if name and file.exists():
            raise UserError(f"{file} exists: give another name.")
        write_record(record, file)
    # RuntimeError: the home of a user who does not exist.
    except (ValueError, OSError, RuntimeError) as error:
        person.say(f"not saved: {error}")
        return False
    person.say(f"saved to {file}. What can be done with it:")
    for command in _what_to_do_with(game, record, file):
        person.say_whole(f"  {command}")
    if not record.result and any(seat.time.game_seconds is not None for seat in game.seats):
        person.say("the clocks will begin anew: a file does not say how much time was left.")
    return True


def offer_to_save(person: Person, game: PlayedGame) -> None:
    """Ask whether to save a game that is left, until it is saved or the person does not want to. Raises Leave."""
    answer = "ask"
    endings = " or ".join(file_endings(game.episode.game))
    while answer:
        words = person.read_words(f"save the game? [y, FILE ({endings}), or Enter for no] ")
        answer = "" if words.lower() in ("n", "no", "quit", "exit", "q") else words
        if answer and save(person, game, "" if answer.lower() in _YES else answer):
            return


def _file_named(record: GameRecord, name: str) -> Path:
    file = Path(name).expanduser()
    if file.suffix or file.is_dir():
        return file
    return file.with_name(f"{file.name}{file_endings(record.game)[0]}")


def _new_file(record: GameRecord) -> Path:
    suffix = file_endings(record.game)[0]
    numbers = (Path(f"{record.game.name}-{number}{suffix}") for number in range(1, 10_000))
    return next(file for file in numbers if not file.exists())


def _what_to_do_with(game: PlayedGame, record: GameRecord, file: Path) -> list[str]:
    """Return the commands for a saved game: to review it and, unless it is over, to go on."""
    players = [seat for seat in game.seats if seat.player is not None]
    reviewers = [seat for seat in players if seat.player is reviewer_of(game.seats)]
    # A player that only chooses moves reviews nothing: any agent may.
    reviewer = shlex.quote(reviewers[0].argument or "RUN") if reviewers else "RUN"
    opponent = shlex.quote(players[0].argument or "RUN") if players else "RUN"
    where = shlex.quote(str(file))
    commands = [f"ddpzero review {where} {reviewer}"]
    if not record.result:
        strength = players[0].strength.options if players else []
        commands.append(" ".join(["ddpzero play", opponent, *strength, "--resume", where]))
    return commands
