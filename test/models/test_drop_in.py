"""What scripts for libica 2.5 do with models, in the forms that people wrote."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pprint import pformat
from typing import Any

from libica.openapi import libtes
from libica.openapi.libtes.models.encoding import encode

from ..contract import facts
from ..helpers import decode, each_model, snake_case
from ..operations import ANSWERS, VERSION


def test_models_can_be_used_as_data() -> None:
    run = decode(libtes.TaskRun, ANSWERS["TaskRun"])
    data = run.to_dict()
    assert data["task_version_summary"]["id"] == VERSION
    assert data["execution"]["inputs"][0]["mode"] == "stream"
    kept = json.loads(json.dumps(data, default=str))
    assert kept["time_created"] == "2021-03-08 04:05:54.654483+00:00"
    assert run.time_created.strftime("%Y-%m-%d") == "2021-03-08"
    assert (run.time_modified - run.time_created).days == 0
    assert run not in (libtes.TaskRun(), data)
    [name] = [name for name, kind in run.openapi_types.items() if kind == "TaskVersionSummary"]
    assert run.attribute_map[name] == "taskVersionSummary"
    run.status = "Mine"
    assert "'status': 'Mine'" in run.to_str()


def test_print_and_pprint_show_the_data() -> None:
    image = libtes.Image(name="bwa", tag="1")
    text = "{'credentials': None, 'digest': None, 'name': 'bwa', 'tag': '1'}"
    assert "%s" % image == str(image) == image.to_str() == f"{image}" == text  # noqa: UP031
    assert pformat(image.to_dict()) == text
    assert pformat([image]) == "[Image(name='bwa', ...)]"


EXAMPLES = {
    **{"str": "0", "int": 56, "float": 1.337, "bool": True, "dict(str, str)": {"key": "0"}},
    **{"datetime": datetime(2013, 10, 20, 19, 20, 30), "object": None},
}


def example(field: facts.Field, declared: str) -> Any:
    """Return the value that the tests of libica 2.5.0 have for a type: a limit, if there is one."""
    if declared.startswith("list["):
        return [example(field, declared[5:-1])]
    if declared in facts.SCHEMAS:
        fields = facts.SCHEMAS[declared].values()
        values = {snake_case(each.name): example(each, each.type) for each in fields}
        return getattr(libtes, declared)(**values)
    least = field.between[0]
    return EXAMPLES[declared] if least == -math.inf else float(least)  # such as 5E+1


@each_model
def test_models_are_built_as_in_the_tests_of_libica_2_5_0(cls: Any) -> None:
    fields = facts.SCHEMAS[cls.__name__].values()
    values = {snake_case(each.name): example(each, each.type) for each in fields}
    required = [snake_case(each.name) for each in fields if each.required]
    whole, least = cls(**values), cls(**{name: values[name] for name in required})
    for model in (whole, least):
        assert decode(cls, encode(model)) == model
    assert None not in whole.to_dict().values()
