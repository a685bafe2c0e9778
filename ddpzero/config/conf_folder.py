"""The folder conf/: where it is, which options its groups have, and which keys an option sets.

Reads the YAML files by themselves; composing them is Hydra's work (hydra.py). Imports nothing of Hydra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ddpzero import PACKAGE_DIR
from ddpzero.system.errors import UserError

CONFIG_NAME = "config"
# Command-line names of preset groups in the order in which they must be given: the later one wins.
PRESETS = ("experiment", "hardware")


def conf_dir() -> Path:
    """Return the absolute path of conf/: inside the package if installed from a wheel, beside it in a clone."""
    for folder in (PACKAGE_DIR / "conf", PACKAGE_DIR.parent / "conf"):
        if (folder / f"{CONFIG_NAME}.yaml").is_file():
            return folder
    raise UserError(
        f"no conf/ in {PACKAGE_DIR} or beside it: install ddpzero again, or run it from a clone."
    )


def options_of(group: str) -> list[str]:
    """Return the options of a group, without files that begin with _, which are parts of options."""
    folder = conf_dir() / group
    names = [file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")]
    return sorted(name for name in names if not name.startswith("_"))


def keys_of(group: str, option: str) -> set[str]:
    """Return the keys that an option of a group sets, itself or in the options that it includes."""
    values, bases = _read_option(group, option)
    return set(values).union(*(keys_of(group, base) for base in bases))


def is_alias(group: str, option: str) -> bool:
    """Return whether the option is an old name of another one and sets nothing itself."""
    return not _read_option(group, option)[0]


def _read_option(group: str, option: str) -> tuple[dict[str, Any], list[str]]:
    """Return the keys and values in an option's file, and the options of the same group that it includes."""
    values = yaml.safe_load((conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8"))
    included = [str(base).partition("@")[0] for base in values.pop("defaults", [])]
    return values, [base for base in included if base != "_self_"]
