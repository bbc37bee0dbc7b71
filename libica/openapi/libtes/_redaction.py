"""Redaction of secrets in text, exceptions and tracebacks."""

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
SHORTEST_SECRET = 6  # characters; a shorter secret may be part of common words

_URL_SIGNED = re.compile(r'(\w://[^\s?"]*\?)[^\s"]+').sub
_NAMES = "|".join(map("_?".join, sorted(SECRET_NAMES)))
_NAMED = re.compile(rf'"(?:SECURE_[^"]*|{_NAMES})"\s*:\s*', re.IGNORECASE).search
_DECODER = json.JSONDecoder(strict=False)


def redact(data: Any, name: str = "", known: Sequence[str] = ()) -> Any:
    """Return a copy of plain data with ``***`` in place of its secrets.

    Secrets are what is under ``password``, ``credentials``, ``jwt``, ``nonce``,
    ``executionRawJson`` and ``accessToken``, in any spelling, and under ``SECURE_*``; and the query
    of a URL, which may hold a signature.

    Args:
        data: JSON data or text; ``to_dict()`` of a model.
        name: The name that the data has where it comes from, if any.
        known: Other secrets, to be masked wherever they occur.
    """

    def mask(name: str, value: Any) -> Any:
        if value is not None and _is_secret(name):
            return MASK
        if not isinstance(value, str):
            return value
        for each in known:
            value = value.replace(each, MASK)
        return _URL_SIGNED(rf"\1{MASK}", value) if "?" in value else value

    return _mapped(data, name, mask)


def _mapped(data: Any, name: str, leaf: Callable[[str, Any], Any]) -> Any:
    """Return a copy of plain data with its keys and values replaced, given the name of each."""
    if isinstance(data, Mapping):
        inherits = _is_secret(name)  # all below a secret name is secret
        return {
            leaf("", key): _mapped(each, name if inherits else str(key), leaf)
            for key, each in data.items()
        }
    if isinstance(data, (list, tuple)):
        return [_mapped(each, name, leaf) for each in data]
    return leaf(name, data)


def redact_text(text: str, known: Sequence[str]) -> str:
    """Return a text, JSON or not, with its secrets masked, or unchanged if it has none."""
    try:
        data = json.loads(text, object_pairs_hook=_unique)
        masked = redact(data, known=known)
        return text if masked == data else json.dumps(masked)
    except (ValueError, RecursionError):
        return str(redact(_mask_broken(text), known=known))


def _mask_broken(text: str) -> str:
    """Mask the values of secret names in broken JSON; of a broken value, all that follows."""
    masked, end = "", 0
    while found := _NAMED(text, end):
        masked += f'{text[end : found.end()]}"{MASK}"'
        try:
            _, end = _DECODER.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            return masked
    return masked + text[end:]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("duplicate keys, of which the parser drops all but the last")
    return data


def secrets_of(texts: Sequence[str], data: Any) -> list[str]:
    """Return known secrets, longest first: the texts, their parts, and the secrets in the data."""
    secrets = [*texts, *(part for text in texts for part in re.split(r"[\s;,=]+", text))]

    def note(name: str, value: Any) -> None:
        if _is_secret(name):
            secrets.append(str(value))

    _mapped(data, "", note)
    found = {each for each in secrets if len(each) >= SHORTEST_SECRET}
    return sorted({quoted for each in found for quoted in _quotings(each)}, key=len, reverse=True)


def _quotings(text: str) -> Iterator[str]:
    """Yield the forms in which a response may quote a text."""
    import html
    from urllib.parse import quote

    once = json.dumps(text)[1:-1]
    yield from (text, once, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(once)[1:-1])
    yield from (html.escape(text), quote(text, errors="replace"))


def _is_secret(name: str) -> bool:
    return name.upper().startswith("SECURE_") or name.replace("_", "").lower() in SECRET_NAMES


_ON = ("1", "true", "yes", "on")
SHOW_LOCALS: bool = os.environ.get("LIBTES_SHOW_LOCALS", "").strip().lower() in _ON


class Boundary:
    """Base of the public classes: their methods, not those of users' subclasses, are guarded."""

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
        accessors: Any = (member.fget, member.fset, member.fdel)
        get, set_, delete = (each and confidential(each) for each in accessors)
        return property(get, set_, delete, member.__doc__)
    return member


def confidential(function: Function) -> Function:
    """Clear our local variables, which hold secrets, from tracebacks."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if not shows_locals(*args, *kwargs.values()):
                args = kwargs = ()  # type: ignore[assignment]  # in this frame, too
                clear_frames(error)
            raise

    return call  # type: ignore[return-value]


def shows_locals(*arguments: object) -> bool:
    """Tell whether tracebacks keep local variables, by the first configuration in a call."""
    for found in arguments:
        if issubclass(type(found), Boundary):
            for name in ("api_client", "configuration", "local_vars_configuration"):
                found = getattr(found, name, found)
            shown = getattr(found, "show_locals", None)
            if isinstance(shown, bool):
                return shown
    return SHOW_LOCALS


_OURS = (f"{__name__.rpartition('.')[0]}.", "libica.batch.")
_OPTIMIZED = 1  # flag of the code of functions; the frame of a module has the module's own names
_CLEARED = frozenset(  # the second line: what urllib3 calls if it is installed
    "urllib3 http email json six dateutil codecs ssl socket abc urllib encodings concurrent".split()
    + "socks OpenSSL truststore wrapt opentelemetry sentry_sdk".split()
)


def _is_ours(module: str) -> bool:
    return module.startswith(_OURS)


def clear_frames(error: BaseException) -> None:
    """Clear the local variables in our own frames and in those of the libraries that we call.

    pytest and IPython then leave the frames out, so that a traceback ends at the caller's line.
    """
    from traceback import walk_tb

    for each in chain(error):
        for frame, _ in walk_tb(each.__traceback__):
            module = frame.f_globals.get("__name__", "")
            if _is_ours(module) or module.partition(".")[0] in _CLEARED:
                with suppress(RuntimeError):  # the frame is still running
                    frame.clear()
                if frame.f_code.co_flags & _OPTIMIZED:
                    marks = frame.f_locals
                    if isinstance(marks, dict):  # before 3.13, a copy that keeps the error alive
                        marks.clear()
                    marks["__tracebackhide__"] = True


def scrub(error: Optional[BaseException], known: Sequence[str] = ()) -> None:
    """Remove what an exception, or one it came from, quotes of a response."""
    for each in chain(error):
        each.args = tuple(redact(arg, known=known) for arg in each.args if type(arg) is not bytes)
        for name in ("doc", "object", "partial"):  # of the errors of json, codecs and http.client
            if hasattr(each, name):
                setattr(each, name, type(getattr(each, name))())
        for name, value in list(vars(each).items()):
            if isinstance(value, str):
                setattr(each, name, redact(value, known=known))


def chain(error: Optional[BaseException]) -> list[BaseException]:
    """Return an exception and all in its chain of causes and contexts, each once."""
    found: list[BaseException] = []
    waiting = [error]
    for each in waiting:
        if each is not None and not any(each is other for other in found):
            found.append(each)
            waiting += (each.__context__, each.__cause__)
    return found
