"""Runs `ddpzero ratings RUN`: the ratings of a run's models, as a table, as JSON lines, and as a curve in a picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ddpzero.arena.match_log import MATCHES_FILE, Block, num_repeated_games, read_blocks
from ddpzero.arena.pool import RATINGS_FILE
from ddpzero.arena.ratings import Rating, rate
from ddpzero.arena.statistics import repetition_caveat
from ddpzero.run.checkpoint_files import CONFIG_FILE
from ddpzero.run.finder import find_run, why_unknown
from ddpzero.run.models import read_models
from ddpzero.run.progress import count_text
from ddpzero.run.releases import best_of, read_verdicts
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import UnreadableFileError, read_json, read_yaml
from ddpzero.system.measurements import Measurement, print_measurements
from ddpzero.system.terminal import plain_console
from ddpzero.system.whole_files import require_writable


@dataclass(frozen=True)
class Progress:
    """The counters of a run when it saved a model."""

    learner_step: int
    samples: int
    minutes: float


@dataclass(frozen=True)
class RatedPlayer:
    """A rating, and what is known about its player. progress: None for a fixed opponent. note: "best" or "rejected"."""

    rating: Rating
    progress: Progress | None
    note: str = ""


def run_ratings(run: str, *, as_json: bool = False, plot: str | None = None) -> None:
    """Print the ratings of a run. plot: a file ending in .png, .svg or .pdf for the curve. Raises UserError."""
    if plot is not None:
        _check_plot(Path(plot))
    found = find_run(run)
    require(found is not None, f"run {run!r} is unknown: {why_unknown(run)}")
    assert found is not None
    run_dir = run_with_matches(found) or found
    blocks = read_blocks(run_dir)
    require(
        bool(blocks) or not _has_content(run_dir / MATCHES_FILE),
        f"{run_dir / MATCHES_FILE} is damaged: none of its lines is a match. Restore the file, or remove it.",
    )
    require(
        bool(blocks),
        f"{run_dir} has no matches: {MATCHES_FILE} is missing or empty. The arena plays them during the training, "
        "after the first checkpoint, if arena.num_workers is at least 1; with a small arena.share a short run "
        "may have none.",
    )
    anchor = anchor_of(run_dir, blocks)
    players = rated_players(run_dir, blocks, anchor)
    if as_json:
        game_name = _game_name(run_dir)
        measurements = [_measurement(run_dir, game_name, player, anchor) for player in players]
        print_measurements(measurements, True)
    else:
        _print_table(run_dir, players, anchor)
        num_games = sum(block.num_games for block in blocks)
        num_distinct_games = num_games - num_repeated_games(blocks)
        if caveat := repetition_caveat(num_distinct_games, num_games):
            plain_console().print(caveat.replace("interval is", "intervals are"))
    if plot is not None:
        draw_curve(Path(plot), f"{run_dir.name}: Elo relative to {anchor}", players)
        print(f"wrote {plot}", file=sys.stderr)


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def run_with_matches(folder: Path) -> Path | None:
    """Return the run of a run's, checkpoint's or model's folder; None if it has no matches."""
    candidates = [folder, *list(folder.parents)[:2]]
    return next((path for path in candidates if (path / MATCHES_FILE).exists()), None)


def anchor_of(run_dir: Path, blocks: Sequence[Block]) -> str:
    """Return the player with rating 0: the one of the run's arena, or the first opponent."""
    try:
        anchor = read_json(run_dir / RATINGS_FILE).get("anchor")
    except (UnreadableFileError, AttributeError):
        anchor = None
    names = {name for block in blocks for name in (block.player_a, block.player_b)}
    return anchor if anchor in names else blocks[0].player_b


def rated_players(run_dir: Path, blocks: Sequence[Block], anchor: str) -> list[RatedPlayer]:
    """Return all players that the anchor is connected to by games, strongest first."""
    progress = _progress(run_dir, blocks)
    verdicts = read_verdicts(run_dir)
    best, rejected = best_of(verdicts), {v.model for v in verdicts if not v.is_released}
    players = []
    for rating in rate(blocks, anchor):
        name = rating.player
        note = "best" if name == best else "rejected" if name in rejected else ""
        players.append(RatedPlayer(rating, progress.get(name), note))
    return players


def _progress(run_dir: Path, blocks: Sequence[Block]) -> dict[str, Progress]:
    """Return the progress of the run at each of its models, including those that were removed."""
    counters = {manifest.model: manifest.counters for manifest in read_models(run_dir)}
    kept = {
        model: Progress(*(c.get(name, 0) for name in ("learner_step", "samples", "minutes")))
        for model, c in counters.items()
    }
    return kept | {b.player_a: Progress(b.learner_step, b.samples, b.minutes) for b in blocks}


def _print_table(run_dir: Path, players: Sequence[RatedPlayer], anchor: str) -> None:
    title = f"{run_dir.name}: Elo relative to {anchor}, with 95 % intervals"
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("player", overflow="fold")
    for heading in ("Elo", "", "games", "score", "samples", "minutes"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for player in players:
        rating = player.rating
        half_width = f"± {(rating.high - rating.low) / 2:.0f}"
        table.add_row(
            rating.player.removeprefix(f"{run_dir.name}-"),
            "0" if rating.player == anchor else f"{rating.elo:+z.0f}",
            "" if rating.player == anchor else half_width,
            str(rating.num_games),
            f"{rating.score:.1%}",
            count_text(player.progress.samples) if player.progress else "",
            f"{player.progress.minutes:.1f}" if player.progress else "",
            player.note,
            style="bold" if player.note == "best" else None,
        )
    plain_console().print(table)


def _game_name(run_dir: Path) -> str:
    """Return the name of a run's game; "" if its config cannot be read."""
    try:
        game = read_yaml(run_dir / CONFIG_FILE).get("game")
    except UnreadableFileError:
        return ""
    return str(game.get("name", "")) if isinstance(game, dict) else ""


def _measurement(run_dir: Path, game_name: str, player: RatedPlayer, anchor: str) -> Measurement:
    rating = player.rating
    conditions = {
        "run": run_dir.name,
        "low": rating.low,
        "high": rating.high,
        "player": rating.player,
        "anchor": anchor,
        "num_games": rating.num_games,
        "score": rating.score,
        "note": player.note,
        **(asdict(player.progress) if player.progress else {}),
    }
    return Measurement("ratings", game_name, "elo", rating.elo, "Elo", conditions)


def _check_plot(file: Path) -> None:
    require(
        file.suffix in (".png", ".svg", ".pdf") and not file.is_dir(),
        f"--plot {file} must be the name of a file that ends in .png, .svg or .pdf.",
    )
    require_matplotlib(f"--plot {file}")
    require_writable(f"--plot {file}", file.parent)


def require_matplotlib(option: str) -> None:
    """Raise UserError if pictures cannot be drawn. option: as the user wrote it, with its value."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        name = option.split()[0]
        raise UserError(
            f"{option} needs matplotlib: pip install 'ddpzero[report]', or leave {name} out."
        ) from None


def draw_curve(file: Path, title: str, players: Sequence[RatedPlayer]) -> None:
    """Draw the ratings of the models over samples and over minutes; fixed opponents are lines."""
    from matplotlib.figure import Figure

    models = [(player.progress, player.rating) for player in players if player.progress]
    models.sort(key=lambda model: model[0].samples)
    elo = [rating.elo for _, rating in models]
    errors = [
        [rating.elo - rating.low for _, rating in models],
        [rating.high - rating.elo for _, rating in models],
    ]
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, label in zip(panels, ("samples", "minutes"), strict=True):
        x = [getattr(progress, label) for progress, _ in models]
        panel.errorbar(x, elo, yerr=errors, fmt="o-", capsize=2, linewidth=1, markersize=4)
        for player in players:
            if player.progress is None:
                panel.axhline(player.rating.elo, linestyle="--", linewidth=1, color="gray")
                panel.annotate(
                    player.rating.player,
                    (0.99, player.rating.elo),
                    xycoords=("axes fraction", "data"),
                    fontsize="small",
                    ha="right",
                    va="bottom",
                )
        panel.set_xlabel(label)
        panel.set_xlim(left=0)
        panel.locator_params(axis="x", nbins=6)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("Elo, with 95 % interval")
    figure.suptitle(title, fontsize="medium")
    figure.savefig(file, dpi=150)
