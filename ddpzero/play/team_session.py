"""A team game in the terminal: two players to watch, or a person who controls the first agent of a team."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rich.live import Live
from rich.text import Text

from ddpzero.arena.team_table import TeamTable
from ddpzero.games import TeamGame
from ddpzero.games.core.players import TeamPlayer
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.play.person import Leave, Person

_QUIT_KEYS = ("q", "quit", "exit", "\x1b")
_HELP_KEYS = ("h", "help", "?")
_SAME_AGAIN = ("", " ", "\r", "\n")
# The first episode on a fresh machine compiles the rules: when it is set up, and again at its first step.
_COMPILING = "compiling the game (takes up to a minute on a fresh machine)"


class TeamSession:
    """Plays episodes between the same two players, one for each team."""

    def __init__(
        self,
        game: TeamGame,
        person: Person,
        players: tuple[TeamPlayer, TeamPlayer],
        persons_team: int | None,
        rng: np.random.Generator,
        delay_seconds: float = 0.0,
    ):
        """players: of teams 0 and 1. persons_team: the team whose first agent the person controls; None: none, the
        person watches. delay_seconds: between two steps of an episode that the person watches.
        """
        self._game = game
        self._person = person
        self._players = players
        self._persons_team = persons_team
        self._rng = rng
        self._delay_seconds = delay_seconds

    def play_game(self) -> np.ndarray:
        """Play one episode and return the points of both teams. Raises Leave if the person quits."""
        streams = new_random_states(int(self._rng.integers(2**32)), 3)[:, None]
        with self._person.console.status(_COMPILING):
            table = TeamTable(self._game, streams[0])
            self._game.render(table.positions[0], self._in_color)
        person, steered = self._person, self._steered_agent()
        with Live(console=person.console, auto_refresh=False, transient=False) as live:

            def show(note: str = "") -> None:
                position = table.positions[0]
                if steered is None:
                    drawing = self._game.render(position, self._in_color)
                else:
                    drawing = self._game.render_marked(position, self._in_color, steered)
                board = Text.from_ansi(drawing)
                lines = [Text(line, style="dim") for line in (self._teams(), note) if line]
                live.update(Text("\n").join([board, *lines]), refresh=True)

            show(_COMPILING)
            last_action: int | None = None
            while table.is_going_on.any():
                started = time.perf_counter()
                for team, player in enumerate(self._players):
                    table.ask(player, np.array([team]), streams[1 + team])
                if steered is not None:
                    last_action = self._read_action(show, last_action)
                    table.actions[0, steered] = last_action
                    if not table.num_steps[0]:
                        show(_COMPILING)
                table.step()
                show()
                if steered is None:
                    time.sleep(max(0.0, self._delay_seconds - (time.perf_counter() - started)))
        # Without a terminal, Live does not end its last line.
        if not person.console.is_terminal:
            person.console.print()
        points = table.points()[0]
        self._announce(points, int(table.num_steps[0]))
        return points

    @property
    def _in_color(self) -> bool:
        return self._person.console.color_system is not None

    def _steered_agent(self) -> int | None:
        if self._persons_team is None:
            return None
        return self._persons_team * self._game.spec.agents_per_team

    def _read_action(self, show: Callable[[str], None], last_action: int | None) -> int:
        """Return the action that the person chooses; space or Enter repeats the last one."""
        spec = self._game.spec
        keys = {
            **{key: action for action, key in enumerate(spec.action_keys)},
            **{name: action for action, name in enumerate(spec.action_names)},
        }
        choices = ", ".join(
            f"{key} {name}" for key, name in zip(spec.action_keys, spec.action_names, strict=True)
        )
        prompt = f"agent {self._steered_agent()}: {choices}, space repeat, h help, q quit "
        show(prompt)
        while True:
            key = self._person.read_key(prompt)
            if key in _QUIT_KEYS:
                raise Leave
            if key in _SAME_AGAIN and last_action is not None:
                return last_action
            if key in keys:
                return keys[key]
            show(f"{self._answer(key, choices)}\n{prompt}")

    def _answer(self, key: str, choices: str) -> str:
        """Return what is said to a key that moves nothing. choices: the keys that do."""
        if key in _HELP_KEYS:
            return (
                f"you move the first agent of your team, your mates move themselves. {choices}, or the arrow keys; "
                "space or Enter: what you did last; q: leave."
            )
        if key in _SAME_AGAIN:
            return "there is no move to repeat yet."
        name = key if key.isprintable() else "this"
        return f"{name} is not a key of this game: h for help."

    def _announce(self, points: np.ndarray, num_steps: int) -> None:
        first, second = (self._name(team) for team in range(2))
        score = f"{points[0]} : {points[1]} after {num_steps} steps"
        if points[0] == points[1]:
            self._person.say(f"a draw, {score}.", style="bold")
            return
        winner = first if points[0] > points[1] else second
        verb = "win" if winner == "you and your mates" else "wins"
        self._person.say(f"{winner} {verb}, {score}.", style="bold")

    def _teams(self) -> str:
        """Return "you and your mates (agents 0 1 2) : greedy (second) (agents 3 4 5)"."""
        size = self._game.spec.agents_per_team
        agents = [range(team * size, (team + 1) * size) for team in range(2)]
        return " : ".join(
            f"{self._name(team)} (agents {' '.join(map(str, agents[team]))})" for team in range(2)
        )

    def _name(self, team: int) -> str:
        if team == self._persons_team:
            return "you and your mates"
        return f"{self._players[team].name} ({'first' if team == 0 else 'second'})"
