"""Secrets in models: no text shows them; the data and what is sent have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libica.openapi.libtes import (
    CreateTaskRequest,
    CreateTaskRunRequest,
    Credentials,
    Environment,
    Execution,
    HeartbeatTaskRunRequest,
    Image,
    InputMountMappingWithCreds,
    LaunchTaskRequest,
    MountMappingWithCreds,
    SystemFiles,
    TaskRun,
    TaskRunHeartbeat,
    TaskRunLogs,
    TaskSummaryPagedItems,
    TaskVersion,
)
from libica.openapi.libtes.models.encoding import encode

from ..contract import facts

SECRET = "what-nobody-may-see"
SIGNED = f"https://bucket.example.org/reads.bam?X-Amz-Signature={SECRET}"
LOGIN = Image("nginx", credentials=Credentials("u", SECRET))
SECRETIVE = {
    "password": Credentials("u", SECRET),
    "password within": LOGIN,
    "password deep within": TaskVersion(execution=Execution(image=LOGIN)),
    "keys of an input": InputMountMappingWithCreds(credentials={"AWS_SECRET_ACCESS_KEY": SECRET}),
    "keys of an output": MountMappingWithCreds(credentials={"AWS_SESSION_TOKEN": SECRET}),
    "keys of the logs": SystemFiles(credentials={"AWS_ACCESS_KEY_ID": SECRET}),
    "keys in a list": Execution(outputs=[MountMappingWithCreds(credentials={"x": SECRET})]),
    "variable": Environment(variables={"SECURE_TOKEN": SECRET}),
    "variable in lower case": Environment(variables={"secure_token": SECRET}),
    "jwt": TaskRunHeartbeat(jwt=SECRET),
    "nonce": HeartbeatTaskRunRequest(nonce=SECRET),
    "raw execution": TaskRun(execution_raw_json=f'{{"password": "{SECRET}"}}'),
    "raw execution beside others": TaskRun(id="trn.1", execution_raw_json=SECRET),
    "url of an input": InputMountMappingWithCreds(url=SIGNED),
    "url of an output": MountMappingWithCreds(url=SIGNED),
    "url of the logs": SystemFiles(url=SIGNED),
    "url of a service": MountMappingWithCreds(service_url=SIGNED),
    "url in a list": Execution(inputs=[InputMountMappingWithCreds(url=SIGNED)]),
    # A URL with a signature may stand anywhere.
    "url of the output of a run": TaskRunLogs(stdout=SIGNED),
    "url of the errors of a run": TaskRunLogs(stderr=SIGNED),
    "url within an argument of a program": Execution(command="fetch", args=[f"--input={SIGNED}"]),
    "url for a placeholder": LaunchTaskRequest(arguments={"reads": SIGNED}),
    "url in a variable": Environment(variables={"READS": SIGNED}),
}
RAW: dict[str, Any] = {
    "password": {"image": {"credentials": {"password": SECRET}}},
    "Password": {"Image": {"Credentials": {"Password": SECRET}}},
    "PASSWORD": {"IMAGE": {"CREDENTIALS": {"PASSWORD": SECRET}}},
    "password alone": {"password": 5, "PassWord": SECRET},
    "password with parts": {"password": {"nested": [{"deep": SECRET}]}},
    "credentials": {"inputs": [{"credentials": {"AWS_SECRET_ACCESS_KEY": SECRET}}]},
    "Credentials": {"Outputs": [{"Credentials": {"key": SECRET}}]},
    "credentials as list": {"systemFiles": {"credentials": [SECRET]}},
    "SECURE_": {"environment": {"variables": {"SECURE_TOKEN": SECRET}}},
    "Secure_": {"Environment": {"Variables": {"Secure_Token": SECRET}}},
    "url": {"inputs": [{"url": SIGNED}, {"Url": SIGNED}, {"URL": SIGNED}]},
    "serviceUrl": {"outputs": [{name: SIGNED} for name in ("serviceUrl", "ServiceURL")]},
    "service_url": {"service_url": SIGNED},
    "executionRawJson": dict.fromkeys(("executionRawJson", "ExecutionRawJSON"), SECRET),
    "execution_raw_json": {"execution_raw_json": SECRET},
    "jwt": {"jwt": SECRET, "JWT": SECRET, "Jwt": SECRET},
    "nonce": {"nonce": SECRET, "Nonce": SECRET},
}
usual = ["index-alignment", "manifest-to-s3"]


def texts(model: Any) -> str:
    """Return all the texts that a model gives of itself, each of which shows a mask."""
    for long in (str(model), model.to_str(), f"{model}", model._repr_html_()):
        assert "***" in long
    return "\n".join((repr(model), str(model), f"{model}", model._repr_html_()))


@pytest.mark.parametrize("model", SECRETIVE.values(), ids=SECRETIVE)
def test_no_text_of_a_model_shows_a_secret_and_its_data_have_it(model: Any) -> None:
    assert SECRET not in texts(model)
    assert SECRET in json.dumps(model.to_dict())
    assert SECRET in json.dumps(encode(model))


@pytest.mark.parametrize(
    "raw", [*RAW.values(), *(facts.requests()[name] for name in usual)], ids=[*RAW, *usual]
)
def test_no_text_of_a_model_shows_a_secret_of_a_raw_dict_and_it_is_sent(raw: Any) -> None:
    for model in (
        CreateTaskRunRequest(name="n", execution=raw),
        CreateTaskRequest("n", task_versions=[{"execution": raw}]),
        TaskSummaryPagedItems(items=[raw, {"id": "tdn.1"}]),
        Execution(inputs=[raw]),
    ):
        assert SECRET not in texts(model)
    assert encode(CreateTaskRunRequest(execution=raw)) == {"execution": raw}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Credentials("u", SECRET), "'username': 'u'"),
        (Credentials("u", SECRET), "'password': '***'"),
        (InputMountMappingWithCreds(url=SIGNED), "https://bucket.example.org/reads.bam?***"),
        (InputMountMappingWithCreds(url="gds://volume/reads.bam"), "gds://volume/reads.bam"),
        (Environment(variables={"THREADS": "8"}), "'THREADS': '8'"),
        (TaskRun(), "'execution_raw_json': None"),
    ],
)
def test_what_is_not_secret_stays_readable(model: Any, expected: str) -> None:
    before = model.to_dict()
    assert expected in str(model)
    assert model.to_dict() == before


def test_a_long_url_is_masked_before_it_is_cut() -> None:
    url = f"https://bucket.example.org/{'x' * 450}?{SECRET * 5}"
    assert SECRET[:8] not in InputMountMappingWithCreds(url=url)._repr_html_()
