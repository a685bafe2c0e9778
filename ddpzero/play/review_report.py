"""Runs `ddpzero review`: reviews a game and prints the graph of its values, its worst moves and what was better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ddpzero.arena.agents import (
    game_of_players,
    is_agent,
    parse_player,
    require_agent_that_searches,
)
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.titles import full_title_of
from ddpzero.judges.exact_values import read_exact_table
from ddpzero.play.clock import TimeControl
from ddpzero.play.engine import Limits, use_one_thread
from ddpzero.play.graph import column_of, share_graph
from ddpzero.play.review import DOUBTFUL_LOSS, Review, ReviewedMove, review_game
from ddpzero.play.review_sgf import said_of_exact, said_of_margin, sgf_of_review
from ddpzero.play.strength import Strength, make_engine
from ddpzero.play.views import PLAYER_STYLES, board_view, look_of, player_marks, side_by_side
from ddpzero.records import GameRecord, read_record, said_of_result
from ddpzero.system.errors import UserError, require
from ddpzero.system.json_text import json_text
from ddpzero.system.terminal import plain_console, shown_steps
from ddpzero.system.whole_files import replace_whole, require_writable

# Of each position, unless the options say something else.
DEFAULT_SIMULATIONS = 400
_GRAPH_ROWS = 7
_MAX_GRAPH_COLUMNS = 100
_SHOWN_LINE = 8


def run_review(
    file: str,
    player: str,
    *,
    game: Game | TeamGame | None = None,
    number: int = 1,
    num_simulations: int | None = None,
    seconds: float | None = None,
    num_worst: int = 5,
    as_json: bool = False,
    sgf: str | None = None,
) -> None:
    """Review a game of a file with a player and print the result. Raises UserError.

    game: what the file does not say is as in it; None: as in the player's game. number: of the game, of several in the
    file. num_simulations, seconds: of each position. sgf: a file to write the annotated game to.
    """
    require_agent_that_searches([player], None, num_simulations)
    record = read_record(file, _base_game(player, game), number)
    if sgf is not None:
        require(
            Path(sgf).suffix == ".sgf", f"--sgf {sgf} must be the name of a file that ends in .sgf."
        )
        require(
            bool(record.game.sgf_header),
            f"--sgf {sgf}: {record.game.name} has no SGF format: use --json.",
        )
        require_writable(f"--sgf {sgf}", Path(sgf).parent)
    if num_simulations is None and seconds is None:
        num_simulations = DEFAULT_SIMULATIONS
    strength = Strength(TimeControl(seconds), num_simulations)
    trained = game_of_players([player]) if is_agent(player) else record.game
    if warning := said_of_other_board(player, trained, record.game):
        plain_console(stderr=True).print(warning, soft_wrap=True)
    use_one_thread()
    engine = make_engine(parse_player(player, record.game, num_simulations), record.game, strength)
    total = len(record.actions) + 1
    with shown_steps() as on_step:

        def tell(review: Review) -> None:
            if len(review.positions) % max(1, total // 10) == 0:
                on_step(f"position {len(review.positions)} of {total}")

        review = review_game(
            record,
            engine,
            Limits(num_simulations, seconds),
            tell,
            table=read_exact_table(record.game),
        )
    if sgf is not None:
        replace_whole(Path(sgf), sgf_of_review(review).encode())
    if as_json:
        print(json_text(review.as_dict()))
    else:
        console = plain_console()
        console.print(review_view(review, console, num_worst))


def said_of_other_board(player: str, trained: Game, game: Game) -> str:
    """Return a warning about a player on a board of another size than its run's; "" on one of that size."""
    if trained.spec.board_shape == game.spec.board_shape:
        return ""
    ours, here = (" x ".join(map(str, each.spec.board_shape)) for each in (trained, game))
    return (
        f"note: {player} was trained for boards of {ours}, and this one is {here}: what it says may be far off, as on "
        "any board that it has not learned."
    )


def _base_game(player: str, game: Game | TeamGame | None) -> Game | None:
    """Return the game that a file's facts change; None: the file must name its game."""
    if game is None:
        # Plain tree search has no game of its own.
        return game_of_players([player]) if is_agent(player) else None
    if isinstance(game, TeamGame):
        raise UserError(
            f"{game.name} is a team game, and reviews are of games in which two players take turns."
        )
    return game


def review_view(review: Review, console: Console, num_worst: int) -> RenderableType:
    """Return the whole report: the players, the graph, the worst moves, the position before the worst one."""
    parts: list[RenderableType] = [
        Text(full_title_of(review.record.game), style="bold"),
        _players_table(review, console),
    ]
    if visits := [position.visits for position in review.positions if position.visits]:
        about = f"about {np.median(visits):,.0f} simulations for each position"
        parts.append(Text(f"reviewed by {review.reviewer}, {about}", style="dim"))
    if review.num_exact:
        parts.append(Text(said_of_exact(review), style="dim"))
    if len(review.positions) > 1:
        parts += [graph_view(review, console), Text()]
    worst = review.worst(num_worst)
    if worst:
        parts += [worst_table(review, worst), before_view(review, worst[0], console)]
    elif review.moves:
        parts.append(Text(f"No move lost more than {DOUBTFUL_LOSS:.0%}."))
    return Group(*parts)


def name_of_player(review: Review, player: int) -> str:
    return review.record.names[player] or ("first player", "second player")[player]


def _players_table(review: Review, console: Console) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "moves", "first choice", "lost per move"):
        table.add_column(
            heading,
            justify="left" if not heading else "right",
            overflow="fold",
            no_wrap=bool(heading),
        )
    marks = player_marks(look_of(console))
    for player in (0, 1):
        share, loss = review.first_choice_share(player), review.mean_loss(player)
        table.add_row(
            Text(f"{marks[player]} {name_of_player(review, player)}", style=PLAYER_STYLES[player]),
            str(len(review.of_player(player))),
            "" if share is None else f"{share:.0%}",
            "" if loss is None else f"{loss:.1%}",
        )
    if review.record.result:
        table.caption = Text(_result(review.record), style="dim")
        table.caption_justify = "left"
    return table


def _result(record: GameRecord) -> str:
    """Return "result: me won by 3.5 (B+3.5)"; the notation only where games of the kind have black and white."""
    notation = f" ({record.result})" if record.game.sgf_header else ""
    return f"result: {said_of_result(record.result, record.names)}{notation}"


def graph_view(review: Review, console: Console) -> RenderableType:
    """Return the win rate of the first player before each move, with the numbers of the worst moves below."""
    rates = [position.win_rate for position in review.positions]
    num_columns = max(10, min(console.width - 8, _MAX_GRAPH_COLUMNS))
    has_unicode = not console.options.ascii_only
    lines = share_graph(rates, num_columns, _GRAPH_ROWS, has_unicode)
    marks = [" "] * num_columns
    for move in review.worst(len(review.moves)):
        marks[min(column_of(move.ply + 1, len(rates), num_columns), num_columns - 1)] = "^"
    name = review.record.names[0] or "the first player"
    whose = "your win rate" if name == "you" else f"win rate of {name}"
    title = f"{whose} after 0 to {len(rates) - 1} moves; ^ lost {DOUBTFUL_LOSS:.0%}"
    return Group(
        Text(f"{title} or more", style="dim"),
        *(Text(line, style=PLAYER_STYLES[0]) for line in lines),
        Text(f"      {''.join(marks).rstrip()}", style="bold red3"),
    )


def worst_table(review: Review, moves: list[ReviewedMove]) -> Table:
    """Return a table of some moves, with what was better."""
    game = review.record.game
    has_score = any(move.score_loss is not None for move in moves)
    table = Table(title="Worst moves", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in (
        "move",
        "player",
        "played",
        "lost",
        *(["points"] if has_score else []),
        "better",
    ):
        table.add_column(
            heading,
            justify="right" if heading in ("move", "lost", "points") else "left",
            overflow="fold",
        )
    for move in moves:
        points = [] if not has_score else [f"{move.score_loss or 0:.1f}"]
        certain = " (exact)" if move.is_exact else " (certain)" if move.is_certain else ""
        table.add_row(
            str(move.ply + 1),
            Text(name_of_player(review, move.player), style=PLAYER_STYLES[move.player]),
            game.action_name(move.action),
            f"{move.loss:.0%}",
            *points,
            Text(f"{line_text(game, move.best_line)}  {move.best_win_rate:.0%}{certain}"),
        )
    return table


def before_view(
    review: Review, move: ReviewedMove, console: Console, shows_better: bool = True
) -> RenderableType:
    """Return the position before a move, and what was played and, unless that is a riddle, what was better."""
    record = review.record
    position = record.positions()[move.ply]
    last = record.actions[move.ply - 1] if move.ply else None
    board = board_view(record.game, position, last, look_of(console))
    before = review.positions[move.ply]
    text = Text(f"Before move {move.ply + 1}\n", style="bold")
    text.append(f"{name_of_player(review, move.player)} played ", style="not bold")
    text.append(record.game.action_name(move.action))
    text.append(f" ({move.win_rate:.0%}).\n", style="not bold")
    if shows_better:
        text.append("Better: ", style="not bold")
        text.append(line_text(record.game, move.best_line))
        text.append(f" ({move.best_win_rate:.0%}).", style="not bold")
    if before.score is not None:
        text.append(f"\nExpected then: {_said_of_lead(review, before.score)}", style="not bold")
    return side_by_side(board, text)


def _said_of_lead(review: Review, margin: float) -> str:
    """Return "B+3.5", or "me ahead by 3.5" in a game in which nobody is black or white."""
    if review.record.game.sgf_header:
        return said_of_margin(margin)
    return f"{name_of_player(review, 0 if margin >= 0 else 1)} ahead by {abs(margin):.1f}"


def line_text(game: Game, actions: tuple[int, ...]) -> str:
    names = " ".join(map(game.action_name, actions[:_SHOWN_LINE]))
    return f"{names} ..." if len(actions) > _SHOWN_LINE else names
