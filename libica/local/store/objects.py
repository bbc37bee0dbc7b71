"""New tasks, versions and runs, in the JSON of the contract."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..node.job import now
from .identity import Identity

Json = dict[str, Any]

_WORD = 255  # maximum characters of a name in the contract


def task(given: Mapping[str, Any], by: Identity) -> Json:
    """Create a ``TaskSummary`` from a request body."""
    summary = _object("tdn", "/v1/tasks/", given, by, "name", "description")
    return named(summary, "task", summary["name"])


def version(given: Mapping[str, Any], task_id: str, by: Identity) -> Json:
    """Create a ``TaskVersionSummary`` from a request body."""
    path = f"/v1/tasks/{task_id}/versions/"
    summary = _object("tvn", path, given, by, "version", "description")
    return named(summary, "taskversion", summary["version"])


def run(given: Mapping[str, Any], execution: Json, by: Identity, key: str = "") -> Json:
    """Create a ``TaskRunSummary`` from a request body and the execution with its arguments.

    Its id ends with the key, 32 hexadecimal digits; by default, with random ones.
    """
    summary = _object("trn", "/v1/tasks/runs/", given, by, "name", "description", key=key)
    resources = execution.get("environment", {}).get("resources", {})
    machine = {
        f"{what}OfResource": resources[what][:_WORD]
        for what in ("type", "size", "tier")
        if what in resources
    }
    summary.update(status="Pending", statusDetails="Waiting for a free machine", **machine)
    return named(summary, "taskrun", summary.get("name", ""))


def named(summary: Json, kind: str, name: str) -> Json:
    """Set the URN of an object, which contains its name."""
    urn = f"urn:ilmn:iap:local:{summary['tenantId']}:{kind}:{summary['id']}"
    summary["urn"] = f"{urn}#{quote(name)}" if name else urn
    return summary


def changed(summary: Json, by: Identity) -> Json:
    """Record that the caller changes an object now."""
    summary.update(modifiedBy=by.user, timeModified=now())
    return summary


def _object(
    prefix: str, path: str, given: Mapping[str, Any], by: Identity, *fields: str, key: str = ""
) -> Json:
    """Create the fields that all objects have, with the given ones of ``fields``."""
    object_id = f"{prefix}.{key or uuid.uuid4().hex}"
    time_created = now()
    return {
        "id": object_id,
        "href": path + object_id,
        **{field: given[field] for field in fields if field in given},
        "acl": given.get("acl") or by.acl,
        "tenantId": by.tenant,
        "subTenantId": by.workgroup,
        "createdBy": by.user,
        "timeCreated": time_created,
        "modifiedBy": by.user,
        "timeModified": time_created,
    }
