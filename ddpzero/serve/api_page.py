"""Reads an OpenAPI document for the page of the API: its requests and its messages, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ddpzero.system.json_text import json_text

# FastAPI adds them by itself to requests with parameters.
_OTHER_REFUSALS = ("HTTPValidationError", "ValidationError")
_NO_VALUE = re.compile(r"\bNone\b")
_CODE = re.compile("`([^`]*)`")


@dataclass(frozen=True)
class Parameter:
    """place: "path", "query" or "header". default: as JSON; "" if it must be given."""

    name: str
    place: str
    type: str
    default: str


@dataclass(frozen=True)
class ApiRequest:
    """A request. body, answer: types as `type_text` writes them; "" if the document does not say one.

    refusals: the statuses of its refusals.
    """

    method: str
    path: str
    summary: str
    parameters: list[Parameter]
    body: str
    answer: str
    refusals: list[str]


@dataclass(frozen=True)
class MessageField:
    """is_optional: whether who sends the message may leave it out. meaning: "" if the description has none."""

    name: str
    type: str
    is_optional: bool
    meaning: str


@dataclass(frozen=True)
class ApiMessage:
    """A message between server and client. description: without the meanings of the fields."""

    name: str
    description: str
    fields: list[MessageField]


def remove_other_refusals(document: dict[str, Any]) -> None:
    """Remove from an OpenAPI document the refusals of FastAPI, which no request is answered with."""
    schemas = document["components"]["schemas"]
    for name in _OTHER_REFUSALS:
        schemas.pop(name, None)
    for methods in document["paths"].values():
        for request in methods.values():
            answers = request["responses"]
            if _content_type(answers.get("422", {})) in _OTHER_REFUSALS:
                del answers["422"]


def write_null(document: dict[str, Any]) -> None:
    """Write null, as the messages have it, for None in the descriptions of an OpenAPI document."""
    for schema in document["components"]["schemas"].values():
        if "description" in schema:
            schema["description"] = _NO_VALUE.sub("null", schema["description"])


def requests_of(document: Mapping[str, Any]) -> list[ApiRequest]:
    """Return the requests of an OpenAPI document in its order."""
    return [
        ApiRequest(
            method.upper(),
            path,
            request.get("summary", ""),
            [_parameter(parameter) for parameter in request.get("parameters", [])],
            _content_type(request.get("requestBody", {})),
            _content_type(request["responses"].get("200", {})),
            [status for status in request["responses"] if status[0] in "45"],
        )
        for path, methods in document["paths"].items()
        for method, request in methods.items()
    ]


def messages_of(document: Mapping[str, Any]) -> list[ApiMessage]:
    """Return the messages of an OpenAPI document in the order of their names."""
    schemas = document.get("components", {}).get("schemas", {})
    # An answer has all of its fields, also those with a default.
    sent = {request.body for request in requests_of(document)}
    return [
        _message(name, schema, name in sent)
        for name, schema in sorted(schemas.items())
        if "properties" in schema
    ]


def type_text(schema: Mapping[str, Any]) -> str:
    """Return the type of a schema in words; the name of a message is one of them."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(type_text(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json_text(choice) for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {type_text(schema.get('items', {}))}"
    of_values = schema.get("additionalProperties")
    if schema.get("type") == "object" and isinstance(of_values, Mapping):
        return f"object of {type_text(of_values)}"
    return str(schema.get("type", ""))


def code_parts(text: str) -> list[list[tuple[str, bool]]]:
    """Split a text into paragraphs, and those into parts, with whether each stood between backquotes."""
    return [
        [(part, bool(number % 2)) for number, part in enumerate(_CODE.split(paragraph)) if part]
        for paragraph in re.split(r"\n\s*\n", text.strip())
    ]


def split_meanings(description: str, names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Split a description into its first part and the meaning of each name.

    A docstring writes meanings as sentences that begin with names and a colon: `low, high: its interval. size: ...`.
    """
    one = "|".join(map(re.escape, names))
    first, *rest = re.split(rf"(?:^|(?<=[.]))\s*\b((?:{one})(?:,\s+(?:{one}))*):\s+", description)
    meanings: dict[str, str] = {}
    for of_names, meaning in zip(rest[::2], rest[1::2], strict=True):
        meanings |= dict.fromkeys(re.split(r",\s+", of_names), meaning.strip())
    return first.strip(), meanings


def capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _message(name: str, schema: Mapping[str, Any], is_sent: bool) -> ApiMessage:
    required = schema.get("required", [])
    description, meanings = split_meanings(schema.get("description", ""), schema["properties"])
    fields = [
        MessageField(
            field,
            type_text(of_field),
            is_sent and field not in required,
            capitalized(meanings.get(field, "")),
        )
        for field, of_field in schema["properties"].items()
    ]
    return ApiMessage(name, description, fields)


def _parameter(parameter: Mapping[str, Any]) -> Parameter:
    schema = parameter.get("schema", {})
    default = "" if parameter.get("required") else json_text(schema.get("default"))
    return Parameter(parameter["name"], parameter["in"], type_text(schema), default)


def _content_type(body: Mapping[str, Any]) -> str:
    content = body.get("content", {}).get("application/json", {})
    return type_text(content.get("schema", {}))
