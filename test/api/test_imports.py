"""The ways in which scripts for libica 2.5 import the client: each runs in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from ..conftest import TOKEN
from ..helpers import ROOT
from ..operations import OPERATIONS, RUN, TASK, VERSION, service
from ..server import Server

PREAMBLE = f"""
import os
HOST, TOKEN = os.environ["ICA_BASE_URL"], os.environ["ICA_ACCESS_TOKEN"]
TASK, VERSION, RUN = {TASK!r}, {VERSION!r}, {RUN!r}
"""
LIST = "GET /v1/tasks"
OF_VERSION = f"/v1/tasks/{TASK}/versions/{VERSION}"
GET_RUN = f"GET /v1/tasks/runs/{RUN}"
CALLS = [(x.api, x.name, [*x.ids.values()], x.body, x.returns) for x in OPERATIONS]

SCRIPTS: dict[str, tuple[str, list[str]]] = {  # the script, and the requests that it is to make
    "the documentation's example": (
        """
        import time
        import libica.openapi.libtes
        from libica.openapi.libtes.rest import ApiException
        from pprint import pprint

        configuration = libica.openapi.libtes.Configuration(
            host = HOST,
            api_key = {
                'Authorization': TOKEN
            }
        )
        configuration.api_key_prefix['Authorization'] = 'Bearer'

        with libica.openapi.libtes.ApiClient(configuration) as api_client:
            api_instance = libica.openapi.libtes.TaskVersionsApi(api_client)
            task_id = TASK # str |
            version_id = VERSION # str |
            try:
                api_response = api_instance.get_task_version(task_id, version_id)
                pprint(api_response)
            except ApiException as e:
                print("Exception when calling TaskVersionsApi: %s" % e)
        assert api_response.id == VERSION
        """,
        [f"GET {OF_VERSION}"],
    ),
    "the package, also under another name": (
        """
        from libica.openapi import libtes
        import libica.openapi.libtes as tes
        assert tes is libtes
        configuration = tes.Configuration(host=HOST)
        with libtes.ApiClient(configuration) as client:
            assert libtes.TasksApi(client).list_tasks().items[0].name == "align"
        """,
        [LIST],
    ),
    "names": (
        """
        from libica.openapi.libtes import ApiClient, ApiException, Configuration, TaskRunsApi
        from libica.openapi.libtes import CreateTaskRunRequest, Execution
        config = Configuration(host=HOST)
        config.api_key = {"Authorization": TOKEN}
        config.api_key_prefix = {"Authorization": "Bearer"}
        client = ApiClient(configuration=config)
        try:
            run = TaskRunsApi(client).create_task_run(
                body=CreateTaskRunRequest(execution=Execution(command="bwa")))
        except ApiException as e:
            raise SystemExit(e)
        client.close()
        assert run.execution.command == "bwa"
        """,
        ["POST /v1/tasks/runs"],
    ),
    "everything": (
        """
        from libica.openapi.libtes import *
        with ApiClient(Configuration(host=HOST)) as client:
            assert TaskRunsApi(client).get_task_run(RUN).id == RUN
        assert issubclass(ApiValueError, OpenApiException) and TaskVersion.__name__ == "TaskVersion"
        """,
        [GET_RUN],
    ),
    "modules": (
        """
        import importlib, pickle
        from libica.openapi.libtes.api.task_runs_api import TaskRunsApi
        from libica.openapi.libtes.api.task_versions_api import TaskVersionsApi
        from libica.openapi.libtes.api.tasks_api import TasksApi
        from libica.openapi.libtes.api_client import ApiClient
        from libica.openapi.libtes.configuration import Configuration
        from libica.openapi.libtes.exceptions import ApiException
        from libica.openapi.libtes.models.launch_task_request import LaunchTaskRequest
        from libica.openapi.libtes.models.task_run import TaskRun
        from libica.openapi.libtes.models.task_version import TaskVersion
        with ApiClient(Configuration(host=HOST)) as client:
            api = TaskVersionsApi(client)
            assert isinstance(api.get_task_version(TASK, VERSION), TaskVersion)
            body = LaunchTaskRequest(name="x")
            assert isinstance(api.launch_task_run(TASK, VERSION, body=body), TaskRun)
            assert TasksApi(client).list_tasks().items[0].id == TASK
            assert TaskRunsApi(client).get_task_run(RUN).id == RUN
        module = importlib.import_module("libica.openapi.libtes.models.task_run")
        assert module.TaskRun is TaskRun and TaskRun.__module__ == module.__name__
        assert pickle.loads(pickle.dumps(TaskRun(id="x"))) == TaskRun(id="x")
        """,
        [f"GET {OF_VERSION}", f"POST {OF_VERSION}:launch", LIST, GET_RUN],
    ),
    "packages within the package": (
        """
        import libica.openapi.libtes.models
        from libica.openapi.libtes import api, models, rest, exceptions
        from libica.openapi.libtes.api import TaskVersionsApi
        from libica.openapi.libtes.models import TaskVersion
        from libica.openapi import libtes
        assert models.TaskVersion is TaskVersion is libtes.TaskVersion
        assert api.TaskVersionsApi is TaskVersionsApi is libtes.TaskVersionsApi
        assert rest.ApiException is exceptions.ApiException is libtes.ApiException
        assert libica.openapi.libtes.models is models
        """,
        [],
    ),
    "nothing but the top, used with dots": (
        """
        import libica.openapi.libtes
        assert libica.openapi.libtes.models.execution.Execution(command="x").command == "x"
        assert libica.openapi.libtes.models.Execution.__name__ == "Execution"
        assert libica.openapi.libtes.rest.ApiException.__name__ == "ApiException"
        assert libica.openapi.libtes.exceptions.ApiValueError.__name__ == "ApiValueError"
        assert libica.openapi.libtes.configuration.Configuration(host=HOST).host == HOST
        assert libica.openapi.libtes.api_client.ApiClient.__name__ == "ApiClient"
        assert libica.openapi.libtes.api.task_versions_api.TaskVersionsApi.__name__
        assert libica.openapi.libtes.api.TaskRunsApi.__name__ == "TaskRunsApi"
        """,
        [],
    ),
    "the package, for every method": (
        f"""
        from libica.openapi import libtes
        with libtes.ApiClient(libtes.Configuration(host=HOST)) as client:
            for api, method, ids, body, returned in {CALLS}:
                assert callable(getattr(getattr(libtes, api)(), method))
                needed = {{"CreateTaskRequest": {{"name": "x"}},
                          "CreateTaskVersionRequest": {{"version": "1"}}}}
                body = {{"body": getattr(libtes, body)(**needed.get(body, {{}}))}} if body else {{}}
                found = getattr(getattr(libtes, api)(client), method)(*ids, **body)
                assert type(found).__name__ == returned
        """,
        [f"{each.method} {each.target}" for each in OPERATIONS],
    ),
}


@pytest.mark.parametrize(("script", "requests"), SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_can_import(server: Server, script: str, requests: list[str]) -> None:
    server.answer(service)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(script)],
        cwd=ROOT,
        env={**os.environ, "ICA_BASE_URL": server.url, "ICA_ACCESS_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert [f"{asked.method} {asked.target}" for asked in server.asked] == requests
    for asked in server.asked:
        assert asked.headers.get("Authorization") in (None, f"Bearer {TOKEN}")
