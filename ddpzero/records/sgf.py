"""Games as SGF FF[4], in and out, for every game whose file defines sgf_header and sgf_point.

Black is the first player, also in Hex. What a program writes that means nothing to the moves is passed over; what would
change the game, such as stones set up in the middle of it, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ddpzero import __version__
from ddpzero.games import Game, describe_game, load_game, variation
from ddpzero.records.record import GameRecord, result_at_end, tidy_result
from ddpzero.records.sgf_text import (
    SgfError,
    SgfNode,
    escaped,
    line_of_text,
    main_line,
    property_text,
    text_of,
)
from ddpzero.system.errors import require
from ddpzero.system.guarded_files import printable

_COLORS = {"B": "Black", "W": "White"}
_GAMES = {"1": "go", "2": "othello", "4": "gomoku", "11": "hex"}
_GO = "1"
_PASS_UP_TO_19 = "tt"
# Words of Hex for the end of a game.
_GIVES_UP = {"resign": "R", "forfeit": "F"}
_SETUP = ("AB", "AW", "AE")
_MAX_LINE = 200
_MAX_COMMENT = 20_000


@dataclass(frozen=True)
class Variation:
    """Other moves than those played. properties: of its first node, as they are written."""

    actions: Sequence[int]
    properties: str = ""


@dataclass(frozen=True)
class Notes:
    """What a node also says. comment: after that of the record. properties: as they are written.

    variations: what might have followed here instead.
    """

    comment: str = ""
    properties: str = ""
    variations: Sequence[Variation] = ()


def record_of_sgf(text: str, game: Game | None = None, number: int = 1) -> GameRecord:
    """Return the main line of a game as a record.

    game: what the text does not say (rules, komi) is as in it; None: ddpzero's own game of that kind. The record's game
    is a variation of it, with the size, komi and rules of the text. number: of the game, of several in a text.
    Raises UserError, whose message begins with the place: "line 3: ...".
    """
    nodes = main_line(text, number)
    num_before = next((i for i, node in enumerate(nodes) if _moves_of(node)), len(nodes))
    # Some programs write what belongs to the root into the nodes that follow it.
    head = _merged(nodes[: max(1, num_before)])
    reader = _MovesReader(_game_of(head, nodes, game))
    reader.set_up(head)
    for index, node in enumerate(nodes):
        if not reader.read(node, is_before=index < num_before):
            break
    return reader.record(head)


def sgf_of_record(record: GameRecord, notes: Mapping[int, Notes] | None = None) -> str:
    """Return a game as SGF. notes: what else to write, by the number of moves before.

    Raises UserError for a game without such a format.
    """
    game, notes = record.game, notes or {}
    require(bool(game.sgf_header), f"{game.name} has no SGF format: save the game as a .txt file.")
    facts = {
        "PB": record.names[0],
        "PW": record.names[1],
        "DT": record.date,
        "RE": record.result,
    }
    root = "".join(property_text(name, escaped(fact)) for name, fact in facts.items() if fact)
    parts = [
        f"(;FF[4]{game.sgf_header}CA[UTF-8]AP[ddpzero:{__version__}]{root}{_said(record, notes, 0)}\n"
    ]
    positions = record.positions()
    branches = [ply for ply in range(len(record.actions)) if notes.get(ply, Notes()).variations]
    for ply, action in enumerate(record.actions):
        # The rest of the game comes first, then what might have been played instead.
        opening = "(" if ply in branches else ""
        parts.append(f"{opening}{_move_text(game, positions[ply], action)}")
        parts.append(_said(record, notes, ply + 1))
    for ply in reversed(branches):
        variations = (_variation_text(game, positions[ply], v) for v in notes[ply].variations)
        parts.append(f")\n{''.join(variations)}")
    return "".join(parts) + ")\n"


def _said(record: GameRecord, notes: Mapping[int, Notes], ply: int) -> str:
    """Return the comment and the properties of a node."""
    of_node = notes.get(ply, Notes())
    comment = "\n".join(filter(None, (record.comments.get(ply, ""), of_node.comment)))
    return (property_text("C", escaped(comment)) if comment else "") + of_node.properties


def _move_text(game: Game, position: np.ndarray, action: int) -> str:
    color = "BW"[game.current_player(position)]
    words = {action: word for word, action in reversed(game.sgf_words(position).items())}
    return f";{color}[{words.get(action) or game.sgf_point(action)}]"


def _variation_text(game: Game, position: np.ndarray, variation: Variation) -> str:
    parts = []
    for index, action in enumerate(variation.actions):
        said = variation.properties if index == 0 else ""
        parts.append(_move_text(game, position, action) + said)
        position = game.apply_action(position, action)
    return f"({''.join(parts)})\n"


def _merged(nodes: Sequence[SgfNode]) -> SgfNode:
    """Return all properties of some nodes in one."""
    merged = SgfNode(nodes[0].line)
    for node in nodes:
        for name, values in node.properties.items():
            merged.properties.setdefault(name, []).extend(values)
    return merged


def _moves_of(node: SgfNode) -> list[tuple[str, str]]:
    return [(color, value) for color in "BW" for value in node.properties.get(color, ())]


def _line(node: SgfNode, name: str) -> str:
    """Return the first value of a property as a line of printable text; "" without it."""
    line = line_of_text((node.properties.get(name) or [""])[0])
    return printable(line)[:_MAX_LINE]


def _game_of(head: SgfNode, nodes: Sequence[SgfNode], given: Game | None) -> Game:
    """Return the game of the nodes, a variation of `given` or of ddpzero's own game."""
    kind = _line(head, "GM") or _GO
    if given is None:
        known = ", ".join(f"GM[{number}] {name}" for number, name in _GAMES.items())
        if kind not in _GAMES:
            raise SgfError(
                f"line {head.line}: GM[{kind}] is not a game of ddpzero: it has {known}."
            )
        given = load_game(_GAMES[kind])
    require(bool(given.sgf_header), f"{given.name} has no SGF format: give a list of moves (.txt).")
    (expected,) = main_line(f"(;{given.sgf_header})")
    if kind != _line(expected, "GM"):
        is_known = f", which is {_GAMES[kind]}" if kind in _GAMES else ""
        raise SgfError(
            f"line {head.line}: the game is GM[{kind}]{is_known}, and not {given.name}, which is "
            f"GM[{_line(expected, 'GM')}]."
        )
    moves = [line_of_text(value) for node in nodes for _, value in _moves_of(node)]
    properties = {name: list(map(line_of_text, head.properties[name])) for name in head.properties}
    try:
        changes = given.sgf_parameters(properties, moves)
        if not changes and properties.get("SZ", [""])[0] not in ("", _line(expected, "SZ")):
            raise ValueError(f"SZ[{_line(head, 'SZ')}] is not the board of {describe_game(given)}.")
        return variation(given, **changes) if changes else given
    except ValueError as error:
        raise SgfError(f"line {head.line}: {error}") from None


class _MovesReader:
    """Plays the moves of the nodes of a main line."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._position = game.initial_position()
        self._actions: list[int] = []
        self._comments: dict[int, str] = {}
        # Of the end that a move is said to be.
        self._result = ""
        self._points = {game.sgf_point(action): action for action in range(game.num_actions)}

    def set_up(self, head: SgfNode) -> None:
        """Compare what a game sets up before its first move with the start of the rules."""
        game = self._game
        stones = np.zeros(game.num_cells, np.uint8)
        is_known = True
        for name, stone in (("AB", 1), ("AW", 2)):
            for value in head.properties.get(name, ()):
                cell = self._cell(line_of_text(value))
                is_known = is_known and cell is not None
                stones[cell if cell is not None else 0] = stone
        if not is_known or (
            stones.any() and not np.array_equal(stones, game.board(self._position))
        ):
            raise SgfError(
                f"line {head.line}: the game begins with other stones (AB, AW) than {describe_game(game)}: only games "
                "from its start can be used here."
            )
        mover = "BW"[game.current_player(self._position)]
        first = (head.properties.get("PL") or [mover])[0].strip()[:1].upper()
        if first not in ("", mover):
            raise SgfError(
                f"line {head.line}: PL[{first}] says who moves first, but in {describe_game(game)} it is "
                f"{_COLORS[mover]}."
            )

    def read(self, node: SgfNode, is_before: bool) -> bool:
        """Play what a node says; return whether the game goes on. is_before: the first move."""
        moves = _moves_of(node)
        if not is_before and (names := [name for name in _SETUP if name in node.properties]):
            raise SgfError(
                f"line {node.line}: {names[0]} puts stones onto the board after the first move: only moves can be used "
                "here."
            )
        if len(moves) > 1:
            raise SgfError(f"line {node.line}: one node has {len(moves)} moves.")
        for color, value in moves:
            if not self._play(node, color, line_of_text(value)):
                return False
        comment = "\n".join(map(text_of, node.properties.get("C", ())))[:_MAX_COMMENT].strip()
        if comment:
            number = len(self._actions)
            earlier = self._comments.get(number)
            comment = f"{earlier}\n{comment}" if earlier else comment
            self._comments[number] = comment[:_MAX_COMMENT]
        return True

    def record(self, head: SgfNode) -> GameRecord:
        told = tidy_result(_line(head, "RE"))
        return GameRecord(
            game=self._game,
            actions=tuple(self._actions),
            names=(_line(head, "PB"), _line(head, "PW")),
            result=told or self._result or result_at_end(self._game, self._position),
            comments=self._comments,
            date=_line(head, "DT"),
        )

    def _play(self, node: SgfNode, color: str, point: str) -> bool:
        game = self._game
        where = f"line {node.line}: move {len(self._actions) + 1}, {color}[{point[:20]}],"
        if point.lower() in _GIVES_UP and point.lower() not in self._points:
            self._result = f"{'B' if color == 'W' else 'W'}+{_GIVES_UP[point.lower()]}"
            return False
        if game.is_terminal(self._position):
            # Programs go on to pass until both sides have agreed on what is dead.
            if self._action(point) == self._points.get("", -1):
                return False
            raise SgfError(f"{where} comes after the end of the game.")
        if "BW"[game.current_player(self._position)] != color:
            self._pass_if_nothing_else_is_legal()
        mover = "BW"[game.current_player(self._position)]
        if mover != color:
            raise SgfError(f"{where} is not possible: it is {_COLORS[mover]}'s turn.")
        action = self._action(point)
        if action is None:
            raise SgfError(f"{where} is no move of {describe_game(game)}.")
        if not game.legal_actions(self._position)[action]:
            raise SgfError(f"{where} is not legal in {describe_game(game)}.")
        self._apply(action)
        return True

    def _action(self, point: str) -> int | None:
        words = self._game.sgf_words(self._position)
        action = words.get(point.lower(), self._points.get(point))
        if action is None and point == _PASS_UP_TO_19:
            return self._points.get("")
        return self._points.get(point.lower()) if action is None else action

    def _cell(self, point: str) -> int | None:
        """Return the cell of the board that a point names."""
        action, cells = self._points.get(point), self._game.spec.action_cells
        if action is None or cells is None or cells[action] < 0:
            return None
        return int(cells[action])

    def _pass_if_nothing_else_is_legal(self) -> None:
        """Many programs do not write the passes of Othello."""
        legal = self._game.possible_actions(self._position)
        if len(legal) == 1 and legal[0] == self._points.get(""):
            self._apply(int(legal[0]))

    def _apply(self, action: int) -> None:
        self._position = self._game.apply_action(self._position, action)
        self._actions.append(action)
