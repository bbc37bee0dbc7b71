"""Redaction of secrets in text, exceptions and tracebacks."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import FunctionType
from typing import Any, Optional, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

MASK = "***"
SECRET_NAMES = frozenset("password credentials jwt nonce executionrawjson accesstoken".split())
SHORTEST_SECRET = 6
"""Characters from which on a secret is masked in any text; shorter ones occur in common words."""

_URL_SIGNED = re.compile(r'(\w://[^\s?"]*\?)[^\s"]+').sub
_NAMES = "|".join(map("_?".join, sorted(SECRET_NAMES)))
_NAMED = re.compile(
    rf"""("(?:SECURE_[^"]*|{_NAMES})"\s*:\s*)"""  # the name in broken JSON, and one of
    r"""("(?:[^"\\]|\\.)*"? | \{[^}]*\}? | \[[^\]]*\]? | [^\s",}\]]+)  # what may stand there""",
    re.IGNORECASE | re.VERBOSE,
).sub


def redact(data: Any, name: str = "", known: Sequence[str] = ()) -> Any:
    """Return a copy of plain data with its secrets masked.

    Secrets are what stands under one of ``SECRET_NAMES`` in any spelling, variables named
    ``SECURE_*``, whatever follows the question mark of a URL, where signatures stand, and the
    ``known`` ones wherever they occur.
    """
    if isinstance(data, Mapping):
        under = {_hide(key, known): (_heading(name, key), each) for key, each in data.items()}
        return {key: redact(each, heading, known) for key, (heading, each) in under.items()}
    if isinstance(data, (list, tuple)):
        return [redact(each, name, known) for each in data]
    if data is not None and _is_secret(name):
        return MASK
    if isinstance(data, str):
        return _URL_SIGNED(rf"\1{MASK}", _hide(data, known))
    return data


def _hide(text: Any, known: Sequence[str]) -> Any:
    for each in known:
        text = str(text).replace(each, MASK)
    return text


def redact_text(text: str, known: Sequence[str]) -> str:
    """Return a text, JSON or not, with its secrets masked; without any it stays as it is."""
    try:
        data = json.loads(text, object_pairs_hook=_unique)
        masked = redact(data, known=known)
        return text if masked == data else json.dumps(masked)
    except (ValueError, RecursionError):
        return str(redact(_NAMED(rf'\1"{MASK}"', text), known=known))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("what stands under a key that comes twice would not be seen")
    return data


def secrets_of(texts: Sequence[str], data: Any) -> list[str]:
    """Return secrets to look for elsewhere: texts whole and in parts, and those in plain data."""
    parts = [part for text in texts for part in re.split(r"[\s;,=]+", text)]
    found = {each for each in (*texts, *parts, *_secrets(data, "")) if len(each) >= SHORTEST_SECRET}
    return sorted({quoted for each in found for quoted in _quotings(each)}, key=len, reverse=True)


def _quotings(text: str) -> Iterator[str]:
    """Yield the forms in which a text may be repeated: JSON, JSON in JSON, HTML, a URL."""
    import html
    from urllib.parse import quote

    once = json.dumps(text)[1:-1]
    yield from (text, once, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(once)[1:-1])
    yield from (html.escape(text), quote(text, errors="replace"))


def _secrets(data: Any, name: str) -> Iterator[str]:
    if isinstance(data, Mapping):
        for key, each in data.items():
            yield from _secrets(each, _heading(name, key))
    elif isinstance(data, (list, tuple)):
        for each in data:
            yield from _secrets(each, name)
    elif data is not None and _is_secret(name):
        yield str(data)


def _heading(name: str, key: object) -> str:
    """Return the name by which to judge what stands under a key that stands under a name."""
    return name if _is_secret(name) else str(key)


def _is_secret(name: str) -> bool:
    return name.upper().startswith("SECURE_") or name.replace("_", "").lower() in SECRET_NAMES


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "yes", "on")


SHOW_LOCALS: bool = _is_on("LIBTES_SHOW_LOCALS")
"""Whether tracebacks keep local variables unless a configuration's ``show_locals`` says."""


class Boundary:
    """Base of the classes that users call: exceptions leave their public methods redacted.

    Methods of subclasses elsewhere are left as they are: what they hold is not this package's.
    """

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()) if _is_ours(cls.__module__) else ():
            if not name.startswith("_") or name in ("__init__", "__call__", "__setattr__"):
                setattr(cls, name, _guarded(value))


def _guarded(member: Any) -> Any:
    if isinstance(member, FunctionType):
        return confidential(member)
    if isinstance(member, classmethod):
        return classmethod(confidential(member.__func__))
    if isinstance(member, property):
        parts: list[Any] = [
            each and confidential(each) for each in (member.fget, member.fset, member.fdel)
        ]
        return property(parts[0], parts[1], parts[2], member.__doc__)
    return member


def confidential(function: Function) -> Function:
    """Empty the frames that an exception passes on its way out of a function.

    Tools that print the local variables of a traceback would show tokens and bodies. Files and
    lines stay, and so do the frames of the caller and of a hook.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if not shows_locals(*args, *kwargs.values()):
                args = kwargs = ()  # type: ignore[assignment]  # this frame is in it, too
                clear_frames(error)
            raise

    return call  # type: ignore[return-value]


def shows_locals(*arguments: object) -> bool:
    """Tell whether local variables stay: as the first configuration that a call is given says."""
    for found in arguments:
        if issubclass(type(found), Boundary):
            for name in ("api_client", "configuration", "local_vars_configuration"):
                found = getattr(found, name, found)
            shown = getattr(found, "show_locals", None)
            if isinstance(shown, bool):
                return shown
    return SHOW_LOCALS


_PACKAGE = __name__.rpartition(".")[0]
_CLEARED = frozenset(
    "urllib3 http email json six dateutil codecs ssl socket abc urllib encodings".split()
    + "socks OpenSSL truststore wrapt opentelemetry sentry_sdk".split()  # within urllib3, if at all
)


def _is_ours(module: str) -> bool:
    return module.startswith(f"{_PACKAGE}.")


def clear_frames(error: BaseException) -> None:
    """Forget the local variables in the frames of this package and of what it calls."""
    from traceback import walk_tb

    for each in chain(error):
        for frame, _ in walk_tb(each.__traceback__):
            module = frame.f_globals.get("__name__", "")
            if _is_ours(module) or module.partition(".")[0] in _CLEARED:
                with suppress(RuntimeError):  # it is still running
                    frame.clear()


def scrub(error: Optional[BaseException], known: Sequence[str] = ()) -> None:
    """Take from an exception, and those it came from, what it quotes of a response."""
    for each in chain(error):
        each.args = tuple(redact(arg, known=known) for arg in each.args if type(arg) is not bytes)
        for name in ("doc", "object", "partial"):  # of the errors of json, codecs and http.client
            if hasattr(each, name):
                setattr(each, name, type(getattr(each, name))())
        for name, value in list(vars(each).items()):
            if isinstance(value, str):
                setattr(each, name, redact(value, known=known))


def chain(error: Optional[BaseException]) -> list[BaseException]:
    """Return an exception and those it came from, each once."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and not any(each is other for other in found):
            found.append(each)
            waiting += (each.__context__, each.__cause__)
    return found
