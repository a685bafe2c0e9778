"""Compiled code is kept on disk across processes, and never outlives the sources that it came from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

from numba.core.caching import IndexDataCacheFile

import ddpzero
from tests import perft

# Counts the sequences of plies: a compiled function of one file that inlines the rules of others.
COUNT_SEQUENCES = """
import json, sys
from ddpzero.games import load_game
from ddpzero.judges import perft

counts = perft.perft(load_game("tic_tac_toe", source=sys.argv[1] or None), 6)
stats = perft._count_sequences.stats
print(json.dumps([counts, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""

THREE_IN_A_ROW = [9, 72, 504, 3024, 15120, 54720]
COMPILED, FROM_CACHE = (0, 1), (1, 0)


def test_an_edited_game_or_helper_is_compiled_anew_and_nothing_else_is(tmp_path):
    package = copy_of_the_package(tmp_path)
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, COMPILED)
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, FROM_CACHE)

    edit(package / "games" / "tic_tac_toe.py", "action % 3, 3, False)", "action % 3, 2, False)")
    counts, cache_use = count_sequences(tmp_path)
    assert counts[:2] == THREE_IN_A_ROW[:2]
    assert counts[3] < THREE_IN_A_ROW[3]  # two in a row end most games within three plies
    assert cache_use == COMPILED
    assert count_sequences(tmp_path) == (counts, FROM_CACHE)

    # A helper that the game calls; the game's own file stays as it is.
    edit(package / "games" / "shared" / "lines.py", "if length == line", "if length == line + 1")
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, COMPILED)

    # The search's compiled code is inlined into one function with the rules, so its sources count as well.
    edit(package / "search" / "tree.py", '"""', '"""Edited. ')
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, COMPILED)


def test_a_process_that_began_before_an_update_leaves_no_code_that_passes_for_the_new_one(tmp_path):
    package = copy_of_the_package(tmp_path)
    tree = package / "search" / "tree.py"
    update = f"Path({str(tree)!r}).write_text('# Updated.\\n' + Path({str(tree)!r}).read_text())"
    imports, rest = COUNT_SEQUENCES.split("\n\n", 1)
    run_python(tmp_path, ["-c", f"{imports}\nfrom pathlib import Path\n{update}\n{rest}", ""])
    assert tree.read_text().startswith("# Updated.")
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, COMPILED)


def test_an_edited_game_outside_the_tree_is_compiled_anew(tmp_path):
    package = copy_of_the_package(tmp_path)
    game_file = tmp_path / "games_of_mine" / "my_game.py"
    game_file.parent.mkdir()
    shutil.copy(package / "games" / "tic_tac_toe.py", game_file)
    assert count_sequences(tmp_path, game_file) == (THREE_IN_A_ROW, COMPILED)

    elsewhere = tmp_path / "elsewhere" / "my_game.py"
    elsewhere.parent.mkdir()
    shutil.move(game_file, elsewhere)
    assert count_sequences(tmp_path, elsewhere) == (THREE_IN_A_ROW, FROM_CACHE)

    edit(elsewhere, "action % 3, 3, False)", "action % 3, 2, False)")
    counts, cache_use = count_sequences(tmp_path, elsewhere)
    assert counts[3] < THREE_IN_A_ROW[3]
    assert cache_use == COMPILED


def copy_of_the_package(folder: Path) -> Path:
    package = folder / "ddpzero"
    source = Path(ddpzero.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__", "conf"))
    shutil.copy(perft.__file__, package / "judges")
    return package


def edit(file: Path, old: str, new: str) -> None:
    source = file.read_text()
    assert old in source
    file.write_text(source.replace(old, new, 1))


def run_python(folder: Path, words: list[str]) -> str:
    """Run Python with the package copied to `folder`; returns what it prints. The user's cache lies there, too."""
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    finished = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def count_sequences(
    folder: Path, game_file: Path | None = None
) -> tuple[list[int], tuple[int, int]]:
    """Run COUNT_SEQUENCES with the package copied to `folder`: the counts; cache hits and misses."""
    printed = run_python(folder, ["-c", COUNT_SEQUENCES, str(game_file or "")])
    counts, num_hits, num_misses = json.loads(printed)
    return counts, (num_hits, num_misses)


TABLE_GAME = """
import json
from pathlib import Path

import my_helpers
from my_tables import WIDTH

LINE = json.loads(Path(__file__).with_name("line.json").read_text())["line"]
"""


def test_what_an_own_games_kernels_reach_elsewhere_makes_its_code_stale(tmp_path):
    """A helper and a constant in modules of another folder, and a value read from a file at import."""
    package = copy_of_the_package(tmp_path)
    game_file = tmp_path / "games_of_mine" / "my_game.py"
    game_file.parent.mkdir()
    source = (package / "games" / "tic_tac_toe.py").read_text()
    source = source.replace("\nimport numpy", f"\n{TABLE_GAME}\nimport numpy", 1)
    source = source.replace("makes_line(position, 3, 3,", "my_helpers.has_line(position, WIDTH,")
    game_file.write_text(source.replace("action % 3, 3, False)", "action % 3, LINE)"))
    line_file = game_file.with_name("line.json")
    line_file.write_text('{"line": 3}')
    (tmp_path / "my_tables.py").write_text("WIDTH = 3\n")
    (tmp_path / "my_helpers.py").write_text(
        "from ddpzero.games.core.compiled import compiled\n"
        "from ddpzero.games.shared.lines import makes_line\n\n"
        "@compiled\n"
        "def has_line(position, width, row, column, line):\n"
        "    return makes_line(position, 3, width, row, column, line, False)\n"
    )
    assert count_sequences(tmp_path, game_file) == (THREE_IN_A_ROW, COMPILED)
    assert count_sequences(tmp_path, game_file) == (THREE_IN_A_ROW, FROM_CACHE)

    line_file.write_text('{"line": 2}')
    counts, cache_use = count_sequences(tmp_path, game_file)
    assert counts[3] < THREE_IN_A_ROW[3] and cache_use == COMPILED

    line_file.write_text('{"line": 3}')
    assert count_sequences(tmp_path, game_file) == (THREE_IN_A_ROW, FROM_CACHE)

    edit(tmp_path / "my_helpers.py", "line, False)", "line - 1, False)")
    assert count_sequences(tmp_path, game_file) == (counts, COMPILED)


def test_what_no_kernel_reaches_leaves_compiled_code_as_it_is(tmp_path):
    package = copy_of_the_package(tmp_path)
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, COMPILED)
    for other_file in (
        "games/go/game.py",
        "games/shared/boards.py",
        "games/core/contract_checks.py",
    ):
        edit(package / other_file, '"""', '"""Edited. ')
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, FROM_CACHE)


def test_a_cleared_cache_is_compiled_anew(tmp_path):
    copy_of_the_package(tmp_path)
    count_sequences(tmp_path)
    cleared = run_python(tmp_path, ["-m", "ddpzero.cli", "cache", "clear"])
    assert re.fullmatch(r"[1-9]\d* files of compiled code deleted, \d+\.\d MB\n", cleared)
    assert not list(tmp_path.rglob("*.nb[ic]"))
    assert count_sequences(tmp_path) == (THREE_IN_A_ROW, COMPILED)


def test_code_that_another_version_cached_with_types_of_renamed_modules_is_compiled_anew(tmp_path):
    module = types.ModuleType("renamed_since")
    sys.modules["renamed_since"] = module
    module.Config = type("Config", (), {"__module__": "renamed_since"})
    index = IndexDataCacheFile(str(tmp_path), "search", source_stamp=1)
    index.save(module.Config, "machine code")
    assert index.load(module.Config) == "machine code"
    del sys.modules["renamed_since"]
    assert index.load(module.Config) is None
    index.save("other types", "new machine code")
    assert index.load("other types") == "new machine code"
