"""Reads the standard output and standard error of attempts, piece by piece, as masked text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, Optional, cast

from libica.openapi.libtes._redaction import redact, secrets_of

from ..node.folders import READ, LocalFolder
from ..node.places import Local, Places
from ..node.remote import Storage
from ..service.errors import Refused

STREAMS = ("stderr", "stdout")
PIECE = 1 << 18
"""Bytes that a piece has at most."""
TAIL = 1 << 16
"""Bytes of the end that a page shows at first."""

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], "\ufffd")


class Piece(NamedTuple):
    """A piece of a log: its text, where it begins and ends, and the size of all so far."""

    text: str
    start: int
    end: int
    size: int


class Log:
    """A log of one attempt.

    Args:
        gds: What `gds://` URLs refer to.
        execution: The execution of the run, whose secrets are masked.
        attempt: The attempt's `TaskRunLogs`.
        stream: `stdout` or `stderr`.

    Raises:
        Refused: The attempt has no such log.
    """

    def __init__(
        self, gds: str, execution: Mapping[str, Any], attempt: Mapping[str, Any], stream: str
    ) -> None:
        if stream not in STREAMS or not attempt.get(stream):
            raise Refused(404, "There is no such log")
        self.url: str = attempt[stream]
        self._is_complete = bool(attempt.get("endTime"))
        self._known = secrets_of((), execution)
        credentials = (execution.get("systemFiles") or {}).get("credentials")
        try:
            self._place = Places(gds).locate(self.url, credentials)
        except ValueError as error:
            raise Refused(404, f"The log cannot be found: {error}") from None

    def size(self) -> int:
        """Return how many bytes there are so far; 0 if there is no file of this machine."""
        if not isinstance(self._place, Local):  # it gets there at the end
            return 0
        try:
            with self._opened() as file:
                return file.seek(0, 2)
        except Refused:
            return 0

    def piece(self, start: Optional[int] = None) -> Piece:
        """Return the piece that starts at a byte; by default, the end of the log.

        A piece ends with a line, so that no secret is in two pieces, unless the line is too long or
        the log ends there.

        Raises:
            Refused: The log cannot be read.
        """
        with self._opened() as file:
            size = file.seek(0, 2)
            from_end = start is None
            start = max(0, size - TAIL) if start is None else min(start, size)
            file.seek(start)
            data = file.read(PIECE)
        if from_end and start > 0:
            begin = data.find(b"\n") + 1
            start, data = start + begin, data[begin:]
        at_end = start + len(data) >= size
        if not (at_end and self._is_complete):
            data = _whole_lines(data, is_full=len(data) == PIECE)
        return Piece(self._text(data), start, start + len(data), size)

    def all(self) -> Iterator[str]:
        """Yield all pieces."""
        at = 0
        while True:
            piece = self.piece(at)
            yield piece.text
            if piece.end <= at or piece.end >= piece.size:
                return
            at = piece.end

    def _text(self, data: bytes) -> str:
        text = _ESCAPES.sub("", data.decode("utf-8", "replace")).translate(_CONTROLS)
        return str(redact(text, known=self._known))

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            if isinstance(self._place, Local):
                above = Local(self._place.path.parent, self._place.within)
                name = self._place.path.name
                with LocalFolder.at(above) as folder, folder.opened(name, READ) as file:
                    yield file
            else:
                system, path = Storage().reached(self._place)
                with system.open(path, "rb") as file:
                    yield cast(BinaryIO, file)
        except Refused:
            raise
        except FileNotFoundError:
            raise Refused(404, "The log is not there yet, or has been removed") from None
        except Exception as error:  # of whatever reaches the storage
            raise Refused(502, f"The log cannot be read: {redact(str(error))}") from None


def _whole_lines(data: bytes, *, is_full: bool) -> bytes:
    """Return the complete lines; what is drawn over by a carriage return is a line, too."""
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if end or not is_full:
        return data[:end]
    # Not within a character.
    for back in range(1, 5):
        if data[-back] & 0xC0 != 0x80:
            return data[:-back]
    return data


def attempt_of(logs: Sequence[Mapping[str, Any]], number: str) -> Mapping[str, Any]:
    """Return the `TaskRunLogs` of an attempt, by its number.

    Raises:
        Refused: There is no such attempt.
    """
    for known, log in enumerate(logs, 1):
        if str(known) == number:
            return log
    raise Refused(404, f"The run has no attempt {number[:20]!r}")
