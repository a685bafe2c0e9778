"""Facts about lines that arrive while a command runs."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import torch

from ddpzero.algorithms.alphazero.player import AlphaZeroPlayer
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.play.protocols.gtp.dialects import commands_of
from ddpzero.play.protocols.gtp.input import LineReader
from ddpzero.play.protocols.gtp.session import Session
from ddpzero.play.strength import Strength
from ddpzero.search import SearchSettings
from tests.play.protocols.gtp.scripted import Agent
from tests.waiting import wait_for


@pytest.fixture
def pipe():
    """A reader of lines, and a function that sends some bytes; None closes the pipe."""
    ours, theirs = os.pipe()
    is_open = [True]

    def send(content):
        if content is None:
            is_open.clear()
            os.close(theirs)
        else:
            os.write(theirs, content)

    yield LineReader(ours), send
    if is_open:
        os.close(theirs)


def test_lines_are_read_whole_however_they_arrive(pipe):
    reader, send = pipe
    send(b"na")
    assert not reader.is_waiting()
    send(b"me\nversion\r\n\nquit")
    assert [reader.next() for _ in range(3)] == ["name", "version\r", ""]
    send(None)
    assert [reader.next(), reader.next()] == ["quit", None]


def test_bytes_that_are_no_text_and_endless_lines_do_no_harm(pipe):
    reader, send = pipe
    send(b"\xff\xfe\n")
    assert reader.next() == "\ufffd\ufffd"
    writer = threading.Thread(target=send, args=(b"x" * 3_000_000 + b"\nname\n",))
    writer.start()
    assert len(reader.next()) <= 1 << 20 and reader.next() == "name"
    writer.join()


def test_an_interrupt_is_meant_for_the_commands_before_it(pipe):
    reader, send = pipe
    send(b"genmove b\n# interrupt\ngenmove w\n")
    wait_for(reader.is_waiting)
    assert reader.next() == "genmove b"
    wait_for(reader.is_interrupted)
    assert reader.next() == "genmove w" and not reader.is_interrupted()


class Talk:
    """A session with a small network, whose lines come through a pipe."""

    def __init__(self, pipe, strength):
        self.reader, self.send = pipe
        self.written = []
        self.session = Session(
            Agent(load_game("tic_tac_toe"), 3, self.make_player),
            commands_of,
            strength,
            self.reader,
            self.written.append,
            np.random.default_rng(0),
        )
        self.session.prepare()

    @staticmethod
    def make_player(game):
        torch.manual_seed(0)
        network = make_network(game, NetworkSettings(blocks=1, channels=8))
        # Without a solver there is always something left to find.
        settings = SearchSettings(solve=False, num_simulations=20)
        return AlphaZeroPlayer(game, network, settings, "agent", "cpu", "float32")

    @property
    def text(self):
        return "".join(self.written)

    def serve(self):
        while (line := self.reader.next()) is not None and self.session.obey(line):
            self.session.ponder()


@pytest.fixture
def serving(pipe):
    """Starts sessions in a thread; they end with the test."""
    threads = []

    def start(strength=None):
        talk = Talk(pipe, strength or Strength())
        threads.append(threading.Thread(target=talk.serve))
        threads[0].start()
        return talk

    yield start
    pipe[1](b"quit\n")
    threads[0].join(60)
    assert not threads[0].is_alive()


def test_an_analysis_goes_on_until_a_newline(serving):
    talk = serving()
    talk.send(b"7 kata-analyze b 1 rootInfo true\n")
    wait_for(lambda: talk.text.count("rootInfo") > 3)
    assert talk.text.startswith("=7\ninfo move ") and not talk.text.endswith("\n\n")
    talk.send(b"\n")
    wait_for(lambda: talk.text.endswith("\n\n"))
    assert talk.text.count("\n\n") == 1
    visits = [int(part.split()[1]) for part in talk.text.split("rootInfo ")[1:]]
    assert visits == sorted(visits) and visits[-1] > visits[0]


def test_a_command_ends_an_analysis_and_is_answered_after_it(serving):
    talk = serving()
    talk.send(b"lz-analyze 1\n")
    wait_for(lambda: talk.text.count("info move") > 20)
    talk.send(b"1 name\n")
    wait_for(lambda: talk.text.endswith("\n\n=1 ddpzero\n\n"))
    assert talk.text.startswith("=\ninfo move ") and talk.text.count("\n\n") == 2


def test_moves_can_be_left_out_of_an_analysis(serving):
    talk = serving()
    talk.send(b"lz-analyze b 1 allow b A1,B2,C3 1 avoid b B2 1 avoid w B2 2 maxmoves 5\n")
    wait_for(lambda: talk.text.count("\n") > 5)
    talk.send(b"kata-genmove_analyze b 1 avoid b A1,A2,A3,B1,B2,B3,C1,C2 1\n")
    wait_for(lambda: "play C3" in talk.text)
    lines = talk.text.split("\n\n")[0].splitlines()[1:]
    named = {word for line in lines for word in line.split("move ")[1:]}
    assert {move.split()[0] for move in named} == {"A1", "C3"}
    answers = {
        move.split(" pv ")[1].split()[1] for move in named if len(move.split(" pv ")[1].split()) > 1
    }
    assert answers and "B2" not in answers


def test_a_move_is_chosen_to_its_end_whatever_arrives(serving):
    talk = serving(Strength(simulations=300))
    talk.send(b"lz-genmove_analyze b 1\n\n\nname\n")
    wait_for(lambda: talk.text.endswith("= ddpzero\n\n"))
    last = talk.text.split("\nplay ")[0].splitlines()[-1]
    assert sum(int(part.split()[2]) for part in last.split("info move ")[1:]) >= 150


def test_an_interrupt_ends_the_choice_of_a_move_with_what_is_known(serving):
    talk = serving(Strength(simulations=4_000_000))
    talk.send(b"kata-genmove_analyze b 1\n")
    wait_for(lambda: "info move" in talk.text)
    talk.send(b"# interrupt\n")
    wait_for(lambda: talk.text.endswith("\n\n"))
    assert "\nplay " in talk.text


def test_it_thinks_in_the_opponents_time_until_a_line_arrives(serving):
    talk = serving(Strength(simulations=20, ponders=True))
    talk.send(b"genmove b\n")
    wait_for(lambda: talk.text.endswith("\n\n"))
    engine = talk.session._engine
    wait_for(lambda: engine._thinker.visits > 500)
    talk.send(b"undo\nlz-genmove_analyze b 1\n")
    # What was found about the answers is of no use for another first move.
    wait_for(lambda: "\nplay " in talk.text)
    assert len(talk.session.table.moves) == 1


def test_what_was_found_in_the_opponents_time_is_used(serving):
    talk = serving(Strength(simulations=20, ponders=True))
    talk.send(b"genmove b\n")
    wait_for(lambda: talk.text.endswith("\n\n"))
    engine = talk.session._engine
    wait_for(lambda: engine._thinker.visits > 500)
    answer = talk.session.names.name(engine.position, engine._thinker.thoughts().moves[0].action)
    talk.send(f"play w {answer}\nkata-genmove_analyze b 1 rootInfo true\n".encode())
    wait_for(lambda: "\nplay " in talk.text)
    visits = int(talk.text.rsplit("rootInfo visits ", 1)[1].split()[0])
    assert visits > 20
