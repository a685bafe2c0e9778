"""Runs `ddpzero games`: lists, counts, shows, exports and verifies the finished episodes of a run."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ddpzero.episodes.export import has_sgf, line_of, record_of
from ddpzero.episodes.filters import GameFilter, result_of
from ddpzero.episodes.listing import names_of, table_of
from ddpzero.episodes.show import lines_of
from ddpzero.episodes.source import EpisodeReader, StoredGame, find_shards
from ddpzero.episodes.statistics import GameStatistics, statistics_of
from ddpzero.episodes.verification import Verdict, verify
from ddpzero.records import sgf_of_record
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import UnreadableFileError
from ddpzero.system.json_text import json_text
from ddpzero.system.terminal import plain_console, shown_steps
from ddpzero.system.whole_files import replace_whole, require_writable

_MAX_PROBLEMS = 20
_MAX_WIDTH = 1000


def run_games(
    run: str,
    chosen: GameFilter,
    *,
    limit: int = 20,
    show: int | None = None,
    statistics: bool = False,
    export: str | None = None,
    as_json: bool = False,
) -> None:
    """Print the newest games of a run, or what is asked for instead. Raises UserError.

    run: a run, or a folder of shards. show: the number of a game, which is shown move by move. export: a file that ends
    in .sgf or .txt.
    """
    if export is not None:
        _check_export(Path(export))
    paths = find_shards(run)
    try:
        if show is not None:
            _show(paths, show)
        else:
            games = filter(chosen.accepts, EpisodeReader().games(paths))
            _print(run, games, limit, statistics, export, as_json)
    except UnreadableFileError as error:
        raise UnreadableFileError(
            f"{error} `ddpzero games verify {run}` names all damaged files."
        ) from None


def run_verify_games(run: str) -> int:
    """Verify the games of a run or in a folder; print the verdict and return the exit code: 1 if anything is wrong."""
    paths = find_shards(run)
    verdict, started = Verdict(), time.monotonic()
    with shown_steps() as on_step:
        for verdict in verify(paths):
            if verdict.num_shards == len(paths) or verdict.num_shards % 100 == 1:
                on_step(f"{verdict.num_shards} of {len(paths)} files, {verdict.num_games:,} games")
    for problem in verdict.problems[:_MAX_PROBLEMS]:
        print(problem)
    if len(verdict.problems) > _MAX_PROBLEMS:
        print(f"... and {len(verdict.problems) - _MAX_PROBLEMS} more")
    loose = f", {verdict.num_loose:,} samples of unknown games" if verdict.num_loose else ""
    files = "1 file" if verdict.num_shards == 1 else f"{verdict.num_shards} files"
    print(
        f"{verdict.num_games:,} games with {verdict.num_samples:,} samples in {files}{loose}: "
        f"{len(verdict.problems) or 'no'} problem{'' if len(verdict.problems) == 1 else 's'} "
        f"({verdict.num_games / (time.monotonic() - started):,.0f} games/s)"
    )
    return 1 if verdict.problems else 0


def _print(
    run: str,
    games: Iterator[StoredGame],
    limit: int,
    statistics: bool,
    export: str | None,
    as_json: bool,
) -> None:
    if statistics:
        _print_statistics(statistics_of(games), as_json)
        return
    if export is not None:
        _export(Path(export), list(games))
        return
    newest: deque[StoredGame] = deque(maxlen=limit)
    num_games = 0
    for game in games:
        num_games += 1
        newest.append(game)
    _print_list(run, list(newest), num_games, as_json)


def _print_list(run: str, games: list[StoredGame], num_games: int, as_json: bool) -> None:
    if as_json:
        for game in games:
            print(json_text(_record(game)))
        return
    require(num_games > 0, f"{run}: no game is as the options ask.")
    shown = "" if len(games) == num_games else f", the newest {len(games)} of {num_games:,}"
    print(f"Games of {run}{shown}")
    console = plain_console()
    if not console.is_terminal:
        # A program that reads this needs whole lines.
        console.width = _MAX_WIDTH
    console.print(table_of(games, console.width))


def _record(game: StoredGame) -> dict[str, Any]:
    facts = game.facts
    return {
        "number": game.number,
        "file": str(game.path),
        "model": game.model,
        "num_samples": game.num_samples,
        "length": None if facts is None else facts.length,
        "result": result_of(game),
        "moves": names_of(game),
    }


def _show(paths: list[Path], number: int) -> None:
    reader, last = EpisodeReader(), 0
    for path in paths:
        found = list(reader.games([path]))
        if number <= last + len(found):
            (game,) = [
                each
                for each in reader.games([path], with_samples=True)
                if each.number == number - last
            ]
            for line in lines_of(game):
                print(line)
            return
        last += len(found)
    raise UserError(f"--show {number}: there are {last:,} games; give a number from 1 to {last}.")


def _print_statistics(found: GameStatistics, as_json: bool) -> None:
    lengths = np.array(found.lengths or [0])
    quantiles = [float(value) for value in np.quantile(lengths, (0, 0.25, 0.5, 0.75, 1))]
    if as_json:
        positions = {str(ply): counts for ply, counts in found.positions.items()}
        print(
            json_text(
                {
                    "num_games": found.num_games,
                    "num_samples": found.num_samples,
                    "results": dict(found.results),
                    "mean_length": float(lengths.mean()),
                    "length_quantiles": quantiles,
                    "positions_by_ply": positions,
                    "games_by_model": dict(found.models),
                }
            )
        )
        return
    require(found.num_games > 0, "No game is as the options ask.")
    console = plain_console()
    console.print(f"{found.num_games:,} games, {found.num_samples:,} samples")
    shares = ", ".join(
        f"{what} {_share(found.results[name], len(found.lengths))}"
        for name, what in (
            ("first", "first player wins"),
            ("second", "second player wins"),
            ("draw", "draws"),
        )
    )
    console.print(shares)
    least, low, median, high, most = quantiles
    console.print(
        f"length {lengths.mean():.1f} on average; {least:.0f} to {most:.0f}, half of them {low:.0f} to {high:.0f}, "
        f"median {median:.0f}"
    )
    if not found.positions:
        return
    table = Table(
        title="Different positions", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    for heading in ("after ply", "games", "different", "share"):
        table.add_column(heading, justify="right")
    for ply, (reached, different) in found.positions.items():
        table.add_row(str(ply), f"{reached:,}", f"{different:,}", _share(different, reached))
    console.print(table)


def _share(number: int, of: int) -> str:
    share = number / max(1, of)
    return "< 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _check_export(file: Path) -> None:
    require(
        file.suffix in (".sgf", ".txt") and not file.is_dir(),
        f"--export {file} must be the name of a file that ends in .sgf (games of Go, Gomoku, Hex, Othello) or "
        ".txt (moves).",
    )
    require_writable(f"--export {file}", file.parent)


def _export(file: Path, games: list[StoredGame]) -> None:
    require(bool(games), "No game is as the options ask.")
    is_sgf = file.suffix == ".sgf"
    require(
        not is_sgf or all(map(has_sgf, games)),
        f"--export {file}: this game has no SGF: name a file that ends in .txt.",
    )
    text = "".join(sgf_of_record(record_of(game)) if is_sgf else line_of(game) for game in games)
    replace_whole(file, text.encode())
    print(f"wrote {len(games):,} games to {file}", file=sys.stderr)
