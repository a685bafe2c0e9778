"""Facts about the program that managers start: its streams, how it ends, whole games, and the script of --install."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ddpzero.arena.agent_name import name_of_agent
from ddpzero.cli import commands as cli
from ddpzero.games import variation
from ddpzero.games.core.compile_once import NotCompiledError
from ddpzero.play.protocols.gomocup import agent as agent_module
from ddpzero.play.protocols.gomocup.agent import load_five_in_a_row
from ddpzero.play.protocols.gomocup.compiling import compile_in_process
from ddpzero.play.protocols.gomocup.input import Commands
from ddpzero.play.protocols.gomocup.run import obey_all, prepare
from ddpzero.play.protocols.gomocup.wrapper import install
from ddpzero.play.strength import Strength
from ddpzero.system.errors import UserError
from tests.places import REPO
from tests.play.protocols.gomocup.agents import (
    Manager,
    random_mover,
    referee_game,
    saved_untrained_run,
)
from tests.waiting import wait_for


@pytest.fixture
def run_dir(tmp_path, alone):
    return saved_untrained_run(tmp_path / "own runs" / "five", alone)


@pytest.fixture
def manager(run_dir):
    words = [sys.executable, "-m", "ddpzero.cli", "gomocup", str(run_dir), "--ponder"]
    manager = Manager(words)
    yield manager
    manager.kill()


class Scripted:
    """A brain that remembers what it was told."""

    def __init__(self):
        self.obeyed, self.num_pondered, self.num_prepared = [], 0, 0

    def obey(self, line, arrived):
        assert arrived <= time.monotonic()
        self.obeyed.append(line)
        return True

    def prepare(self):
        self.num_prepared += 1

    def ponder(self, is_stopped):
        self.num_pondered += 1


@pytest.mark.parametrize("end", [b"END\r\n", b"end\n", b""])
def test_commands_are_read_until_the_manager_ends(end):
    reader, writer = os.pipe()
    left = threading.Event()
    commands, brain = Commands(os.fdopen(reader, "rb"), left.set), Scripted()
    obeying = threading.Thread(target=obey_all, args=(brain, commands))
    obeying.start()
    os.write(writer, b"START 15\r\nINFO rule 0\r\nTURN 1,1\n\xff\xfe\n")
    wait_for(lambda: len(brain.obeyed) == 4 and brain.num_pondered == 4)
    assert brain.obeyed[:3] == ["START 15", "INFO rule 0", "TURN 1,1"]
    assert not commands.have_ended and not left.is_set()
    os.write(writer, end)
    os.close(writer)
    obeying.join(60)
    assert not obeying.is_alive() and commands.have_ended
    # It leaves even if something still runs.
    assert left.wait(60)


def test_a_command_that_waits_ends_pondering():
    stream = io.BytesIO(b"ABOUT\nABOUT\n")
    commands = Commands(stream, lambda: None)
    wait_for(lambda: commands.have_ended)
    assert commands.is_next_there
    assert [commands.next().text, commands.next().text, commands.next()] == ["ABOUT", "ABOUT", None]


def test_about_is_answered_before_other_commands_are_heard():
    answered = []

    def is_answered(text):
        if text == "ABOUT":
            answered.append(text)
        return text == "ABOUT"

    stream = io.BytesIO(b"ABOUT\r\nABOUT\nSTART 9\nABOUT\n")
    commands = Commands(stream, lambda: None, is_answered)
    wait_for(lambda: commands.have_ended)
    # No answer overtakes the one to an earlier command.
    assert answered == ["ABOUT", "ABOUT"]
    assert [commands.next().text, commands.next().text] == ["START 9", "ABOUT"]


def test_it_prepares_for_a_game_unless_a_command_waits():
    reader, writer = os.pipe()
    commands, brain = Commands(os.fdopen(reader, "rb"), lambda: None), Scripted()
    prepare(brain, commands)
    assert brain.num_prepared == 1
    os.write(writer, b"START 15\n")
    os.close(writer)
    wait_for(lambda: commands.is_next_there)
    prepare(brain, commands)
    assert brain.num_prepared == 1


def test_the_modules_before_about_are_light():
    heavy = "{'torch', 'numba', 'hydra', 'scipy', 'rich'}"
    program = (
        "import sys, ddpzero.cli.commands, ddpzero.play.protocols.gomocup.run; "
        f"print({heavy} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=REPO, capture_output=True, text=True
    )
    assert found.stdout == "set()\n"


def test_the_name_is_known_before_the_agent_is_loaded(run_dir, tmp_path):
    assert name_of_agent(run_dir) == load_five_in_a_row(str(run_dir)).name
    for wrong in (tmp_path, "nowhere"):
        with pytest.raises(UserError):
            name_of_agent(wrong)


def private_memory(process, resident="VmRSS"):
    """Return the bytes that a process has in use for itself, without pages of files."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    all_bytes, of_files = (
        1024 * int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) for key in (resident, "RssFile")
    )
    return all_bytes - of_files


def peak_of_private_memory(process):
    return private_memory(process, "VmHWM")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("exactly_five", [False, True])
def test_a_game_within_the_memory_of_tournaments(run_dir, tmp_path, exactly_five):
    script, limit = install(str(run_dir), tmp_path / "brains", sizes=(9,)), 350 * 2**20
    manager = Manager([str(script)])
    try:
        manager.ask("ABOUT")
        assert manager.ask("START 9") == "OK"
        manager.send("INFO timeout_turn 500", f"INFO max_memory {limit}")
        manager.send(f"INFO rule {int(exactly_five)}")
        movers = [
            lambda last: manager.ask(f"TURN {last}" if last else "BEGIN"),
            random_mover(9, seed=3),
        ]
        assert len(referee_game(9, exactly_five, movers)) >= 9
        assert peak_of_private_memory(manager.process) < limit
        # Of piskvork's matches with less.
        manager.send(f"INFO max_memory {256 * 2**20}")
        assert manager.ask("START 9") == "OK"
        manager.ask("BEGIN")
        assert private_memory(manager.process) < 256 * 2**20
        manager.send("INFO max_memory 100000000")
        assert "is too little: at least" in manager.ask("START 9")
        assert manager.end() == 0
    finally:
        manager.kill()


def test_code_that_is_missing_is_compiled_in_another_process(run_dir, monkeypatch):
    warmed, compiled = [], []

    def warm_up(engine, *others):
        warmed.append(engine)
        if not compiled:
            raise NotCompiledError

    monkeypatch.setattr(agent_module, "warm_up", warm_up)
    brain = replace(load_five_in_a_row(str(run_dir)), compile_apart=compiled.append)
    engines = brain.engines(9, Strength())
    assert compiled == [9]
    assert warmed == 3 * [engines[False]], "in vain, with its code, and for its memory"
    brain.engines(9, Strength())
    assert compiled == [9], "nothing is missing any more"


def test_another_process_compiles_and_says_nothing(run_dir, capfd):
    compile_in_process(str(run_dir), 9)
    assert capfd.readouterr() == ("", "")
    compile_in_process(str(run_dir / "nowhere"), 9)
    out, error = capfd.readouterr()
    assert not out and "nowhere" in error, "the game goes on without it"


@pytest.mark.slow
def test_whole_games_over_pipes_and_an_end_while_it_thinks(manager):
    assert manager.ask("ABOUT").startswith('name="ddpzero run-b1c8')
    assert manager.ask("START 9") == "OK"
    manager.send(
        "INFO timeout_turn 300", "INFO timeout_match 0", "INFO max_memory 0", "INFO game_type 1"
    )
    movers = [
        lambda last: manager.ask("INFO time_left 2147483647", f"TURN {last}" if last else "BEGIN"),
        random_mover(9, seed=3),
    ]
    for first in (0, 1):
        assert manager.ask("RESTART") == "OK"
        assert len(referee_game(9, False, [movers[first], movers[1 - first]])) >= 9
    assert manager.ask("XYZ") == "UNKNOWN XYZ"
    manager.ask("RESTART")
    manager.send("INFO timeout_turn 1000000", "BEGIN")
    assert manager.end() == 0


@pytest.mark.slow
def test_two_brains_play_each_other_with_the_script_that_is_installed(run_dir, tmp_path):
    script = install(str(run_dir), tmp_path / "brains", ["--simulations", "3"], sizes=(9,))
    brains = [Manager([str(script)]) for _ in range(2)]
    try:
        for brain in brains:
            assert brain.ask("START 9") == "OK"
            brain.send("INFO timeout_turn 300", "INFO rule 1")
        movers = [
            lambda last, brain=brain: brain.ask(f"TURN {last}" if last else "BEGIN")
            for brain in brains
        ]
        assert len(referee_game(9, True, movers)) >= 9
        assert [brain.end() for brain in brains] == [0, 0]
    finally:
        for brain in brains:
            brain.kill()


def test_the_script_names_the_agent_by_an_absolute_path(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(run_dir.parent)
    prepared = []
    monkeypatch.setattr(
        "ddpzero.play.protocols.gomocup.agent.FiveInARow.engines",
        lambda _, size, strength: prepared.append(size),
    )
    words = ["gomocup", "five", "--install", str(tmp_path / "brains"), "--seconds", "2", "--ponder"]
    assert cli.main([*words, "--level", "3"]) == 0
    script = tmp_path / "brains" / "pbrain-five"
    assert capsys.readouterr().out == f"{script}\n"
    assert os.access(script, os.X_OK)
    last = script.read_text().splitlines()[-1]
    assert last == (
        f"exec {sys.executable} -m ddpzero.cli gomocup '{run_dir}' --seconds 2.0 --level 3 --ponder"
    )
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
    # That of the agent, and those of tournaments.
    assert prepared == [9, 15, 20]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("game=tic_tac_toe",), "plays tic_tac_toe: Gomocup's programs play five in a row"),
        (("game=gomoku", "game.size=7", "game.line=4"), r"with game\.line=5"),
    ],
)
def test_agents_of_other_games_are_refused(overrides, sentence, tmp_path, alone):
    other = saved_untrained_run(tmp_path / "other", alone, *overrides)
    with pytest.raises(UserError, match=sentence):
        load_five_in_a_row(str(other))


def test_a_network_of_one_size_is_told(tmp_path, alone):
    dense = saved_untrained_run(
        tmp_path / "dense", alone, "game=gomoku", "game.size=7", "network.value_head=dense"
    )
    agent = load_five_in_a_row(str(dense))
    with pytest.raises(UserError, match=r"board size 9 is not supported: .* fits boards of 7 only"):
        agent.player_on(variation(agent.game, size=9))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["gomocup", "nowhere"], "'nowhere' is unknown|nowhere is neither"),
        (
            ["gomocup", "five", "--level", "3", "--simulations", "9"],
            "both say how many simulations",
        ),
        (["gomocup", "five", "--seconds", "0"], "leaves no time for a move"),
        (["gomocup", "five", "--level", "10"], "is not a level from 1"),
        (["gomocup", "five", "--game-time", "5m"], "there is no option --game-time"),
        (["gomocup", "five", "--resign"], "there is no option --resign"),
        (["gomocup", "five:level3"], "name five, with --level"),
    ],
)
def test_wrong_words_are_told_in_one_sentence(words, sentence, run_dir, monkeypatch, capfd):
    monkeypatch.chdir(run_dir.parent)
    try:
        code = cli.main(words)
    except SystemExit as exit:
        code = exit.code
    assert code == 2
    assert re.search(sentence, capfd.readouterr().err)
