"""The facts in ``facts.json``: operations and schemas, as tests use them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Optional

from .extract import FILE

Json = dict[str, Any]
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


@dataclass(frozen=True)
class Field:
    """A field of a schema or a parameter of an operation; it may be unset unless ``required``."""

    name: str
    type: str  # as openapi_types spells it: str, datetime, list[Task], dict(str, str), object
    required: bool
    length: tuple[float, float]
    between: tuple[float, float]
    place: str = "schema"  # or of a parameter: path, query, body


@dataclass(frozen=True)
class Operation:
    """An operation; ``responses`` has the schema of each status, and of ``default``."""

    name: str  # the operationId
    tag: str
    method: str
    path: str
    parameters: tuple[Field, ...]
    responses: dict[str, str]

    def names(self, place: str) -> list[str]:
        """Return the names of the parameters in the path, the query or the body."""
        return [each.name for each in self.parameters if each.place == place]

    @property
    def body(self) -> Optional[str]:
        """The name of the schema of the body, if there is one."""
        return next((each.type for each in self.parameters if each.place == "body"), None)

    @property
    def success(self) -> tuple[int, str]:
        """The status of success and the name of the schema that comes with it."""
        [found] = [(int(k), v) for k, v in self.responses.items() if k.startswith("2")]
        return found


def document() -> Json:
    """Return the facts as a valid Swagger document, for tools that read one."""
    found: Json = json.loads(FILE.read_text(encoding="utf-8"))
    for verbs in found["paths"].values():
        for operation in verbs.values():
            for response in operation["responses"].values():
                response["description"] = ""  # Swagger requires one
    return found


@cache
def requests() -> dict[str, Json]:
    """Return requests of the shape that people send, by name; do not change them."""
    files = sorted(Path(__file__).with_name("requests").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"list[{_type(schema['items'])}]"
    if schema.get("type") == "object":
        return f"dict(str, {_type(schema['additionalProperties'])})"
    if schema.get("format") == "date-time":
        return "datetime"
    return _TYPES[schema["type"]] if "type" in schema else "object"


def _field(name: str, schema: Json, required: bool, place: str = "schema") -> Field:
    length = (schema.get("minLength", 0), schema.get("maxLength", math.inf))
    between = (schema.get("minimum", -math.inf), schema.get("maximum", math.inf))
    return Field(name, _type(schema), required, length, between, place)


def _operation(method: str, path: str, data: Json) -> Operation:
    parameters = tuple(
        _field(each["name"], each.get("schema", each), each.get("required", False), each["in"])
        for each in data["parameters"]
    )
    responses = {status: _type(each["schema"]) for status, each in data["responses"].items()}
    name, [tag] = data["operationId"], data["tags"]
    return Operation(name, tag, method.upper(), path, parameters, responses)


def _reached(schemas: dict[str, dict[str, Field]]) -> set[str]:
    """Return the schemas that an operation takes or returns, and those within them."""
    found: set[str] = set()
    new = {schema for each in OPERATIONS for schema in (each.body, *each.responses.values())}
    while new := {name.removeprefix("list[").rstrip("]") for name in new if name} - found:
        found |= new
        new = {field.type for name in new if name in schemas for field in schemas[name].values()}
    return found & set(schemas)


_document = document()
OPERATIONS = [
    _operation(method, path, data)
    for path, verbs in _document["paths"].items()
    for method, data in verbs.items()
]
_schemas = {
    schema: {
        name: _field(name, each, name in data.get("required", ()))
        for name, each in data.get("properties", {}).items()
    }
    for schema, data in _document["definitions"].items()
}
SCHEMAS = {name: _schemas[name] for name in _schemas if name in _reached(_schemas)}
"""The fields of each schema that an operation reaches, by name."""
