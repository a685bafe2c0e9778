"""Converts plain values to dataclasses, strictly: it does not accept true for 1 or "64" for 64.

Called by conversion.py; knows no particular setting. Every mistake raises a UserError with the dotted path, the value,
what is allowed and what to do. A field may be a bool, int, float, str, Literal, a list or tuple of those, any of them
`| None`, a dataclass of such fields, or a dict, which is not converted.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ddpzero.system.errors import UserError

_LARGEST_INT = 2**63 - 1
_LARGEST_FLOAT = 1e30

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
}


def make_dataclass(cls: type, group: Any, path: str) -> Any:
    """Return an instance of the dataclass `cls` from a mapping; `path` is the mapping's dotted key."""
    values = as_group(group, path)
    known = {field.name: field for field in fields(cls)}
    hints = get_type_hints(cls)
    refuse_unknown_keys(path, values, known)
    return cls(
        **{
            name: convert(values.get(name), hints[name], f"{path}.{name}", default_of(field))
            for name, field in known.items()
            if name in values or default_of(field) is MISSING
        }
    )


def as_group(value: Any, path: str) -> dict[str, Any]:
    """Return a copy of the mapping `value`. Raises UserError for any other value."""
    if value is None:
        raise UserError(
            f"{path}=null is not allowed: it is a group of keys; remove `~{path}` or `{path}=null`."
        )
    if not isinstance(value, Mapping):
        raise UserError(
            f"{path}={show(value)} is not a group of keys: set its keys one by one, as in {path}.key=value."
        )
    return {str(key): entry for key, entry in value.items()}


def refuse_unknown_keys(path: str, values: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise UserError for the first unknown key of `values`, with the closest known one."""
    known = list(known)
    for key, value in values.items():
        if key not in known:
            raise UserError(unknown_key_message(f"{path}.{key}".lstrip("."), value, known))


def unknown_key_message(path: str, value: Any, known: Iterable[str]) -> str:
    """Return a sentence for an unknown key. path: dotted; known: the keys of its group."""
    parent, _, key = path.rpartition(".")
    known = list(known)
    shown = path if isinstance(value, Mapping) else f"{path}={show(value)}"
    if not known:
        return f"{shown} is not a setting: {parent} has no keys."
    nearest = get_close_matches(key, known, n=1)
    hint = f" Did you mean {f'{parent}.{nearest[0]}'.lstrip('.')}?" if nearest else ""
    there_are = f"The keys of {parent} are" if parent else "At the top level there are"
    return f"{shown} is not a setting.{hint} {there_are} {', '.join(known)}."


def convert(value: Any, hint: Any, path: str, default: Any = MISSING) -> Any:
    """Return `value` as the type `hint`. default: an example for error messages. Raises UserError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (wanted,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if value is None else convert(value, wanted, path, default)
    if is_dataclass(hint):
        return make_dataclass(hint, value, path)  # type: ignore[arg-type]  # a class, not an instance
    if origin is dict:
        return as_group(value, path)
    if value is None:
        raise UserError(f"{path}=null is not allowed: {_remedy(value, hint, path, default)}")
    if origin is Literal:
        return _convert_choice(value, arguments, path)
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise UserError(
                f"{path}={show(value)} is not a list: write {path}=[1,2], for instance."
            )
        return origin(convert(entry, arguments[0], f"{path}[{i}]") for i, entry in enumerate(value))
    if hint in (int, float) and type(value) in (int, float) and math.isfinite(value):
        _refuse_too_large(value, path)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        shown = repr(value) if _is_quoted_number(value) else show(value)
        remedy = _remedy(value, hint, path, default)
        if hint is str and isinstance(value, (bool, int, float)):
            remedy = f"""put it in quotes twice in a shell, {path}='"{show(value)}"'."""
        raise UserError(f"{path}={shown} is not {_KINDS[hint]}: {remedy}")
    return value


def show(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if is_dataclass(value):
        given = {field.name: getattr(value, field.name) for field in fields(value)}
        value = {name: entry for name, entry in given.items() if entry is not None}
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{show(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(show(entry) for entry in value) + "]"
    text = str(value)
    return text if text.isprintable() else repr(text)


def _refuse_too_large(value: float, path: str) -> None:
    """Raise UserError for numbers that do not fit: compiled code counts in 64 bits, networks compute in 32."""
    most = _LARGEST_INT if isinstance(value, int) else _LARGEST_FLOAT
    if abs(value) > most:
        raise UserError(f"{path}={show(value)} is too large: no number may be above {most:g}.")


def _convert_choice(value: Any, choices: tuple[Any, ...], path: str) -> Any:
    if value in choices:
        return value
    nearest = get_close_matches(str(value), [str(choice) for choice in choices], n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    allowed = ", ".join(show(choice) for choice in choices)
    raise UserError(f"{path}={show(value)} is not one of {allowed}.{hint}")


def _remedy(value: Any, hint: Any, path: str, default: Any) -> str:
    if hint is int and isinstance(value, float) and value.is_integer():
        return f"write {path}={int(value)}."
    if hint in (int, float) and _is_quoted_number(value):
        return f"remove the quotation marks, {path}={value}."
    if default in (MISSING, None):
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        default = choices[0] if choices else {bool: True, int: 1, float: 0.5}.get(hint, "name")
    return f"write {path}={show(default)}, for instance."


def _is_quoted_number(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def default_of(field: Field[Any]) -> Any:
    """Return a new default of a dataclass's field; MISSING if it has none."""
    if field.default is MISSING and field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
