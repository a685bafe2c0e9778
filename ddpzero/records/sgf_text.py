"""The text of SGF FF[4] (https://www.red-bean.com/sgf): nodes and properties, whatever game they are of.

Reads any bytes and any text: what is wrong becomes an SgfError that names the line. Nothing in a file makes it slow or
deep: variations are passed over, not built.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ddpzero.system.errors import UserError

# Of a main line: a node takes a few hundred bytes of memory, and one of a file.
_MAX_NODES = 100_000
_START = re.compile(r"\(\s*(?=;)")
# A parenthesis or semicolon; the name of a property; a value, in which a backslash keeps the next character.
_TOKEN = re.compile(r"\s*+(?:([();])|([A-Za-z]++)|\[([^\\\]]*+(?:\\.[^\\\]]*+)*+)\])", re.DOTALL)
_BLANKS = re.compile(r"\s*+")
_CHARSET = re.compile(rb"CA\s*\[\s*([\w.:-]{1,30})\s*\]")
_CHARSET_WITHIN = 4096
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# As codecs.lookup names them. Others of Python's codecs are no charsets, or slow.
_CHARSETS = re.compile(
    r"utf-8|utf-16|ascii|iso8859-\d+|cp125\d|cp949|cp932|gb2312|gbk|gb18030|big5|big5hkscs|shift_jis|euc_jp|euc_kr|"
    r"iso2022_jp|koi8-r|koi8-u|tis-620"
)
_LINE_END = re.compile(r"\r\n|\n\r|\n|\r")
_ESCAPE = re.compile(r"\\(\r\n|\n\r|.)", re.DOTALL)


class SgfError(UserError):
    """A text is not SGF, or not of a game that can be used here. The message begins with the place."""


@dataclass
class SgfNode:
    """line: where it begins, from 1. properties: the values of each, as the text has them; see text_of."""

    line: int
    properties: dict[str, list[str]] = field(default_factory=dict)


def decoded(content: bytes) -> str:
    """Return the text of an SGF file in the charset that it names (CA); characters that are none become U+FFFD."""
    for mark, charset in _MARKS:
        if content.startswith(mark):
            return content.decode(charset, "replace").removeprefix("\ufeff")
    named = _CHARSET.search(content[:_CHARSET_WITHIN])
    if named is not None:
        try:
            charset = codecs.lookup(named[1].decode("ascii")).name
        except (LookupError, UnicodeDecodeError):
            charset = ""
        # A text with zero bytes would have begun with a mark.
        if _CHARSETS.fullmatch(charset) and charset != "utf-16":
            return content.decode(charset, "replace")
    # The standard says Latin-1, programs write UTF-8.
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def main_line(text: str, number: int = 1) -> list[SgfNode]:
    """Return the nodes of a game's main line, which takes the first of all variations. number: of the game, from 1.

    Raises SgfError if this is not SGF, or has fewer games.
    """
    end = 0
    for index in range(1, number + 1):
        start = _START.search(text, end)
        if start is None:
            what = (
                f"has no game {number}, only {index - 1}"
                if index > 1
                else "is not SGF: it has no game, which would begin with (;"
            )
            raise SgfError(f"line {_line(text, len(text))}: the file {what}.")
        nodes, end = _read_game(text, start.start(), is_wanted=index == number)
    return nodes


def _read_game(text: str, start: int, is_wanted: bool) -> tuple[list[SgfNode], int]:
    """Return the nodes of the main line of the game at `start`, and where the game ends."""
    nodes: list[SgfNode] = []
    # Of the property whose values follow; its name, which means nothing without one.
    values: list[str] | None = None
    short = ""
    # The first parenthesis that closes ends the main line: until then each one that opened was the first of its node.
    depth, is_on_main_line = 0, is_wanted
    line, counted = _line(text, start) if is_wanted else 0, start
    for at, mark, name, value in _tokens(text, start):
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
            is_on_main_line = False
            if depth == 0:
                return nodes, at + 1
        if not is_on_main_line:
            continue
        if mark == ";":
            line, counted = line + _num_lines(text, counted, at), at
            if len(nodes) == _MAX_NODES:
                raise SgfError(f"line {line}: the game has more than {_MAX_NODES:,} moves.")
            nodes.append(SgfNode(line))
        elif name is not None and nodes:
            # Before FF[4], names had small letters, which mean nothing: "SiZe".
            short = "".join(letter for letter in name if letter.isupper())
            values = nodes[-1].properties.get(short, [])
        elif value is not None and values is not None:
            values.append(value)
            nodes[-1].properties[short] = values
        if mark is not None:
            values = None
        elif (name or value is not None) and values is None:
            raise SgfError(f"line {_line(text, at)}: {_shown(text, at)} belongs to no property.")
    raise SgfError(f"line {_line(text, len(text))}: the file ends within a game: ) is missing.")


def _tokens(text: str, at: int) -> Iterator[tuple[int, str | None, str | None, str | None]]:
    """Yield where each token begins, with the one of the three that it is: a mark, a name or a value."""
    while match := _TOKEN.match(text, at):
        yield match.start(match.lastindex or 0), match[1], match[2], match[3]
        at = match.end()
    rest = _BLANKS.match(text, at)
    assert rest is not None
    at = rest.end()
    if at < len(text):
        what = "is never closed by ]" if text[at] == "[" else "is no part of SGF"
        raise SgfError(f"line {_line(text, at)}: {_shown(text, at)} {what}.")


def text_of(value: str) -> str:
    """Return the text that the value of a property means, with \\n at the ends of lines."""
    return _LINE_END.sub("\n", _ESCAPE.sub(_unescaped, value))


def line_of_text(value: str) -> str:
    """Return the text that a value means, in one line."""
    return " ".join(text_of(value).split())


def escaped(text: str) -> str:
    """Return text as the value of a property."""
    return text.replace("\\", "\\\\").replace("]", "\\]")


def property_text(name: str, *values: str) -> str:
    """Return a property; values: escaped."""
    return name + "".join(f"[{value}]" for value in values)


def _unescaped(match: re.Match[str]) -> str:
    return "" if match[1][0] in "\r\n" else match[1]


def _line(text: str, at: int) -> int:
    return 1 + _num_lines(text, 0, at)


def _num_lines(text: str, start: int, end: int) -> int:
    return text.count("\n", start, end)


def _shown(text: str, at: int) -> str:
    """Return the text at a place as an error message has it."""
    shown = " ".join(text[at : at + 200].split())
    return "".join(letter if letter.isprintable() else "?" for letter in shown[:20])
