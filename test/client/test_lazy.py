"""Names are loaded on first use: importing the client loads nearly nothing, and all is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libica.openapi import libtes

from ..helpers import MODELS, PACKAGE, run_python, snake_case

PACKAGES = [PACKAGE, f"{PACKAGE}.models", f"{PACKAGE}.api"]
HEAVY = """
urllib3 dateutil six certifi multiprocessing concurrent.futures asyncio ssl socket http.client email
json logging threading inspect typing datetime pprint difflib urllib.request
"""
DOTTED = """
models.execution.Execution models.page.Page models.Execution api.TaskVersionsApi TaskVersionsApi
api.task_versions_api.TaskVersionsApi api_client.ApiClient rest.ApiException placeholders.find
configuration.Configuration exceptions.ApiException async_result.AsyncResult __version__
""".split()
UNLOAD = """
import sys
for module in [each for each in sys.modules if each.startswith("libica")]:
    del sys.modules[module]
"""


def printed(code: str) -> Any:
    """Return what code gives to ``names`` in a fresh interpreter."""
    return json.loads(run_python(f"{code}\nimport json\nprint(json.dumps(names))"))


@pytest.mark.parametrize(
    ("code", "needed", "not_needed"),
    [
        ("; dir(libtes)", "models api _lazy", HEAVY),
        (".Execution(command='sh')", "models.execution", "urllib3 inspect"),
        (".Image", "models.credentials", f"urllib3 {PACKAGE}.models.execution"),
        (".Configuration()", "configuration", "urllib3 ssl socket"),
        (".ApiClient().close()", "api_client", f"certifi {PACKAGE}.models.image"),
    ],
)
def test_what_is_used_loads_only_what_it_needs(code: str, needed: str, not_needed: str) -> None:
    start = "import sys\nbefore = set(sys.modules)\nfrom libica.openapi import libtes"
    loaded = set(printed(f"{start}\nlibtes{code}\nnames = list(set(sys.modules) - before)"))
    own = {f"{PACKAGE}.{each}" for each in needed.split()}
    assert own <= loaded
    assert not {"dateutil", "multiprocessing", *not_needed.split()} & loaded
    if not_needed is HEAVY:
        assert own | {"libica", "libica.openapi", PACKAGE} == {x for x in loaded if "libica" in x}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_listed_and_can_be_imported_alone_or_with_a_star(package: str) -> None:
    unload = UNLOAD.replace("\n", "\n    ")
    code = f"""
import importlib
public = importlib.import_module({package!r}).__all__
for name in public:
    {unload}
    exec(f"from {package} import {{name}}; assert {{name}}.__name__ == {{name!r}}")
import {package} as package
listed = dir(package)
from {package} import *
names = [listed, public, [each for each in public if globals()[each] is not getattr(package, each)]]
"""
    listed, public, lost = printed(code)
    assert len(set(public)) == len(public) >= 3
    assert set(public) <= set(listed)
    assert (listed, lost) == (sorted(listed), [])


def test_the_public_names_are_the_client_its_apis_exceptions_and_models() -> None:
    others = "TasksApi TaskVersionsApi TaskRunsApi ApiClient ApiKeyExchange AsyncResult"
    known = {*others.split(), "Configuration", "redact", *(cls.__name__ for cls in MODELS)}
    assert known <= set(libtes.__all__)
    rest = set(libtes.__all__) - known
    assert all(issubclass(getattr(libtes, name), libtes.OpenApiException) for name in rest)
    assert len(rest) == 22


def test_dotted_use_works_after_importing_the_package_alone() -> None:
    code = "names = []\n"
    for dotted in DOTTED:
        code += f"{UNLOAD}import {PACKAGE}\nnames.append(bool({PACKAGE}.{dotted}))\n"
    assert printed(code) == [True] * len(DOTTED)
    for name in (snake_case(cls.__name__) for cls in MODELS):
        assert getattr(libtes.models, name).__name__ == f"{PACKAGE}.models.{name}"


def test_a_name_is_loaded_once_and_is_the_same_thing_from_everywhere() -> None:
    code = f"""
from libica.openapi import libtes
first = libtes.TaskVersion
libtes.__getattr__ = None
assert vars(libtes)["TaskVersion"] is libtes.TaskVersion is first
{UNLOAD}
from libica.openapi import libtes
from libica.openapi.libtes import ApiException, TaskVersion, TaskVersionsApi
from libica.openapi.libtes.api.task_versions_api import TaskVersionsApi as api
from libica.openapi.libtes.exceptions import ApiException as exception
from libica.openapi.libtes.models.task_version import TaskVersion as model
from libica.openapi.libtes.rest import ApiException as of_rest
assert libtes.TaskVersion is TaskVersion is model is libtes.models.TaskVersion
assert libtes.TaskVersionsApi is TaskVersionsApi is api is libtes.api.TaskVersionsApi
assert libtes.ApiException is ApiException is exception is of_rest
"""
    run_python(code)


@pytest.mark.parametrize("package", [libtes, libtes.models, libtes.api])
def test_an_unknown_name_is_an_attribute_error_or_an_import_error(package: Any) -> None:
    for name in ("Nothing", "taskversion", "_private", "__wrapped__", "__path_hooks__", "a.b"):
        with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute '{name}'"):
            getattr(package, name)
    with pytest.raises(ImportError) as caught:
        exec(f"from {package.__name__} import Nothing")
    assert caught.value.name == package.__name__


@pytest.mark.parametrize("name", ["TasksApi", "rest"])
def test_a_missing_dependency_is_named_and_not_taken_for_an_unknown_name(name: str) -> None:
    code = f"""
import sys
sys.modules["urllib3"] = None
from libica.openapi import libtes
try:
    libtes.{name}
except ModuleNotFoundError as error:
    print(error.name.partition(".")[0])
"""
    assert run_python(code) == "urllib3\n"
