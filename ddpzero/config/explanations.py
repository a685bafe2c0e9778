"""Explains the errors of Hydra, OmegaConf and YAML that a user causes: one sentence with what, where and what to do.

Called by main.py and hydra.py with an error that they caught; composes nothing itself.
"""

from __future__ import annotations

import io
import re
import traceback
from difflib import get_close_matches

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from ddpzero.config.conf_folder import PRESETS, conf_dir, is_alias, options_of
from ddpzero.config.overrides import LIST_OF_OPTIONS, parse_overrides, quoted
from ddpzero.config.strict import unknown_key_message


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
        return explain_group_of_preset(f"{match[1]}={match[2]}", match[3])
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
        return f"{' '.join(text.split())}; {LIST_OF_OPTIONS}"
    if match := re.search(r"Additional config directory '(.*)' not found", text):
        return explain_config_dir(match[1])
    if isinstance(error, OverrideParseException):
        # accept_new_keys adds ++, which users need not write.
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


def explain_config_dir(folder: str) -> str:
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
        return bool(parse_overrides([override]))
    except HydraException:
        return False


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
        group: options_of(group) for group in ("game", *PRESETS, "algorithm", "search", "network")
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
            f"algorithm ({', '.join(options_of('algorithm'))})."
        )
    return f"{override}: there is no such key or group to set: correct its name."


def explain_group_of_preset(preset: str, group: str) -> str:
    """Return a sentence for a preset "group=option" that sets a group which the algorithm does not have."""
    return (
        f"{'+' if preset.partition('=')[0] in PRESETS else ''}{preset} is for another algorithm: it sets {group}, "
        "which the algorithm of this config does not read. Remove it, and set the keys that you need one by one."
    )


def _explain_missing_option(file: str, found: list[str]) -> str:
    """Return a sentence for a missing option.

    file: group/option that Hydra searched for. found: the files of the group, in conf/ and in the user's folder.
    """
    group, _, option = file.rpartition("/")
    if (conf_dir() / group.partition("/")[0]).is_dir():
        # An option may be in a subfolder of its group: network=ddpg/mlp.
        group, _, option = file.partition("/")
    of_conf = options_of(group)
    hidden = {name for name in (*found, *of_conf) if name.startswith("_")}
    hidden |= {name for name in of_conf if is_alias(group, name)}
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
