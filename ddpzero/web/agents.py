"""The games and the agents that a page offers: each run with all its checkpoints and models, from first to last.

Weights are loaded once and shared by all browsers; of those that nobody asked for lately only the newest are kept.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from ddpzero.arena.agents import load_agent
from ddpzero.arena.players import RolloutPlayer
from ddpzero.games import Game, TeamGame, describe_game, known_games, load_any_game
from ddpzero.games.core.players import Player, TeamPlayer
from ddpzero.judges.exact_values import ExactTables
from ddpzero.run.checkpoint_files import (
    CHECKPOINTS_FOLDER,
    MANIFEST_FILE,
    CheckpointError,
    Manifest,
    newest_first,
    read_manifest,
)
from ddpzero.run.finder import RUNS_DIR, find_run, is_run, why_unknown
from ddpzero.run.models import MODELS_FOLDER
from ddpzero.run.releases import best_of, read_verdicts
from ddpzero.system.errors import UserError, require
from ddpzero.web.titles import titles_of

logger = logging.getLogger(__name__)

# The agent that needs no training.
ROLLOUTS = "rollouts"
# Before the name of a rule agent: its key.
_RULE = "rule:"
# A page may go at any moment, and this search cannot be interrupted.
MAX_ROLLOUTS = 2000
_MAX_LOADED = 12
# Variations of games that came with files; those that nobody plays make room.
_MAX_VARIATIONS = 100


@dataclass(frozen=True)
class Checkpoint:
    """key: its name. minutes, episodes: of the training until then. is_best: whether the run released it last."""

    key: str
    path: Path
    minutes: float | None
    episodes: int
    is_best: bool


@dataclass(frozen=True)
class OfferedAgent:
    """A run or a single checkpoint. which: the text after the @ with which the user named it; "" for none."""

    key: str
    title: str
    folder: Path
    which: str = ""

    def checkpoints(self) -> list[Checkpoint]:
        """Return what can play now, oldest first: a training adds some and removes others."""
        if (self.folder / MANIFEST_FILE).exists():
            return [_checkpoint(self.folder, read_manifest(self.folder), None)]
        best = best_of(read_verdicts(self.folder))
        found = {
            manifest.model: (manifest.age, _checkpoint(path, manifest, best))
            for path, manifest in _manifests(self.folder)
        }
        return [checkpoint for _, checkpoint in sorted(found.values(), key=lambda entry: entry[0])]

    def first_choice(self) -> Checkpoint:
        """Return the one that the user named, else the newest. Raises UserError if there is none."""
        checkpoints = self.checkpoints()
        require(bool(checkpoints), f"{self.folder} has no checkpoint yet.")
        if self.which:
            named = find_run(f"{self.folder}@{self.which}")
            return next((c for c in checkpoints if named and c.key == named.name), checkpoints[-1])
        return checkpoints[-1]


def _manifests(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    for subfolder in (CHECKPOINTS_FOLDER, MODELS_FOLDER):
        for path in newest_first(folder / subfolder):
            with suppress(CheckpointError):
                yield path, read_manifest(path)


def _checkpoint(path: Path, manifest: Manifest, best: str | None) -> Checkpoint:
    counters = manifest.counters
    minutes = counters.get("minutes")
    return Checkpoint(
        key=path.name,
        path=path,
        minutes=None if minutes is None else round(float(minutes), 2),
        episodes=int(counters.get("episodes", 0)),
        is_best=manifest.model == best,
    )


AnyGame = TypeVar("AnyGame", Game, TeamGame)


@dataclass
class OfferedGame(Generic[AnyGame]):
    """A game and the agents that play it, those of the user first."""

    key: str
    game: AnyGame
    agents: list[OfferedAgent] = field(default_factory=list)


class Catalog:
    """See above. Any thread may ask."""

    def __init__(self, texts: Sequence[str], game: Game | TeamGame | None = None) -> None:
        """texts: runs and checkpoints; none: all runs, and all games of ddpzero. game: one more. Raises UserError."""
        self.games: dict[str, OfferedGame[Game]] = {}
        self.exact_tables = ExactTables()
        self.team_games: dict[str, OfferedGame[TeamGame]] = {}
        self._lock = threading.Lock()
        # All runs by key, also those without a checkpoint; of those that cannot be played, the checkpoint tried.
        self._runs: dict[str, OfferedAgent] = {}
        self._not_offered: dict[str, str] = {}
        self._offers_everything = not texts
        self._looking = threading.Lock()
        self._warm: set[tuple[str, bool]] = set()
        # The keys of variations, of which the last was asked for last; how many sessions are at each game.
        self._variations: OrderedDict[str, None] = OrderedDict()
        self._num_users: Counter[str] = Counter()
        self._players: OrderedDict[tuple[str, str, str], Player] = OrderedDict()
        if game is not None:
            self._offer_game(game)
        for text in texts:
            self._offer(text, is_one_of_several=len(texts) > 1)
        if not texts:
            self._offer_everything()
        require(bool(self.games or self.team_games), "none of these runs can be played.")

    def describe(self) -> list[dict[str, Any]]:
        """Return the games, as the message `welcome` has them."""
        all_offered = self._all_offered()
        titles = titles_of([offered.game for offered in all_offered])
        return [
            {
                "key": offered.key,
                "title": title,
                "description": offered.key,
                "is_for_teams": isinstance(offered.game, TeamGame),
            }
            for offered, title in zip(all_offered, titles, strict=True)
        ]

    def look_for_runs(self) -> None:
        """Offer what trainings have added: new runs if all are offered, and those that have their first checkpoint."""
        # Another thread that looks right now finds the same.
        if not self._looking.acquire(blocking=False):
            return
        try:
            if self._offers_everything:
                for folder in sorted(RUNS_DIR.glob("[!.]*/"), key=lambda path: path.name):
                    if str(folder.resolve()) not in self._runs and is_run(folder):
                        self._offer(str(folder), is_one_of_several=True)
            for key, tried in list(self._not_offered.items()):
                agent = self._runs[key]
                if _newest(agent) != tried:
                    del self._not_offered[key]
                    self._offer_agent(agent, is_one_of_several=True)
        finally:
            self._looking.release()

    def describe_runs(self) -> list[dict[str, Any]]:
        """Return all runs that are still there. game: the board game whose agents have the run, or null."""
        return [
            {
                "key": run.key,
                "title": run.title,
                "game": next(
                    (key for key, offered in list(self.games.items()) if run in offered.agents),
                    None,
                ),
                "has_checkpoint": bool(run.checkpoints()),
            }
            for run in list(self._runs.values())
            if run.folder.exists()
        ]

    def describe_agents(self, key: str) -> list[dict[str, Any]]:
        """Return the agents of a game with their checkpoints, as the message `game` has them."""
        without = {"key": ROLLOUTS, "title": "Tree search without training", "checkpoints": []}
        return [*(_describe(agent) for agent in self.offered(key).agents), without]

    def offered(self, key: str) -> OfferedGame[Game]:
        """Return a game. Raises UserError if it is not offered."""
        if key not in self.games:
            raise UserError(f"the game {key[:80]!r} is not offered here.")
        return self.games[key]

    def key_of(self, game: Game) -> str:
        """Return the key of a game from a file: one that is offered, or a variation of one that agents can play.

        Raises UserError for another one.
        """
        key = describe_game(game)
        with self._lock:
            if key in self.games:
                if key in self._variations:
                    self._variations.move_to_end(key)
                return key
        alike = [
            offered
            for offered in list(self.games.values())
            if (offered.game.name, offered.game.source) == (game.name, game.source)
        ]
        require(bool(alike), f"this is a game of {game.name}, which is not offered here.")
        agents = {agent.key: agent for offered in alike for agent in offered.agents}
        fitting = [a for a in agents.values() if load_agent(a.first_choice().path).fits(game)]
        with self._lock:
            self._make_room()
            self.games[key] = OfferedGame(key, game, fitting)
            self._variations[key] = None
        return key

    def _make_room(self) -> None:
        """Forget the variation that nobody has played for longest, if there are many; the lock is held."""
        if len(self._variations) < _MAX_VARIATIONS:
            return
        free = next((key for key in self._variations if not self._num_users[key]), None)
        require(free is not None, "too many kinds of games are open here.")
        assert free is not None
        del self._variations[free], self.games[free]
        self._warm = {(key, is_without) for key, is_without in self._warm if key != free}

    def take(self, key: str) -> None:
        """Keep a game for a session until it says `leave`."""
        with self._lock:
            self._num_users[key] += 1

    def leave(self, key: str) -> None:
        """The opposite of `take`."""
        with self._lock:
            self._num_users[key] -= 1
            if not self._num_users[key]:
                del self._num_users[key]

    def agent(self, game: str, key: str) -> OfferedAgent:
        """Return an agent of a game. Raises UserError if it is not offered."""
        return _agent_of(self.offered(game), key)

    def first_choice(self, game: str) -> tuple[str, str]:
        """Return the keys of the agent and of the checkpoint with which a game begins: of a run that is still there."""
        for agent in self.offered(game).agents:
            with suppress(UserError):
                return agent.key, agent.first_choice().key
        return ROLLOUTS, ""

    def is_new(self, game: str, is_without_training: bool) -> bool:
        """Return whether nobody has played a game with such an agent yet, so that its code may have to be compiled."""
        with self._lock:
            is_new = (game, is_without_training) not in self._warm
            self._warm.add((game, is_without_training))
            return is_new

    def folder_of(self, key: str) -> Path:
        """Return the folder of a run or of another agent. Raises UserError if it is not offered."""
        if key in self._runs:
            return self._runs[key].folder
        for offered in self._all_offered():
            for agent in offered.agents:
                if agent.key == key:
                    return agent.folder
        raise UserError(f"the agent {key[:80]!r} is not offered here.")

    def player(
        self, game_key: str, agent_key: str, checkpoint_key: str, simulations: int
    ) -> Player:
        """Return a player, loaded if it is not known. simulations: of the agent without training. Raises UserError."""
        offered = self.offered(game_key)
        if agent_key == ROLLOUTS:
            return RolloutPlayer(offered.game, max(1, min(simulations, MAX_ROLLOUTS)), 1)
        agent = self.agent(game_key, agent_key)
        key = (game_key, agent_key, checkpoint_key)
        with self._lock:
            if key not in self._players:
                path = _checkpoint_of(agent, checkpoint_key).path
                self._players[key] = _load(path, offered.game)
            self._players.move_to_end(key)
            while len(self._players) > _MAX_LOADED:
                self._players.popitem(last=False)
            return self._players[key]

    # ------------------------------------------------------------------ team games

    def offered_team_game(self, key: str) -> OfferedGame[TeamGame]:
        """Return a team game. Raises UserError if it is not offered."""
        if key not in self.team_games:
            raise UserError(f"the game {key[:80]!r} is not offered here.")
        return self.team_games[key]

    def rule_keys(self, key: str) -> list[str]:
        """Return the keys of a team game's rule agents, from weak to strong."""
        return [_RULE + name for name in self.offered_team_game(key).game.spec.rule_agents]

    def describe_team_agents(self, key: str) -> list[dict[str, Any]]:
        """Return all who can play a team, as the message `team_game` has them: the strongest rule agent comes first."""
        rules = [
            {"key": rule, "title": f"{rule_of(rule)} (rule agent)", "checkpoints": []}
            for rule in reversed(self.rule_keys(key))
        ]
        return [*(_describe(agent) for agent in self.offered_team_game(key).agents), *rules]

    def team_agent(self, game_key: str, agent_key: str) -> OfferedAgent:
        """Return an agent of a team game. Raises UserError if it is not offered."""
        return _agent_of(self.offered_team_game(game_key), agent_key)

    def team_player(self, game_key: str, agent_key: str, checkpoint_key: str) -> TeamPlayer:
        """Return a new player, for one thread alone. Raises UserError."""
        agent = self.team_agent(game_key, agent_key)
        player = load_agent(_checkpoint_of(agent, checkpoint_key).path).make_player()
        return cast(TeamPlayer, player)

    # ------------------------------------------------------------------ what is offered

    def _all_offered(self) -> list[OfferedGame[Game] | OfferedGame[TeamGame]]:
        return [*self.games.values(), *self.team_games.values()]

    def _offer_game(self, game: Game | TeamGame) -> OfferedGame[Game] | OfferedGame[TeamGame]:
        """Raises UserError for a team game that cannot be watched here."""
        key = describe_game(game)
        if isinstance(game, Game):
            return self.games.setdefault(key, OfferedGame(key, game))
        require(
            game.spec.num_teams == 2,
            f"game.teams={game.spec.num_teams}: {game.name} is shown with 2 teams here.",
        )
        return self.team_games.setdefault(key, OfferedGame(key, game))

    def _offer(self, text: str, is_one_of_several: bool = False) -> None:
        """is_one_of_several: runs that cannot be played, or not yet, are passed over with a message."""
        folder = find_run(text)
        require(
            folder is not None, f"{text!r} is neither a run nor a checkpoint: {why_unknown(text)}"
        )
        assert folder is not None
        which = ""
        if folder.parent.name in (CHECKPOINTS_FOLDER, MODELS_FOLDER) and "@" in text:
            which, folder = text.rpartition("@")[2], folder.parent.parent
        agent = OfferedAgent(str(folder.resolve()), folder.name, folder, which)
        if is_run(folder):
            self._runs[agent.key] = agent
        self._offer_agent(agent, is_one_of_several)

    def _offer_agent(self, agent: OfferedAgent, is_one_of_several: bool) -> None:
        try:
            offered = self._offer_game(load_agent(agent.first_choice().path).game)
        except UserError as error:
            if not is_one_of_several:
                raise
            logger.info("not offered: %s", error)
            if agent.key in self._runs:
                self._not_offered[agent.key] = _newest(agent)
            return
        if all(other.key != agent.key for other in offered.agents):
            offered.agents.append(agent)

    def _offer_everything(self) -> None:
        for folder in sorted(RUNS_DIR.glob("[!.]*/"), key=lambda path: -path.stat().st_mtime):
            self._offer(str(folder), is_one_of_several=True)
        for name in known_games():
            self._offer_game(load_any_game(name))


def rule_of(agent_key: str) -> str:
    """Return the name of the rule agent with this key; "" for another agent."""
    return agent_key.removeprefix(_RULE) if agent_key.startswith(_RULE) else ""


def _newest(agent: OfferedAgent) -> str:
    """Return the key of an agent's newest checkpoint, "" if it has none."""
    return next((checkpoint.key for checkpoint in reversed(agent.checkpoints())), "")


def _agent_of(offered: OfferedGame[Game] | OfferedGame[TeamGame], key: str) -> OfferedAgent:
    for agent in offered.agents:
        if agent.key == key:
            return agent
    raise UserError(f"the agent {key[:80]!r} is not offered for this game.")


def _checkpoint_of(agent: OfferedAgent, key: str) -> Checkpoint:
    for checkpoint in agent.checkpoints():
        if checkpoint.key == key:
            return checkpoint
    raise UserError(f"{agent.title} does not have the checkpoint {key[:80]}, or no longer.")


def _load(path: Path, game: Game) -> Player:
    agent = load_agent(path)
    if describe_game(agent.game) != describe_game(game):
        agent = agent.on(game)
    player = agent.make_player()
    assert hasattr(player, "choose")
    return player  # type: ignore[return-value]


def _describe(agent: OfferedAgent) -> dict[str, Any]:
    checkpoints = agent.checkpoints()
    return {
        "key": agent.key,
        "title": agent.title,
        "checkpoints": [
            {
                "key": checkpoint.key,
                "minutes": checkpoint.minutes,
                "episodes": checkpoint.episodes,
                "is_best": checkpoint.is_best,
            }
            for checkpoint in checkpoints
        ],
    }
