"""A match of two GTP programs with OpenSpiel as the referee: reports illegal moves, protocol errors and time losses.

    pip install open_spiel
    python launch/gtp_match.py --games 100 --time 60 \\
        "ddpzero gtp runs/go9" "gnugo --mode gtp --level 1 --chinese-rules"
    python launch/gtp_match.py --game othello "ddpzero gtp runs/othello" "gtp-rhino -l 1"

The programs change colors after each game. Needs none of ddpzero's packages, and runs outside its environment. Exits
with 1 if the first program made an error.
"""

from __future__ import annotations

import argparse
import random
import re
import select
import shlex
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import pyspiel

COLORS = ("black", "white")
# Until a program has loaded; after that for every command that is no move.
START_SECONDS = 300.0
COMMAND_SECONDS = 60.0
# Between a clock here and one there.
GRACE_SECONDS = 0.1


class ProgramError(Exception):
    """What a program did wrong: a kind of error, and the details."""

    def __init__(self, kind: str, details: str) -> None:
        super().__init__(f"{kind}: {details}")
        self.kind = kind


@dataclass
class Program:
    """A program that speaks GTP. errors: how often it made each kind of error."""

    command: str
    errors: Counter[str] = field(default_factory=Counter)
    num_commands: int = 0
    slowest_seconds: float = 0.0
    least_left: float = float("inf")

    def start(self) -> None:
        self._process = subprocess.Popen(
            shlex.split(self.command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._received = b""
        self.commands = self.ask("list_commands", START_SECONDS).split()

    def ask(self, command: str, seconds: float = COMMAND_SECONDS) -> str:
        """Return the answer to a command; ProgramError if it fails, breaks the protocol or comes too late."""
        self.num_commands += 1
        number = self.num_commands
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{number} {command}\n".encode())
        except BrokenPipeError:
            raise ProgramError("left", f"before {command}") from None
        answer = self._answer(command, seconds)
        match = re.fullmatch(rf"([=?]){number}(?:[ \t]+([^\n].*)?|\n(.*))?", answer, re.DOTALL)
        if match is None:
            raise ProgramError("protocol", f"{command} is answered with {answer!r}")
        text = (match[2] or match[3] or "").strip()
        if match[1] == "?":
            raise ProgramError("refused", f"{command}: {text}")
        return text

    def _answer(self, command: str, seconds: float) -> str:
        """Return the text up to the empty line that ends it."""
        deadline = time.monotonic() + seconds
        assert self._process.stdout is not None
        while b"\n\n" not in self._received.replace(b"\r", b""):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise ProgramError("silent", f"{command} is not answered within {seconds:.1f} s")
            chunk = self._process.stdout.read(65536)
            if not chunk:
                raise ProgramError("left", f"at {command}")
            self._received += chunk
        answer, _, rest = self._received.replace(b"\r", b"").partition(b"\n\n")
        self._received = b""
        if rest:
            raise ProgramError("protocol", f"{command}: {rest!r} follows the answer")
        return answer.decode()

    def quit(self) -> None:
        self.ask("quit")
        try:
            code = self._process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise ProgramError("quit", "the process goes on") from None
        if code:
            raise ProgramError("quit", f"exit code {code}")


class Referee:
    """The rules of OpenSpiel. Names of moves as both programs have them, in small letters."""

    def __init__(self, game: str, size: int, komi: float) -> None:
        text = f"go(board_size={size},komi={komi})" if game == "go" else game
        self._state = pyspiel.load_game(text).new_initial_state()

    @property
    def is_over(self) -> bool:
        return self._state.is_terminal()

    @property
    def player(self) -> int:
        return self._state.current_player()

    @property
    def result(self) -> float:
        """What the first player gets."""
        return self._state.returns()[0]

    def legal_moves(self) -> dict[str, int]:
        state = self._state
        return {
            state.action_to_string(self.player, action).split()[-1].lower(): action
            for action in state.legal_actions()
        }

    def play(self, move: str) -> bool:
        """Make a move; return whether it is legal."""
        action = self.legal_moves().get(move.lower())
        if action is not None:
            self._state.apply_action(action)
        return action is not None


def play_game(
    programs: list[Program], options: argparse.Namespace, rng: random.Random
) -> tuple[float | None, int]:
    """Return the result of the first program, None without one, and the number of moves.

    programs: black first. Raises ProgramError, with the program in its `program`.
    """
    referee = Referee(options.game, options.size, options.komi)
    for program in programs:
        _blamed(program, f"boardsize {options.size}")
        if options.game == "go":
            _blamed(program, f"komi {options.komi}")
        _blamed(program, "clear_board")
        if options.time:
            _blamed(program, f"time_settings {options.time} 0 0")
    left = [float(options.time or 0)] * 2
    num_moves = 0
    while not referee.is_over:
        player = referee.player
        program, other = programs[player], programs[1 - player]
        if options.game == "othello" and list(referee.legal_moves()) == ["pass"]:
            # GRhino takes no pass that is played: the other color just moves again.
            referee.play("pass")
            continue
        if num_moves < options.random_moves:
            move = rng.choice(sorted(set(referee.legal_moves()) - {"pass"}))
            _blamed(program, f"play {COLORS[player]} {move}")
        else:
            if options.time:
                _blamed(program, f"time_left {COLORS[player]} {max(0, int(left[player]))} 0")
            started = time.monotonic()
            allowed = left[player] + GRACE_SECONDS if options.time else START_SECONDS
            move = _blamed(program, f"genmove {COLORS[player]}", allowed).lower()
            seconds = time.monotonic() - started
            left[player] -= seconds
            program.slowest_seconds = max(program.slowest_seconds, seconds)
            program.least_left = min(program.least_left, left[player])
            if options.verbose:
                print(f"{COLORS[player]} {move} {seconds:.2f} s, {left[player]:.2f} s left")
            if move == "resign":
                return (1.0 if player == 1 else -1.0), num_moves
        if not referee.play(move):
            raise _of(program, ProgramError("illegal", f"{COLORS[player]} {move}"))
        num_moves += 1
        _blamed(other, f"play {COLORS[player]} {move}")
    for program in programs:
        if "final_score" in program.commands:
            _blamed(program, "final_score")
    return referee.result, num_moves


def _blamed(program: Program, command: str, seconds: float = COMMAND_SECONDS) -> str:
    try:
        return program.ask(command, seconds)
    except ProgramError as error:
        raise _of(program, error) from None


def _of(program: Program, error: ProgramError) -> ProgramError:
    error.program = program  # type: ignore[attr-defined]
    return error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("programs", nargs=2, metavar="COMMAND")
    parser.add_argument("--game", choices=("go", "othello"), default="go")
    parser.add_argument("--games", type=int, default=10)
    parser.add_argument("--size", type=int, default=None, help="9, in Othello 8")
    parser.add_argument("--komi", type=float, default=7.5)
    parser.add_argument("--time", type=int, help="seconds of each side for a game")
    parser.add_argument("--random-moves", type=int, default=2, help="at the start of each game")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="print each move and its time")
    options = parser.parse_args()
    options.size = options.size or (9 if options.game == "go" else 8)
    rng = random.Random(options.seed)
    programs = [Program(command) for command in options.programs]
    for program in programs:
        try:
            program.start()
        except (OSError, ValueError, ProgramError) as error:
            parser.error(f"{program.command!r} does not start as a GTP program: {error}")
    score, num_moves, num_results = 0.0, 0, 0
    for number in range(options.games):
        seats = programs if number % 2 == 0 else programs[::-1]
        try:
            result, moves = play_game(seats, options, rng)
        except ProgramError as error:
            blamed = error.program  # type: ignore[attr-defined]
            blamed.errors[error.kind] += 1
            print(f"game {number + 1}: {blamed.command}: {error}", flush=True)
            if error.kind in ("left", "silent", "protocol"):
                blamed.start()
            continue
        num_moves += moves
        num_results += 1
        score += (result if number % 2 == 0 else -result) / 2 + 0.5
        print(f"game {number + 1}: {result:+g} for black after {moves} moves", flush=True)
    for program in programs:
        try:
            program.quit()
        except ProgramError as error:
            program.errors[error.kind] += 1
            print(f"{program.command}: {error}")
    print(f"{programs[0].command} scored {score:g} of {num_results} games, {num_moves} moves")
    for program in programs:
        errors = ", ".join(f"{count} {kind}" for kind, count in program.errors.items()) or "none"
        print(
            f"{program.command}: errors {errors}; {program.num_commands} commands; "
            f"slowest move {program.slowest_seconds:.2f} s"
            + (f", least time left {program.least_left:.2f} s" if options.time else "")
        )
    return int(bool(programs[0].errors))


if __name__ == "__main__":
    sys.exit(main())
