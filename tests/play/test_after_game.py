"""Facts about what follows a game on the terminal, and about games with an engine, a clock and a file."""

from __future__ import annotations

import io
import re
import signal
import time

import numpy as np
import pytest
import torch
from rich.console import Console

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.arena.players import RandomPlayer
from ddpzero.cli.arguments import parse_arguments
from ddpzero.cli.commands_of_play import strength_of
from ddpzero.games import load_any_game, load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.play import after_game
from ddpzero.play import session as session_module
from ddpzero.play.after_game import AfterGame, PlayedGame, offer_to_save, save
from ddpzero.play.clock import Clock, TimeControl
from ddpzero.play.engine import Engine, Limits
from ddpzero.play.episode import PlayedEpisode
from ddpzero.play.person import Leave, Person
from ddpzero.play.run import run_play
from ddpzero.play.seat import Seat, follow, seat_of
from ddpzero.play.session import Session
from ddpzero.play.strength import Choice, Strength
from ddpzero.records import read_record
from ddpzero.search import SearchSettings
from ddpzero.system.errors import UserError


@pytest.fixture(scope="module")
def game():
    return load_game("tic_tac_toe")


@pytest.fixture(scope="module")
def player(game):
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    return AlphaZeroPlayer(game, network, SearchSettings(solve=True), "agent", "cpu", "float32")


@pytest.fixture(scope="module")
def wide():
    """A game that no search solves, and its player."""
    torch.manual_seed(0)
    game = load_game("go", size=7)
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    return game, AlphaZeroPlayer(game, network, SearchSettings(), "agent", "cpu", "float32")


@pytest.fixture(autouse=True)
def few_simulations(monkeypatch):
    monkeypatch.setattr(after_game, "DEFAULT_SIMULATIONS", 300)


class Talk:
    """A person who says these lines, and what it is shown."""

    def __init__(self, *lines):
        self.left = list(lines)
        self._output = io.StringIO()
        self.person = Person(Console(file=self._output, width=100), self._read)

    def _read(self, prompt):
        self._output.write(prompt)
        if not self.left:
            raise EOFError
        self._output.write(self.left[0] + "\n")
        return self.left.pop(0)

    @property
    def output(self):
        return self._output.getvalue()


def episode_of(game, moves):
    episode = PlayedEpisode(game)
    for name in moves.split():
        episode.play(game.parse_action(name))
    return episode


def lost_game(game, player):
    """The person answers beside the corner, and loses."""
    seats = Seat("agent", player), Seat("you", None)
    return PlayedGame(episode_of(game, "a1 a2 b2 c3 b1 b3 c1"), seats)


@pytest.mark.parametrize(("line", "wants"), [("y", True), ("YES", True), ("n", False)])
def test_another_game_or_none(game, player, line, wants):
    assert AfterGame(Talk(line).person).ask(lost_game(game, player)) is wants


def test_unknown_answers_are_told_what_is_known(game, player):
    talk = Talk("what", "quit")
    with pytest.raises(Leave):
        AfterGame(talk.person).ask(lost_game(game, player))
    assert "one of: y, yes, n, no, review, better, save FILE" in talk.output


def test_a_review_is_shown(game, player):
    talk = Talk("review", "n")
    AfterGame(talk.person).ask(lost_game(game, player))
    assert "Worst moves" in talk.output and "you played a2" in talk.output
    assert "Better: b2" in talk.output


def test_nobody_reviews_without_an_agent(game):
    talk = Talk("review", "better", "n")
    seats = Seat("you", None), Seat("random", RandomPlayer(game))
    AfterGame(talk.person).ask(PlayedGame(episode_of(game, "a1 b1"), seats))
    assert talk.output.count("nobody here has an opinion") == 2


def test_the_better_move_is_a_riddle(game, player):
    talk = Talk("better", "a9", "a1", "c2", "b2", "n")
    AfterGame(talk.person).ask(lost_game(game, player))
    riddle, _, answers = talk.output.partition("What is better?")
    assert "b2" not in riddle.partition("Before move 2")[2]
    assert "'a9' is not a cell" in answers and "a1 is not possible here" in answers
    assert "no: with c2 it is 0%, with the best move " in answers
    assert "yes: b2" in answers


@pytest.mark.parametrize("word", ["show", "next", "done"])
def test_a_riddle_may_be_left(game, player, word):
    talk = Talk("better", word, "n")
    AfterGame(talk.person).ask(lost_game(game, player))
    assert ("better is b2" in talk.output) == (word == "show")
    assert not talk.left


def test_a_game_may_be_saved_while_better_moves_are_looked_for(game, player, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    talk = Talk("better", "save Mine", "done", "n")
    AfterGame(talk.person).ask(lost_game(game, player))
    assert [path.name for path in tmp_path.iterdir()] == ["Mine.txt"] and not talk.left
    # The riddle comes before what gives it away.
    assert "[y/n; better, review, save FILE]" in talk.output


def test_games_are_saved_under_a_name_as_it_was_typed(game, player, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    talk = Talk("save Mine.txt", "save Mine.txt", "save x.pgn", "save", "SAVE", "n")
    AfterGame(talk.person).ask(lost_game(game, player))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Mine.txt",
        "tic_tac_toe-1.txt",
        "tic_tac_toe-2.txt",
    ]
    assert "not saved: Mine.txt exists" in talk.output and "not saved: x.pgn must be" in talk.output
    record = read_record(tmp_path / "Mine.txt")
    assert (len(record.actions), record.names, record.result) == (7, ("agent", "you"), "B+")


@pytest.mark.parametrize(
    ("attribute", "player_index", "result"),
    [("resigned", 0, "W+R"), ("resigned", 1, "B+R"), ("out_of_time", 0, "W+T")],
)
def test_why_a_game_ended_is_saved(game, player, attribute, player_index, result):
    played = lost_game(game, player)
    episode = episode_of(game, "a1 b1")
    setattr(episode, attribute, player_index)
    assert PlayedGame(episode, played.seats).record().result == result
    assert PlayedGame(episode_of(game, "a1"), played.seats).record().result == ""


def session_of(game, *lines):
    talk = Talk(*lines)
    return Session(game, talk.person, np.random.default_rng(0)), talk


def test_a_player_that_thinks_tells_what_it_expects(game, player):
    session, talk = session_of(game, "a1", "hint", "resign")
    seats = Seat("you", None), seat_of("agent", player, game, Strength(simulations=50))
    episode = session.play_game(seats)
    assert len(episode.actions) == 2
    assert "agent expects" in talk.output and "in your place agent would play" in talk.output
    assert re.search(r"by a search of \d+ simulations \(certain\)", talk.output)


@pytest.mark.parametrize(
    ("strength", "said", "heading"),
    [
        (Strength(level=1), "level 1", "the network's choice:"),
        (Strength(simulations=0), "the network alone", "the network's choice:"),
        (Strength(usual_simulations=20), "20 simulations a move", "each move's share of the"),
        (Strength(level=8), "level 8", "each move's share of the"),
    ],
)
def test_a_hint_is_a_search_of_its_own_at_every_strength(wide, strength, said, heading):
    game, player = wide
    seat = seat_of("agent", player, game, strength)
    session, talk = session_of(game, "D4", "hint", "D5", "quit", "")
    visits = []
    choose = session_module.choose_move

    def choose_and_note(*arguments, **options):
        choice = choose(*arguments, **options)
        visits.append(choice.thoughts.visits)
        return choice

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Leave):
        patch.setattr(session_module, "choose_move", choose_and_note)
        session.play_game((Seat("you", None), seat))
    assert f"O agent, {said}\n" in talk.output
    hint = talk.output.partition("in your place agent would play")[2]
    assert "by a search of 400 simulations\n" in hint and "each move's share of the search:" in hint
    assert heading in talk.output.partition("agent expects")[2].partition("your move")[0]
    # What was thought for the hint does not help its next move.
    assert len(visits) == 2 and max(visits) <= max(1, strength.simulations_of(player))


def test_an_engine_follows_moves_and_moves_taken_back(game, player):
    engine = Engine(player, game, 50)
    episode = episode_of(game, "a1 b2")
    follow(engine, episode)
    assert engine.episode.actions == episode.actions
    episode.take_back_last()
    episode.play(game.parse_action("c3"))
    follow(engine, episode)
    assert engine.episode.actions == episode.actions


def test_a_player_that_ponders_does_so_while_the_person_is_asked(game, player):
    strength = Strength(simulations=5, ponders=True)
    seat = seat_of("agent", player, game, strength)
    visits = []

    class Waiting(Talk):
        def _read(self, prompt):
            if prompt.startswith("your move"):
                # Pondering began before the person was asked.
                while seat.engine._thinker.visits < 20:
                    pass
                visits.append(seat.engine.episode.actions)
            return super()._read(prompt)

    talk = Waiting("a1", "quit", "")
    with pytest.raises(Leave):
        Session(game, talk.person, np.random.default_rng(0)).play_game((Seat("you", None), seat))
    assert len(visits) == 2


def test_a_level_plays_other_moves_than_the_best(game, player):
    seat = seat_of("agent", player, game, Strength(level=1))
    texts = []
    for seed in range(5):
        talk = Talk("resign")
        session = Session(game, talk.person, np.random.default_rng(seed))
        session.play_game((seat, Seat("you", None)))
        texts.append(talk.output)
    assert any("(level 1)" in text for text in texts)
    assert not any("openings vary" in text for text in texts)


def test_a_player_that_resigns_has_lost(game, player, monkeypatch):
    seat = seat_of("agent", player, game, Strength(simulations=5, resigns=True))

    def give_up(engine, *others, **options):
        return Choice(None, engine.think(Limits(5)))

    monkeypatch.setattr("ddpzero.play.session.choose_move", give_up)
    session, talk = session_of(game, "a1")
    episode = session.play_game((Seat("you", None), seat))
    assert episode.resigned == 1
    assert "agent resigns: you win after 1 moves." in talk.output


class Late(Clock):
    """A clock whose time is up."""

    has_expired = True


def test_a_person_whose_time_is_up_has_lost(game, player, monkeypatch):
    control = TimeControl(game_seconds=60.0)
    seats = Seat("you", None, time=control), seat_of("agent", player, game, Strength(simulations=5))
    monkeypatch.setattr(Seat, "new_clock", lambda seat: (Clock if seat.player else Late)(seat.time))
    session, talk = session_of(game, "a1")
    episode = session.play_game(seats)
    assert (episode.out_of_time, episode.actions) == (0, [])
    assert "[1:00] your move" in talk.output or "[0:59] your move" in talk.output
    assert "your time is up: agent wins after 0 moves." in talk.output


def test_a_prompt_ends_with_the_time(game, player, monkeypatch):
    seats = (
        Seat("you", None, time=TimeControl(game_seconds=0.3)),
        seat_of("agent", player, game, Strength(simulations=5)),
    )
    handler = signal.getsignal(signal.SIGALRM)
    session, talk = session_of(game)
    monkeypatch.setattr(talk.person, "_read", lambda prompt: time.sleep(60))
    episode = session.play_game(seats)
    assert (episode.out_of_time, episode.actions) == (0, [])
    assert talk.output.endswith("your time is up: agent wins after 0 moves.\n")
    assert signal.getsignal(signal.SIGALRM) == handler


def test_both_clocks_are_shown_and_who_plays_how(game, player):
    control = TimeControl(game_seconds=300.0, increment_seconds=5.0)
    agent = seat_of("agent", player, game, Strength(control, level=3))
    session, talk = session_of(game, "a1", "quit", "")
    with pytest.raises(Leave):
        session.play_game((Seat("you", None, time=control), agent))
    assert "X you 5:00   O agent 5:00, level 3\n" in talk.output
    # With what a move adds.
    assert re.search(r"X you 5:0\d   O agent 5:00, level 3\nmove 1: you", talk.output)
    assert re.search(r"X you 5:0\d   O agent 5:0[1-5], level 3\nmove 2: agent", talk.output)
    slow = seat_of("agent", player, game, Strength(TimeControl(move_seconds=1.5)))
    assert slow.conditions == "1.5 s a move"
    assert seat_of("agent", player, game, Strength(control)).conditions == ""


def test_with_a_clock_nothing_is_taken_back(game, player):
    seats = (
        Seat("you", None, time=TimeControl(game_seconds=600.0)),
        seat_of("agent", player, game, Strength(simulations=5)),
    )
    session, talk = session_of(game, "a1", "undo", "resign")
    assert len(session.play_game(seats).actions) == 2
    assert "with a clock, moves cannot be taken back" in talk.output


def test_a_game_is_saved_before_the_person_leaves_and_goes_on_later(
    game, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "later.txt"
    lines = ["a1", "quit", str(file)]
    monkeypatch.setattr("builtins.input", lambda prompt="": lines.pop(0))
    run_play("random", game=game, color="first", seed=0)
    record = read_record(file)
    assert len(record.actions) == 2 and record.result == ""
    capsys.readouterr()
    lines += ["quit", ""]
    run_play("random", game=game, seed=0, resume=str(file))
    output = capsys.readouterr().out
    # The person's place is known from the file.
    assert "first or second" not in output and "move 3: X you to play" in output


@pytest.mark.parametrize(
    ("game_name", "lines", "saved"),
    [
        ("connect_four", ("a.sgf", "~nobody-at-all/a", "b.pgn", "."), "a.txt"),
        ("go", ("b.pgn",), "a.sgf"),
    ],
)
def test_a_game_is_not_lost_by_a_name_that_cannot_be(
    tmp_path, monkeypatch, capsys, game_name, lines, saved
):
    monkeypatch.chdir(tmp_path)
    move = "d" if game_name == "connect_four" else "D4"
    left = [move, "quit", *lines, "a", "never read"]
    monkeypatch.setattr("builtins.input", lambda prompt="": left.pop(0))
    run_play("random", game=load_game(game_name), color="first", seed=0)
    assert left == ["never read"]
    assert [path.name for path in tmp_path.iterdir()] == [saved]
    assert capsys.readouterr().out.count("not saved: ") == len(lines)


@pytest.mark.parametrize(("answer", "number"), [("y", 1), ("yes", 1), ("quit", 0), ("", 0)])
def test_a_game_that_is_left_is_saved_or_not(game, player, tmp_path, monkeypatch, answer, number):
    monkeypatch.chdir(tmp_path)
    talk = Talk(answer)
    offer_to_save(talk.person, lost_game(game, player))
    names = [path.name for path in tmp_path.iterdir()]
    assert names == ["tic_tac_toe-1.txt"] * number and not talk.left


def test_the_endings_that_a_game_has_are_offered(game):
    session, talk = session_of(game, "help", "resign")
    session.play_game((Seat("you", None), Seat("random", RandomPlayer(game))))
    assert "save FILE: to this file (.txt)" in talk.output and ".sgf" not in talk.output


def test_what_can_be_done_with_a_saved_game_names_the_run(game, player, tmp_path):
    talk = Talk()
    seats = (
        Seat("you", None),
        seat_of("agent@9", player, game, Strength(simulations=5), "my runs/quick"),
    )
    going = tmp_path / "going.txt"
    save(talk.person, PlayedGame(episode_of(game, "a1 a2"), seats), str(going))
    # Not broken at the width of the terminal: they are there to be copied.
    commands = [line.strip() for line in talk.output.splitlines()]
    assert f"ddpzero review {going} 'my runs/quick'" in commands
    assert f"ddpzero play 'my runs/quick' --simulations 5 --resume {going}" in commands
    over = PlayedGame(episode_of(game, "a1 a2 b2 c3 b1 b3 c1"), seats)
    other = Talk()
    save(other.person, over, str(tmp_path / "over.txt"))
    assert "ddpzero review" in other.output and "--resume" not in other.output


@pytest.mark.parametrize(
    ("strength", "options"),
    [
        (
            Strength(TimeControl(None, 300.0, 3.0), level=3, resigns=True),
            "--level 3 --game-time 5m+3s --resign",
        ),
        (
            Strength(TimeControl(2.5, 90.0), simulations=40, ponders=True),
            "--simulations 40 --seconds 2.5 --game-time 90s --ponder",
        ),
        (Strength(TimeControl(game_seconds=12345.25)), "--game-time 12345.25s"),
    ],
)
def test_a_saved_game_goes_on_with_the_same_strength(game, player, tmp_path, strength, options):
    talk, file = Talk(), tmp_path / "going.txt"
    agent = Seat("agent", player, None, strength, strength.time, "runs/quick")
    seats = Seat("you", None, time=strength.time), agent
    save(talk.person, PlayedGame(episode_of(game, "a1 a2"), seats), str(file))
    command = f"ddpzero play runs/quick {options} --resume {file}"
    assert f"  {command}\n" in talk.output and "the clocks will begin anew" in talk.output
    assert strength_of(parse_arguments(command.split()[1:])) == strength


def test_a_game_that_is_over_does_not_go_on(game, player, tmp_path):
    file = tmp_path / "over.txt"
    file.write_text("# game: tic_tac_toe\n# result: B+R\na1\n")
    with pytest.raises(
        UserError, match=r"over\.txt: this game is over \(first player won \(the other"
    ):
        run_play("random", game=game, resume=str(file))


@pytest.mark.parametrize(
    ("strength", "option"),
    [
        (Strength(time=TimeControl(move_seconds=1.0)), "--seconds"),
        (Strength(level=3), "--level"),
        (Strength(ponders=True), "--ponder"),
        (Strength(resigns=True), "--resign"),
    ],
)
def test_strength_is_for_agents(game, strength, option):
    with pytest.raises(UserError, match=f"{option} applies to trained agents, and none plays here"):
        run_play("random", game=game, strength=strength)


def test_team_games_have_no_clock():
    snakes = load_any_game("snakes", rows=6, columns=8, snakes=4, steps=20)
    with pytest.raises(UserError, match="--game-time has no effect in snakes"):
        run_play("nearest", game=snakes, strength=Strength(time=TimeControl(game_seconds=9.0)))
