"""The service to call, by the environment, and its objects by id or name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeVar

from libica.openapi import libtes

Item = TypeVar("Item")


def connect() -> libtes.ApiClient:
    """Return a client for the service that the environment names.

    Raises:
        ApiValueError: A variable is missing or invalid.
    """
    host, key = os.environ.get("ICA_BASE_URL"), os.environ.get("ICA_API_KEY")
    if not host or not (key or os.environ.get("ICA_ACCESS_TOKEN")):
        raise libtes.ApiValueError(
            "set ICA_BASE_URL to the service, and ICA_ACCESS_TOKEN or ICA_API_KEY to a token "
            "or key of yours; `libica-tes serve` prints them for a service of your own"
        )
    try:
        if os.environ.get("ICA_ACCESS_TOKEN"):
            configuration = libtes.Configuration.from_env()
        else:
            configuration = libtes.Configuration(host)
    except libtes.ApiValueError as error:
        raise libtes.ApiValueError(f"ICA_BASE_URL: {error}") from None
    if key:
        configuration.refresh_api_key_hook = libtes.ApiKeyExchange()
    configuration.ssl_ca_cert = os.environ.get("SSL_CERT_FILE") or None
    return libtes.ApiClient(configuration)


def task(client: libtes.ApiClient, given: str) -> libtes.TaskSummary:
    """Find a task by id or name."""
    api = libtes.TasksApi(client)
    if given.startswith("tdn."):
        return api.get_task(given)
    return _only(given, "task", "tasks", api.iter_tasks(names=_filter(given)), "name")


def version(client: libtes.ApiClient, task_id: str, given: str) -> libtes.TaskVersion:
    """Find a version of a task by id or name."""
    api = libtes.TaskVersionsApi(client)
    if not given.startswith("tvn."):
        listed = api.iter_task_versions(task_id, versions=_filter(given))
        found = _only(given, "version", f"versions {task_id}", listed, "version")
        given = found.id or ""
    return api.get_task_version(task_id, given)


def run_id(client: libtes.ApiClient, given: str, *, newest: bool = False) -> str:
    """Find a run by id or name: the newest of that name, or the only one."""
    if given.startswith("trn."):
        return given
    listed = libtes.TaskRunsApi(client).iter_task_runs(
        names=_filter(given), sort="timeCreated desc"
    )
    return _only(given, "run", f"runs --name {given}", listed, "name", newest).id or ""


def _filter(name: str) -> Any:
    return None if "," in name else name  # commas separate the values of a filter


def _only(
    name: str, what: str, listing: str, items: Iterable[Item], attribute: str, first: bool = False
) -> Item:
    """Return the only item of a name, or the first."""
    found = []
    for each in items:
        if getattr(each, attribute) == name:
            found.append(each)
            if first or len(found) > 1:
                break
    if not found:
        known = "" if what == "run" else f"; `libica-tes {listing}` lists them"
        raise libtes.ApiValueError(f"there is no {what} {name!r}{known}")
    if len(found) > 1 and not first:
        raise libtes.ApiValueError(
            f"there is more than one {what} {name!r}: give the id, from `libica-tes {listing}`"
        )
    return found[0]
