"""How plugins are found: by module or by file, with one sentence for each mistake."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddpzero.actors import ActorSpec
from ddpzero.algorithms.loader import load_algorithm, load_plugin
from ddpzero.config.conversion import settings_from_dict, settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.config.ignored import ignored_settings
from ddpzero.config.overrides import algorithm_overrides
from ddpzero.system.errors import UserError

PLUGIN = """
from dataclasses import dataclass
from ddpzero.games import Game

@dataclass(frozen=True)
class Noise:
    scale: float = 0.1

GAME_KIND = Game
SECTIONS = {"algorithm": Noise}

class Bound:
    def __init__(self, game, sections):
        self.game, self.noise = game, sections["algorithm"]
    sample_spec = make_networks = make_updater = actor_spec = make_player = None

def make_algorithm(game, sections):
    return Bound(game, sections)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, the working one; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield tmp_path
    for name in ("mistaken", "noisy", "silent", "board_player", "my_lab", "my_lab.noisy"):
        sys.modules.pop(name, None)


def test_an_algorithm_is_one_file_that_runs_find_from_anywhere(folder: Path) -> None:
    (folder / "noisy.py").write_text(PLUGIN)
    settings = compose_settings(
        ["algorithm=own", "algorithm.source=noisy.py", "+algorithm.scale=0.5", "game=tic_tac_toe"]
    )
    config = settings_to_dict(settings)
    assert config["algorithm"] == {"source": str(folder / "noisy.py"), "scale": 0.5}
    assert settings_from_dict(config) == settings
    algorithm = load_algorithm(settings)
    assert algorithm.game.name == "tic_tac_toe"
    assert algorithm.noise.scale == 0.5  # type: ignore[attr-defined]


@pytest.mark.parametrize("folder_of_module", ["", "my_lab"])
def test_a_module_on_the_path_is_an_algorithm_for_training_and_for_verify(
    folder_of_module: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    (folder / folder_of_module).mkdir(exist_ok=True)
    (folder / folder_of_module / "noisy.py").write_text(PLUGIN)
    name = f"{folder_of_module}.noisy".lstrip(".")
    words = ["algorithm=own", f"algorithm.plugin={name}"]
    assert algorithm_overrides(name) == words
    assert compose_settings([*words, "algorithm.scale=2"]).sections["algorithm"].scale == 2.0


def test_options_of_conf_and_their_modules_are_algorithms_for_verify(folder: Path) -> None:
    assert algorithm_overrides("ddpg") == ["algorithm=ddpg"]
    assert algorithm_overrides("ddpzero.algorithms.ddpg") == ["algorithm=ddpg"]
    quoted = 'algorithm.source="runs/lr=3/é.py"'
    assert algorithm_overrides("runs/lr=3/é.py") == ["algorithm=own", quoted]


KEYS = {
    "a key": ("", ["algorithm.scale=2"], None),
    "a key with the plus of earlier versions": ("", ["+algorithm.scale=2"], None),
    "a required key": ("float", ["algorithm.scale=2"], None),
    "a key of another group": ("other", ["other.scale=2"], None),
    "a typo": ("", ["algorithm.scal=2"], "Did you mean algorithm.scale? The keys of algorithm are"),
    "a required key without a value": ("float", [], "write algorithm.scale=0.5, for instance."),
    "a group without keys": ("other", [], "as in other.scale=VALUE, or write them in a file my_"),
    "a typo in a core group": ("", ["learner.batchsize=3"], "Did you mean learner.batch_size?"),
    "an experiment with other groups": ("", ["+experiment=quick"], "quick is for another algori"),
    "a preset with keys of other groups": (
        "",
        ["+experiment=wide"],
        "+experiment=wide is for another algorithm: it sets network, which the algorithm of",
    ),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_an_own_algorithm_are_set_without_a_plus(kind: str, folder: Path) -> None:
    change, words, sentence = KEYS[kind]
    text = PLUGIN.replace("float = 0.1", "float") if change == "float" else PLUGIN
    if change == "other":
        text = text.replace('{"algorithm": Noise', '{"algorithm": Noise, "other": Noise')
    (folder / "noisy.py").write_text(text)
    (folder / "experiment").mkdir()
    (folder / "experiment" / "wide.yaml").write_text("# @package _global_\nnetwork: {channels: 64}")
    words = ["algorithm=own", "algorithm.source=noisy.py", *words]
    if sentence is None:
        section = change if change == "other" else "algorithm"
        assert compose_settings(words).sections[section].scale == 2
        return
    with pytest.raises(UserError) as caught:
        compose_settings(words, str(folder))
    assert sentence in str(caught.value)


def test_what_a_plugin_leaves_out_has_defaults(folder: Path) -> None:
    (folder / "silent.py").write_text(PLUGIN)
    algorithm = load_algorithm(compose_settings(["algorithm=own", "algorithm.source=silent.py"]))
    assert algorithm.model_tag() == "own"
    assert algorithm.fits(algorithm.game) is False
    assert algorithm.summarize_episodes([]) == {}
    assert algorithm.can_show({}) is False


IMPORT = "from ddpzero.system.metric_info import MetricInfo\n"
MISTAKES = {
    "no file": (None, "is not a file: give the path of the plugin's .py file"),
    "no Python": ("def", "cannot be imported (SyntaxError"),
    "a missing import": ("import no_such_module", "cannot be imported (ModuleNotFoundError"),
    "an exit": ("raise SystemExit", "cannot be imported (SystemExit"),
    "no sections": (
        PLUGIN.replace("SECTIONS", "SECTION"),
        "is not a plugin: it needs SECTIONS, a dict of section name to dataclass",
    ),
    "no kind of game": (PLUGIN.replace("GAME_KIND", "KIND"), "it needs GAME_KIND = Game or"),
    "no make_algorithm": (
        PLUGIN.replace("def make_algorithm", "def make"),
        "it needs make_algorithm(game, sections)",
    ),
    "make_algorithm of an earlier version": (
        PLUGIN.replace("(game, sections):\n    return", "(sections):\n    return"),
        "make_algorithm(sections) must have the parameters (game, sections)",
    ),
    "a kind of game in a list": (
        PLUGIN.replace("GAME_KIND = Game", "GAME_KIND = [Game]"),
        "it needs GAME_KIND = Game or",
    ),
    "a section with the name of a core group": (
        PLUGIN.replace('{"algorithm": Noise}', '{"learner": Noise}'),
        "SECTIONS['learner'] must have a name of letters, digits and '_' that the core does not",
    ),
    "an instance of its settings": (
        PLUGIN.replace('"algorithm": Noise}', '"algorithm": Noise()}'),
        "a dict of section name to dataclass (the class itself)",
    ),
    "settings with an unknown type": (
        PLUGIN.replace("scale: float", "scale: 'complicated'"),
        "the dataclass of SECTIONS['algorithm'] raises NameError: name 'complicated' is not defined",
    ),
    "settings that raise": (
        PLUGIN.replace("0.1\n", "0.1\n    def __post_init__(self): raise KeyError(3)\n"),
        "the dataclass of SECTIONS['algorithm'] raises KeyError: 3 (mistaken.py, line 8)",
    ),
    "a check that raises": (
        PLUGIN + "def check(settings, game): {}['size']",
        "check raises KeyError: 'size' (mistaken.py, line 19): fix the plugin",
    ),
    "a check that exits": (
        PLUGIN + "def check(settings, game): raise SystemExit",
        "check raises SystemExit (mistaken.py, line 19): fix the plugin",
    ),
    "a metric without a group": (
        PLUGIN + IMPORT + "METRICS = {'c d': MetricInfo()}",
        "METRICS['c d'] must have a tag \"group/name\"",
    ),
    "a ratio of one count": (
        PLUGIN + IMPORT + "METRICS = {'a/b': MetricInfo(kind='ratio', counts=('n',))}",
        "METRICS['a/b'] has kind='ratio' and counts=('n',): this kind needs 2 counts; use rate(",
    ),
    "a mean with a count": (
        PLUGIN + IMPORT + "METRICS = {'a/b': MetricInfo(counts=('n',))}",
        "METRICS['a/b'] has kind='mean' and counts=('n',): this kind needs 0 counts",
    ),
    "a kind of metric that does not exist": (
        PLUGIN + IMPORT + "METRICS = {'a/b': MetricInfo(kind='sum')}",
        "METRICS['a/b'] has kind='sum', which is not one of mean, last, rate, time_share, ratio.",
    ),
    "metrics of another type": (PLUGIN + "METRICS = []", "has a METRICS that is no dict"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_file_that_is_no_plugin_is_told_in_a_sentence(mistake: str, folder: Path) -> None:
    text, sentence = MISTAKES[mistake]
    file = folder / "mistaken.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError) as caught:
        compose_settings(["algorithm=own", f"algorithm.source={file}"])
    assert str(caught.value).startswith(f"algorithm.source={file}")
    assert sentence in str(caught.value)


MISTAKES_OF_FUNCTIONS = {
    "make_algorithm raises": (
        PLUGIN.replace("return Bound(game, sections)", "return {}['a\\nb']"),
        "make_algorithm raises KeyError: 'a\\nb' (mistaken.py, line 18): fix the plugin.",
    ),
    "make_algorithm exits": (
        PLUGIN.replace("return Bound(game, sections)", "raise SystemExit(0)"),
        "make_algorithm raises SystemExit: 0 (mistaken.py, line 18): fix the plugin.",
    ),
    "make_algorithm returns nothing": (
        PLUGIN.replace("return Bound", "Bound"),
        "lacks game, sample_spec, make_networks, make_updater, actor_spec, make_player: add what",
    ),
    "ignored raises": (
        PLUGIN + "def ignored(settings, game): raise OSError(2, 'not there')",
        "ignored raises FileNotFoundError: [Errno 2] not there (mistaken.py, line 19)",
    ),
    "ignored returns a list": (
        PLUGIN + "def ignored(settings, game): return ['learner.optimizer']",
        "ignored returns ['learner.optimizer'], which is not a dict of setting to reason",
    ),
    "ignored names a group": (
        PLUGIN + "def ignored(settings, game): return {'learner': 'unused'}",
        "ignored names 'learner', which is not a setting of this config",
    ),
    "ignored names an unknown setting": (
        PLUGIN + "def ignored(settings, game): return {'learner.size': 'unused'}",
        "ignored names 'learner.size', which is not a setting of this config",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES_OF_FUNCTIONS)
def test_an_error_in_a_function_of_a_plugin_is_one_sentence(mistake: str, folder: Path) -> None:
    text, sentence = MISTAKES_OF_FUNCTIONS[mistake]
    (folder / "mistaken.py").write_text(text)
    settings = compose_settings(["algorithm=own", "algorithm.source=mistaken.py"])
    with pytest.raises(UserError) as caught:
        load_algorithm(settings)
        ignored_settings(settings)
    assert str(caught.value).startswith(f"algorithm.source={folder / 'mistaken.py'}: ")
    assert sentence in str(caught.value)


def test_a_file_whose_name_cannot_be_imported_is_told(folder: Path) -> None:
    (folder / "my-plugin.py").write_text(PLUGIN)
    with pytest.raises(
        UserError, match=r"my-plugin is not a module's name: use letters, digits and '_'"
    ):
        load_plugin(str(folder / "my-plugin.py"))


def test_files_of_the_same_name_are_different_plugins(folder: Path) -> None:
    """Even of a name that a module of Python or a file in the current folder has."""
    sources = [folder / name / "json.py" for name in ("one", "two")]
    for source, scale in zip(sources, (1.0, 2.0), strict=True):
        source.parent.mkdir()
        source.write_text(PLUGIN.replace("scale: float = 0.1", f"scale: float = {scale}"))
    (folder / "json.py").write_text("raise ImportError('never imported')")
    sections = [load_plugin(str(source)).sections["algorithm"] for source in sources]
    assert [section().scale for section in sections] == [1.0, 2.0]


def test_a_spawned_process_unpickles_what_a_file_defines(folder: Path) -> None:
    """As an actor does, which imports only its own modules before."""
    (folder / "plugins").mkdir()
    (folder / "plugins" / "noisy.py").write_text(PLUGIN)
    section = load_plugin(str(folder / "plugins" / "noisy.py")).sections["algorithm"]
    process = multiprocessing.get_context("spawn").Process(
        target=ActorSpec.make, args=(ActorSpec("builtins:dict", {"noise": section()}), 0, 0, 0)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["algorithm=own"], "the config names no algorithm: add algorithm.source=FILE.py"),
        (["algorithm=own", "algorithm.source=folder"], "is not the path of a .py file"),
        (["algorithm=own", "algorithm.source=my_lab.mine"], "write algorithm.plugin=my_lab.mine."),
        (["algorithm=own", "algorithm.source=null"], "the config names no algorithm"),
        (["algorithm.source=mine.py"], "write algorithm=own algorithm.source=mine.py."),
        (["algorithm.plugin=ddpzero.algorithms.ddpg"], "keys of another algorithm (algorithm."),
        (
            ["algorithm=own", "algorithm.source=mine.py", "algorithm.plugin=x"],
            "algorithm.plugin=x and algorithm.source=mine.py are both given: remove one of them",
        ),
    ],
)
def test_exactly_one_of_module_and_file_is_given(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        compose_settings(overrides)
    assert sentence in str(caught.value)


def test_a_game_of_another_kind_is_refused_for_any_plugin(folder: Path) -> None:
    (folder / "board_player.py").write_text(PLUGIN)
    with pytest.raises(UserError, match="in game=snakes teams act all at once, but algo"):
        compose_settings(["algorithm=own", "algorithm.source=board_player.py", "game=snakes"])
