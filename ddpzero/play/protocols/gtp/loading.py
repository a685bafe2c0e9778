"""Games from files, as loadsgf puts them on the table.

For Go stones may be set up, and moves may be out of turn, as in GTP. Games in other forms are as `ddpzero.records`
reads them.
"""

from __future__ import annotations

from pathlib import Path

from ddpzero.games import Game, variation
from ddpzero.play.protocols.gtp.lines import Refused
from ddpzero.play.protocols.gtp.stones import in_turns
from ddpzero.play.protocols.gtp.table import Move, Table
from ddpzero.play.protocols.gtp.turns import can_pass_always
from ddpzero.records import read_record
from ddpzero.records.files import MAX_FILE_BYTES
from ddpzero.records.sgf_text import SgfError, SgfNode, decoded, line_of_text, main_line
from ddpzero.system.guarded_files import read_bytes

_PLAYERS = {"B": 0, "W": 1}
_SETUP = {"AB": 0, "AW": 1}


def table_of_file(file: str, game: Game) -> Table:
    """Return the table after all moves of a file. game: what the file does not say is as in it.

    Raises Refused for moves that cannot be made, UserError for a file that is none of this game.
    """
    if can_pass_always(game):
        return _table_of_go(main_line(decoded(read_bytes(Path(file), MAX_FILE_BYTES))), game)
    record = read_record(file, game)
    table = Table(record.game)
    for action in record.actions:
        table.play(table.episode.current_player, action)
    return table


def _table_of_go(nodes: list[SgfNode], game: Game) -> Table:
    head = {
        name: list(map(line_of_text, nodes[0].properties[name])) for name in nodes[0].properties
    }
    if head.get("GM", ["1"])[0] != "1":
        raise SgfError(f"line {nodes[0].line}: GM[{head['GM'][0][:20]}] is not Go.")
    moves = [line_of_text(value) for node in nodes for value in _values(node, _PLAYERS)]
    # Stones that are set up need not be on the star points.
    facts = {name: values for name, values in head.items() if name not in _SETUP}
    table = Table(variation(game, **{**game.sgf_parameters(facts, moves), "handicap": 0}))
    points = {table.game.sgf_point(action): action for action in range(table.game.num_actions)}
    for index, node in enumerate(nodes):
        if "AE" in node.properties or (table.moves and _values(node, _SETUP)):
            raise SgfError(f"line {node.line}: stones are put onto the board during the game.")
        stones = [
            Move(player, _action(table.game, points, node, value))
            for name, player in _SETUP.items()
            for value in node.properties.get(name, ())
        ]
        if stones or (index == 0 and "PL" in head):
            first = {"B": 0, "W": 1}.get(head.get("PL", [""])[0][:1].upper())
            num_handicap = len(stones) if all(stone.player == 0 for stone in stones) else 0
            table.set_up(in_turns([*table.stones, *stones]), first, num_handicap)
        for name, player in _PLAYERS.items():
            for value in node.properties.get(name, ()):
                table.play(player, _action(table.game, points, node, value))
    return table


def _values(node: SgfNode, names: dict[str, int]) -> list[str]:
    return [value for name in names for value in node.properties.get(name, ())]


def _action(game: Game, points: dict[str, int], node: SgfNode, value: str) -> int:
    point = line_of_text(value)
    if point == "tt" and game.parameters.size <= 19:
        point = ""
    if point not in points:
        raise Refused(f"line {node.line}: [{point[:20]}] is no point of the board")
    return points[point]
