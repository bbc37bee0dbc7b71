"""The work to compare: each case with this client, and with urllib3 and json alone."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import urllib3

from libica.batch import launch_all
from libica.openapi import libtes

THREADS = 16
GETS_A_THREAD = 5
ITEMS = 1000
LAUNCHES = 2000
TOKEN = "bench." + "x" * 900  # about as long as a JSON Web Token
TENANT = "YXdzLXVzLXBsYXRmb3JtOjEwMDAwNTM3OjAwMDAwMDAwLTAwMDA"
HOST = "https://aps2.platform.illumina.com"

WORKGROUP = "wid:e4730533-d752-3601-b4b7-8d4d2f6373de"
USER = "0f1f64f5-c41c-3b4f-8d3f-0b0ed5e4e7d4"
DESCRIPTION = "Index a BAM file and gather its statistics."
IMAGE = "ghcr.io/umccr/samtools-with-aws-cli"
SCRIPT = (
    "samtools index -@ {{threads}} -o /mount/outputs/{{sample}}.bam.bai "
    "/mount/inputs/{{sample}}.bam && samtools stats --reference /mount/inputs/{{genome}}.fa "
    "/mount/inputs/{{sample}}.bam > /mount/outputs/{{sample}}.stats.txt"
)

_digits = random.Random(20210308)  # the same data each time


def _hex() -> str:
    return f"{_digits.getrandbits(128):032x}"


TASK = f"tdn.{_hex()}"
VERSION = f"tvn.{_hex()}"


def _common(kind: str, identity: str, path: str) -> dict[str, Any]:
    """Return the fields that every object of the service has."""
    day = _digits.randrange(1, 28)
    return {
        "id": identity,
        "href": f"{HOST}/v1/tasks/{path}/{identity}",
        "urn": f"urn:ilmn:iap:aps2:{TENANT}:{kind}:{identity}#1.0.{day}",
        "description": DESCRIPTION,
        "acl": [f"tid:{TENANT}", WORKGROUP],
        "tenantId": TENANT,
        "subTenantId": WORKGROUP,
        "createdBy": USER,
        "timeCreated": f"2021-03-{day:02}T04:05:54.{_digits.randrange(10**7):07}Z",
        "modifiedBy": USER,
        "timeModified": f"2021-04-{day:02}T17:31:08.{_digits.randrange(10**7):07}Z",
    }


def _summary(identity: str) -> dict[str, Any]:
    """Return a version without its execution."""
    return {**_common("taskversion", identity, f"{TASK}/versions"), "version": "1.0.0"}


def _execution() -> dict[str, Any]:
    return {
        "image": {"name": IMAGE, "tag": "1.17.1--2.11.4"},
        "command": "bash",
        "args": ["-c", SCRIPT],
        "inputs": [
            {
                "path": "/mount/inputs/{{sample}}.bam",
                "url": "gds://{{volume}}/analysis/{{sample}}/{{sample}}.bam",
                "mode": "stream",
                "type": "File",
            },
            {
                "path": "/mount/inputs/{{genome}}.fa",
                "url": "gds://references/{{genome}}/{{genome}}.fa",
                "mode": "download",
                "type": "File",
            },
        ],
        "outputs": [
            {
                "path": "/mount/outputs/",
                "url": "gds://{{volume}}/outputs/{{sample}}",
                "type": "Folder",
            }
        ],
        "systemFiles": {"url": "gds://{{volume}}/logs/{{sample}}"},
        "environment": {
            "variables": {"LC_ALL": "C.UTF-8", "SAMPLE": "{{sample}}"},
            "resources": {"type": "standardHiCpu", "size": "medium", "tier": "standard"},
        },
        "workingDirectory": "/mount",
        "retryLimit": 1,
    }


def create_dict() -> dict[str, Any]:
    """Return the body to create a version, as plain dicts."""
    return {
        "version": "1.0.0",
        "description": DESCRIPTION,
        "execution": _execution(),
        "acl": [f"tid:{TENANT}", WORKGROUP],
    }


def create_request() -> libtes.CreateTaskVersionRequest:
    """Return the body to create a version, as models."""
    return libtes.CreateTaskVersionRequest(
        version="1.0.0",
        description=DESCRIPTION,
        execution=libtes.Execution(
            image=libtes.Image(name=IMAGE, tag="1.17.1--2.11.4"),
            command="bash",
            args=["-c", SCRIPT],
            inputs=[
                libtes.InputMountMappingWithCreds(
                    path="/mount/inputs/{{sample}}.bam",
                    url="gds://{{volume}}/analysis/{{sample}}/{{sample}}.bam",
                    mode="stream",
                    type="File",
                ),
                libtes.InputMountMappingWithCreds(
                    path="/mount/inputs/{{genome}}.fa",
                    url="gds://references/{{genome}}/{{genome}}.fa",
                    mode="download",
                    type="File",
                ),
            ],
            outputs=[
                libtes.MountMappingWithCreds(
                    path="/mount/outputs/", url="gds://{{volume}}/outputs/{{sample}}", type="Folder"
                )
            ],
            system_files=libtes.SystemFiles(url="gds://{{volume}}/logs/{{sample}}"),
            environment=libtes.Environment(
                variables={"LC_ALL": "C.UTF-8", "SAMPLE": "{{sample}}"},
                resources=libtes.Resources(type="standardHiCpu", size="medium", tier="standard"),
            ),
            working_directory="/mount",
            retry_limit=1,
        ),
        acl=[f"tid:{TENANT}", WORKGROUP],
    )


ARGUMENTS = {
    "sample": "PRJ210001_L2100001",
    "volume": "umccr-primary-data-prod",
    "genome": "hg38-alt-masked",
    "threads": "32",
}

PAGE_PATH = f"/v1/tasks/{TASK}/versions"
VERSION_PATH = f"{PAGE_PATH}/{VERSION}"
_VERSION = {**_summary(VERSION), "execution": _execution()}
_RUN_SUMMARY = {
    **_common("taskrun", "ID", "runs"),
    "name": "NAME",
    "description": "TEXT",
    "status": "Pending",
    "typeOfResource": "standardHiCpu",
    "sizeOfResource": "medium",
    "tierOfResource": "standard",
    "taskVersionSummary": _summary(VERSION),
}
_RUN = {**_RUN_SUMMARY, "execution": _execution()}
_PAGE = {
    "items": [_summary(f"tvn.{_hex()}") for _ in range(ITEMS)],
    "itemCount": ITEMS,
    "firstPageToken": "eyJQYWdlIjoxfQ==",
    "nextPageToken": "eyJQYWdlIjoyfQ==",
}

RESPONSES = {
    f"GET {VERSION_PATH}": (200, json.dumps(_VERSION)),
    f"POST {VERSION_PATH}:launch": (201, json.dumps(_RUN)),
    f"POST {PAGE_PATH}": (201, json.dumps(_VERSION)),
    f"GET {PAGE_PATH}": (200, json.dumps(_PAGE)),
    "GET /v1/tasks/runs": (200, json.dumps(_RUN_SUMMARY)),
}


def _cohort() -> Iterator[dict[str, Any]]:
    return ({"name": f"index-{i}", "arguments": ARGUMENTS} for i in range(LAUNCHES))


class Client:
    """The cases with this client."""

    def __init__(self, host: str) -> None:
        configuration = libtes.Configuration(host, {"Authorization": TOKEN})
        configuration.api_key_prefix["Authorization"] = "Bearer"
        configuration.connection_pool_maxsize = THREADS
        self._client = libtes.ApiClient(configuration)
        self._api = libtes.TaskVersionsApi(self._client)

    def get(self) -> libtes.TaskVersion:
        """Get a version."""
        return self._api.get_task_version(TASK, VERSION)

    def launch(self) -> libtes.TaskRun:
        """Launch a run, with arguments from a dict."""
        body = libtes.LaunchTaskRequest(name="index-bam", arguments=ARGUMENTS)
        return self._api.launch_task_run(TASK, VERSION, body=body)

    def create(self) -> libtes.TaskVersion:
        """Create a version, with an execution made of models."""
        return self._api.create_task_version(TASK, body=create_request())

    def page(self) -> libtes.TaskVersionSummaryPagedItems:
        """Get a page."""
        return self._api.list_task_versions(TASK, page_size=ITEMS)

    def batch(self, journal: Optional[str] = None) -> None:
        """Launch a cohort."""
        launch_all(
            self._client,
            TASK,
            VERSION,
            _cohort(),
            concurrency=THREADS,
            journal=journal,
            progress=False,
        )

    def journal(self) -> None:
        """Launch a cohort with a journal, which writes each launch to disk before it is sent."""
        with tempfile.TemporaryDirectory() as folder:
            self.batch(f"{folder}/cohort.jsonl")

    def read(self) -> None:
        """Get a page and read every field of every item."""
        for item in self.page().items or ():
            _ = (
                item.id,
                item.href,
                item.urn,
                item.version,
                item.description,
                item.acl,
                item.tenant_id,
                item.sub_tenant_id,
                item.created_by,
                item.time_created,
                item.modified_by,
                item.time_modified,
            )


class Plain:
    """The same cases with urllib3 and json alone: plain dicts, with times as text."""

    def __init__(self, host: str) -> None:
        self._pool = urllib3.PoolManager(maxsize=THREADS)
        self._host = host
        self._headers = {
            "Accept": "application/json",
            "User-Agent": libtes.ApiClient().user_agent,
            "Authorization": f"Bearer {TOKEN}",
        }
        self._post_headers = {**self._headers, "Content-Type": "application/json"}

    def get(self) -> Any:
        """Get a version."""
        url = f"{self._host}/v1/tasks/{TASK}/versions/{VERSION}"
        return json.loads(self._pool.request("GET", url, headers=self._headers).data)

    def launch(self) -> Any:
        """Launch a run."""
        url = f"{self._host}/v1/tasks/{TASK}/versions/{VERSION}:launch"
        return self._post(url, {"name": "index-bam", "arguments": ARGUMENTS})

    def create(self) -> Any:
        """Create a version."""
        return self._post(f"{self._host}/v1/tasks/{TASK}/versions", create_dict())

    def page(self) -> Any:
        """Get a page."""
        url = f"{self._host}/v1/tasks/{TASK}/versions?pageSize={ITEMS}"
        return json.loads(self._pool.request("GET", url, headers=self._headers).data)

    def read(self) -> None:
        """Get a page and read every field of every item."""
        for item in self.page()["items"]:
            _ = (
                item["id"],
                item["href"],
                item["urn"],
                item["version"],
                item["description"],
                item["acl"],
                item["tenantId"],
                item["subTenantId"],
                item["createdBy"],
                item["timeCreated"],
                item["modifiedBy"],
                item["timeModified"],
            )

    def batch(self) -> None:
        """Launch a cohort."""
        url = f"{self._host}/v1/tasks/{TASK}/versions/{VERSION}:launch"
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda body: self._post(url, body), _cohort()))

    def _post(self, url: str, body: Any) -> Any:
        data = json.dumps(body).encode()
        response = self._pool.request("POST", url, headers=self._post_headers, body=data)
        return json.loads(response.data)


class Crowd:
    """Threads that start the same work at the same time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS)
        self._start = threading.Barrier(THREADS)

    def __call__(self, call: Callable[[], object]) -> None:
        """Do the work in each thread; return when all threads are done."""
        list(self._threads.map(self._work, itertools.repeat(call, THREADS)))

    def _work(self, call: Callable[[], object]) -> None:
        self._start.wait()
        for _ in range(GETS_A_THREAD):
            call()


def check() -> None:
    """Exit with an error if the two sides send different bodies."""
    if libtes.ApiClient().sanitize_for_serialization(create_request()) != create_dict():
        raise SystemExit("create_request() and create_dict() differ")
