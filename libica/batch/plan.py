"""The launches of a batch: checked, and kept in a temporary file rather than in memory."""

from __future__ import annotations

import json
import os
import re
import tempfile
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Protocol, Union

from libica.openapi.libtes import ApiClient, ApiTypeError, ApiValueError, LaunchTaskRequest
from libica.openapi.libtes.exceptions import heading, kind

from .tables import FIELDS, Problem, Reader

SHOWN = 20
"""Maximum number of problems in an error message."""

PLACES = 3
"""Maximum number of places listed for one problem."""

_IN_MEMORY = 1 << 22  # bytes of requests that are kept in memory before a file is used
_LIMITED = ("name", "description", "acl")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")  # line breaks in particular


class Frame(Protocol):
    """A table of pandas, polars or pyarrow."""

    @property
    def columns(self) -> Any:
        """The names of the columns."""


Request = Union[LaunchTaskRequest, Mapping[str, Any]]
Launches = Union[Iterable[Request], Frame, str, "os.PathLike[str]"]
"""The launches that `launch_all` accepts."""


class LaunchesError(ApiValueError):
    """Launches do not match the version or are invalid; nothing was launched.

    Attributes:
        problems: All problems, in the order of the rows.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems: list[Problem] = list(problems)

    def __str__(self) -> str:
        rows = {each.row for each in self.problems} - {None}
        count = f"{len(rows):,} launch{'es' * (len(rows) != 1)}"
        head = f"{count} cannot be sent" if rows else "the table does not match the version"
        groups: dict[str, list[Problem]] = {}
        for each in self.problems:
            groups.setdefault(each.text, []).append(each)
        found = [f"{_places(each)}: {text}" for text, each in groups.items()]
        return told(self, f"nothing was launched: {head}", found)


def _places(problems: Sequence[Problem]) -> str:
    """Return the places of problems that have the same text."""
    more = f" and {len(problems) - PLACES:,} more" if len(problems) > PLACES else ""
    return ", ".join(each.place for each in problems[:PLACES]) + more


def told(error: BaseException, head: str, found: Sequence[object] = ()) -> str:
    """Return the text of an error: one line for each of the first items, and a count of the others.

    It ends with the error's heading in the page of errors, such as ``[errors#launches-error]``.
    """
    more = [f"... and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
    text = "\n  ".join([head, *map(str, found[:SHOWN]), *more])
    return f"{text} [errors#{heading(type(error))}]"


class Plan:
    """The launches, checked; their requests are kept in a temporary file.

    Args:
        api_client: Converts requests to JSON.
        launches: The launches, as `launch_all` accepts them.
        wanted: The placeholders of the version.
        name_column: Heading of the column with the names. Default: ``name`` in any casing.
        ignore_columns: Headings of columns to ignore.
        allow_empty: Whether an empty cell of a table is a valid argument.

    Raises:
        LaunchesError: Launches do not match the placeholders or are invalid.
        ApiValueError: The table cannot be read, or has no column of names.
        ApiTypeError: Launches cannot be read from a value of this type.

    Attributes:
        names: The names of the runs, in the order given.
        table: How to read the file of the launches again: ``path`` and the options as JSON
            values; ``None`` if they were not read from a file.
    """

    def __init__(
        self,
        api_client: ApiClient,
        launches: Launches,
        wanted: Sequence[str],
        *,
        name_column: Optional[str] = None,
        ignore_columns: Iterable[str] = (),
        allow_empty: bool = False,
    ) -> None:
        self.names: list[str] = []
        self.table: Optional[dict[str, Any]] = None
        if not isinstance(ignore_columns, str):
            ignore_columns = list(ignore_columns)
        if isinstance(launches, (str, os.PathLike)):
            self.table = {
                "path": os.path.abspath(os.fsdecode(launches)),
                "name_column": name_column,
                "ignore_columns": ignore_columns,
                "allow_empty": allow_empty,
            }
        self._ends = array("Q", [0])
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 closed by close()
        plain = api_client.sanitize_for_serialization
        encode = json.JSONEncoder(sort_keys=True, allow_nan=False, default=plain).encode
        problems: list[Problem] = []
        seen: dict[str, int] = {}
        try:
            reader = Reader(wanted, name_column, ignore_columns, allow_empty)
            for given in reader.read(launches):
                if isinstance(given, Problem):
                    problems.append(given)
                    continue
                fields, found = _read(given.request)
                found = found or _misfits(fields, given.wanted)
                name = fields.get("name")
                name = name if isinstance(name, str) else ""
                word, number = ("row", given.row) if given.line is None else ("line", given.line)
                if name and seen.setdefault(name, number) != number:
                    found.append(f"has the same name as {word} {seen[name]}")
                line = b""
                try:
                    line = encode(fields).encode() + b"\n"
                except (TypeError, ValueError, RecursionError) as error:
                    found = found or [f"cannot be converted to JSON: {error}"]
                if found:
                    problems.append(Problem(given.row, name, "; ".join(found), given.line))
                elif not problems:
                    self.names.append(name)
                    self._file.write(line)
                    self._ends.append(self._ends[-1] + len(line))
            if self.table is not None and not (problems or self.names):
                raise ApiValueError(f"{self.table['path']} has no rows below its headings")
            if problems:
                raise LaunchesError(sorted(problems, key=lambda each: each.row or 0))
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.names)

    def request(self, row: int) -> bytes:
        """Return the JSON of a request; equal requests have equal JSON."""
        self._file.seek(self._ends[row])
        return self._file.readline()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _read(request: object) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a request by their JSON names, and the problems found."""
    if isinstance(request, LaunchTaskRequest):
        known = LaunchTaskRequest.attribute_map.items()
        request = {json_name: getattr(request, name) for name, json_name in known}
    if not isinstance(request, Mapping):
        return {}, [f"must be a LaunchTaskRequest or a dict, not {kind(request)}"]
    fields: dict[str, Any] = {}
    problems = []
    for key, value in request.items():
        name: Any = FIELDS.get(str(key).lower(), key)
        if name in fields:
            problems.append(f"{name} is given twice, with different casing")
        elif value is not None:
            fields[name] = value
    return fields, problems


def _misfits(fields: Mapping[str, Any], wanted: Sequence[str]) -> list[str]:
    """Return the problems of a request; values are not shown because they may be secrets."""
    limited = {each: fields.get(each) for each in _LIMITED}
    found: list[str] = []
    if _refusal(**limited):
        found += filter(None, (_refusal(**{each: value}) for each, value in limited.items()))
    # The model would convert an int, but the launch is recorded and searched for as given.
    for each in ("name", "description"):
        if fields.get(each).__class__ is int:
            found.append(f"{each} must be a string, not int")
    name = fields.get("name")
    if name is None or (isinstance(name, str) and not name.strip()):
        found.append("has no name")
    elif isinstance(name, str) and not _is_unicode(name):
        found.append("the name contains half a surrogate pair")
    elif isinstance(name, str) and _CONTROL.search(name):
        found.append("the name contains a line break or a control character")
    arguments = fields.get("arguments", {})
    if not isinstance(arguments, Mapping):
        return [*found, f"arguments must be a dict, not {kind(arguments)}"]
    missing = [each for each in wanted if each not in arguments]
    surplus = [str(each) for each in arguments if each not in wanted]
    if missing:
        found.append(f"no argument for {', '.join(missing)}")
    if surplus:
        found.append(f"no placeholder for {', '.join(surplus)}")
    for key, value in arguments.items():
        if not isinstance(value, str):
            found.append(f"argument {key} must be a string, not {kind(value)}")
    return found


def _refusal(**fields: Any) -> Optional[str]:
    """Return why a request cannot have these fields; `None` if it can."""
    try:
        LaunchTaskRequest(**fields)
    except (ApiTypeError, ApiValueError) as error:
        return str(error)
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
