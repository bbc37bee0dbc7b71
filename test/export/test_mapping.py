"""What of a version is where in an export, what is said of the rest, and that secrets stay out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from libica import export
from libica.openapi import libtes

from ..contract import facts
from . import engine
from .versions import REAL, Json, simple, version

SCHEMA = json.loads(Path(__file__).with_name("ga4gh_tes.json").read_text(encoding="utf-8"))
OUT = "/data/out"
SECRET = "what-nobody-may-see"
to_cwl, to_ga4gh = export.to_cwl, export.to_ga4gh
each_form = pytest.mark.parametrize("convert", [to_cwl, to_ga4gh])
Convert = Callable[..., export.Export]


def requests() -> dict[str, Json]:
    """Return the executions beside the contract's facts, in the casing of the service."""
    known = facts.requests()
    return {name: known[name]["execution"] for name in known if "execution" in known[name]}


EVERYTHING: Json = {
    "image": {
        "name": "registry.example/tool",
        "digest": "sha256:aa",
        "credentials": {"username": "me", "password": SECRET},
    },
    "command": "{{program}}",
    "args": ["--in", "in.bam", "https://host.example/?X-Amz-Signature=x"],
    "inputs": [
        {
            "path": "in.bam",
            "url": f"https://bucket.example/in.bam?X-Amz-Signature={SECRET}",
            "mode": "stream",
            "urn": "urn:one",
        },
        {
            "path": "/in/",
            "url": "s3://bucket/{{sample}}/x.txt",
            "storageProvider": "aws",
            "credentials": {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ACCESS_KEY_ID": "{{key}}"},
        },
        {"path": "/list", "url": f"https://bucket.example/m.json?s={SECRET}", "type": "manifest"},
        {"path": "/ref", "url": "https://host.example/ref", "type": "Folder"},
    ],
    "outputs": [
        {"path": "results", "url": "gds://volume/{{sample}}/", "serviceUrl": "x"},
        {"path": "/work/x.txt", "url": "gds://volume/x.txt"},
        {"path": "/elsewhere/", "url": "gds://volume/other/", "type": "Folder"},
    ],
    "systemFiles": {"url": "gds://volume/logs", "credentials": {"token": SECRET}},
    "environment": {
        "variables": {
            "SECURE_TOKEN": SECRET,
            "SECURE_KEY": "{{key}}",
            "secure_login": f"{{{{user}}}}:{SECRET}",
            "HOME": "/root",
            "WORDS": "{{ sample }} {{sample}}",
        },
        "resources": {
            "type": "FPGA",
            "size": "small",
            "memoryGb": 2,
            "hardware": ["gpu"],
            "tier": "economy",
        },
        "inputStreamSettings": {"cacheSizeGB": 60},
    },
    "workingDirectory": "/work",
    "retryLimit": 2,
}
