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

Json = dict[str, Any]

SECRET = "what-nobody-may-see"
SIGNED = f"https://bucket.example.org/reads.bam?X-Amz-Signature={SECRET}"
LOGIN = Image("nginx", credentials=Credentials("u", SECRET))
SECRETIVE = [
    *(Credentials("u", SECRET), LOGIN, TaskVersion(execution=Execution(image=LOGIN))),
    InputMountMappingWithCreds(credentials={"AWS_SECRET_ACCESS_KEY": SECRET}),
    MountMappingWithCreds(credentials={"AWS_SESSION_TOKEN": SECRET}),
    SystemFiles(credentials={"AWS_ACCESS_KEY_ID": SECRET}),
    Execution(outputs=[MountMappingWithCreds(credentials={"x": SECRET})]),
    *(Environment(variables={name: SECRET}) for name in ("SECURE_TOKEN", "secure_token")),
    *(TaskRunHeartbeat(jwt=SECRET), HeartbeatTaskRunRequest(nonce=SECRET)),
    TaskRun(execution_raw_json=f'{{"password": "{SECRET}"}}'),
    TaskRun(id="trn.1", execution_raw_json=SECRET),
    # A URL with a signature may stand anywhere.
    *(InputMountMappingWithCreds(url=SIGNED), MountMappingWithCreds(url=SIGNED)),
    *(SystemFiles(url=SIGNED), MountMappingWithCreds(service_url=SIGNED)),
    Execution(inputs=[InputMountMappingWithCreds(url=SIGNED)]),
    *(TaskRunLogs(stdout=SIGNED), TaskRunLogs(stderr=SIGNED)),
    Execution(command="fetch", args=[f"--input={SIGNED}"]),
    LaunchTaskRequest(arguments={"reads": SIGNED}),
    Environment(variables={"READS": SIGNED}),
]
RAW: list[Json] = [
    {"image": {"credentials": {"password": SECRET}}},
    {"Image": {"Credentials": {"Password": SECRET}}},
    {"IMAGE": {"CREDENTIALS": {"PASSWORD": SECRET}}},
    {"password": 5, "PassWord": SECRET},
    {"password": {"nested": [{"deep": SECRET}]}},
    {"inputs": [{"credentials": {"AWS_SECRET_ACCESS_KEY": SECRET}}]},
    {"Outputs": [{"Credentials": {"key": SECRET}}]},
    {"systemFiles": {"credentials": [SECRET]}},
    {"environment": {"variables": {"SECURE_TOKEN": SECRET}}},
    {"Environment": {"Variables": {"Secure_Token": SECRET}}},
    {"inputs": [{"url": SIGNED}, {"Url": SIGNED}, {"URL": SIGNED}]},
    {"outputs": [{name: SIGNED} for name in ("serviceUrl", "ServiceURL", "service_url")]},
    *({name: SECRET} for name in ("executionRawJson", "ExecutionRawJSON", "execution_raw_json")),
    *({name: SECRET} for name in ("jwt", "JWT", "Jwt", "nonce", "Nonce")),
    *(facts.requests()[name] for name in ("index-alignment", "manifest-to-s3")),
]


def texts(model: Any) -> str:
    """Return all the texts that a model gives of itself."""
    assert all("***" in text for text in (str(model), model._repr_html_()))
    return "\n".join((repr(model), str(model), model.to_str(), f"{model}", model._repr_html_()))


def test_no_text_of_a_model_shows_a_secret_and_its_data_have_it() -> None:
    for model in SECRETIVE:
        assert SECRET not in texts(model)
        assert SECRET in json.dumps(model.to_dict())
        assert SECRET in json.dumps(encode(model))


def test_no_text_of_a_model_shows_a_secret_of_a_raw_dict_and_it_is_sent() -> None:
    for raw in RAW:
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
