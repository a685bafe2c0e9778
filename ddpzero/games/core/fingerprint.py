"""Computes a short hash of everything a game's machine code is made from; a change of it makes cached code stale.

Numba's cache looks only at the file of the function that it caches, and that is a file of ddpzero. The hash therefore
covers all that the game's kernels reach: functions, through their globals and closures, in any module; the values of
the globals that they read; the source of these modules, and of the user's modules that those import. Code of ddpzero
that is compiled together with every game counts as source. Of libraries, only what the kernels reach counts; numpy,
numba and the standard library do not count. The hash contains no path and no time: a copy in another folder has the
same hash.
"""

from __future__ import annotations

import dis
import enum
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ddpzero import PACKAGE_DIR

# Modules that are compiled together with every game, besides the searches.
_COMPILED_WITH_GAMES = (
    "compiled",
    "contract",
    "prefetch",
    "promises",
    "random_bits",
    "team_contract",
)
# Packages that have their own version; numba keeps code of each of its versions apart.
_NOT_FOLLOWED = {"numba", "llvmlite", "numpy", "math", "builtins"}
_PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, type(Ellipsis))
_SIZE = 12


@cache
def fingerprint(module: ModuleType, kernels: tuple[str, ...]) -> str:
    """Return the hash of everything that the functions `kernels` of a game's module are made from."""
    digest = _Digest()
    for name, source in _SOURCES_OF_DDPZERO:
        digest.add(name, source)
    for name in kernels:
        digest.add("kernel", name)
        digest.reach(getattr(module, name))
    digest.reach_module(module)
    return digest.hexdigest()[:_SIZE]


def file_fingerprint(file: Path) -> str:
    """Return the hash of a file's content. Files with different content are different modules, whatever their names."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:_SIZE]


def _sources_of_ddpzero() -> Iterator[tuple[str, bytes]]:
    files = sorted((PACKAGE_DIR / "search").glob("*.py"))
    files += [PACKAGE_DIR / "games" / "core" / f"{name}.py" for name in _COMPILED_WITH_GAMES]
    for file in files:
        yield file.name, file.read_bytes()


# Read when this is imported, as the modules themselves are: a process that has loaded them, and meets its first game
# after an update of ddpzero, must not pass its machine code off as that of the new sources.
_SOURCES_OF_DDPZERO = tuple(_sources_of_ddpzero())


class _Digest:
    """A hash over all reached objects, each counted once."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        # Keep the objects themselves: the id of a deleted object may be reused.
        self._reached: dict[int, Any] = {}

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def add(self, *parts: str | bytes) -> None:
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            self._hash.update(f"{len(data)}:".encode() + data)

    def reach(self, value: Any, attributes: Iterable[str] = ()) -> None:
        """Add a value that compiled code refers to. attributes: names that the code may read from a module."""
        if isinstance(value, ModuleType):
            self._reach_attributes(value, attributes)
            return
        if isinstance(value, _PLAIN):
            self.add(type(value).__name__, repr(value))
            return
        if id(value) in self._reached:
            self.add("again", str(list(self._reached).index(id(value))))
            return
        self._reached[id(value)] = value
        if isinstance(value, np.ndarray):
            self.add("array", str(value.dtype), str(value.shape), value.tobytes())
        elif isinstance(value, (tuple, list)):
            self.add(type(value).__name__, str(len(value)))
            for item in value:
                self.reach(item)
        elif isinstance(value, (set, frozenset)):
            self.reach(tuple(sorted(value, key=repr)))
        elif isinstance(value, dict):
            self.reach(tuple(value.items()))
        elif isinstance(value, CodeType):
            self._reach_code(value)
        elif isinstance(value, FunctionType):
            self._reach_function(value)
        else:
            self._reach_object(value)

    def reach_module(self, module: ModuleType) -> None:
        """Add the source of a module, and of the user's modules that it imports."""
        if id(module) in self._reached or _is_not_followed(module.__name__):
            return
        self._reached[id(module)] = module
        file = _file_of(module)
        if file is None:
            return
        self.add("source", file.read_bytes())
        if not _is_own(file):
            return
        for _, value in sorted(vars(module).items()):
            name = value.__name__ if isinstance(value, ModuleType) else _module_name(value)
            imported = sys.modules.get(name)
            if imported is not None and _is_own(_file_of(imported)):
                self.reach_module(imported)

    def _reach_function(self, function: FunctionType) -> None:
        if _is_not_followed(function.__module__ or ""):
            self.add("function", function.__module__ or "", function.__qualname__)
            return
        self._reach_code(function.__code__)
        self.reach(function.__defaults__)
        self.reach(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            self.reach(cell.cell_contents)
        names, attributes = _names_of(function.__code__)
        for name in names:
            self.add("global", name)
            if name in function.__globals__:
                self.reach(function.__globals__[name], attributes)
        if (module := sys.modules.get(function.__module__ or "")) is not None:
            self.reach_module(module)

    def _reach_code(self, code: CodeType) -> None:
        """Add the instructions and the names they use; line numbers do not count."""
        self.add("code", code.co_code, " ".join(code.co_names + code.co_varnames))
        for constant in code.co_consts:
            self.reach(constant)

    def _reach_object(self, value: Any) -> None:
        """Add a dispatcher by its function, an enumeration by its members, any other object by its class."""
        if (function := _python_function(value)) is not None:
            self.reach(function)
            return
        cls = value if isinstance(value, type) else type(value)
        self.add("object", cls.__module__, cls.__qualname__)
        # An address differs from process to process.
        if " at 0x" not in (text := repr(value)):
            self.add(text)
        if issubclass(cls, enum.Enum):
            self.add(repr([(member.name, member.value) for member in cls]))
        if (module := sys.modules.get(cls.__module__)) is not None:
            self.reach_module(module)

    def _reach_attributes(self, module: ModuleType, attributes: Iterable[str]) -> None:
        if _is_not_followed(module.__name__):
            self.add("module", module.__name__)
            return
        names = tuple(attributes)
        self.reach_module(module)
        for name in names:
            if hasattr(module, name):
                self.add("attribute", name)
                self.reach(getattr(module, name), names)


def _python_function(value: Any) -> FunctionType | None:
    """Return the function that a dispatcher of numba or ddpzero, or a ufunc made by numba, compiles."""
    for holder in (value, getattr(value, "_dispatcher", None)):
        function = getattr(holder, "py_func", None)
        if isinstance(function, FunctionType):
            return function
    return None


def _names_of(code: CodeType) -> tuple[list[str], list[str]]:
    """Return the globals that code reads and the attributes that it reads of any object, including nested functions."""
    names: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(instruction.argval)
        elif instruction.opname.startswith(("LOAD_ATTR", "LOAD_METHOD")):
            attributes.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner_names, inner_attributes = _names_of(constant)
            names.update(inner_names)
            attributes.update(inner_attributes)
    return sorted(names), sorted(attributes)


def _module_name(value: Any) -> str:
    """Return the module of a function, a dispatcher or a class."""
    name = getattr(_python_function(value) or value, "__module__", None)
    return name if isinstance(name, str) else ""


def _is_not_followed(module_name: str) -> bool:
    package = module_name.partition(".")[0]
    return package in _NOT_FOLLOWED or package in sys.stdlib_module_names


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    if not file or not file.endswith(".py") or not Path(file).is_file():
        return None
    return Path(file).resolve()


def _is_own(file: Path | None) -> bool:
    """Return whether a module is the user's: neither part of ddpzero nor installed with Python or pip."""
    if file is None:
        return False
    return not any(file.is_relative_to(folder) for folder in _installed_folders())


@cache
def _installed_folders() -> tuple[Path, ...]:
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    return (PACKAGE_DIR, *(Path(folder).resolve() for folder in folders))
