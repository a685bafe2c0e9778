"""The configuration: every preset composes, every mistake is told in one sentence before anything starts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from ddpzero.algorithms.loader import load_algorithm, load_plugin
from ddpzero.config.conf_folder import conf_dir
from ddpzero.config.conversion import settings_from_dict, settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.games import known_games, load_any_game, load_game
from ddpzero.system.errors import UserError
from tests.config.mistakes import check_sentence


def names(group: str) -> list[str]:
    files = (conf_dir() / group).glob("*.yaml")
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


EXPERIMENTS = names("experiment")
HARDWARE = names("hardware")
FILES = sorted(conf_dir().rglob("*.yaml"))


# ---------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize("hardware", [None, *HARDWARE])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_with_every_hardware(experiment, hardware):
    presets = [f"+experiment={experiment}"] + ([f"+hardware={hardware}"] if hardware else [])
    settings = compose_settings(presets)
    assert settings.run_name == experiment, "each experiment has a run folder of its own"
    config = settings_to_dict(settings)
    assert settings_from_dict(config) == settings
    assert settings_from_dict(yaml.safe_load(yaml.safe_dump(config))) == settings


def test_all_presets_that_we_promise_are_there():
    assert {"quick", "tic_tac_toe", "connect_four", "gomoku_parallel", "gomoku"} <= set(EXPERIMENTS)
    assert {"cpu", "gpu8gb", "gpu24gb", "8gpu"} <= set(HARDWARE)


def test_without_any_override_connect_four_is_trained_without_an_end():
    settings = compose_settings([])
    assert settings.game.name == "connect_four"
    learner = settings.learner
    assert (learner.max_epochs, learner.max_minutes, learner.max_samples) == (None, None, None)


def test_quick_ends_after_five_minutes():
    assert compose_settings(["+experiment=quick"]).learner.max_minutes == 5


def test_gomoku_parallel_is_the_small_parallel_recipe():
    settings = compose_settings(["+experiment=gomoku_parallel"])
    game = load_game(settings.game.name, settings.game.source, **settings.game.parameters)
    assert game.board_shape == (15, 15)
    assert game.num_planes == 3
    assert (settings.actors.num_actors, settings.actors.num_games) == (4, 25)
    assert settings.sections["search"].num_simulations == 100
    learner = settings.learner
    assert (learner.schedule, learner.episodes_per_round) == ("rounds", 4 * 25)
    assert (learner.steps_per_round, learner.max_epochs) == (500, 10)


@pytest.mark.parametrize(
    (
        "size",
        "iterations",
        "games",
        "simulations",
        "actors",
        "channels",
        "blocks",
        "heads",
        "batch",
    ),
    [
        ("", 50, 40, 50, 4, 64, 4, 4, 128),
        ("_8gb", 50, 40, 50, 4, 64, 4, 4, 128),
        ("_high", 600, 100, 100, 10, 128, 8, 4, 512),
        ("_large", 600, 768, 100, 12, 512, 20, 8, 4096),
        ("_24gb", 600, 768, 100, 12, 512, 20, 8, 4096),
    ],
)
def test_dots_and_boxes_presets_are_the_sizes_that_they_are_named_for(
    size, iterations, games, simulations, actors, channels, blocks, heads, batch
):
    settings = compose_settings([f"+experiment=dots_and_boxes{size}"])
    learner, network = settings.learner, settings.sections["network"]
    assert settings.game.parameters == {"rows": 5, "columns": 5}
    assert (learner.schedule, learner.max_epochs) == ("rounds", iterations)
    assert learner.episodes_per_round == games
    assert settings.sections["search"].num_simulations == simulations
    assert settings.actors.num_actors == actors
    assert (network.name, network.channels) == ("attention", channels)
    assert (network.blocks, network.num_heads) == (blocks, heads)
    assert learner.batch_size == batch
    # Five passes over what an iteration brings: 60 edges less the random opening of 0 to 12.
    passes = learner.steps_per_round * batch / (games * (60 - 6))
    assert passes == pytest.approx(5, abs=0.25)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_networks_of_every_experiment_can_be_built(experiment):
    import torch

    settings = compose_settings([f"+experiment={experiment}"])
    algorithm = load_algorithm(settings)
    with torch.device("meta"):  # shapes without memory: the largest have 100 million parameters
        networks = algorithm.make_networks()
    assert all(len(list(network.parameters())) > 0 for network in networks.values())
    assert algorithm.sample_spec()


def test_hardware_decides_nothing_about_the_task():
    about_machines = {
        "device",
        "actors.num_actors",
        "actors.num_games",
        "actors.device",
        "actors.precision",
        "actors.compile",
        "learner.batch_size",
        "learner.precision",
        "learner.compile",
    }
    for name in HARDWARE:
        preset = yaml.safe_load((conf_dir() / "hardware" / f"{name}.yaml").read_text())
        assert set(leaves(preset)) <= about_machines, name


def test_the_defaults_in_conf_are_those_of_the_dataclasses():
    """They stand at two places, for two readers."""
    settings = compose_settings([])
    checked = [value for value in vars(settings).values() if is_dataclass(value)]
    checked += settings.sections.values()
    for group in checked:
        for field in fields(group):
            if field.default is not MISSING:
                assert getattr(group, field.name) == field.default, field.name


def test_hydra_leaves_no_files_behind(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "ddpzero.main", "learner.batch_size=0"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert list(tmp_path.iterdir()) == []


def leaves(node: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in node.items():
        flat |= (
            leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


# ------------------------------------------------------------------------------------------------ yamls


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_file_says_first_what_it_is(file):
    assert any(line.startswith("# ") for line in file.read_text().splitlines()[:2])


@pytest.mark.parametrize("name", known_games())
def test_every_game_has_a_yaml_with_all_its_parameters(name):
    config = yaml.safe_load((conf_dir() / "game" / f"{name}.yaml").read_text())
    assert config.pop("name") == name
    assert config.pop("source") is None
    game = load_any_game(name)
    assert config == {
        field.name: getattr(game.parameters, field.name) for field in fields(game.parameters)
    }


@pytest.mark.parametrize("name", sorted(set(names("algorithm")) - {"own"}))
def test_every_section_of_a_plugin_has_defaults_for_all_its_keys_in_conf(name):
    game = {"ddpg": "snakes"}.get(name, "connect_four")
    settings = compose_settings([f"algorithm={name}", f"game={game}"])
    plugin = load_plugin(settings.algorithm)
    assert set(settings.sections) == set(plugin.sections)
    for option in names("search"):
        composed = compose_settings([f"search={option}"]).sections["search"]
        assert composed.algorithm == option
    for section, cls in plugin.sections.items():
        given: set[str] = set()
        for file in (conf_dir() / section).rglob("*.yaml"):
            given |= set(yaml.safe_load(file.read_text()))
        missing = {field.name for field in fields(cls)} - given
        assert not missing, f"conf/{section} never mentions {missing}"


# --------------------------------------------------------------------------------------------- mistakes

# What a user types, and what the sentence must hold: the path, the value, the remedy.
MISTAKES = {
    "a new group by plus": (["+algo.num_simulation=9"], ["algo", "Did you mean algorithm?", "search"]),
    "a new key by plus": (["+actors.number=4"], ["actors.number=4", "num_actors, num_games"]),
    "no key": (["=.x"], ["=.x: no key stands before the =", "key=value"]),
    "no key but a plus": (["+=5"], ["+=5: no key stands before the ="]),
    "a network of another algorithm": (
        ["network=ddpg/mlp"],
        ["network=ddpg/mlp is for another algorithm", "network=resnet"],
    ),
    "a network of another algorithm by its earlier name": (
        ["network=mlp"],
        ["network=mlp is for another algorithm", "ddpzero.algorithms.alphazero", "network=resnet"],
    ),
    "a network of AlphaZero": (
        ["algorithm=ddpg", "game=snakes", "network=attention"],
        ["network=attention is for another algorithm", "network=ddpg/mlp or network=ddpg/torus_cnn"],
    ),
    "a number as a name": (["run_name=42"], ["run_name=42 is not text", """run_name='"42"'"""]),
    "a truth as a name": (["run_name=true"], ["run_name=true is not text", """run_name='"true"'"""]),
    "a folder without a name": (['runs_dir=""'], ["runs_dir=''", "runs_dir=runs"]),
    "a run without a name": (['init_from=""'], ["init_from=''", "null"]),
    "a plugin without a name": (["algorithm.plugin=''"], ["algorithm.plugin=''", "package.module"]),
    "a relative plugin": (["algorithm.plugin=.x"], ["algorithm.plugin='.x'", "package.module"]),
    "a game's file without a name": (["game.source=''"], ["game.source=''", ".py file"]),
    "a relative game": (["game.source=.x"], ["game.source='.x'", ".py file"]),
    "a name that is too long": ([f"run_name={'a' * 235}"], ["run_name=aaaaa", "has 235 letters", "150"]),
    "an opening that no game survives": (
        ["game=tic_tac_toe", "algorithm.opening_random_plies=1000"],
        ["algorithm.opening_random_plies=1000 must be below 9", "tic_tac_toe on 3x3"],
    ),
    "more threads than processors have": (["learner.num_threads=10000000000"], ["learner.num_threads", "1,024"]),
    "a seed beyond 64 bits": (["seed=100000000000000000000000000"], ["seed=1000", "is too large"]),
    "an actor that is dead at once": (["actors.hang_seconds=1e-300"], ["actors.hang_seconds=1e-300", "at least 10"]),
    "a time beyond all clocks": (["learner.timeout_seconds=1e20"], ["learner.timeout_seconds=1e+20", "at most"]),
    "more digits than Python reads": ([f"seed={'9' * 5000}"], ["seed=9999", "the number has too many digits"]),
    "a group as a value": (["learner=3"], ["learner=3", "learner.key=value"]),
    "a deleted group": (["~learner"], ["learner=null", "remove `~learner`"]),
    "a word for a number": (["learner.batch_size=big"], ["learner.batch_size=big", "whole number", "batch_size=256"]),
    "a bool for a number": (["actors.num_games=true"], ["actors.num_games=true", "whole number", "num_games=128"]),
    "a number for a bool": (["learner.compile=1"], ["learner.compile=1", "true or false"]),
    "a fraction for a count": (["learner.max_epochs=2.5"], ["learner.max_epochs=2.5", "whole number"]),
    "a float that is a count": (["learner.max_samples=1e6"], ["learner.max_samples=1000000.0", "=1000000."]),
    "a quoted number": (['seed="3"'], ["seed='3'", "quotation marks", "seed=3"]),
    "infinity": (["learner.learning_rate=inf"], ["learner.learning_rate=inf", "finite"]),
    "null where a value is needed": (["actors.num_games=null"], ["actors.num_games=null", "num_games=128"]),
    "a choice that is none": (["learner.schedule=concurent"], ["learner.schedule=concurent", "concurrent, rounds"]),
    "a value out of range": (["learner.batch_size=0"], ["learner.batch_size=0", "at least 1"]),
    "a negative seed": (["seed=-1"], ["seed=-1", "0 or more"]),
    "a folder as run name": (["run_name=a/b"], ["run_name='a/b'", "letters, digits"]),
    "learning would never start": (
        ["replay.min_samples=50000", "replay.capacity=20000"],
        ["replay.min_samples=50000", "replay.capacity=20000", "Lower min_samples or raise capacity"],
    ),
    "a schedule without an end": (
        ["learner.learning_rate_schedule=cosine"],
        ["learner.learning_rate_schedule=cosine", "max_epochs", "constant"],
    ),
    "a combination without meaning": (
        ["search=gumbel", "+search.reuse_subtree=true"],
        ["search.reuse_subtree=true", "search=puct"],
    ),
    "points in a game without": (
        ["game=gomoku", "search.score_weight=0.2"],
        ["search.score_weight=0.2", "game=gomoku", "counts no points"],
    ),
    "points that nobody learns": (
        ["game=othello", "search.score_weight=0.2", "loss.score=0"],
        ["search.score_weight=0.2", "loss.score above 0"],
    ),
    "points alone": (
        ["game=othello", "search.score_weight=1"],
        ["search.score_weight=1", "below 1", "winning comes first"],
    ),
    "a loss below zero": (["loss.policy=-1"], ["loss.policy=-1", "0 or more"]),
    "half precision without a GPU": (
        ["+hardware=cpu", "learner.precision=float16"],
        ["learner.precision=float16", "device=cpu", "bfloat16"],
    ),
    "hardware before the experiment": (
        ["+hardware=cpu", "+experiment=quick"],
        ["+hardware", "+experiment", "first"],
    ),
    "a board that is too large": (["game.rows=99"], ["game.rows=99", "2..15"]),
    "a plugin that is not there": (
        ["algorithm.plugin=my_lab.my_algorithm"],
        ["algorithm.plugin=my_lab.my_algorithm", "PYTHONPATH"],
    ),
    "a module that is no plugin": (
        ["algorithm.plugin=ddpzero.games"],
        ["algorithm.plugin=ddpzero.games", "is not a plugin", "SECTIONS"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_path_value_and_remedy(mistake):
    check_sentence(*MISTAKES[mistake])


def test_a_whole_number_is_welcome_as_a_float():
    assert compose_settings(["learner.max_minutes=3"]).learner.max_minutes == 3.0


def test_null_is_welcome_where_it_means_no_limit():
    overrides = ["learner.max_minutes=null", "learner.learning_rate_schedule=constant"]
    assert compose_settings(["+experiment=quick", *overrides]).learner.max_minutes is None


# ------------------------------------------------------------------------------------- outside the tree


def test_a_game_from_outside_the_tree_is_one_file_and_one_yaml(tmp_path):
    source = Path(load_game("tic_tac_toe").module.__file__).read_text()
    (tmp_path / "my_game.py").write_text(source)
    (tmp_path / "game").mkdir()
    (tmp_path / "game" / "my_game.yaml").write_text(
        f"name: my_game\nsource: {tmp_path}/my_game.py\n"
    )
    settings = compose_settings(["game=my_game"], config_dir=str(tmp_path))
    assert settings.game.source == str(tmp_path / "my_game.py")
    assert load_game(settings.game.name, settings.game.source).num_actions == 9


def test_the_path_of_a_game_file_is_kept_whole(tmp_path, monkeypatch):
    source = Path(load_game("tic_tac_toe").module.__file__).read_text()
    (tmp_path / "my_game.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    settings = compose_settings(["game=tic_tac_toe", "game.name=my_game", "game.source=my_game.py"])
    assert settings.game.source == str(tmp_path / "my_game.py")


def test_an_algorithm_from_outside_the_tree_is_one_module_and_one_yaml(tmp_path, monkeypatch):
    (tmp_path / "my_algorithm.py").write_text(
        "from dataclasses import dataclass\n"
        "from ddpzero.games import Game\n"
        "from ddpzero.settings import require\n"
        "@dataclass(frozen=True)\n"
        "class Noise:\n"
        "    scale: float = 0.1\n"
        "    sizes: tuple[int, ...] = (64, 64)\n"
        "GAME_KIND = Game\n"
        "SECTIONS = {'noise': Noise}\n"
        "def make_algorithm(game, sections): return sections\n"
        "def check(settings, game):\n"
        "    require(settings.learner.schedule == 'concurrent', 'learner.schedule=rounds: not for mine.')\n"
    )
    (tmp_path / "algorithm").mkdir()
    (tmp_path / "algorithm" / "mine.yaml").write_text(
        "defaults:\n  - /noise@_global_.noise: low\n  - _self_\nplugin: my_algorithm\n"
    )
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "low.yaml").write_text("scale: 0.01\nsizes: [32, 32]\n")
    monkeypatch.syspath_prepend(tmp_path)
    folder = str(tmp_path)

    settings = compose_settings(["algorithm=mine", "noise.scale=1"], config_dir=folder)
    assert settings.sections["noise"].scale == 1.0
    assert settings.sections["noise"].sizes == (32, 32)
    assert settings_from_dict(settings_to_dict(settings)) == settings
    for overrides, fragment in (
        (["noise.sizes=[1,a]"], "noise.sizes[1]=a is not a whole number"),
        (["noise.sizes=3"], "noise.sizes=3 is not a list"),
        (["+algorithm.rate=3"], "algorithm.rate=3 is not a setting"),
        (["learner.schedule=rounds"], "not for mine"),
        (["search=puct"], "search=puct"),
    ):
        with pytest.raises(UserError) as caught:
            compose_settings(["algorithm=mine", *overrides], config_dir=folder)
        assert fragment in str(caught.value)


def test_a_tilde_in_quotes_is_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = compose_settings(['runs_dir="~/runs"', 'init_from="~/runs/a@5"'])
    assert settings.runs_dir == str(tmp_path / "runs")
    assert settings.init_from == str(tmp_path / "runs" / "a@5")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("raise KeyError('boom')", "spec() raises KeyError: 'boom'"),
        ("return None", "spec(parameters) returns a NoneType; it must return a GameSpec"),
    ],
)
def test_a_game_whose_spec_fails_is_named_with_its_file(spec, sentence, tmp_path):
    file = tmp_path / "odd.py"
    file.write_text(f"from ddpzero.games.tic_tac_toe import *\ndef spec(parameters):\n    {spec}\n")
    with pytest.raises(UserError) as caught:
        compose_settings(["game=tic_tac_toe", "game.name=odd", f"game.source={file}"])
    assert f"game odd ({file}): {sentence}" in str(caught.value)


@pytest.mark.parametrize(
    "code", ["def f(:", "raise SystemExit(3)", "raise RuntimeError('two\\nlines')"]
)
def test_a_plugin_or_a_game_that_cannot_be_imported_is_named(code, tmp_path, monkeypatch):
    name = f"module_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(code + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / f"{name}.py"
    for key, value in (("algorithm.plugin", name), ("game.source", name), ("game.source", file)):
        with pytest.raises(UserError) as caught:
            compose_settings([f"{key}={value}"])
        assert str(caught.value).startswith(f"{key}={value} cannot be ")
        assert "\n" not in str(caught.value)
