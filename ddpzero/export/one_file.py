"""A page of several files as one HTML file, which a browser opens from a folder, without a server.

Browsers load neither modules nor other files from a folder. In one file, modules are data: URLs of an import map, and
other files are base64 in scripts that do not run; static/files.js reads them.
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

from ddpzero.system.json_text import json_text

INDEX = "index.html"
_MODULES = (".js", ".mjs")
# Modules cannot name each other by relative paths in data: URLs; in the import map they have names that begin so.
_PREFIX = "page/"


def is_one_file(path: Path) -> bool:
    """Return whether the user named a file for the whole page, not a folder."""
    return path.suffix == ".html"


def in_one_file(files: Mapping[str, bytes]) -> bytes:
    """Return a page's index.html with all other files in it. files: name -> content."""
    index = files[INDEX].decode()
    classic = set(re.findall(r'<script src="([^"]+)">', index))
    modules = {name for name in files if name.endswith(_MODULES)} - classic
    urls = {
        f"{_PREFIX}{name}": _data_url("text/javascript", _with_mapped_imports(name, files[name]))
        for name in sorted(modules)
    }
    import_map = f'<script type="importmap">{json_text({"imports": urls})}</script>'

    def stylesheet(found: re.Match[str]) -> str:
        return f"<style>{files[found[1]].decode()}</style>"

    def script(found: re.Match[str]) -> str:
        return f"<script>{files[found[1]].decode()}</script>"

    def module(found: re.Match[str]) -> str:
        # An import map must stand before the first module.
        return f'{import_map}\n<script type="module">import "{_PREFIX}{found[1]}";</script>'

    def icon(found: re.Match[str]) -> str:
        return f'<link rel="icon" href="{_data_url("image/svg+xml", files[found[1]])}"'

    index = re.sub(r'<link rel="stylesheet" href="([^"]+)">', stylesheet, index)
    index = re.sub(r'<link rel="icon" href="([^"]+)"', icon, index)
    index = re.sub(r'<script src="([^"]+)"></script>', script, index)
    index = re.sub(r'<script type="module" src="([^"]+)"></script>', module, index)
    others = {
        name: content
        for name, content in files.items()
        if name != INDEX and name not in modules | classic and not name.endswith((".css", ".svg"))
    }
    data = "".join(
        f'<script type="text/plain" id="file:{name}">{base64.b64encode(content).decode()}</script>\n'
        for name, content in others.items()
    )
    return index.replace('<div id="app"', f'{data}<div id="app"', 1).encode()


def _with_mapped_imports(name: str, content: bytes) -> bytes:
    """Return a module whose imports of other files of the page have their names in the import map."""

    def mapped(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2]))
        return f'{found[1]}"{_PREFIX}{path}"'

    # Only at the start of a line: not in the text of a minified library.
    pattern = r'(?m)^(import [^"\n]* from )"(\.[^"]+)"'
    return re.sub(pattern, mapped, content.decode()).encode()


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
