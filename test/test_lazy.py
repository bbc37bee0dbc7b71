"""Names are loaded on first use: importing the client loads nearly nothing, and all is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libica.openapi import libtes

from .helpers import MODELS, PACKAGE, run_python, snake_case

PACKAGES = [PACKAGE, f"{PACKAGE}.models", f"{PACKAGE}.api"]
IMPORTS = [
    "from libica.openapi import libtes",
    "import libica.openapi.libtes",
    "import libica.openapi.libtes as libtes",
    "import libica.openapi.libtes.models",
    "import libica.openapi.libtes.api",
]
HEAVY = [
    *("urllib3", "dateutil", "six", "certifi", "multiprocessing", "concurrent.futures", "asyncio"),
    *("ssl", "socket", "http.client", "email", "json", "logging", "threading", "inspect", "typing"),
    *("datetime", "pprint", "difflib", "urllib.request"),
]
DOTTED = [
    "models.execution.Execution",
    "models.task_version.TaskVersion",
    "models.page.Page",
    "models.Execution",
    "api.task_versions_api.TaskVersionsApi",
    "api.TaskVersionsApi",
    "api_client.ApiClient",
    "configuration.Configuration",
    "exceptions.ApiException",
    "rest.ApiException",
    "placeholders.find",
    "async_result.AsyncResult",
    "Execution",
    "TaskVersionsApi",
    "ApiException",
    "__version__",
]
UNKNOWN = ["Nothing", "nothing", "taskversion", "_private", "__wrapped__", "__path_hooks__", "a.b"]


def loaded(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after some code."""
    return set(json.loads(run_python(f"import sys\n{code}\nnames = list(sys.modules)\n{PRINT}")))


PRINT = "import json\nprint(json.dumps(names))"


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """Return the modules that a fresh interpreter has anyway."""
    return loaded("")


@pytest.mark.parametrize("code", IMPORTS)
def test_importing_the_client_loads_nothing_heavy(code: str, bare: set[str]) -> None:
    assert not set(HEAVY) & (loaded(code) - bare)


@pytest.mark.parametrize("code", IMPORTS[:3])
def test_importing_the_client_loads_only_its_own_packages(code: str, bare: set[str]) -> None:
    own = {each for each in loaded(code) - bare if each.startswith("libica")}
    assert own == {"libica", "libica.openapi", *PACKAGES, f"{PACKAGE}._lazy"}


def test_a_model_is_loaded_without_the_wire(bare: set[str]) -> None:
    found = loaded("from libica.openapi.libtes import Execution; Execution(command='sh')") - bare
    assert not {"urllib3", "dateutil", "ssl", "socket", "multiprocessing", "inspect"} & found
    assert f"{PACKAGE}.models.execution" in found


def test_a_model_is_loaded_without_the_models_that_it_does_not_use(bare: set[str]) -> None:
    found = loaded("from libica.openapi.libtes.models import Image") - bare
    own = {each for each in found if each.startswith(f"{PACKAGE}.models.")}
    assert own == {f"{PACKAGE}.models.{each}" for each in ("base", "credentials", "image")}


def test_a_configuration_is_made_without_the_wire(bare: set[str]) -> None:
    found = loaded("from libica.openapi.libtes import Configuration; Configuration()") - bare
    assert not {"urllib3", "dateutil", "ssl", "socket", "multiprocessing"} & found


def test_a_client_is_made_without_multiprocessing_and_dateutil(bare: set[str]) -> None:
    found = loaded("from libica.openapi.libtes import ApiClient; ApiClient().close()") - bare
    assert "urllib3" in found
    assert not {"multiprocessing", "dateutil", "certifi"} & found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_loads(package: str) -> None:
    code = f"""
import importlib
package = importlib.import_module({package!r})
print(len([getattr(package, name) for name in package.__all__]))
"""
    assert int(run_python(code)) >= 3


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_can_be_imported_alone(package: str) -> None:
    code = f"""
import importlib, sys
names = importlib.import_module({package!r}).__all__
for name in names:
    for module in [each for each in sys.modules if each.startswith("libica")]:
        del sys.modules[module]
    exec(f"from {package} import {{name}}; assert {{name}}.__name__ == {{name!r}}")
print(len(names))
"""
    assert int(run_python(code)) >= 3


def test_the_public_names_are_the_client_its_apis_exceptions_and_models() -> None:
    apis = {"TasksApi", "TaskVersionsApi", "TaskRunsApi"}
    models = {cls.__name__ for cls in MODELS}
    others = {"ApiClient", "ApiKeyExchange", "AsyncResult", "Configuration", "redact"}
    rest = set(libtes.__all__) - apis - models - others
    assert {*apis, *models, *others} <= set(libtes.__all__)
    assert all(issubclass(getattr(libtes, name), libtes.OpenApiException) for name in rest)
    assert len(rest) == 22


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_comes_twice(package: str) -> None:
    code = f"import {package} as package; names = package.__all__\n{PRINT}"
    names = json.loads(run_python(code))
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_lists_every_public_name_before_any_is_loaded(package: str) -> None:
    code = f"import {package} as package\nnames = [dir(package), package.__all__]\n{PRINT}"
    listed, public = json.loads(run_python(code))
    assert set(public) <= set(listed)
    assert listed == sorted(listed)


def test_dir_loads_nothing() -> None:
    code = "import libica.openapi.libtes as libtes; dir(libtes)"
    assert "urllib3" not in loaded(code)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_star_import_has_every_public_name(package: str) -> None:
    code = f"""
from {package} import *
import {package} as package
names = [name for name in package.__all__ if globals()[name] is not getattr(package, name)]
{PRINT}
"""
    assert json.loads(run_python(code)) == []


@pytest.mark.parametrize("dotted", DOTTED)
def test_dotted_use_works_after_importing_the_package_alone(dotted: str) -> None:
    code = f"import libica.openapi.libtes\nprint(bool(libica.openapi.libtes.{dotted}))"
    assert run_python(code) == "True\n"


@pytest.mark.parametrize("module", [snake_case(cls.__name__) for cls in MODELS])
def test_each_module_of_a_model_is_found_as_an_attribute(module: str) -> None:
    assert getattr(libtes.models, module).__name__ == f"{PACKAGE}.models.{module}"


def test_a_name_is_loaded_once() -> None:
    code = """
import libica.openapi.libtes as libtes
loads = libtes.__getattr__
first = libtes.Execution
assert vars(libtes)["Execution"] is first
libtes.__getattr__ = None
print(libtes.Execution is first)
"""
    assert run_python(code) == "True\n"


def test_a_name_is_the_same_thing_from_everywhere() -> None:
    code = """
from libica.openapi import libtes
from libica.openapi.libtes import ApiException, TaskVersion, TaskVersionsApi
from libica.openapi.libtes.api.task_versions_api import TaskVersionsApi as api
from libica.openapi.libtes.exceptions import ApiException as exception
from libica.openapi.libtes.models.task_version import TaskVersion as model
from libica.openapi.libtes.rest import ApiException as of_the_wire
assert libtes.TaskVersion is TaskVersion is model is libtes.models.TaskVersion
assert libtes.TaskVersionsApi is TaskVersionsApi is api is libtes.api.TaskVersionsApi
assert libtes.ApiException is ApiException is exception is of_the_wire
print("same")
"""
    assert run_python(code) == "same\n"


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("package", [libtes, libtes.models, libtes.api])
def test_an_unknown_name_is_an_attribute_error(package: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute '{name}'"):
        getattr(package, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_an_unknown_name_is_an_import_error(package: str) -> None:
    code = f"""
try:
    from {package} import Nothing
except ImportError as error:
    print(error.name)
"""
    assert run_python(code) == f"{package}\n"


@pytest.mark.parametrize("name", ["ApiClient", "TasksApi", "rest", "api_client"])
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
