"""The words of the command line that Hydra reads: checked, arranged and completed before Hydra sees them.

Called by main.py with the options and settings of a training, and by hydra.py with the overrides of a config.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import fields
from importlib.util import find_spec
from typing import NoReturn

import yaml
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString, RangeSweep
from hydra.errors import HydraException

from ddpzero.config.conf_folder import conf_dir, options_of
from ddpzero.config.renamed import rename_words
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError

LIST_OF_OPTIONS = "python -m ddpzero.main --hydra-help lists the options."

# "mine.hidden=" and "mine.network.width="; the first group is "mine".
_DOTTED_KEY = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)+=")

# Python refuses to parse numbers of more than 4300 digits.
_MAX_DIGITS = 1000
_MAX_JOBS = 10_000


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
    overrides = accept_new_keys(rename_words(overrides))
    return [*(word for word in option_words if word != "--"), *overrides]


def _check_num_jobs(overrides: Sequence[str]) -> None:
    """Raise UserError for a sweep of more than _MAX_JOBS jobs: Hydra would list all of them first."""
    # Other sweepers choose among the combinations.
    if any(word.lstrip("+").startswith("hydra/sweeper=") for word in overrides):
        return
    try:
        values = [override.value() for override in parse_overrides(overrides)]
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
    raise UserError(f"{problem}; {LIST_OF_OPTIONS}")


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


def accept_new_keys(words: Sequence[str]) -> list[str]:
    """Return the words with ++ before the keys of an algorithm whose YAML file is not in conf/, or is own.yaml.

    Without ++, Hydra refuses keys that the YAML file leaves out. conversion.py refuses those that the plugin lacks.
    """
    options = [word.partition("=")[2] for word in words if word.startswith("algorithm=")]
    chosen = {option for text in options for option in text.split(",")}
    if chosen <= {*options_of("algorithm")} - {"own"}:
        return list(words)
    core = {field.name for field in fields(Settings)} - {"algorithm", "sections"} | {"hydra"}
    return [
        f"++{word}" if (key := _DOTTED_KEY.match(word)) and key[1] not in core else word
        for word in words
    ]


def algorithm_overrides(text: str, config_dir: str | None = None) -> list[str]:
    """Return the overrides that choose an algorithm, given its file, its module or an option of its group."""
    if text.endswith(".py"):
        return ["algorithm=own", f"algorithm.source={quoted(text)}"]
    options = options_of("algorithm")
    is_module = "." in text or (config_dir is None and text.isidentifier() and find_spec(text))
    if text in options or not is_module:
        return [f"algorithm={text}"]
    for option in options:
        file = conf_dir() / "algorithm" / f"{option}.yaml"
        if yaml.safe_load(file.read_text(encoding="utf-8")).get("plugin") == text:
            return [f"algorithm={option}"]
    return ["algorithm=own", f"algorithm.plugin={text}"]


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def quoted(text: str) -> str:
    """Return the text in double quotes, in which Hydra changes no character."""
    return QuotedString(text, Quote.double).with_quotes()
