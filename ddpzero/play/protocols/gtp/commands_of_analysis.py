"""The commands that tell what a search finds while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ddpzero.play.protocols.gtp.analysis import Analyzed
from ddpzero.play.protocols.gtp.bans import bans_of
from ddpzero.play.protocols.gtp.commands_of_all import color_argument, made_move
from ddpzero.play.protocols.gtp.lines import Request
from ddpzero.play.protocols.gtp.options import AnalysisOptions, analysis_options
from ddpzero.play.protocols.gtp.session import Command, Session


def _analyze(session: Session, request: Request, is_kata: bool) -> None:
    """Tell what is found until a line arrives. The search ends earlier if nothing is left to find."""
    options = _options(session, request, is_kata)
    player = session.table.next_player if options.player is None else options.player
    bans = bans_of(session.game, options.restrictions)
    # Refuses what cannot be before the answer begins.
    session.engine_for(player, bans)
    session.begin_stream(request)
    session.analyze(player, bans, _teller(session, options, is_kata), options.interval_seconds)
    session.lines.wait()
    session.end_stream()


def _genmove_analyze(session: Session, request: Request, is_kata: bool) -> None:
    """Tell what is found while a move is chosen, then play it."""
    options = _options(session, request, is_kata)
    player = session.table.next_player if options.player is None else options.player
    bans = bans_of(session.game, options.restrictions)
    # Refuses what cannot be before the answer begins.
    session.engine_for(player, bans)
    session.begin_stream(request)
    chosen = session.choose(
        player,
        bans,
        on_analyzed=_teller(session, options, is_kata),
        interval_seconds=options.interval_seconds,
    )
    session.stream(f"play {made_move(session, player, chosen)}")
    session.end_stream()


def _cgos_genmove_analyze(session: Session, request: Request) -> None:
    player = color_argument(session, request)
    chosen = session.choose(player)
    session.begin_stream(request)
    session.stream(chosen.analyzed.cgos_line())
    session.stream(f"play {made_move(session, player, chosen)}")
    session.end_stream()


def _options(session: Session, request: Request, is_kata: bool) -> AnalysisOptions:
    position, names = session.table.episode.position, session.names
    return analysis_options(request.arguments, lambda name: names.parse(position, name), is_kata)


def _teller(
    session: Session, options: AnalysisOptions, is_kata: bool
) -> Callable[[Analyzed], None]:
    told = ""

    def tell(analyzed: Analyzed) -> None:
        nonlocal told
        line = analyzed.kata_line(options) if is_kata else analyzed.lz_line(options)
        if line not in ("", told):
            session.stream(line)
            told = line

    return tell


COMMANDS: Mapping[str, Command] = {
    "lz-analyze": lambda session, request: _analyze(session, request, is_kata=False),
    "kata-analyze": lambda session, request: _analyze(session, request, is_kata=True),
    "lz-genmove_analyze": lambda session, request: _genmove_analyze(session, request, False),
    "kata-genmove_analyze": lambda session, request: _genmove_analyze(session, request, True),
    "cgos-genmove_analyze": _cgos_genmove_analyze,
}
