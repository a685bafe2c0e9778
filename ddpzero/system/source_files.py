"""Imports a .py file as a module whose name contains a hash of the file's path: files of the same name do not collide.

A spawned process, such as an actor, finds the file by the module's name alone, so that it can import a function of the
file and unpickle its classes. Importing this module registers the finder; it looks in the folders of sys.path, which
the process inherits.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import zlib
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

_NAME = re.compile(r"ddpzero_source_(\w+)_[0-9a-f]{8}")


def import_source(file: Path) -> ModuleType:
    """Import a file, after appending its folder to sys.path; raises whatever its code raises.

    file: its name without .py must be an identifier. A second call returns the same module.
    """
    file = file.resolve()
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    return importlib.import_module(module_name_of_source(file))


def module_name_of_source(file: Path) -> str:
    """Return the name of a file's module, such as "ddpzero_source_reinforce_5f2c81d0"; the same in all processes."""
    return f"ddpzero_source_{file.stem}_{zlib.crc32(os.fsencode(file)):08x}"


class _SourceFinder(MetaPathFinder):
    """Finds the modules that import_source names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if (match := _NAME.fullmatch(fullname)) is None:
            return None
        files = [Path(folder, f"{match[1]}.py") for folder in sys.path]
        found = (f for f in files if module_name_of_source(f) == fullname and f.is_file())
        file = next(found, None)
        return None if file is None else spec_from_file_location(fullname, file)


sys.meta_path.append(_SourceFinder())
