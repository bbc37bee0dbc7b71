"""The journal of a batch: an append-only file from which an interrupted batch resumes.

Each line is a JSON object. The first line identifies the batch. Then follows one line per launch
with a digest of its request (arguments may be secrets, so they are not stored), and then one line
for each event. That a launch is about to be sent is on disk before it is sent, so a launch
without an outcome in the journal may have a run, and is searched for.

The first line has the token of the batch. Therefore the mark of each launch (see `mark.py`) is
also known before it is sent, and stays the same when the batch resumes.

Format 1 had no marks. A batch with such a journal resumes without marks: its runs are recognised
by name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, NoReturn, Optional, Union

from libica.openapi.libtes import ApiValueError

from .mark import new_batch
from .plan import Plan, told
from .report import Launch, Report

Path = Union[str, os.PathLike[str]]

_BEGIN = b'{"journal": "libica.batch", "format": '
_FORMATS = (1, 2)
_DIGEST = 16  # bytes


class JournalError(ApiValueError):
    """The journal belongs to another batch, is malformed or is in use; nothing was launched.

    Attributes:
        differences: How the journal differs from the launches given, if it does.
    """

    def __init__(self, message: str, differences: Sequence[str] = ()) -> None:
        super().__init__(message, differences)
        self.differences: list[str] = list(differences)

    def __str__(self) -> str:
        return told(self, self.args[0], self.differences)


class History:
    """The contents of a journal: which batch it belongs to, and the outcome of its launches.

    Attributes:
        head: The first line: task, version, token of the batch, path and options of the table.
        launches: All launches by name, in their original order.
        digests: Digests of the requests, by name.
        open: Names of launches that were sent, or were about to be, and have no outcome.
        uncovered: The part of `open` that was sent before the existing runs were listed.
        old: Ids of runs with names of this batch that existed before it; `None` if they were
            never listed.
        marks_lost: Whether the service is known to drop marks.
        calls: Number of calls (`launch_all` or `relaunch`) that have used the journal.
        sent_by: For each name, the number of the call that last sent it, starting at 1.
    """

    def __init__(self, head: Mapping[str, Any]) -> None:
        self.head = head
        self.launches: dict[str, Launch] = {}
        self.digests: dict[str, str] = {}
        self.open: set[str] = set()
        self.uncovered: set[str] = set()
        self.old: Optional[set[str]] = None
        self.marks_lost: bool = False
        self.calls: int = 0
        self.sent_by: dict[str, int] = {}

    @property
    def batch(self) -> Optional[str]:
        """The token in the marks; `None` if the runs have no marks."""
        return self.head.get("batch")

    def add(self, name: str, digest: str) -> None:
        """Add a launch."""
        self.launches[name] = Launch(name, number=len(self.launches) + 1)
        self.digests[name] = digest

    def replay(self, record: Mapping[str, Any]) -> None:
        """Apply the record of an event."""
        if "send" in record:
            launch = self._launch(record["send"], record)
            launch.attempts += 1
            self.open.add(launch.name)
            self.sent_by[launch.name] = self.calls
        elif "none" in record:
            launch = self._launch(record["none"], record)
            launch.attempts = record["attempts"]
            self.closed(launch.name)
        elif "run" in record:
            launch = self._launch(record["name"], record)
            status = record["status"]
            launch.run_id = record["run"]
            launch.status = status and sys.intern(status)
            launch.attempts = record["attempts"]
            launch.time_created = _time(record["created"])
            launch.time_modified = _time(record.get("ended"))
            self.closed(launch.name)
        elif "doubled" in record:
            self._launch(record["doubled"], record).doubles = tuple(record["runs"])
        elif "old" in record:
            self.old = set(record["old"])
            self.uncovered = set(self.open)
        elif "marks" in record:
            self.marks_lost = not record["marks"]
        elif "began" in record:
            self.calls += 1
        else:
            raise LookupError("unknown record")

    def mark_unsure(self) -> None:
        """Set the error of the launches whose outcome is not known."""
        for name in self.open:
            self.launches[name].error = "unsure: the journal has no outcome for this launch"

    def _launch(self, name: str, record: Mapping[str, Any]) -> Launch:
        """Return the launch of a record; start its next try if the record belongs to that."""
        launch = self.launches[name]
        if record.get("try", 1) > launch.tries:
            launch = self.launches[name] = next_try(launch)
            self.closed(name)
        return launch

    def closed(self, name: str) -> None:
        """Record that the outcome of a launch is known."""
        self.open.discard(name)
        self.uncovered.discard(name)


def changed_rows(history: History, plan: Plan) -> list[str]:
    """Return which rows of a plan differ from those that the journal was started with."""
    found = []
    for row, name in enumerate(plan.names):
        digest = history.digests.get(name)
        if digest is None:
            found.append(f"row {row + 1} ({name!r}) is new")
        elif digest != _digest(plan, row, history.head["salt"]):
            found.append(f"row {row + 1} ({name!r}) has changed")
    return found


def next_try(launch: Launch) -> Launch:
    """Return a launch that is the next try of another."""
    tried = dataclasses.replace(launch, earlier=())
    return Launch(launch.name, number=launch.number, earlier=(*launch.earlier, tried))


def report_of(path: Path) -> Report:
    """Read a report from a journal; see `Report.from_journal`."""
    with open(path, "rb") as file:
        history, _ = _read(file, os.fspath(path))
    if history is None:
        return Report()
    history.mark_unsure()
    return Report(history.launches.values(), batch=history.batch)


class Journal:
    """The journal of a batch, locked until it is closed; without a path it records nothing.

    All methods except `sync` must be called under the lock of the ledger.

    Args:
        path: The file; `None` to record nothing.

    Raises:
        JournalError: The file is not a journal, is malformed or in use, or the locks of its file
            system have no effect.
        OSError: The file cannot be read or written.

    Attributes:
        history: The contents; `None` if the journal is new.
        resumed: Whether an earlier call started it.
    """

    def __init__(self, path: Optional[Path]) -> None:
        self.history: Optional[History] = None
        self.resumed: bool = False
        self._file: Optional[BinaryIO] = None
        self._failed = False
        if path is None:
            return
        self._path = os.fspath(path)
        self._file = open(path, "a+b", opener=_private)  # noqa: SIM115 closed by close()
        try:
            _lock(self._file, self._path)
            self.history, end = _read(self._file, self._path)
            self._file.truncate(end)  # drop a line that a killed process did not finish
            self._size = end
            self.resumed = self.history is not None
        except BaseException:
            self.close()
            raise

    def begin(
        self,
        task_id: str,
        version_id: str,
        plan: Plan,
        *,
        mark: bool = True,
        table: Optional[Mapping[str, Any]] = None,
    ) -> History:
        """Start a batch, or resume the batch of the journal, and return its history.

        Raises:
            JournalError: The journal belongs to another task, version or set of launches.
            OSError: The file cannot be written.
        """
        history = self.history
        if history is None:
            history = self._begin(task_id, version_id, plan, mark, table)
        else:
            self._compare(history, task_id, version_id, plan, mark)
        self.go_on()
        return history

    def go_on(self) -> None:
        """Record that a call begins."""
        self._write([{"began": secrets.token_hex(4)}])
        self.flush()
        self.sync()
        self.check()

    def refuse(self, differences: Sequence[str]) -> None:
        """Raise an error if there are differences."""
        if differences:
            raise JournalError(f"{self._path} belongs to another batch:", differences)

    def sending(self, launches: Sequence[Launch]) -> None:
        """Record that launches are about to be sent; send them only after `sync` and `check`."""
        self._write([{"send": each.name, **_try(each)} for each in launches])

    def has_run(self, launch: Launch) -> None:
        """Record the run of a launch."""
        record = {"run": launch.run_id, "name": launch.name, "attempts": launch.attempts}
        times = {"created": _text(launch.time_created)}
        if launch.time_modified is not None:
            times["ended"] = _text(launch.time_modified)
        self._write([{**record, "status": launch.status, **times, **_try(launch)}])

    def has_none(self, launch: Launch) -> None:
        """Record that a launch was refused or not sent; the next call sends it."""
        self._write([{"none": launch.name, "attempts": launch.attempts, **_try(launch)}])

    def is_doubled(self, launch: Launch) -> None:
        """Record the additional runs of a launch."""
        self._write([{"doubled": launch.name, "runs": list(launch.doubles), **_try(launch)}])

    def are_old(self, run_ids: Iterable[str]) -> None:
        """Record which runs with names of this batch existed before it."""
        self._write([{"old": sorted(run_ids)}])

    def marks_are_lost(self) -> None:
        """Record that the service drops marks."""
        self._write([{"marks": False}])

    def flush(self) -> None:
        """Pass all records to the operating system, so that they survive this process."""
        if self._file is not None and not self._file.closed and not self._failed:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)

    def sync(self) -> None:
        """Wait until flushed records are on disk; needs no lock."""
        if self._file is not None and not self._file.closed:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                error.filename = self._path
                raise

    def check(self) -> None:
        """Detect other writers, which are possible if the locks of the file system do nothing.

        Raises:
            JournalError: Another process has written to the file.
        """
        self.flush()
        if self._file is None or self._file.closed:
            return
        if os.fstat(self._file.fileno()).st_size != self._size:
            self._failed = True
            raise JournalError(
                f"{self._path} was written by another process: another launch_all uses it, and "
                "the locks of its file system have no effect"
            )

    def close(self) -> None:
        """Close and unlock the file; discard records that could not be written."""
        if self._file is not None:
            if self._failed:
                self._file.raw.close()  # type: ignore[attr-defined]  # without its buffer
            else:
                self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _write(self, records: Sequence[Mapping[str, Any]]) -> None:
        # A thread that did not end in time may still call this after the journal is closed.
        if self._file is None or self._file.closed or self._failed:
            return
        data = b"".join(json.dumps(each).encode() + b"\n" for each in records)
        self._size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        """Stop writing: the last line may be incomplete, and nothing may follow it."""
        self._failed = True
        error.filename = self._path
        raise error

    def _begin(
        self,
        task_id: str,
        version_id: str,
        plan: Plan,
        mark: bool,
        table: Optional[Mapping[str, Any]],
    ) -> History:
        salt = secrets.token_hex(_DIGEST)
        head: dict[str, Any] = {"task": task_id, "version": version_id, "salt": salt}
        if mark:
            head["batch"] = new_batch()
        if table is not None:
            head["table"] = table
        history = self.history = History(head)
        keeps = self._file is not None
        if keeps:
            self._write([{"journal": "libica.batch", "format": _FORMATS[-1], **head}])
        for row, name in enumerate(plan.names):
            history.add(name, _digest(plan, row, salt) if keeps else "")
            if keeps:
                self._write([{"plan": name, "digest": history.digests[name]}])
        history.digests.clear()
        self._write([{"planned": len(plan)}])
        self.flush()
        self.sync()
        if keeps:
            _sync_folder(self._path)
        return history

    def _compare(
        self, history: History, task_id: str, version_id: str, plan: Plan, mark: bool
    ) -> None:
        """Refuse a journal that belongs to another batch."""
        given = {"task": task_id, "version": version_id}
        found = [
            f"the {what} of the journal is {history.head[what]}, not {given[what]}"
            for what in given
            if history.head[what] != given[what]
        ]
        if history.head["format"] > 1 and mark != (history.batch is not None):
            found.append(f"the batch was started with mark={not mark} and must resume with that")
        found += changed_rows(history, plan)
        names = set(plan.names)
        found += [
            f"the launch {name!r} is missing" for name in history.launches if name not in names
        ]
        self.refuse(found)
        history.digests.clear()


def _read(file: BinaryIO, path: str) -> tuple[Optional[History], int]:
    """Read a journal: its contents, and the offset of its last complete line.

    The contents are `None` if the journal ends before anything can have been launched.
    """
    end = 0
    file.seek(0)
    begin = file.read(len(_BEGIN))
    if begin != _BEGIN[: len(begin)]:
        raise JournalError(f"{path} is not a journal of launch_all")
    file.seek(0)
    history: Optional[History] = None
    planned = False
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n"):
            break  # the process was killed while it wrote this line
        end += len(line)
        try:
            record = json.loads(line)
            if history is None:
                if record["format"] not in _FORMATS:
                    raise JournalError(
                        f"{path} has format {record['format']}, written by a later version of "
                        "this package"
                    )
                history = History({key: record[key] for key in record if key != "journal"})
            elif planned:
                history.replay(record)
            elif "plan" in record:
                history.add(record["plan"], record["digest"])
            elif "planned" in record:
                planned = True
            else:
                raise LookupError("an event before the end of the plan")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            if isinstance(error, JournalError):
                raise
            raise JournalError(f"{path}, line {number} is malformed: {error!r}") from error
    return (history, end) if planned else (None, 0)


def _digest(plan: Plan, row: int, salt: str) -> str:
    key = bytes.fromhex(salt)
    return hashlib.blake2b(plan.request(row), key=key, digest_size=_DIGEST).hexdigest()


def _try(launch: Launch) -> dict[str, int]:
    return {"try": launch.tries} if launch.earlier else {}


def _time(text: Optional[str]) -> Optional[datetime]:
    return None if text is None else datetime.fromisoformat(text)


def _text(time: Optional[datetime]) -> Optional[str]:
    return None if time is None else time.isoformat()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(path: str) -> None:
    """Make sure that a new file still exists after a power failure."""
    if sys.platform != "win32":
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _lock(file: BinaryIO, path: str) -> None:
    """Lock a file until it is closed or the process ends; verify that the lock has an effect."""
    try:
        _take_lock(file)
    except (BlockingIOError, PermissionError):
        raise JournalError(f"{path} is in use by another launch_all") from None
    except OSError as error:
        raise JournalError(
            f"the file system of {path} does not support locks ({error}): keep the journal on a "
            "local disk"
        ) from error
    with open(path, "rb+") as other:
        try:
            _take_lock(other)
        except OSError:
            return  # the first lock keeps this one out, as it should
    raise JournalError(
        f"the locks of the file system of {path} have no effect: keep the journal on a local disk"
    )


def _take_lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(1 << 30)  # beyond the contents: on Windows others cannot read locked bytes
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
