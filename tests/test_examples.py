"""Examples in all README.md files and in --help are commands that this program takes, on files that exist.

Those of the front page, of the page of snakes and of --help also run. What would take minutes runs with smaller
numbers; what cannot run here says why.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from omegaconf import OmegaConf

from ddpzero.arena.match_log import Block, MatchLog
from ddpzero.bench.ablation.experiment import read_experiment
from ddpzero.cli import commands as cli
from ddpzero.cli.arguments import make_parser, parse_arguments
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_game, compose_settings
from ddpzero.judges.packaged import find_positions, find_recorded_games
from ddpzero.run.models import read_models
from tests.places import REPO

FRONT_PAGE = REPO / "README.md"
FOLDER_PAGES = [
    *(REPO / "conf" / "README.md", REPO / "launch" / "README.md"),
    *(page for page in sorted((REPO / "ddpzero").rglob("README.md"))),
]

SNAKES_PAGE = REPO / "ddpzero" / "games" / "snakes" / "README.md"

# Of the user's own: what README has just told to write.
_OWN = ("my_conf", "my_game", "my_algorithm")
_OWN_GAME = REPO / "tests" / "data" / "games" / "pairs.py"

# Examples that do not run here.
_REASONS = {
    "+hardware=gpu24gb": "needs a GPU",
    "+experiment=tic_tac_toe": "trains for a minute",
    "my_algorithm": "test_loader.py composes an algorithm of one's own",
    "my_game run_name=my_game": "test_own_game.py trains a game of one's own",
    "runs/my_game": "test_own_game.py trains a game of one's own and plays against its agent",
    "ddpzero bench all": "runs for half an hour; test_report.py runs some of it",
    "ddpzero ablate": "trains for half an hour; test_run.py runs smaller ones",
    "ddpzero web": "serves until it is stopped; tests/web starts it",
    "serve collection serve.": "serves until it is stopped; tests/contribute starts it",
    "ddpzero gtp": "speaks until it is told to quit; tests/play/protocols/gtp talks to it",
    "ddpzero gomocup": "needs a run of Gomoku; tests/play/protocols/gomocup plays and installs one",
    "--static page": "may download onnxruntime-web; tests/export writes pages",
    "ddpzero contribute": "plays until it is stopped; tests/contribute starts it",
    "ddpzero bench peers": "installs other programs from the network; tests/bench/peers",
    "cache clear": "deletes the machine code that other tests use",
}
# Training ends after five updates of a small network.
_SHORT_RUN = (
    *("device=cpu", "actors.num_actors=1", "actors.num_games=8", "replay.capacity=4000"),
    *("replay.min_samples=100", "learner.batch_size=32", "learner.steps_per_epoch=5"),
    "learner.max_epochs=1",
)
_SMALL_SEARCH = ("network.blocks=1", "network.channels=8", "search.num_simulations=4")
_SHORT_BOARDS = (*_SHORT_RUN, *_SMALL_SEARCH)
# The board of tests/algorithms/ddpg, whose kernels are compiled already.
_SMALL_BOARD = ("game.rows=6", "game.columns=8", "game.snakes=4", "game.steps=20")
_SHORT_SNAKES = (*_SHORT_RUN, "network.width=16", *_SMALL_BOARD)
# What makes other commands short.
_SHORTER = {
    "bench rules": ("--seconds", "0.1"),
    "bench search": ("--seconds", "0.1"),
    "bench pipeline": ("--seconds", "0.2", "--actors", "1", "--games", "32"),
    "bench evaluator": ("--seconds", "0.2"),
    "bench checkpoint": ("--seconds", "0.1", "replay.capacity=5000", *_SMALL_SEARCH),
    "bench memory": (
        "--seconds",
        "0.1",
        "replay.capacity=5000",
        "actors.num_games=8",
        *_SMALL_SEARCH,
    ),
    "bench scaling": ("--seconds", "0.5", "--ranks", "1", *_SMALL_SEARCH, "actors.num_games=8"),
    "bench serve": ("--seconds", "1", "--contributors", "2", *_SMALL_SEARCH),
    "evaluate": ("--games", "4"),
    "export": ("--check", "4"),
    "match": ("--games", "4"),
    "review": ("--simulations", "4"),
    # Not into the conf/ of other tests.
    "tune": ("--config-dir", "mine"),
    "verify contract": ("--games", "2"),
}


def lines_of_page(page: Path) -> Iterator[str]:
    """The lines of code blocks, without comments."""
    is_fenced = False
    for line in page.read_text().replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    "):
            yield line.partition("  #")[0].partition(" > ")[0].strip()


def lines_of_help() -> Iterator[str]:
    parsers = [make_parser()]
    while parsers:
        parser = parsers.pop()
        for text in (parser.description or "", parser.epilog or ""):
            yield from re.findall(r"(?:^    |example: )(ddpzero .*)$", text, re.MULTILINE)
        for action in parser._actions:
            if isinstance(action.choices, dict):
                parsers += action.choices.values()


def commands(program: str, *pages: Path) -> list[str]:
    """Examples of the front page, of --help and of other pages that call a program."""
    lines = {*lines_of_page(FRONT_PAGE), *lines_of_help(), *chain(*map(lines_of_page, pages))}
    return sorted(line for line in lines if line.startswith(f"{program} "))


@pytest.mark.parametrize("line", commands("ddpzero", *FOLDER_PAGES))
def test_an_example_is_a_command_line(line):
    words = shlex.split(line)[1:]
    if words[0] == "train":
        compose_settings(words[1:])
        return
    options = parse_arguments(words)
    if any(own in line for own in _OWN):
        return
    settings: tuple[str, ...] = ()
    if options.command in ("verify rules", "verify snakes"):
        file, settings = find_recorded_games(
            options.file, of_snakes=options.command == "verify snakes"
        )
        assert file.is_file()
    if options.reads and options.command not in ("serve", "contribute"):
        given = [word for word in options.overrides if not word.startswith("evaluator=")]
        compose_game([*([f"game={options.game}"] if options.game else settings), *given])
    if options.command == "ablate":
        read_experiment(REPO / options.file).compose()
    if options.command == "judge":
        assert find_positions(options.file).is_file()


def settings_of_scripts() -> list[str]:
    """What the examples of launch/README.md give to the scripts that train, as a command of training."""
    lines = lines_of_page(REPO / "launch" / "README.md")
    found = (re.search(r"launch/(?:local\.sh|slurm_\w+\.sbatch) (.*)", line) for line in lines)
    return [f"python -m ddpzero.main {match[1].strip()}" for match in found if match]


# Sweeps are composed by their launchers, and tested with them.
COMPOSED = [
    line
    for line in [*commands("python -m ddpzero.main", *FOLDER_PAGES), *settings_of_scripts()]
    if "--multirun" not in line and not any(own in line for own in _OWN)
]


@pytest.mark.parametrize("line", COMPOSED)
def test_an_example_of_training_composes_to_what_it_says(line):
    words = [word for word in shlex.split(line)[3:] if "=" in word and not word.startswith("--")]
    composed = OmegaConf.create(settings_to_dict(compose_settings(words)))
    for key, text in (word.split("=", 1) for word in words if "." in word.split("=")[0]):
        said, value = yaml.safe_load(text), OmegaConf.select(composed, key)
        if isinstance(said, list):  # whose entries are filled up with defaults
            assert len(value) == len(said)
        elif key == "algorithm.source":  # a run keeps the absolute path
            assert value == str(REPO / said)
        else:
            assert value == said
    assert composed.run_name


@pytest.mark.parametrize("page", [FRONT_PAGE, *FOLDER_PAGES], ids=lambda page: page.parent.name)
def test_links_of_a_page_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_front_page_is_short():
    assert len(FRONT_PAGE.read_text().splitlines()) <= 200


# ------------------------------------------------------------------ they run


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with the game of one's own that README tells to write, where runs are made when they are needed."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "my_conf" / "game").mkdir(parents=True)
    (folder / "my_game.py").write_text(_OWN_GAME.read_text())
    yaml = f"name: my_game\nsource: {folder / 'my_game.py'}\n"
    (folder / "my_conf" / "game" / "my_game.yaml").write_text(yaml)
    # A game of Connect Four to review.
    (folder / "game.txt").write_text("d d c c e b f\n")
    return folder


def train(workplace: Path, line: str, *overrides: str) -> str:
    """Run an example of training, `ddpzero train` or `python -m ddpzero.main`; returns what it printed."""
    words = [word for word in shlex.split(line) if word not in ("python", "ddpzero", "train")]
    module = [] if words[0] == "-m" else ["-m", "ddpzero.main"]
    done = subprocess.run(
        [sys.executable, *module, *words, *overrides],
        cwd=workplace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def quick(workplace) -> str:
    return train(workplace, "ddpzero train +experiment=quick", *_SHORT_BOARDS)


@pytest.fixture(scope="module")
def match_of_quick(workplace, quick) -> None:
    """Games of the short run's model, which a longer run plays by itself."""
    run_dir = workplace / "runs" / "quick"
    model = read_models(run_dir)[-1].model
    scores = ((1.0, 0.0), (1.0, 1.0))
    row = ("block", model, "rollout:100", scores, 5, 1000, 0.1, 20.0, 1.0, 1.0)
    MatchLog(run_dir).append(Block(*row))


@pytest.fixture(scope="module")
def snakes(workplace) -> str:
    return train(workplace, "python -m ddpzero.main +experiment=snakes", *_SHORT_SNAKES)


def reason_to_skip(line: str) -> str | None:
    return next((reason for mark, reason in _REASONS.items() if mark in line), None)


def needed_run(line: str) -> str | None:
    """The fixture that makes the run an example is about."""
    return next((name for name in ("quick", "snakes") if f"runs/{name}" in line), None)


RUNNABLE = [
    *(line for line in commands("ddpzero", SNAKES_PAGE) if not line.startswith("ddpzero train ")),
    "python -m ddpzero.main +experiment=quick --cfg job",
]


@pytest.mark.slow
@pytest.mark.parametrize("line", RUNNABLE)
def test_an_example_runs_as_it_is_written(line, workplace, request, monkeypatch, capsys):
    if reason := reason_to_skip(line):
        pytest.skip(reason)
    if name := needed_run(line):
        request.getfixturevalue(name)
    if line.startswith("ddpzero ratings"):
        request.getfixturevalue("match_of_quick")
    if line.startswith("python"):
        assert "run_name: quick" in train(workplace, line)
        return
    monkeypatch.chdir(workplace)
    words = shlex.split(line)[1:]
    answers = iter(["1", "help", "n"] if "snakes" not in line else ["1", "w", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(answers, "quit"))
    command = parse_arguments(words).command
    shorter = _SHORTER.get(command, ())
    if "--mode ai" in line:
        shorter = ("--delay", "0")
    assert cli.main([*words, *shorter]) == 0
    assert capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quick", "snakes"])
def test_an_example_of_training_trains(name, workplace, request):
    output = request.getfixturevalue(name)
    assert "learner.max_epochs=1 is reached" in output
    assert list((workplace / "runs" / name / "checkpoints").iterdir())


@pytest.mark.slow
def test_the_picture_of_the_front_page_is_drawn_from_a_run(workplace, quick):
    (workplace / "quick.txt").write_text(quick)
    words = ["runs/quick", "quick.txt", "picture.svg"]
    program = [sys.executable, "-m", "ddpzero.cli.picture", *words]
    subprocess.run(program, cwd=workplace, check=True, timeout=120)
    for picture in (workplace / "picture.svg", REPO / "launch" / "training.svg"):
        assert picture.stat().st_size < 60_000
        text = "".join(ElementTree.parse(picture).getroot().itertext()).replace("\xa0", " ")
        assert "ddpzero monitor quick" in text and "key metrics" in text


def test_every_example_of_training_runs_or_has_a_reason_not_to():
    lines = {*commands("python -m ddpzero.main"), *commands("ddpzero train")}
    trained = {"+experiment=quick", "+experiment=snakes"}
    for line in lines:
        is_trained = any(line.endswith(words) for words in trained)
        assert is_trained or "--cfg job" in line or reason_to_skip(line) is not None, line


def test_there_are_examples():
    assert len(commands("ddpzero")) > 15
    assert len(COMPOSED) > 8
