"""Errors in one line, with what to do, and the exit statuses."""

from __future__ import annotations

import os
import re

from libica import batch
from libica.openapi import libtes

from .commands import Interrupted

FAILED = 1
INVALID = 2
SOME_FAILED = 3
NOT_ALL_KNOWN = 4
UNREACHABLE = 5
INTERRUPTED = 130

_HINTS: tuple[tuple[type[libtes.ApiException], str], ...] = (
    (libtes.UnauthorizedException, "set ICA_ACCESS_TOKEN, or ICA_API_KEY, to one that is valid"),
    (libtes.ForbiddenException, "this token does not permit it"),
    (libtes.NotFoundException, "check the id, and that ICA_BASE_URL ({host}) is the right service"),
    (libtes.UnknownHostException, "check ICA_BASE_URL ({host}) and your network"),
    (libtes.ProxyException, "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"),
    (libtes.TlsException, "if you trust the service, set SSL_CERT_FILE to its certificate"),
    (libtes.ConnectException, "check ICA_BASE_URL ({host}) and that the service is running"),
    (libtes.ApiConnectionException, "try again"),
    (libtes.TooManyRequestsException, "try again later"),
    (libtes.ServiceException, "try again later"),
    (libtes.InvalidResponseException, "check that ICA_BASE_URL ({host}) is a TES service"),
)
_TRANSIENT = (
    libtes.ApiConnectionException,
    libtes.TooManyRequestsException,
    libtes.ServiceException,
)
_ARGUMENT = re.compile(r"\b(name_column|ignore_columns|allow_empty)(=\.\.\.|=True|=\[.*?\])?")
_GO_ON = "the same command goes on where it stopped"


def explain(error: BaseException) -> tuple[str, int]:
    """Return what to tell of an error, and the exit status."""
    message = getattr(error, "format_message", None)
    if message is not None:  # an error of Click, which some versions of Typer contain
        command = getattr(getattr(error, "ctx", None), "command_path", "libica-tes")
        return f"{message()} See: {command} --help", INVALID
    if isinstance(error, Interrupted):
        error = error.__cause__ or error
    if isinstance(error, batch.BatchInterrupt):
        counts = [f"{count:,} {status}" for status, count in error.report.summary().items()]
        return f"interrupted: {', '.join(counts)}; {_GO_ON}", INTERRUPTED
    if isinstance(error, (Interrupted, KeyboardInterrupt)):
        return "interrupted", INTERRUPTED
    if isinstance(error, batch.BatchError):
        cause, status = explain(error.__cause__) if error.__cause__ else ("", FAILED)
        hint = cause.removeprefix(str(error.__cause__))
        return f"{error}{hint}; {_GO_ON}", status
    if isinstance(error, libtes.ApiException):
        hints = [hint for kind, hint in _HINTS if isinstance(error, kind)]
        hint = hints[0].format(host=os.environ.get("ICA_BASE_URL")) if hints else ""
        told = "; ".join(filter(None, [str(error), hint]))
        return told, UNREACHABLE if isinstance(error, _TRANSIENT) else FAILED
    if isinstance(error, batch.JournalError) and error.differences:
        more = len(error.differences) - 1
        first = f"{error.differences[0]}{f' (and {more:,} more differences)' if more else ''}"
        return f"{error.args[0]} {first}; give another --journal for another cohort", INVALID
    if isinstance(error, libtes.OpenApiException):
        return _ARGUMENT.sub(_as_option, str(error)), INVALID
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", FAILED
    told = libtes.redact(f"{type(error).__name__}: {error}")
    return f"unexpected error: {told}; --debug shows where", FAILED


def _as_option(argument: re.Match[str]) -> str:
    """Return the option of `launch` for what a message says of an argument of `launch_all`."""
    columns = ",".join(re.findall("'(.*?)'", argument[2] or ""))
    value = "COLUMN" if argument[2] == "=..." else f"'{columns}'" if columns else ""
    return f"--{argument[1].replace('_', '-')} {value}".rstrip()
