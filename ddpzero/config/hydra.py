"""Hydra's part of the configuration: finds conf/, composes the config, explains Hydra's errors.

Called only by main.py and cli/; all other code receives plain dataclasses. Besides main.py and sweep.py, the only file
that imports hydra or omegaconf.
"""

from __future__ import annotations

import io
import math
import os
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString, RangeSweep
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from ddpzero import PACKAGE_DIR
from ddpzero.algorithms.loader import load_plugin
from ddpzero.config.conversion import (
    game_settings_from_dict,
    plugin_name_of,
    settings_from_dict,
    with_new_names,
)
from ddpzero.config.renamed import rename_words
from ddpzero.config.strict import as_group, unknown_key_message
from ddpzero.settings import GameSettings, Settings
from ddpzero.system.errors import UserError

_Converted = TypeVar("_Converted")

HYDRA_VERSION = "1.3"
CONFIG_NAME = "config"
# Command-line names of preset groups in the order in which they must be given: the later one wins.
PRESETS = ("experiment", "hardware")

# "mine.hidden=" and "mine.network.width="; the first group is "mine".
_DOTTED_KEY = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)+=")

_LIST_OF_OPTIONS = "python -m ddpzero.main --hydra-help lists the options."

# Python refuses to parse numbers of more than 4300 digits.
_MAX_DIGITS = 1000
_MAX_JOBS = 10_000

# For the folder of a --multirun, which Hydra creates itself: expands ~ to the home folder.
OmegaConf.register_new_resolver("home", os.path.expanduser, replace=True)


def conf_dir() -> Path:
    """Return the absolute path of conf/: inside the package if installed from a wheel, beside it in a clone."""
    for folder in (PACKAGE_DIR / "conf", PACKAGE_DIR.parent / "conf"):
        if (folder / f"{CONFIG_NAME}.yaml").is_file():
            return folder
    raise UserError(
        f"no conf/ in {PACKAGE_DIR} or beside it: install ddpzero again, or run it from a clone."
    )


def compose_settings(overrides: Sequence[str], config_dir: str | None = None) -> Settings:
    """Return the settings that `python -m ddpzero.main OVERRIDES` would train with.

    config_dir: a folder that is searched before conf/, as main's --config-dir. Raises UserError.
    """
    config, overrides = _compose(overrides, config_dir)
    return settings_from_config(config, overrides)


def compose_game(overrides: Sequence[str], config_dir: str | None = None) -> GameSettings:
    """Return only the game of these settings, without a check that the algorithm can play it."""
    config, overrides = _compose(overrides, config_dir)
    _check_preset_order(overrides)
    return _converted(config.game, game_settings_from_dict)


def _compose(overrides: Sequence[str], config_dir: str | None) -> tuple[DictConfig, list[str]]:
    """Return the composed config, and the overrides including config_dir. Raises UserError."""
    overrides = list(overrides)
    check_words(overrides)
    overrides = _accept_new_keys(rename_words(overrides))
    if config_dir is not None:
        folder = Path(config_dir).expanduser().resolve()
        if not folder.is_dir():
            raise UserError(_no_config_dir(config_dir))
        overrides.append(f"hydra.searchpath=[{quoted(f'file://{folder}')}]")
    try:
        with initialize_config_dir(str(conf_dir()), version_base=HYDRA_VERSION):
            return compose(CONFIG_NAME, overrides=overrides), overrides
    except Exception as error:
        if (sentence := explain(error)) is None:
            raise
        raise UserError(sentence) from None


def settings_from_config(config: DictConfig, overrides: Sequence[str]) -> Settings:
    """Resolve and convert the config that Hydra composed from `overrides`. Raises UserError."""
    _check_preset_order(overrides)
    _check_options(config, overrides)
    given = {override.key_or_group for override in _parsed(overrides)}
    return _converted(config, lambda values: settings_from_dict(with_new_names(values, given)))


def _converted(config: DictConfig, convert: Callable[[dict[str, Any]], _Converted]) -> _Converted:
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(explain(error) or str(error)) from None
    try:
        return convert(as_group(values, "game"))
    except UserError:
        raise
    # The game's rules refuse the parameters.
    except ValueError as error:
        raise UserError(str(error)) from None


def explain(error: Exception) -> str | None:
    """Return a sentence for an error of Hydra or OmegaConf that a user causes: what, where, what to do; else None."""
    text = str(error)
    cause = error.__cause__
    if isinstance(error, (yaml.YAMLError, UnicodeDecodeError)):
        return _explain_unreadable_yaml(error)
    if isinstance(error, OSError) and error.strerror is not None:
        where = error.filename or "the output or a file of Hydra"
        return (
            f"{where}: {error.strerror}. Folders that Hydra is given (hydra.run.dir, hydra.sweep.dir) must be ones "
            "that it can make and write to."
        )
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _explain_missing_option(str(error.missing_cfg_file), sorted(error.options or []))
    if isinstance(cause, OmegaConfBaseException) and "is not in struct" in str(cause):
        return _explain_unknown_key(text, cause)
    if match := re.match(r"In '(\S+)/(\S+)': Could not override '(\S+?)[@']", text):
        return _explain_group_of_preset(f"{match[1]}={match[2]}", match[3])
    if match := re.search(r"No match in the defaults list\.\s+.*use \+(\S+)", text):
        return _explain_missing_group(match[1])
    if match := re.match(r"Multiple values for (\S+)\..*override \S+: (\S+)'", text):
        return f"+{match[1]}={match[2]}: there is one already; replace it without the plus, {match[1]}={match[2]}."
    if match := re.search(r"Either remove \+ prefix: '(.*)'", text):
        return f"+{match[1]}: this key exists; set it without the plus, {match[1]}."
    if match := re.match(r"Ambiguous value for argument '(.*)'", text):
        return f"{match[1]} is several values: give one, put a list in [brackets], or sweep with --multirun."
    if "Config group override must be" in text:
        given = _override_being_read(error)
        return (
            f"{given} gives a value to a group: name one of its options, as in game=connect_four."
        )
    if type(error) is ValueError and _is_raised_by_hydra(error):
        return f"{' '.join(text.split())}; {_LIST_OF_OPTIONS}"
    if match := re.search(r"Additional config directory '(.*)' not found", text):
        return _no_config_dir(match[1])
    if isinstance(error, OverrideParseException):
        # _accept_new_keys adds ++, which users need not write.
        return _explain_unreadable_override(" ".join(error.override.split()).removeprefix("++"))
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value (???): set it, as in {error.full_key}=..."
    if isinstance(error, InterpolationResolutionError):
        what = error.full_key or "${...} on the command line"
        return f"{what} cannot be resolved: {text.splitlines()[0]}. Mend the name in ${{...}}."
    return (
        " ".join(text.split())
        if isinstance(error, (HydraException, OmegaConfBaseException))
        else None
    )


def _no_config_dir(folder: str) -> str:
    return (
        f"--config-dir {folder} is not a folder: name one that is laid out like {conf_dir()}, or leave --config-dir "
        "out."
    )


def _explain_unreadable_override(override: str) -> str:
    """Return a sentence for a word that Hydra cannot parse; Hydra's message is about its grammar."""
    if "=" not in override and not override.startswith("~"):
        return f"{override}: there is no = in it. {_hint_for_bare_word(override)}"
    key, _, value = override.partition("=")
    if value.startswith("~"):
        return (
            f"""{override}: a ~ must stand in quotes, in a shell {key}='"{value}"'; or write """
            f"{key}=$HOME{value[1:]}."
        )
    corrected = f"{key}={quoted(value)}"
    if value and not set(value) & set("\"'[{") and _is_readable(corrected):
        return f"{override}: Hydra needs quotes around this value, in a shell '{corrected}'."
    return (
        f"{override}: Hydra cannot read this. Write key=value: close every bracket and quote, and use only ASCII "
        "letters, digits, _ and dots in the key."
    )


def _is_readable(override: str) -> bool:
    try:
        return bool(_parsed([override]))
    except HydraException:
        return False


def quoted(text: str) -> str:
    """Return the text in double quotes, in which Hydra changes no character."""
    return QuotedString(text, Quote.double).with_quotes()


def _is_raised_by_hydra(error: Exception) -> bool:
    """Return whether Hydra's code raised the error; it raises ValueError for options that exclude each other."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith("hydra.")


def _explain_unreadable_yaml(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """Return one sentence with the file and the line; yaml's description of the position takes several lines."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        problem = " ".join(str(getattr(error, "problem", "")).split())
        return (
            f"{mark.name}, line {mark.line + 1}: this is not valid YAML ({problem}): fix that file."
        )
    file = getattr(error, "name", None) or _file_being_read(error) or "a file of the config"
    return f"{file}: this is not UTF-8 text, as YAML must be ({' '.join(str(error).split())}): fix that file."


def _file_being_read(error: BaseException) -> str:
    """Return the file that was open where the error was raised, or "": a decoding error does not name it."""
    names = [
        str(value.name)
        for frame, _ in traceback.walk_tb(error.__traceback__)
        for value in frame.f_locals.values()
        if isinstance(value, io.TextIOWrapper)
    ]
    return names[-1] if names else ""


def _override_being_read(error: BaseException) -> str:
    """Return the override that Hydra was processing, such as "game=3": the error does not name it."""
    for raised in filter(None, (error, error.__cause__)):
        for frame, _ in traceback.walk_tb(raised.__traceback__):
            override = frame.f_locals.get("override")
            if isinstance(override, Override):
                return str(override.input_line)
    return "One of the settings"


def _hint_for_bare_word(word: str) -> str:
    """Return a sentence with the groups and presets that have an option with this or a similar name."""
    known = {
        group: _options_of(group) for group in ("game", *PRESETS, "algorithm", "search", "network")
    }
    similar = get_close_matches(word, {name for names in known.values() for name in names}, n=1)
    settings = [
        f"{'+' if group in PRESETS else ''}{group}={name}"
        for name in similar
        for group, names in known.items()
        if name in names
    ]
    return f"Did you mean {' or '.join(settings)}?" if settings else "Write key=value."


def _explain_missing_group(override: str) -> str:
    """Return a sentence for an override "group=option" whose group is not in the config's defaults."""
    group = override.partition("=")[0]
    if group in PRESETS:
        return f"{override}: the config has no {group} to replace; add a preset with a plus, +{override}."
    if (conf_dir() / group).is_dir():
        return (
            f"{override}: the algorithm of this config reads no group {group}: remove it, or choose another "
            f"algorithm ({', '.join(_options_of('algorithm'))})."
        )
    return f"{override}: there is no such key or group to set: correct its name."


def _explain_group_of_preset(preset: str, group: str) -> str:
    """Return a sentence for a preset "group=option" that sets a group which the algorithm does not have."""
    return (
        f"{'+' if preset.partition('=')[0] in PRESETS else ''}{preset} is for another algorithm: it sets {group}, "
        "which the algorithm of this config does not read. Remove it, and set the keys that you need one by one."
    )


def _options_of(group: str) -> list[str]:
    """Return the options of a group, without files that begin with _, which are parts of options."""
    folder = conf_dir() / group
    names = [file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")]
    return sorted(name for name in names if not name.startswith("_"))


def _explain_missing_option(file: str, found: list[str]) -> str:
    """Return a sentence for a missing option.

    file: group/option that Hydra searched for. found: the files of the group, in conf/ and in the user's folder.
    """
    group, _, option = file.rpartition("/")
    if (conf_dir() / group.partition("/")[0]).is_dir():
        # An option may be in a subfolder of its group: network=ddpg/mlp.
        group, _, option = file.partition("/")
    of_conf = _options_of(group)
    hidden = {name for name in (*found, *of_conf) if name.startswith("_")}
    hidden |= {name for name in of_conf if _is_alias(group, name)}
    options = sorted({*found, *of_conf} - hidden)
    if group in PRESETS:
        group = f"+{group}"
    if not options:
        return f"{file} is neither in {conf_dir()} nor in the folder of --config-dir: correct its name."
    nearest = get_close_matches(option, options, n=1)
    hint = f" Did you mean {group}={nearest[0]}?" if nearest else ""
    return f"{group}={option} does not exist.{hint} The options are {', '.join(options)}; --config-dir adds your own."


def _explain_unknown_key(text: str, cause: OmegaConfBaseException) -> str:
    given = re.search(r"use \+([^=\s]+)=(.*)$", text)
    path, value = (given[1], given[2]) if given else (str(cause.full_key), "...")
    parent = cause.parent_node
    if not isinstance(parent, DictConfig):
        return f"{path}={value} is not a setting: {path.rpartition('.')[0]} is a single value."
    if path == "algorithm.source":
        return f"{path}={value} needs algorithm=own: write algorithm=own {path}={value}."
    known = [str(key) for key in parent if key != "hydra"]
    # The typo may be in the middle of the path ("learer.batch_size"): name that part.
    return unknown_key_message(str(cause.full_key), value if cause.full_key == path else {}, known)


def arrange_words(words: Sequence[str]) -> list[str]:
    """Return the words of the command line with all options before the settings, since Hydra accepts no mixture.

    Raises UserError for words that would make Hydra print a usage message or a traceback.
    """
    parser = get_args_parser()
    parser.error = _refuse_options  # type: ignore[method-assign, assignment]
    parser.allow_abbrev = False
    options, unknown = parser.parse_known_intermixed_args(list(words))
    for word in (*unknown, *options.overrides):
        if word.startswith("-"):
            setting = word.lstrip("-")[:80]
            hint = f" (a setting has no dashes: {setting} or +{setting})" if "=" in setting else ""
            _refuse_options(f"there is no option {word[:80]}{hint}")
    for name in ("config_dir", "config_name", "config_path", "package"):
        value = getattr(options, name)
        if value is not None and not value.strip():
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} {value!r} names nothing: leave {option} out, or name one.")
    if options.experimental_rerun is not None:
        raise UserError(
            "--experimental-rerun reads a pickle, which could run anything: the same command again continues a run."
        )
    overrides = [*options.overrides, *unknown]
    check_words(overrides)
    if options.multirun:
        _check_num_jobs(overrides)
    # If an option and a setting have the same text, it does not matter which of them is removed.
    option_words = list(words)
    for word in reversed(overrides):
        del option_words[len(option_words) - 1 - option_words[::-1].index(word)]
    overrides = _accept_new_keys(rename_words(overrides))
    return [*(word for word in option_words if word != "--"), *overrides]


def _check_num_jobs(overrides: Sequence[str]) -> None:
    """Raise UserError for a sweep of more than _MAX_JOBS jobs: Hydra would list all of them first."""
    # Other sweepers choose among the combinations.
    if any(word.lstrip("+").startswith("hydra/sweeper=") for word in overrides):
        return
    try:
        values = [override.value() for override in _parsed(overrides)]
    # Reported when Hydra parses them.
    except HydraException:
        return
    num_jobs = 1
    for value in values:
        if isinstance(value, RangeSweep) and value.start is not None and value.stop is not None:
            num_jobs *= max(1, math.ceil((value.stop - value.start) / value.step))
        elif isinstance(value, ChoiceSweep):
            num_jobs *= max(1, len(value.list))
    if num_jobs > _MAX_JOBS:
        raise UserError(
            f"--multirun would train {num_jobs:,} jobs: at most {_MAX_JOBS:,} are allowed. Give shorter ranges "
            "and lists."
        )


def _refuse_options(problem: str) -> NoReturn:
    raise UserError(f"{problem}; {_LIST_OF_OPTIONS}")


def check_words(words: Sequence[str]) -> None:
    """Raise UserError for words that Hydra misinterprets: an empty key, or a number that Python cannot parse."""
    for word in words:
        if not word.strip():
            raise UserError(
                f"{word!r} is an empty word among the settings: remove it, or write key=value."
            )
        if word.lstrip("+~").startswith("="):
            raise UserError(f"{word}: no key stands before the =. Write key=value.")
        if re.search(rf"\d{{{_MAX_DIGITS}}}", word):
            raise UserError(f"{word[:60]}...: the number has too many digits: write a smaller one.")


def _check_options(config: DictConfig, overrides: Sequence[str]) -> None:
    """Raise UserError for a group's option that belongs to another algorithm, because this one has none of its keys."""
    game = config.get("game")
    # Checked here, because run_name contains the game's name.
    if isinstance(game, ListConfig):
        as_group(list(game), "game")
    is_group = isinstance(config.get("algorithm"), DictConfig)
    algorithm = OmegaConf.to_container(config.algorithm) if is_group else {}
    try:
        plugin = plugin_name_of(as_group(algorithm, "algorithm"))
    # Reported when the config is converted.
    except UserError:
        return
    sections = load_plugin(plugin).sections
    _check_keys_of_plugin(algorithm, sections.get("algorithm"), overrides)
    foreign = sorted(_groups_of_algorithms() & set(config) - set(sections))
    for override in _parsed(overrides):
        group, option = override.key_or_group, override.value()
        if group in PRESETS and foreign:
            raise UserError(_explain_group_of_preset(f"{group}={option}", foreign[0]))
        if group not in sections or group == "algorithm" or not isinstance(option, str):
            continue
        known = {field.name for field in fields(sections[group])}
        options = _options_of(group)
        if option in options and not _keys_of(group, option) <= known:
            fitting = [
                name
                for name in options
                if _keys_of(group, name) <= known and not _is_alias(group, name)
            ]
            raise UserError(
                f"{group}={option} is for another algorithm: the one of this config ({plugin}) goes with "
                f"{' or '.join(f'{group}={name}' for name in fitting)}."
            )


def _groups_of_algorithms() -> set[str]:
    """Return the groups in conf/ that algorithms read, such as network."""
    folders = {folder.name for folder in conf_dir().iterdir() if folder.is_dir()}
    return folders - {"algorithm", "game", *PRESETS}


def _check_keys_of_plugin(algorithm: Any, section: type | None, overrides: Sequence[str]) -> None:
    """Raise UserError if algorithm.plugin replaces the plugin of an option that has keys of another algorithm."""
    given = [o for o in _parsed(overrides) if o.key_or_group == "algorithm.plugin"]
    known = {field.name for field in fields(section)} if section else set()
    # What the command line sets is reported by its name.
    of_yaml = set(algorithm) - {o.key_or_group.partition(".")[2] for o in _parsed(overrides)}
    foreign = sorted(of_yaml - known - {"plugin", "source"})
    if given and foreign:
        plugin = f"algorithm.plugin={algorithm['plugin']}"
        raise UserError(
            f"{plugin}: the config has keys of another algorithm (algorithm.{foreign[0]}): write algorithm=own "
            f"{plugin}."
        )


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def algorithm_overrides(text: str, config_dir: str | None = None) -> list[str]:
    """Return the overrides that choose an algorithm, given its file, its module or an option of its group."""
    if text.endswith(".py"):
        return ["algorithm=own", f"algorithm.source={quoted(text)}"]
    options = _options_of("algorithm")
    is_module = "." in text or (config_dir is None and text.isidentifier() and find_spec(text))
    if text in options or not is_module:
        return [f"algorithm={text}"]
    for option in options:
        file = conf_dir() / "algorithm" / f"{option}.yaml"
        if yaml.safe_load(file.read_text(encoding="utf-8")).get("plugin") == text:
            return [f"algorithm={option}"]
    return ["algorithm=own", f"algorithm.plugin={text}"]


def _accept_new_keys(words: Sequence[str]) -> list[str]:
    """Return the words with ++ before the keys of an algorithm whose YAML file is not in conf/, or is own.yaml.

    Without ++, Hydra refuses keys that the YAML file leaves out. conversion.py refuses those that the plugin lacks.
    """
    options = [word.partition("=")[2] for word in words if word.startswith("algorithm=")]
    chosen = {option for text in options for option in text.split(",")}
    if chosen <= {*_options_of("algorithm")} - {"own"}:
        return list(words)
    core = {field.name for field in fields(Settings)} - {"algorithm", "sections"} | {"hydra"}
    return [
        f"++{word}" if (key := _DOTTED_KEY.match(word)) and key[1] not in core else word
        for word in words
    ]


def _keys_of(group: str, option: str) -> set[str]:
    """Return the keys that an option of a group sets, itself or in the options that it includes."""
    values, bases = _read_option(group, option)
    return set(values).union(*(_keys_of(group, base) for base in bases))


def _is_alias(group: str, option: str) -> bool:
    """Return whether the option is an old name of another one and sets nothing itself."""
    return not _read_option(group, option)[0]


def _read_option(group: str, option: str) -> tuple[dict[str, Any], list[str]]:
    """Return the keys and values in an option's file, and the options of the same group that it includes."""
    values = yaml.safe_load((conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8"))
    included = [str(base).partition("@")[0] for base in values.pop("defaults", [])]
    return values, [base for base in included if base != "_self_"]


def _check_preset_order(overrides: Sequence[str]) -> None:
    """Raise UserError if +hardware precedes +experiment: in Hydra the later one wins and would silently undo it."""
    keys = [override.key_or_group for override in _parsed(overrides)]
    given = [key for key in keys if key in PRESETS]
    if given != sorted(given, key=PRESETS.index):
        raise UserError(
            "+hardware stands before +experiment, which would undo it: write +experiment=... first, then +hardware=..."
        )
