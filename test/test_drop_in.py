"""Scripts in the forms in which people wrote them for libica 2.5: each runs unchanged."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args, get_origin

import pytest

from libica.openapi import libtes
from libica.openapi.libtes.models.base import Model
from libica.openapi.libtes.models.encoding import encode

from .conftest import TOKEN
from .helpers import ROOT, decode, each_model
from .operations import OPERATIONS, RUN, TASK, VERSION, Operation, service
from .server import Answer, Asked, Server

PREAMBLE = f"""
import os
HOST, TOKEN = os.environ["ICA_BASE_URL"], os.environ["ICA_ACCESS_TOKEN"]
TASK, VERSION, RUN = {TASK!r}, {VERSION!r}, {RUN!r}
"""
CLIENT = """
from libica.openapi import libtes
configuration = libtes.Configuration(host=HOST, api_key={"Authorization": TOKEN})
configuration.api_key_prefix["Authorization"] = "Bearer"
"""


@dataclass
class Script:
    """A script, the requests that it is to make, and the lines that it is to print."""

    text: str
    asks: list[str] = field(default_factory=list)
    prints: list[str] = field(default_factory=list)


class Bare(Script):
    """A script that is to import all that it needs by itself."""


def run(script: Script, server: Server) -> list[str]:
    """Run a script in an interpreter of its own, where any warning is an error."""
    preamble = PREAMBLE if isinstance(script, Bare) else PREAMBLE + CLIENT
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", preamble + textwrap.dedent(script.text)],
        cwd=ROOT,
        env={**os.environ, "ICA_BASE_URL": server.url, "ICA_ACCESS_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


LIST = "GET /v1/tasks"
GET_VERSION = f"GET /v1/tasks/{TASK}/versions/{VERSION}"
GET_RUN = f"GET /v1/tasks/runs/{RUN}"
LAUNCH = f"POST /v1/tasks/{TASK}/versions/{VERSION}:launch"

SCRIPTS: dict[str, Script] = {
    "the document: get": Bare(
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
        """,
        [GET_VERSION],
        [f"TaskVersion(id='{VERSION}', version='1.0.0', ...)"],
    ),
    "the document: create, update and launch": Bare(
        """
        import libica.openapi.libtes
        configuration = libica.openapi.libtes.Configuration(host=HOST)
        configuration.api_key['Authorization'] = 'Bearer ' + TOKEN
        with libica.openapi.libtes.ApiClient(configuration) as api_client:
            api_instance = libica.openapi.libtes.TaskVersionsApi(api_client)
            body = libica.openapi.libtes.CreateTaskVersionRequest(version="1.0.0")
            print(api_instance.create_task_version(TASK, body=body).id)
            body = libica.openapi.libtes.UpdateTaskVersionRequest()
            print(api_instance.update_task_version(TASK, VERSION, body=body).version)
            body = libica.openapi.libtes.LaunchTaskRequest(arguments={"sample": "1"})
            print(api_instance.launch_task_run(TASK, VERSION, body=body).status)
        """,
        [f"POST /v1/tasks/{TASK}/versions", f"PATCH /v1/tasks/{TASK}/versions/{VERSION}", LAUNCH],
        [VERSION, "1.0.0", "Running"],
    ),
    "the document: list": Bare(
        """
        import libica.openapi.libtes
        from libica.openapi.libtes.rest import ApiException
        configuration = libica.openapi.libtes.Configuration(host=HOST)
        configuration.api_key = {'Authorization': TOKEN}
        with libica.openapi.libtes.ApiClient(configuration) as api_client:
            api_instance = libica.openapi.libtes.TaskVersionsApi(api_client)
            sort = 'timeCreated desc'
            versions = '1.0.0'
            ids = 'a,b'
            acls = 'tid:x'
            page_size = 10
            page_token = 'next'
            page = api_instance.list_task_versions(TASK, sort=sort, versions=versions, ids=ids,
                                                   acls=acls, page_size=page_size,
                                                   page_token=page_token)
            print(page.item_count, page.total_item_count, page.next_page_token, page.items[0].id)
        """,
        [
            f"GET /v1/tasks/{TASK}/versions?sort=timeCreated%20desc&versions=1.0.0&ids=a%2Cb"
            "&acls=tid%3Ax&pageSize=10&pageToken=next"
        ],
        [f"1 12 next {VERSION}"],
    ),
    "import: package": Bare(
        """
        from libica.openapi import libtes
        configuration = libtes.Configuration(host=HOST)
        with libtes.ApiClient(configuration) as client:
            print(len(libtes.TasksApi(client).list_tasks().items))
        """,
        [LIST],
        ["1"],
    ),
    "import: package under another name": Bare(
        """
        import libica.openapi.libtes as tes
        configuration = tes.Configuration(host=HOST)
        with tes.ApiClient(configuration) as client:
            print(tes.TasksApi(client).list_tasks().items[0].name)
        """,
        [LIST],
        ["align"],
    ),
    "import: names": Bare(
        """
        from libica.openapi.libtes import ApiClient, ApiException, Configuration, TaskRunsApi
        from libica.openapi.libtes import CreateTaskRunRequest, Execution
        with ApiClient(Configuration(host=HOST)) as client:
            try:
                run = TaskRunsApi(client).create_task_run(
                    body=CreateTaskRunRequest(execution=Execution(command="bwa")))
            except ApiException as e:
                raise SystemExit(e)
            print(run.execution.command)
        """,
        ["POST /v1/tasks/runs"],
        ["bwa"],
    ),
    "import: everything": Bare(
        """
        from libica.openapi.libtes import *
        with ApiClient(Configuration(host=HOST)) as client:
            print(TaskRunsApi(client).get_task_run(RUN).id)
        print(issubclass(ApiValueError, OpenApiException), TaskVersion.__name__)
        """,
        [GET_RUN],
        [RUN, "True TaskVersion"],
    ),
    "import: modules": Bare(
        """
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
            print(isinstance(api.get_task_version(TASK, VERSION), TaskVersion))
            body = LaunchTaskRequest(name="x")
            print(isinstance(api.launch_task_run(TASK, VERSION, body=body), TaskRun))
            print(TasksApi(client).list_tasks().items[0].id)
            print(TaskRunsApi(client).get_task_run(RUN).id)
        """,
        [GET_VERSION, LAUNCH, LIST, GET_RUN],
        ["True", "True", TASK, RUN],
    ),
    "import: packages within": Bare(
        """
        import libica.openapi.libtes.models
        from libica.openapi.libtes import api, models, rest, exceptions
        from libica.openapi.libtes.api import TaskVersionsApi
        from libica.openapi.libtes.models import TaskVersion
        from libica.openapi import libtes
        print(models.TaskVersion is TaskVersion is libtes.TaskVersion)
        print(api.TaskVersionsApi is TaskVersionsApi is libtes.TaskVersionsApi)
        print(rest.ApiException is exceptions.ApiException is libtes.ApiException)
        print(libica.openapi.libtes.models is models)
        """,
        [],
        ["True"] * 4,
    ),
    "import: dotted use from the top": Bare(
        """
        import libica.openapi.libtes
        print(libica.openapi.libtes.models.execution.Execution(command="x").command)
        print(libica.openapi.libtes.models.Execution.__name__)
        print(libica.openapi.libtes.rest.ApiException.__name__)
        print(libica.openapi.libtes.exceptions.ApiValueError.__name__)
        print(libica.openapi.libtes.configuration.Configuration(host=HOST).host == HOST)
        print(libica.openapi.libtes.api_client.ApiClient.__name__)
        print(libica.openapi.libtes.api.task_versions_api.TaskVersionsApi.__name__)
        print(libica.openapi.libtes.api.TaskRunsApi.__name__)
        """,
        [],
        [
            "x",
            "Execution",
            "ApiException",
            "ApiValueError",
            "True",
            "ApiClient",
            "TaskVersionsApi",
            "TaskRunsApi",
        ],
    ),
    "import: reload and pickle by name": Bare(
        """
        import importlib, pickle
        from libica.openapi import libtes
        module = importlib.import_module("libica.openapi.libtes.models.task_run")
        print(module.TaskRun is libtes.TaskRun, module.TaskRun.__module__ == module.__name__)
        print(pickle.loads(pickle.dumps(libtes.TaskRun(id="x"))) == libtes.TaskRun(id="x"))
        """,
        [],
        ["True True", "True"],
    ),
    "errors": Script(
        """
        import json
        from libica.openapi.libtes.rest import ApiException
        with libtes.ApiClient(configuration) as client:
            try:
                client.call_api("/v1/nowhere", "GET", auth_settings=["Bearer"])
            except ApiException as e:
                print(e.status, e.reason, json.loads(e.body)["code"], e.headers["content-type"])
                print("Failed: %s" % e)
        for module in (libtes, libtes.rest, libtes.exceptions):
            print(module.ApiException is ApiException, issubclass(ApiException, Exception))
        """,
        ["GET /v1/nowhere"],
        [
            "404 Not Found NOT_FOUND application/json",
            "Failed: GET /v1/nowhere: 404 Not Found: NOT_FOUND: no /v1/nowhere here",
            *["True True"] * 3,
        ],
    ),
    "errors raised by hand": Script(
        """
        from libica.openapi.libtes.exceptions import ApiException, OpenApiException
        from libica.openapi.libtes.exceptions import ApiKeyError, ApiTypeError, ApiValueError
        e = ApiException(status=404, reason="Not Found")
        print(e.status, e.reason, e.body, e.headers)
        e = ApiException(0, "offline")
        print(e.status, e.reason)
        print(issubclass(ApiTypeError, TypeError), issubclass(ApiValueError, ValueError))
        print(issubclass(ApiKeyError, KeyError), issubclass(ApiException, OpenApiException))
        """,
        [],
        ["404 Not Found None None", "0 offline", "True True", "True True"],
    ),
    "arguments that are wrong": Script(
        """
        with libtes.ApiClient(configuration) as client:
            for error, call in [
                (TypeError, lambda: libtes.TasksApi(client).get_task(TASK, unknown=1)),
                (ValueError, lambda: libtes.TasksApi(client).get_task(None)),
                (ValueError, lambda: libtes.CreateTaskRequest()),
                (ValueError, lambda: libtes.LaunchTaskRequest(name="x" * 256)),
                (ValueError, lambda: libtes.InputStreamSettings(cache_size_gb=1)),
            ]:
                try:
                    call()
                except error as e:
                    print(type(e).__name__)
        """,
        [],
        ["ApiTypeError", *["ApiValueError"] * 4],
    ),
    "the default configuration": Script(
        """
        libtes.Configuration.set_default(configuration)
        api = libtes.TaskRunsApi()
        print(api.get_task_run(RUN).status, api.api_client.configuration.host == HOST)
        client = libtes.ApiClient()
        print(libtes.TasksApi(api_client=client).get_task(TASK).name)
        print(libtes.Configuration.get_default_copy().api_key["Authorization"] == TOKEN)
        client.close()
        api.api_client.close()
        """,
        [GET_RUN, f"GET /v1/tasks/{TASK}"],
        ["Running True", "align", "True"],
    ),
    "after the with block": Script(
        """
        def make_api():
            with libtes.ApiClient(configuration) as api_client:
                return libtes.TaskRunsApi(api_client)

        api = make_api()
        print(api.get_task_run(RUN).name)
        print(api.get_task_run(RUN, async_req=True).get().name)
        api.api_client.close()
        """,
        [GET_RUN, GET_RUN],
        ["sample-1", "sample-1"],
    ),
    "without a with block": Bare(
        """
        from libica.openapi.libtes import ApiClient, Configuration, TasksApi
        config = Configuration(host=HOST)
        config.api_key = {"Authorization": TOKEN}
        config.api_key_prefix = {"Authorization": "Bearer"}
        client = ApiClient(configuration=config)
        print(TasksApi(client).list_tasks(page_size=1000).items[0].id)
        client.close()
        """,
        [f"{LIST}?pageSize=1000"],
        [TASK],
    ),
    "calls in the background": Script(
        """
        with libtes.ApiClient(configuration, pool_threads=4) as client:
            api = libtes.TaskRunsApi(client)
            thread = api.get_task_run(RUN, async_req=True)
            print(thread.get().status)
            threads = [api.get_task_run(RUN, async_req=True) for _ in range(3)]
            print([each.get(timeout=10).name for each in threads])
            thread.wait()
            thread.wait(1)
            print(thread.ready(), thread.successful())
            thread = api.get_task_run_with_http_info(RUN, async_req=True)
            run, status, headers = thread.get()
            print(run.id == RUN, status, headers["Content-Type"])
            thread = client.call_api("/v1/nowhere", "GET", async_req=True)
            thread.wait()
            print(thread.ready(), thread.successful())
            try:
                thread.get()
            except libtes.ApiException as e:
                print(e.status)
        """,
        [*[GET_RUN] * 5, "GET /v1/nowhere"],
        [
            "Running",
            "['sample-1', 'sample-1', 'sample-1']",
            "True True",
            "True 200 application/json",
            "True False",
            "404",
        ],
    ),
    "a call in the background that takes long": Script(
        """
        import multiprocessing
        from multiprocessing.context import TimeoutError as FromContext
        with libtes.ApiClient(configuration) as client:
            thread = client.call_api("/slow", "GET", async_req=True)
            print(thread.ready())
            try:
                thread.successful()
            except ValueError:
                print("not ready")
            for error in (multiprocessing.TimeoutError, FromContext):
                try:
                    thread.get(0.01)
                except error:
                    print("not yet")
            try:
                thread.get(timeout=0)
            except multiprocessing.TimeoutError:
                print("not yet")
            print(client.call_api("/go", "GET")[1], thread.get()[1])
        """,
        ["GET /slow", "GET /go"],
        ["False", "not ready", *["not yet"] * 3, "200 200"],
    ),
    "raw JSON within a model": Script(
        """
        execution = {
            "Image": {"Name": "registry.example/bwa", "Tag": "1"},
            "Command": "bash",
            "Args": ["-c", "true"],
            "Inputs": [{"Path": "/in", "Url": "gds://volume/in"}],
            "Environment": {"Resources": {"Type": "standard", "Size": "small"}},
            "NotInTheContract": None,
        }
        with libtes.ApiClient(configuration) as client:
            body = libtes.CreateTaskRunRequest(name="x", execution=execution)
            print(body.execution is execution, body.to_dict()["execution"] == execution)
            run = libtes.TaskRunsApi(client).create_task_run(body=body)
            print(run.id == RUN)
            print(client.sanitize_for_serialization(body) == {"name": "x", "execution": execution})
            body = {"Name": "x", "Execution": execution}
            run = libtes.TaskRunsApi(client).create_task_run(body=body)
            print(run.id == RUN)
        """,
        ["POST /v1/tasks/runs"] * 2,
        ["True True", "True", "True", "True"],
    ),
    "models by position": Script(
        """
        image = libtes.Image("bwa", "1.0", None, libtes.Credentials("me", "secret"))
        print(image.name, image.tag, image.digest, image.credentials.username)
        launch = libtes.LaunchTaskRequest("run", "why", {"a": "b"}, ["tid:x"])
        print(launch.name, launch.description, launch.arguments, launch.acl)
        resources = libtes.Resources("standard", "small", 0.8, 3, ["gpu"], "economy")
        print(resources.type, resources.size, resources.cpu_cores, resources.memory_gb)
        print(resources.hardware, resources.tier)
        execution = libtes.Execution(image, "bwa", ["mem"])
        version = libtes.CreateTaskVersionRequest("1.0", "first", execution)
        print(version.version, version.execution.image.name, version.execution.args)
        settings = libtes.InputStreamSettings("random", 50, 32, 1)
        print(settings.access_pattern, settings.cache_size_gb, settings.block_size_mb)
        """,
        [],
        [
            "bwa 1.0 None me",
            "run why {'a': 'b'} ['tid:x']",
            "standard small 0.8 3",
            "['gpu'] economy",
            "1.0 bwa ['mem']",
            "random 50 32",
        ],
    ),
    "limits switched off": Script(
        """
        configuration.client_side_validation = False
        body = libtes.LaunchTaskRequest(name="x" * 300, local_vars_configuration=configuration)
        print(len(body.name), libtes.CreateTaskRequest(local_vars_configuration=configuration).name)
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskVersionsApi(client)
            print(api.launch_task_run(TASK, VERSION, body=body).id == RUN)
            print(libtes.TasksApi(client).list_tasks(page_size=5000).item_count)
        """,
        [LAUNCH, f"{LIST}?pageSize=5000"],
        ["300 None", "True", "1"],
    ),
    "models as data": Script(
        """
        import copy, json, pickle
        from pprint import pprint
        with libtes.ApiClient(configuration) as client:
            run = libtes.TaskRunsApi(client).get_task_run(RUN)
        data = run.to_dict()
        print(data["task_version_summary"]["id"] == VERSION, data["execution"]["inputs"][0]["mode"])
        print(type(data["time_created"]).__name__, data["logs"][0]["end_time"])
        print(json.loads(json.dumps(data, default=str))["time_created"])
        print(run.time_created.isoformat(), run.time_created.tzinfo is not None)
        print(run.time_created.strftime("%Y-%m-%d"), (run.time_modified - run.time_created).days)
        print(run == copy.deepcopy(run) == copy.copy(run) == pickle.loads(pickle.dumps(run)))
        print(run == libtes.TaskRun(), run != libtes.TaskRun(), run == data)
        print(sorted(run.openapi_types) == sorted(run.attribute_map) == sorted(data))
        print(run.openapi_types["logs"], run.openapi_types["time_created"])
        for name, kind in run.openapi_types.items():
            if kind == "TaskVersionSummary":
                print(run.attribute_map[name])
        run.status = "Mine"
        print(run.status, "'status': 'Mine'" in run.to_str(), "'status': 'Mine'" in str(run))
        print(libtes.Environment(variables={"a": "b"}).openapi_types["variables"])
        """,
        [GET_RUN],
        [
            "True stream",
            "datetime None",
            "2021-03-08 04:05:54.654483+00:00",
            "2021-03-08T04:05:54.654483+00:00 True",
            "2021-03-08 0",
            "True",
            "False True False",
            "True",
            "list[TaskRunLogs] datetime",
            "taskVersionSummary",
            "Mine True True",
            "dict(str, str)",
        ],
    ),
    "print and pprint": Script(
        """
        from pprint import pprint
        image = libtes.Image(name="bwa", tag="1")
        print(image)
        print("%s" % image == str(image) == image.to_str() == f"{image}")
        pprint(image)
        pprint([image])
        pprint(image.to_dict())
        """,
        [],
        [
            "{'credentials': None, 'digest': None, 'name': 'bwa', 'tag': '1'}",
            "True",
            "Image(name='bwa', ...)",
            "[Image(name='bwa', ...)]",
            "{'credentials': None, 'digest': None, 'name': 'bwa', 'tag': '1'}",
        ],
    ),
    "raw answers": Script(
        """
        import json
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskRunsApi(client)
            answer = api.get_task_run(RUN, _preload_content=False)
            print(answer.status, answer.headers["content-type"])
            print(json.loads(answer.data)["id"] == RUN)
            answer = api.get_task_run(RUN, _preload_content=False)
            print(json.loads(answer.read().decode("utf-8"))["name"])
            answer.release_conn()
        """,
        [GET_RUN] * 2,
        ["200 application/json", "True", "sample-1"],
    ),
    "status and headers": Script(
        """
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskRunsApi(client)
            run, status, headers = api.get_task_run_with_http_info(run_id=RUN)
            print(run.id == RUN, status, headers["Content-Type"], headers.get("X-None"))
            answer = api.get_task_run_with_http_info(RUN, _return_http_data_only=False)
            print(answer[0].id == RUN, answer[1])
            print(api.get_task_run_with_http_info(RUN, _return_http_data_only=True).id == RUN)
            print(sorted(dict(headers))[0])
        """,
        [GET_RUN] * 3,
        ["True 200 application/json None", "True 200", "True", "Content-Length"],
    ),
    "data alone, asked for by name": Script(
        """
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskRunsApi(client)
            for data_only in (True, False, None):
                print(api.get_task_run(RUN, _return_http_data_only=data_only).id == RUN)
        """,
        [GET_RUN] * 3,
        ["True"] * 3,
    ),
    "numbers where strings are due, and whole floats": Script(
        """
        execution = libtes.Execution(command="bwa", args=["mem", "--threads", 8], retry_limit=2.0)
        environment = libtes.Environment(variables={"THREADS": 8})
        settings = libtes.InputStreamSettings(cache_size_gb=5E+1)
        print(execution.args, execution.retry_limit, environment.variables, settings.cache_size_gb)
        with libtes.ApiClient(configuration) as client:
            body = libtes.LaunchTaskRequest(arguments={"threads": 8})
            run = libtes.TaskVersionsApi(client).launch_task_run(TASK, VERSION, body=body)
            print(run.id == RUN)
            print(client.sanitize_for_serialization(body))
            print(libtes.TasksApi(client).list_tasks(names=5, page_size=1e1).item_count)
        """,
        [LAUNCH, f"{LIST}?names=5&pageSize=10"],
        [
            "['mem', '--threads', '8'] 2 {'THREADS': '8'} 50",
            "True",
            "{'arguments': {'threads': '8'}}",
            "1",
        ],
    ),
    "vars, weak references, copies": Script(
        """
        import copy, weakref
        image = libtes.Image(name="bwa", tag="1")
        print(vars(image) == image.__dict__ == image.to_dict(), list(vars(image)))
        print(weakref.ref(image)() is image, vars(copy.copy(image)) == vars(image))
        client = libtes.ApiClient(configuration)
        print(libtes.TasksApi(copy.copy(client)).list_tasks().item_count)
        for made in (client, libtes.TasksApi(client)):
            try:
                copy.deepcopy(made)
            except TypeError as e:
                print(e)
        client.close()
        """,
        [LIST],
        [
            "True ['name', 'tag', 'digest', 'credentials']",
            "True True",
            "1",
            *[
                "An ApiClient holds connections, so it cannot be deep-copied or pickled: make "
                "another with ApiClient(copy.deepcopy(client.configuration))"
            ]
            * 2,
        ],
    ),
    "exceptions made of a response of one's own": Script(
        """
        class FakeResponse:
            status, reason, data = 404, "Not Found", '{"code": "C", "message": "M"}'
            def getheaders(self):
                return {"Content-Type": "application/json"}
        e = libtes.ApiException(http_resp=FakeResponse())
        print(e.status, e.reason, e.body, e.headers)
        FakeResponse.data = FakeResponse.data.encode()
        print(libtes.rest.ApiException(http_resp=FakeResponse()))
        """,
        [],
        [
            """404 Not Found {"code": "C", "message": "M"} {'Content-Type': 'application/json'}""",
            "404 Not Found: C: M",
        ],
    ),
    "pages by hand": Script(
        """
        with libtes.ApiClient(configuration) as client:
            api = libtes.TasksApi(client)
            options = {"page_size": 1, "sort": "name asc"}
            names = []
            while True:
                page = api.list_tasks(**options)
                names += [each.name for each in page.items]
                options["page_token"] = page.next_page_token
                if len(names) == 3 or not page.next_page_token:
                    break
            print(names)
        """,
        [f"{LIST}?pageSize=1&sort=name%20asc"]
        + [f"{LIST}?pageSize=1&sort=name%20asc&pageToken=next"] * 2,
        ["['align', 'align', 'align']"],
    ),
    "polling": Script(
        """
        import time
        with libtes.ApiClient(configuration) as client:
            api = libtes.TaskRunsApi(client)
            for _ in range(3):
                run = api.get_task_run(RUN, _request_timeout=30)
                if run.status in ("Completed", "Failed", "Aborted", "TimedOut"):
                    break
                time.sleep(0.01)
            for log in run.logs:
                print(log.stdout, log.stderr, log.end_time)
            print(api.abort_task_run(RUN, _request_timeout=(5, 30)).status)
        """,
        [*[GET_RUN] * 3, f"PUT /v1/tasks/runs/{RUN}:abort"],
        ["gds://volume/logs/out None None", "Running"],
    ),
    "headers and cookies": Script(
        """
        with libtes.ApiClient(
            configuration, header_name="X-Team", header_value="a", cookie="c=1"
        ) as client:
            client.set_default_header("X-Run", "b")
            client.default_headers["X-More"] = "c"
            client.user_agent = "pipeline/1"
            print(libtes.TasksApi(client).list_tasks().item_count, client.user_agent)
        """,
        [LIST],
        ["1 pipeline/1"],
    ),
    "calls without an API class": Script(
        """
        with libtes.ApiClient(configuration) as client:
            page, status, headers = client.call_api(
                "/v1/tasks",
                "GET",
                query_params=[("pageSize", 5)],
                header_params={"Accept": "application/json"},
                response_type="TaskSummaryPagedItems",
                auth_settings=["Bearer"],
            )
            print(page.item_count, status)
            run = client.call_api(
                "/v1/tasks/runs/{runId}",
                "GET",
                {"runId": RUN},
                [],
                {},
                body=None,
                post_params=[],
                files={},
                response_type="TaskRun",
                auth_settings=["Bearer"],
                async_req=None,
                _return_http_data_only=True,
                _preload_content=True,
                _request_timeout=None,
                collection_formats={},
            )
            print(run.id == RUN)
            page = client.call_api("/v1/tasks", "GET", response_type="object", _host=HOST)[0]
            print(page["itemCount"])
        """,
        [f"{LIST}?pageSize=5", GET_RUN, LIST],
        ["1 200", "True", "1"],
    ),
    "models from JSON that was kept": Script(
        """
        import json
        class Kept:
            def __init__(self, data):
                self.data = json.dumps(data)
        with libtes.ApiClient(configuration) as client:
            kept = {"id": "x", "timeCreated": "2021-03-08T04:05:54.6454838Z"}
            kept["logs"] = [{"stdout": "y"}]
            run = client.deserialize(Kept(kept), "TaskRun")
            print(run.id, run.time_created.year, run.logs[0].stdout)
            print(client.deserialize(Kept([kept]), "list[TaskRun]")[0] == run)
            print(client.deserialize(Kept({"a": "b"}), "dict(str, str)"))
            print(client.deserialize(Kept(kept), libtes.TaskRun) == run)
            print(client.sanitize_for_serialization(run)["logs"])
        """,
        [],
        ["x 2021 y", "True", "{'a': 'b'}", "True", "[{'stdout': 'y'}]"],
    ),
    "all settings": Script(
        """
        import copy, urllib3
        configuration = libtes.Configuration(
            HOST, {"Authorization": TOKEN}, {"Authorization": "Bearer"}, "me", "pw", True
        )
        configuration.ssl_ca_cert = None
        configuration.cert_file = None
        configuration.key_file = None
        configuration.verify_ssl = True
        configuration.assert_hostname = None
        configuration.proxy = None
        configuration.proxy_headers = None
        configuration.connection_pool_maxsize = 8
        configuration.retries = urllib3.Retry(total=2, backoff_factor=0.1)
        configuration.safe_chars_for_path_param = ""
        configuration.temp_folder_path = "/tmp"
        configuration.debug = False
        configuration.logger_format = "%(message)s"
        configuration.refresh_api_key_hook = lambda config: None
        print(configuration.username, configuration.password, configuration.discard_unknown_keys)
        print(configuration.get_api_key_with_prefix("Authorization") == "Bearer " + TOKEN)
        print(configuration.auth_settings()["Bearer"]["key"])
        print(configuration.to_debug_report().splitlines()[0])
        twin = copy.deepcopy(configuration)
        with libtes.ApiClient(twin) as client:
            print(libtes.TasksApi(client).list_tasks().item_count)
        """,
        [LIST],
        ["me pw True", "True", "Authorization", "Python SDK Debug Report:", "1"],
    ),
    "a token that is fetched when it is needed": Script(
        """
        def refresh(config):
            config.api_key["Authorization"] = TOKEN
        configuration = libtes.Configuration(host=HOST, api_key_prefix={"Authorization": "Bearer"})
        configuration.refresh_api_key_hook = refresh
        with libtes.ApiClient(configuration) as client:
            print(libtes.TasksApi(client).list_tasks().item_count)
        """,
        [LIST],
        ["1"],
    ),
    "a client of one's own": Script(
        """
        class Client(libtes.ApiClient):
            def call_api(self, resource_path, method, *args, **kwargs):
                print(method, resource_path.count("{"))
                return super().call_api(resource_path, method, *args, **kwargs)

        class Launch(libtes.LaunchTaskRequest):
            pass

        class Api(libtes.TaskVersionsApi):
            def launch(self, sample):
                body = Launch(arguments={"sample": sample})
                return self.launch_task_run(TASK, VERSION, body=body)

        with Client(configuration) as client:
            print(Api(client).launch("1").id == RUN)
        """,
        [LAUNCH],
        ["POST 2", "True"],
    ),
    "threads": Script(
        """
        from concurrent.futures import ThreadPoolExecutor
        with libtes.ApiClient(configuration) as client, ThreadPoolExecutor(4) as threads:
            api = libtes.TaskRunsApi(client)
            print({run.id for run in threads.map(api.get_task_run, [RUN] * 8)} == {RUN})
        """,
        [GET_RUN] * 8,
        ["True"],
    ),
}


def as_asked(asked: Asked) -> str:
    return f"{asked.method} {asked.target}"


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_runs_unchanged(server: Server, script: Script) -> None:
    go = threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.path == "/go":
            go.set()
        elif asked.path == "/slow":
            go.wait(30)
        else:
            return service(asked)
        return Answer()

    server.answer(answer)
    assert run(script, server) == script.prints
    assert sorted(as_asked(asked) for asked in server.asked) == sorted(script.asks)
    for asked in server.asked:
        assert asked.headers.get("Authorization") in (None, TOKEN, f"Bearer {TOKEN}")


def test_what_scripts_set_is_sent(server: Server) -> None:
    server.answer(service)
    run(SCRIPTS["headers and cookies"], server)
    sent = server.last.headers
    assert [sent[name] for name in ("X-Team", "X-Run", "X-More")] == ["a", "b", "c"]
    assert (sent["Cookie"], sent["User-Agent"]) == ("c=1", "pipeline/1")


def test_raw_json_within_a_model_is_sent_untouched(server: Server) -> None:
    server.answer(service)
    run(SCRIPTS["raw JSON within a model"], server)
    in_model, in_dict = [asked.json for asked in server.asked]
    assert in_model["execution"] == in_dict["Execution"]
    assert in_model["execution"]["NotInTheContract"] is None
    assert in_dict["Name"] == in_model["name"] == "x"


EXAMPLES: dict[Any, Any] = {
    str: "0",
    int: 56,
    float: 1.337,
    bool: True,
    datetime: datetime(2013, 10, 20, 19, 20, 30),
    object: None,
}


def example(declared: Any, least: float = -math.inf) -> Any:
    """Return the value that the tests of libica 2.5.0 have for a type: a limit, if there is one."""
    if isinstance(declared, type) and issubclass(declared, Model):
        return declared(**{k: example(f.type, f.between[0]) for k, f in declared._fields.items()})
    if get_origin(declared) is list:
        element = get_args(declared)[0]
        return [example(element)] if element is not object else [None]
    if get_origin(declared) is dict:
        return {"key": "0"}
    return EXAMPLES[declared] if least == -math.inf else float(least)  # such as 5E+1


@each_model
def test_a_model_is_made_as_in_the_tests_of_libica_2_5_0(cls: Any) -> None:
    whole = example(cls)
    required = cls(**{k: example(f.type) for k, f in cls._fields.items() if f.required})
    for model in (whole, required):
        assert decode(cls, encode(model)) == model
    assert None not in whole.to_dict().values()


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_method_is_there_as_in_the_tests_of_libica_2_5_0(operation: Operation) -> None:
    api = getattr(libtes, operation.api)()
    assert callable(getattr(api, operation.name))


EVERY_METHOD = """
CALLS = %r
with libtes.ApiClient(configuration) as client:
    for api, method, ids, body in CALLS:
        body = {"body": getattr(libtes, body)(**({"name": "x"} if body == "CreateTaskRequest" else
                {"version": "1"} if body == "CreateTaskVersionRequest" else {}))} if body else {}
        print(type(getattr(getattr(libtes, api)(client), method)(*ids, **body)).__name__)
"""


def test_every_method_is_there_under_its_name(server: Server) -> None:
    server.answer(service)
    calls = [(each.api, each.name, list(each.ids.values()), each.body) for each in OPERATIONS]
    printed = run(Script(EVERY_METHOD % calls), server)
    assert printed == [each.returns for each in OPERATIONS]
    assert [as_asked(asked) for asked in server.asked] == [
        f"{each.method} {each.target}" for each in OPERATIONS
    ]
