"""What is to be launched: read from whatever holds it, checked, and kept out of memory."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol, Union

from libica.openapi.libtes import ApiClient, ApiTypeError, ApiValueError, LaunchTaskRequest

SHOWN = 20
"""How many problems the text of an error names."""

_IN_MEMORY = 1 << 22  # bytes of requests that need no file
_FIELDS = {name.lower(): name for name in LaunchTaskRequest.attribute_map.values()}
_LIMITED = ("name", "description", "acl")


class Frame(Protocol):
    """A table of pandas or polars."""

    @property
    def columns(self) -> Any:
        """The names of the columns."""


Request = Union[LaunchTaskRequest, Mapping[str, Any]]
Launches = Union[Iterable[Request], Frame, str, "os.PathLike[str]"]
"""What `launch_all` takes."""


class Problem(NamedTuple):
    """Why a launch cannot be sent.

    Attributes:
        row: Which launch it is, the first being 1.
        name: The name of its run, if it has one.
        text: What is wrong with it.
    """

    row: int
    name: Optional[str]
    text: str

    def __str__(self) -> str:
        name = f" ({self.name!r})" if self.name else ""
        return f"row {self.row}{name}: {self.text}"


class LaunchesError(ApiValueError):
    """Launches do not go with the version; nothing was launched.

    Attributes:
        problems: What is wrong with which of them, in the order of the rows.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems: list[Problem] = list(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        return lines(f"nothing was launched: {count:,} launches cannot be sent", self.problems)


def lines(head: str, found: Sequence[object]) -> str:
    """Return a text with a line for each thing found, unless they are too many."""
    more = [f"... and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
    return "\n  ".join([head, *map(str, found[:SHOWN]), *more])


class Plan:
    """The launches, checked; the requests lie in a temporary file.

    Args:
        api_client: Knows how a request is written as JSON.
        launches: The launches, as `launch_all` takes them.
        wanted: The placeholders of the version.

    Raises:
        LaunchesError: Launches do not go with the placeholders, or cannot be sent at all.
        ApiValueError: The table cannot be read, or has no column for the names.
        ApiTypeError: It is nothing that holds launches.

    Attributes:
        names: The names of the runs, in the order given.
    """

    def __init__(self, api_client: ApiClient, launches: Launches, wanted: Sequence[str]) -> None:
        self.names: list[str] = []
        self._ends = array("Q", [0])
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 closed by close()
        plain = api_client.sanitize_for_serialization
        encode = json.JSONEncoder(sort_keys=True, allow_nan=False, default=plain).encode
        problems: list[Problem] = []
        rows: dict[str, int] = {}
        try:
            for row, request in enumerate(_requests(launches, wanted), 1):
                fields, found = _read(request)
                found = found or _misfits(fields, wanted)
                name = fields.get("name")
                name = name if isinstance(name, str) else ""
                if name and rows.setdefault(name, row) != row:
                    found.append(f"row {rows[name]} has the same name")
                line = b""
                try:
                    line = encode(fields).encode() + b"\n"
                except (TypeError, ValueError, RecursionError) as error:
                    found = found or [f"cannot be sent as JSON: {error}"]
                if found:
                    problems.append(Problem(row, name, "; ".join(found)))
                elif not problems:
                    self.names.append(name)
                    self._file.write(line)
                    self._ends.append(self._ends[-1] + len(line))
            if problems:
                raise LaunchesError(problems)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.names)

    def request(self, row: int) -> bytes:
        """Return the JSON of a request; equal requests have the same."""
        self._file.seek(self._ends[row])
        return self._file.readline()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Broken(NamedTuple):
    """Stands for a row that cannot be read."""

    why: str


def _requests(launches: Any, wanted: Sequence[str]) -> Iterator[object]:
    """Yield the requests, be they what they may."""
    if isinstance(launches, (str, os.PathLike)):
        yield from _from_file(launches, wanted)
    elif hasattr(launches, "iter_rows"):  # polars
        yield from _from_table(launches.columns, launches.iter_rows(), wanted)
    elif hasattr(launches, "itertuples"):  # pandas
        rows = launches.itertuples(index=False, name=None)
        yield from _from_table(list(launches.columns), rows, wanted)
    elif isinstance(launches, Iterable) and not isinstance(launches, (Mapping, bytes)):
        yield from launches
    else:
        accepted = "an iterable of LaunchTaskRequest or dicts, a frame, or the path of a table"
        raise ApiTypeError(f"launches must be {accepted}, not {_kind(launches)}")


def _from_file(path: Union[str, os.PathLike[str]], wanted: Sequence[str]) -> Iterator[object]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            delimiter = next((each for each in "\t,;" if each in head), ",")
            rows = (row for row in csv.reader(file, delimiter=delimiter) if row)
            yield from _from_table(next(rows, []), rows, wanted)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ApiValueError(f"{os.fspath(path)} is no table in UTF-8: {error}") from error


def _from_table(
    columns: Sequence[Any], rows: Iterable[Sequence[Any]], wanted: Sequence[str]
) -> Iterator[object]:
    """Turn rows into requests: the name, and the other columns as arguments."""
    names = [each for each in columns if str(each).lower() == "name"]
    if len(names) != 1 or len(set(columns)) < len(columns):
        shown = ", ".join(map(repr, columns))
        raise ApiValueError(f"a table needs one column `name`, and none twice; it has {shown}")
    for row in rows:
        if len(row) != len(columns):
            yield _Broken(f"has {len(row)} cells for {len(columns)} columns")
            continue
        arguments = dict(zip(columns, row))
        name = arguments[names[0]]
        if names[0] not in wanted:  # it may be a placeholder too
            del arguments[names[0]]
        yield {"name": name, "arguments": arguments}


def _read(request: object) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a request by their JSON names, and what is wrong with them."""
    if isinstance(request, LaunchTaskRequest):
        known = LaunchTaskRequest.attribute_map.items()
        request = {json_name: getattr(request, name) for name, json_name in known}
    if isinstance(request, _Broken):
        return {}, [request.why]
    if not isinstance(request, Mapping):
        return {}, [f"must be a LaunchTaskRequest or a dict, not {_kind(request)}"]
    fields: dict[str, Any] = {}
    problems = []
    for key, value in request.items():
        name: Any = _FIELDS.get(str(key).lower(), key)
        if name in fields:
            problems.append(f"{name} is given twice, in two spellings")
        elif value is not None:
            fields[name] = value
    return fields, problems


def _misfits(fields: Mapping[str, Any], wanted: Sequence[str]) -> list[str]:
    """Return what is wrong with a request; values are not shown, they may be secrets."""
    limited = {each: fields.get(each) for each in _LIMITED}
    found: list[str] = []
    if _refusal(**limited):
        found += filter(None, (_refusal(**{each: value}) for each, value in limited.items()))
    # The model would convert an int; a launch is kept, and looked for, under what was given.
    for each in ("name", "description"):
        if fields.get(each).__class__ is int:
            found.append(f"{each} must be a string, not int")
    name = fields.get("name")
    if name is None or (isinstance(name, str) and not name.strip()):
        found.append("has no name")
    elif isinstance(name, str) and not _is_unicode(name):
        found.append("the name holds half a surrogate pair")
    arguments = fields.get("arguments", {})
    if not isinstance(arguments, Mapping):
        return [*found, f"arguments must be a dict, not {_kind(arguments)}"]
    missing = [each for each in wanted if each not in arguments]
    surplus = [str(each) for each in arguments if each not in wanted]
    if missing:
        found.append(f"no argument for {', '.join(missing)}")
    if surplus:
        found.append(f"no placeholder for {', '.join(surplus)}")
    for key, value in arguments.items():
        if not isinstance(value, str):
            found.append(f"argument {key} must be a string, not {_kind(value)}")
    return found


def _refusal(**fields: Any) -> Optional[str]:
    """Return why a request cannot have such fields."""
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


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
