"""Reads the records of a database file page by page, without SQLite, however damaged the file is.

This follows https://www.sqlite.org/fileformat2.html: SQLite itself reaches a page only through the
pages above it, and no page without the first one.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

_MAGIC = b"SQLite format 3\0"
_PAGE_SIZE = 4096  # SQLite's default, of a file whose header is lost
_INDEX, _INDEX_LEAF, _TABLE_LEAF = 0x02, 0x0A, 0x0D
_HEADER_SIZES = {_INDEX: 12, _INDEX_LEAF: 8, _TABLE_LEAF: 8}
_WAL_HEADER, _FRAME_HEADER = 32, 24
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # the bytes of each serial type


class Record(NamedTuple):
    """What a cell of a page holds.

    Attributes:
        rowid: Number of the row; ``None`` in an index or a table ``WITHOUT ROWID``.
        values: Its columns; ``None`` if the cell is damaged.
    """

    rowid: Optional[int]
    values: Optional[list[Any]]


class Pages:
    """The pages of a database file, as of the last transaction in its log.

    Args:
        path: The file; its log lies beside it.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is empty.
    """

    def __init__(self, path: Path) -> None:
        if not path.stat().st_size:
            raise ValueError(f"{path} is empty")
        with path.open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._size = _PAGE_SIZE
        if self._file[:16] == _MAGIC:
            self._size = _page_size(int.from_bytes(self._file[16:18], "big"))
        self._newer: dict[int, bytes] = {}
        log = path.with_name(f"{path.name}-wal")
        if log.exists():
            self._newer = _of_log(log.read_bytes())
            self._size = next(map(len, self._newer.values()), self._size)
        self._number = max(-(-len(self._file) // self._size), *self._newer, 0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def records(self) -> Iterator[Record]:
        """Yield the records of all pages that are in use."""
        free = self._free()
        for number in range(1, self._number + 1):
            if number not in free:
                yield from self._records(number)

    def _page(self, number: int) -> bytes:
        page = self._newer.get(number)
        if page is None:
            page = self._file[(number - 1) * self._size : number * self._size]
        if not 1 <= number <= self._number or len(page) < self._size:
            raise ValueError(f"there is no page {number}")
        return page

    def _free(self) -> set[int]:
        """Return the numbers of the unused pages, as far as they are known."""
        free: set[int] = set()
        try:
            first = self._page(1)
            trunk = int.from_bytes(first[32:36], "big") if first.startswith(_MAGIC) else 0
            while trunk and trunk not in free:
                following, length = struct.unpack_from(">II", self._page(trunk))
                free |= {trunk, *struct.unpack_from(f">{length}I", self._page(trunk), 8)}
                trunk = following
        except (ValueError, struct.error):
            pass  # the list is damaged; rows that are found twice do no harm
        return free

    def _records(self, number: int) -> Iterator[Record]:
        try:
            page = self._page(number)
        except ValueError:  # the last one, cut short
            return
        start = 100 if number == 1 else 0
        kind = page[start]
        if kind not in _HEADER_SIZES:
            return
        cells = int.from_bytes(page[start + 3 : start + 5], "big")
        pointers = start + _HEADER_SIZES[kind]
        for at in range(pointers, min(pointers + 2 * cells, self._size - 1), 2):
            rowid: Optional[int] = None
            try:
                where = int.from_bytes(page[at : at + 2], "big") + (4 if kind == _INDEX else 0)
                length, where = _varint(page, where)
                if kind == _TABLE_LEAF:
                    rowid, where = _varint(page, where)
                yield Record(rowid, _values(self._payload(page, where, length, kind)))
            except (ValueError, IndexError, struct.error):
                yield Record(rowid, None)

    def _payload(self, page: bytes, where: int, length: int, kind: int) -> bytes:
        """Return the content of a cell, which may go on in other pages."""
        usable = self._size
        most = usable - 35 if kind == _TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if length <= most:
            return _exactly(page[where : where + length], length)
        least = (usable - 12) * 32 // 255 - 23
        here = least + (length - least) % (usable - 4)
        here = here if here <= most else least
        parts, missing = [page[where : where + here]], length - here
        following = int.from_bytes(page[where + here : where + here + 4], "big")
        if missing > len(self._file) + len(self._newer) * self._size:
            raise ValueError("longer than the file")
        while missing > 0:
            more = self._page(following)
            parts.append(more[4 : 4 + min(missing, usable - 4)])
            missing -= len(parts[-1])
            following = int.from_bytes(more[:4], "big")
        return _exactly(b"".join(parts), length)


def _page_size(field: int) -> int:
    return 65536 if field == 1 else field if field >= 512 else _PAGE_SIZE


def _exactly(content: bytes, length: int) -> bytes:
    if len(content) != length:
        raise ValueError("a cell goes beyond its page")
    return content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an integer of variable length, and where it ends."""
    value = 0
    for position in range(at, at + 8):
        value = value << 7 | data[position] & 0x7F
        if data[position] < 0x80:
            return value, position + 1
    return value << 8 | data[at + 8], at + 9


def _values(payload: bytes) -> list[Any]:
    end, at = _varint(payload, 0)
    content, values = end, []
    while at < end:
        kind, at = _varint(payload, at)
        value, content = _value(payload, content, kind)
        values.append(value)
    if content != len(payload):
        raise ValueError("a record does not end where its cell does")
    return values


def _value(payload: bytes, at: int, kind: int) -> tuple[Any, int]:
    """Return the value of a serial type, and where it ends."""
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind < 12:
        raise ValueError("reserved")
    end = at + (kind - 12) // 2
    content = _exactly(payload[at:end], end - at)
    return content if kind % 2 == 0 else content.decode(), end


def _of_log(log: bytes) -> dict[int, bytes]:
    """Return the pages of the transactions in a write-ahead log."""
    committed: dict[int, bytes] = {}
    if len(log) < _WAL_HEADER:
        return committed
    order = ">" if log[3] & 1 else "<"
    size = _page_size(int.from_bytes(log[8:12], "big"))
    salts, sums = log[16:24], _checksum(order, log[:24], (0, 0))
    pages: dict[int, bytes] = {}
    for at in range(_WAL_HEADER, len(log) - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        frame = log[at : at + _FRAME_HEADER]
        page = log[at + _FRAME_HEADER : at + _FRAME_HEADER + size]
        sums = _checksum(order, frame[:8] + page, sums)
        if frame[8:16] != salts or struct.unpack(">II", frame[16:]) != sums:
            break
        number, is_last = struct.unpack(">II", frame[:8])
        pages[number] = page
        if is_last:
            committed.update(pages)
            pages.clear()
    return committed


def _checksum(order: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for one, other in struct.iter_unpack(f"{order}II", content):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
