"""The players of a run's matches: checked before it starts. The trained agents in arena.opponents are copied, once.

    runs/<run_name>/opponents/<model>/        weights and config, as in models/
    runs/<run_name>/opponents/sources.json    what the user wrote -> <model>

Without a copy, an opponent would change while its own run goes on, or disappear with its checkpoint. The copy's name in
matches is its folder, relative to the run's. Rank 0 checks and copies; workers find the copies.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import has_parameter
from ddpzero.games import Game, TeamGame, load_any_game
from ddpzero.run.checkpoint_files import CheckpointError, read_manifest
from ddpzero.run.finder import find_run
from ddpzero.run.models import MODELS_FOLDER, copy_model
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import UnreadableFileError, read_json
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import replace_whole

OPPONENTS_FOLDER = "opponents"
_SOURCES_FILE = "sources.json"


def why_no_matches(game_arguments: Mapping[str, Any]) -> str:
    """Return why the arena cannot play a game; "" if it can. game_arguments: of load_any_game."""
    game = load_any_game(**game_arguments)
    if not isinstance(game, TeamGame) or game.spec.num_teams == 2:
        return ""
    return f"a match is between two players, and here are {game.spec.num_teams} teams"


def check_simulations(num_simulations: int, algorithm: CompleteAlgorithm, plugin: str) -> None:
    """Raise UserError for arena.num_simulations if the models of the run do not search. plugin: as errors name it."""
    require(
        isinstance(algorithm.game, Game)
        and has_parameter(algorithm.make_player, "num_simulations"),
        f"arena.num_simulations={num_simulations} has no meaning here: players of {plugin} do not search in "
        f"{algorithm.game.name}. Use arena.num_simulations=null.",
    )


def check_opponents(run_dir: Path, opponents: Sequence[str], game: Game | TeamGame) -> None:
    """Raise UserError unless each opponent can play the run's game; makes the players and drops them."""
    from ddpzero.arena.agents import parse_player, split_level

    copies = _copies(run_dir)
    for text in opponents:
        name, level = split_level(text)
        require(
            level is None,
            f"arena.opponents=[{', '.join(opponents)}]: {text} has a level, which is for play and ddpzero match: write "
            f"{name}.",
        )
        player = str(run_dir / copies[text]) if text in copies else text
        try:
            parse_player(player, game, num_threads=1, device="cpu")
        except UserError as error:
            raise UserError(f"arena.opponents=[{', '.join(opponents)}]: {error}") from None


def names_of_opponents(
    run_dir: Path, opponents: Sequence[str], game: Game | TeamGame
) -> tuple[str, ...]:
    """Return the opponents' names in matches; copy the trained agents among them that have no copy yet.

    Raises UserError if one does not exist, OSError if the run's folder cannot be written.
    """
    from ddpzero.arena.agents import is_agent

    copies = _copies(run_dir)
    for text in opponents:
        if text not in copies and is_agent(text, game):
            copies[text] = _copy(run_dir, text, copies.values())
            content = json_text(copies, indent=1).encode()
            replace_whole(run_dir / OPPONENTS_FOLDER / _SOURCES_FILE, content)
    return tuple(dict.fromkeys(copies.get(text, text) for text in opponents))


def find_player(run_dir: Path, name: str) -> Path | None:
    """Return the folder of a model or of a copied opponent of the run; None if `name` is neither."""
    is_copy = name.startswith(f"{OPPONENTS_FOLDER}/")
    path = run_dir / name if is_copy else run_dir / MODELS_FOLDER / name
    return path if path.is_dir() else None


def _copy(run_dir: Path, text: str, taken: Collection[str]) -> str:
    """Copy the agent that `text` names today; return its name, which no other copy has."""
    # Imported here because torch takes a second to import.
    from ddpzero.run.checkpoint_content import load_weights

    found = load_weights(find_run(text) or Path(text))
    stem = name = f"{OPPONENTS_FOLDER}/{found.model.lstrip('.') or 'model'}"
    number = 1
    # Runs in two folders may have the same name.
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    try:
        copy_model(found.path, run_dir / name)
    except CheckpointError as error:
        raise UserError(f"arena.opponents: {text} cannot be copied: {error}") from None
    return name


def _copies(run_dir: Path) -> dict[str, str]:
    """Return the names of the copies by what the user wrote; without those that are not there."""
    try:
        sources: Any = read_json(run_dir / OPPONENTS_FOLDER / _SOURCES_FILE)
    except UnreadableFileError:
        return {}
    copies: dict[str, str] = {}
    for text, name in sources.items() if isinstance(sources, Mapping) else ():
        folder, _, model = name.partition("/") if isinstance(name, str) else ("", "", "")
        if folder == OPPONENTS_FOLDER and model and "/" not in model and model[0] != ".":
            with suppress(CheckpointError):
                read_manifest(run_dir / name)
                copies[text] = name
    return copies
