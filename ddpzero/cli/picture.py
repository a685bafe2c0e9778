"""Creates launch/training.svg, the image in README.md, from a finished run of a board game:

    python -m ddpzero.main +experiment=quick | tee quick.txt
    python -m ddpzero.cli.picture runs/quick quick.txt launch/training.svg

The image shows progress lines from the console, the monitor's page, and a position with the agent's evaluation.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from ddpzero.arena.agents import load_agent
from ddpzero.cli.monitor import look_at
from ddpzero.cli.monitor_view import cut, make_page
from ddpzero.games import Game
from ddpzero.games.core.players import Analyst
from ddpzero.play.views import analysis_view, board_view, side_by_side
from ddpzero.run.curves import CurvesFile
from ddpzero.run.record import METRICS_FILE

WIDTH = 112
NUM_PROGRESS_LINES = 3
NUM_MONITOR_LINES = 19
NUM_PLIES = 12


def main() -> None:
    run_dir, console_file, picture = map(Path, sys.argv[1:])
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        highlight=False,
        # A run's name is no markup.
        markup=False,
        emoji=False,
    )
    show_progress(console, console_file)
    show_monitor(console, run_dir)
    show_position(console, run_dir)
    picture.write_text(console.export_svg(title="ddpzero", unique_id="t"))


def show_progress(console: Console, file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if "updates/s" in line]
    every = max(1, len(lines) // NUM_PROGRESS_LINES)
    console.print("$ python -m ddpzero.main +experiment=quick", style="bold")
    for line in lines[::-every][:NUM_PROGRESS_LINES][::-1]:
        console.print(Text(whole_fields(line)), no_wrap=True)
    console.print()


def whole_fields(line: str) -> str:
    """Return as many fields of a progress line as the picture is wide."""
    while len(line) > WIDTH:
        line = line.rpartition("  ")[0]
    return line


def show_monitor(console: Console, run_dir: Path) -> None:
    view = look_at(run_dir, CurvesFile(run_dir / METRICS_FILE))
    page, _ = cut(make_page(view, WIDTH), NUM_MONITOR_LINES, 0, "q leaves", "j k space b: scroll")
    console.print(f"$ ddpzero monitor {run_dir.name}", style="bold")
    console.print(page)
    console.print()


def show_position(console: Console, run_dir: Path) -> None:
    """Print a position of an episode that the agent plays against itself, as `ddpzero play` shows it."""
    agent = load_agent(run_dir)
    assert isinstance(agent.game, Game)
    player = agent.make_player()
    assert isinstance(player, Analyst)
    rng = np.random.default_rng(0)
    position, action = agent.game.initial_position(), None
    for _ in range(NUM_PLIES):
        action = int(player.choose(position[None], rng)[0])
        position = agent.game.apply_action(position, action)
    analysis = player.analyze(position[None], rng)
    console.print(f"$ ddpzero play {run_dir.name}", style="bold")
    console.print(
        side_by_side(
            board_view(agent.game, position, action, "color"),
            analysis_view(agent.game, analysis, f"{agent.model} expects"),
        )
    )


if __name__ == "__main__":
    main()
