"""Makes the pages of docs/ from the code: writes them, or with ``--check`` compares them."""

# ruff: noqa: E402 this checkout must come first on the path

from __future__ import annotations

import argparse
import inspect
import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Union, get_args, get_origin

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from docs import snippets
from libica.openapi import libtes
from libica.openapi.libtes import api, exceptions, models, rest
from libica.openapi.libtes._redaction import MASK, redact
from libica.openapi.libtes.api.endpoint import PAGE_SIZES, Endpoint, Filter
from libica.openapi.libtes.api_client import DEFAULT, JSON, RequestTimeout
from libica.openapi.libtes.models.base import Field, Model

MARK = "<!-- Made by docs/generate.py from the code: change that, and run it again. -->"
INDEX = "README.md"
UNUSED = {
    "ErrorResponse": [
        "- Every error of the service has it as its body. The client makes it an exception, with "
        "`code`, `message` and `details`: see [failures](README.md#failures)."
    ]
}
SUCCESS = {200: "Done.", 201: "Created."}


class Method(NamedTuple):
    """A method of an API class: a plain one, a walk or a twin."""

    owner: str
    name: str
    endpoint: Endpoint
    doc: dict[str, str]
    signature: inspect.Signature

    @property
    def walk(self) -> bool:
        """Whether it is a walk."""
        return self.name.startswith("iter_")

    @property
    def twin(self) -> bool:
        """Whether it returns status and headers too."""
        return self.name.endswith("_with_http_info")

    @property
    def given(self) -> str:
        """What it gives."""
        item = snippets.item_of(self.endpoint.returns)
        if self.walk and item:
            return f"iterator of {link(item.__name__)}"
        return link(self.endpoint.returns.__name__)


def sections(thing: Any) -> dict[str, str]:
    """Split a docstring: the first line is the ``summary``, the rest of the prose the ``text``."""
    prose, *others = re.split(r"\n\n(?=[A-Z]\w+:\n)", inspect.getdoc(thing) or "")
    summary, _, text = prose.partition("\n\n")
    split = (each.split(":\n", 1) for each in others)
    return {"summary": " ".join(summary.split()), "text": text, **dict(split)}


def entries(section: str) -> dict[str, str]:
    """Read the names in a section of a docstring, and what they mean."""
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def methods_of(owner: str) -> list[Method]:
    """Return the methods of an API class, in the order in which it declares them."""
    return [
        Method(owner, name, method.endpoint, sections(method), inspect.signature(method))
        for name, method in vars(getattr(libtes, owner)).items()
        if hasattr(method, "endpoint")
    ]


APIS = {owner: methods_of(owner) for owner in vars(api)["__all__"]}
METHODS = [method for methods in APIS.values() for method in methods if not method.twin]
MODELS: dict[str, type[Model]] = {name: getattr(libtes, name) for name in vars(models)["__all__"]}
FAILURES: dict[str, type[Exception]] = {
    name: each
    for name, each in vars(exceptions).items()
    if inspect.isclass(each) and issubclass(each, exceptions.OpenApiException)
}
TARGETS = {
    **{method.name: f"{method.owner}.md#{method.name}" for method in METHODS},
    **{name: f"{name}.md" for name in (*APIS, *MODELS)},
    **dict.fromkeys(FAILURES, f"{INDEX}#failures"),
    "Configuration": f"{INDEX}#configuration",
}


def link(name: str) -> str:
    """Return the name as a link to where it is explained."""
    return f"[`{name}`]({TARGETS[name]})"


def linked(text: str, here: str = "") -> str:
    """Turn the names in prose into links, but for the one that is explained here."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        return link(name) if name in TARGETS and name != here else f"`{name}`"

    return re.sub(r"`([^`]+)`", replace, text.replace("``", "`"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing if it has no rows."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [" | ".join(head), " | ".join("---" for _ in head), *lines] if lines else []
    return "\n".join(f"| {line} |" for line in lines)


def joined(*parts: str) -> str:
    """Join those paragraphs, tables and headings that are not empty."""
    return "\n\n".join(part for part in parts if part)


def page(*parts: str) -> str:
    """Return a page made of its parts."""
    return joined(MARK, *parts) + "\n"


def script(source: str) -> str:
    """Return the source as an example."""
    return f"```python\n{source}\n```"


def type_text(declared: Any) -> str:
    """Name a type for readers, models as links."""
    if declared == Filter:
        return "`str` or list of `str`"
    if declared == RequestTimeout:
        return "`float`, pair of `float`, or `None`"
    origin, inner = get_origin(declared), get_args(declared)
    if origin is Union:
        return " or ".join(type_text(each) for each in inner if each is not type(None))
    if origin is list:
        return f"list of {type_text(inner[0])}"
    if origin is dict:
        return f"dict of {type_text(inner[0])} to {type_text(inner[1])}"
    name: str = declared.__name__
    return link(name) if name in MODELS else f"`{name}`"


def api_page(owner: str) -> str:
    """Return the page of an API class."""
    methods = [each for each in APIS[owner] if not each.twin]
    rows = [
        (f"[{each.name}](#{each.name})", request_text(each), linked(each.doc["summary"], each.name))
        for each in methods
    ]
    return page(
        f"# {owner}",
        sections(getattr(libtes, owner))["summary"],
        f"Make one with `libtes.{owner}(api_client)`; without a client it makes one of its own, "
        f"with the default [configuration]({INDEX}#configuration).",
        table(("Method", "Request", "What it does"), rows),
        *(walk_section(each) if each.walk else method_section(each) for each in methods),
        options_section(owner),
    )


def request_text(method: Method) -> str:
    """Name verb and path."""
    pages = ", page after page" if method.walk else ""
    return f"**{method.endpoint.method}** `{method.endpoint.path}`{pages}"


def start_of_section(method: Method) -> str:
    """Return how the section of a method begins: how it is called, what it does, an example."""
    named = method.endpoint.signature.parameters.values()
    keywords = [f"{each.name}={each.default}" for each in named if each.default is not each.empty]
    arguments = [*method.endpoint.ids, *(["*", *keywords] if keywords else []), "**options"]
    return joined(
        f"## {method.name}",
        f"> `{method.name}({', '.join(arguments)})` → {method.given}",
        linked(method.doc["summary"], method.name),
        linked(method.doc["text"], method.name),
        "### Example",
        script(snippets.of_method(method.endpoint, method.walk)),
    )


def end_of_section(owner: str) -> str:
    """Return the links that end a section."""
    return f"[Back to top](#{owner.lower()}) · [All pages]({INDEX})"


def method_section(method: Method) -> str:
    """Return what there is to know of a method."""
    endpoint = method.endpoint
    content_type = f"- **Content-Type**: `{JSON}`\n" if endpoint.body else ""
    return joined(
        start_of_section(method),
        "### Parameters",
        parameter_table(method) or "None.",
        "[Options](#options) can be added.",
        "### Return type",
        f"{method.given}; in a tuple with status and headers from `{method.name}_with_http_info`.",
        "### Authorization",
        f"The token of the configuration: see [authorization]({INDEX}#authorization).",
        "### Request headers",
        f"{content_type}- **Accept**: `{JSON}`",
        "### Status codes",
        status_table(method),
        f"Whatever else can go wrong is listed under [failures]({INDEX}#failures).",
        end_of_section(method.owner),
    )


def parameter_table(method: Method) -> str:
    """Return the table of a method's parameters."""
    meanings = entries(method.doc["Args"]) if "Args" in method.doc else {}
    rows = []
    for name, parameter in method.endpoint.signature.parameters.items():
        given = parameter.annotation
        body = method.endpoint.body
        kind = f"{link(body.__name__)} or `dict`" if body and name == "body" else type_text(given)
        required = parameter.default is parameter.empty
        note = "**required**" if required else f"`{parameter.default}`"
        rows.append((f"`{name}`", kind, linked(meanings[name], method.name), note))
    return table(("Name", "Type", "Meaning", "Default"), rows)


def status_table(method: Method) -> str:
    """Return the table of the statuses that the contract has for a method."""
    endpoint = method.endpoint
    rows = [(f"**{endpoint.success}**", SUCCESS[endpoint.success], f"Returns {method.given}.")]
    for status in endpoint.errors:
        raised = exceptions.STATUS_EXCEPTIONS[status]
        meaning = sections(raised)["summary"].partition(": ")[2]
        again = rest.retry_delay(rest.RetryPolicy(), 0, endpoint.method, status) is not None
        does = "Tries again, then raises" if again else "Raises"
        rows.append((f"**{status}**", meaning.capitalize(), f"{does} {link(raised.__name__)}."))
    return table(("Status", "Meaning", "What the client does"), rows)


def walk_section(method: Method) -> str:
    """Return what there is to know of a walk."""
    listing = link(method.endpoint.name)
    options = ", ".join(f"`{name}`" for name in entries(method.doc["Options"]))
    return joined(
        start_of_section(method),
        "### Parameters",
        f"Those of {listing}, but `page_size` is {PAGE_SIZES[-1]} if not given. "
        f"Of the [options](#options) it takes {options}.",
        "### Return type",
        method.given[0].upper() + method.given[1:] + ". The first page is asked for when the "
        "first object is.",
        "### Authorization, headers and status codes",
        f"Those of {listing}, for each page.",
        end_of_section(method.owner),
    )


def options_section(owner: str) -> str:
    """Return what all methods of an API class take."""
    methods = [each for each in APIS[owner] if not each.walk]
    plain, twin = (next(each for each in methods if each.twin is twin) for twin in (False, True))
    pages = next(each.endpoint for each in APIS[owner] if each.walk)
    return joined(
        "## Options",
        "Every method takes these by name:",
        options_table(plain, entries(plain.doc["Options"])),
        f"Every method but the walks has a twin, such as `{twin.name}`, that takes the same and "
        "returns a tuple of data, status and headers.",
        "### Example",
        script(snippets.of_options(pages)),
        end_of_section(owner),
    )


def options_table(method: Method, options: dict[str, str]) -> str:
    """Return the table of some options of a method."""
    rows = []
    for name, meaning in options.items():
        option = method.signature.parameters[name]
        kind = type_text(option.annotation)
        default = "the configuration's" if option.default is DEFAULT else f"`{option.default}`"
        rows.append((f"`{name}`", kind, linked(meaning), default))
    return table(("Name", "Type", "Meaning", "Default"), rows)


def model_page(name: str) -> str:
    """Return the page of a model."""
    model = MODELS[name]
    doc = sections(model)
    rows = [
        (f"`{key}`", f"`{field.json}`", type_text(field.type), linked(field.doc), limits(field))
        for key, field in model._fields.items()
    ]
    return page(
        f"# {name}",
        linked(doc["summary"], name),
        linked(doc["text"], name),
        table(("Field", "In JSON", "Type", "Meaning", "Limits"), rows),
        "## Example",
        script(snippets.of_model(model)),
        f"`to_dict()`, printing and more are [as with all models]({INDEX}#models-in-general).",
        secrets_text(model),
        "## Where it is used",
        "\n".join(uses(model)),
        f"[Back to top](#{name.lower()}) · [All pages]({INDEX})",
    )


def limits(field: Field[Any, Any]) -> str:
    """Say what a field must be."""
    found = ["required"] if field.required else []
    fewest, most = field.length
    if most < math.inf:
        found.append(f"at most {most} characters")
    elif fewest > 0:
        found.append("not empty")
    if field.between[1] < math.inf:
        found.append("{} to {}".format(*field.between))
    return ", ".join(found)


def secrets_text(model: type[Model]) -> str:
    """Say what a model does not show when it is printed."""
    hidden = [text for text in map(hidden_text, model._fields.values()) if text]
    masked = f"Printed, it masks {' and '.join(hidden)}; the attributes and `to_dict()` have all."
    return masked if hidden else ""


def hidden_text(field: Field[Any, Any]) -> str:
    """Say what of a field is masked, by masking a sample of it."""
    samples: dict[Any, Any] = {str: "a?b", dict[str, str]: {"a": "b", "SECURE_A": "b"}}
    sample = samples.get(field.type, {"a": "b"})
    masked = redact(sample, field.name)
    if masked == sample:
        return ""
    if masked in (MASK, dict.fromkeys(sample, MASK)):
        return f"`{field.name}`"
    part = "what follows a `?`" if isinstance(sample, str) else "`SECURE_*`"
    return f"{part} in `{field.name}`"


def uses(model: type[Model]) -> list[str]:
    """Say which methods take or give a model, and which models hold it."""
    name = model.__name__
    found = [f"- Body of {link(each.name)}." for each in METHODS if each.endpoint.body is model]
    given = (each.name for each in METHODS if f"[`{name}`]" in each.given)
    found += [f"- Given by {link(each)}." for each in given]
    for other, cls in MODELS.items():
        fields = cls._fields.items()
        held = names(key for key, each in fields if snippets.model_in(each.type) is model)
        found += [f"- In {link(other)}, as {held}."] if held else []
    return found or UNUSED[name]


def index_page() -> str:
    """Return the page that leads to all others, with what holds for all of them."""
    by_hand = [f"- [{title(path)}]({path.name})" for path in pages_by_hand()]
    return page(
        "# The TES client, page by page",
        "\n".join(by_hand),
        "## API classes",
        table(("Page", "What it is for"), [one_line(name) for name in APIS]),
        "## Models",
        table(("Page", "What it is"), [one_line(name) for name in MODELS]),
        EXAMPLES_TEXT,
        AUTHORIZATION_TEXT,
        configuration_section(),
        models_section(),
        failures_section(),
        again_section(),
    )


def one_line(name: str) -> tuple[str, str]:
    """Return the row of the index for a page."""
    return f"[{name}]({name}.md)", linked(sections(getattr(libtes, name))["summary"], name)


def title(path: Path) -> str:
    """Return the title of a page."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def pages_by_hand() -> list[Path]:
    """Return the pages that are not made here."""
    return sorted(path for path in DOCS.glob("*.md") if title(path) != MARK)


EXAMPLES_TEXT = """\
## Examples

Every example runs as it stands, once the environment names a service and a token:

```sh
export ICA_BASE_URL=https://aps2.platform.illumina.com
export ICA_ACCESS_TOKEN=...
```

An example makes what it needs. TES has no call that deletes: the tasks, named `example-` and a
random id, and the runs stay. A run is paid for as any other.\
"""

AUTHORIZATION_TEXT = """\
## Authorization

Every call sends the header `Authorization`. Its value is `api_key["Authorization"]` of the
[configuration](#configuration), after `api_key_prefix["Authorization"]` and a space if that is set.
`Configuration.from_env()` takes the host from `ICA_BASE_URL` and the token from `ICA_ACCESS_TOKEN`.
Where tokens expire, set `refresh_api_key_hook`.\
"""


def configuration_section() -> str:
    """Return what a configuration holds."""
    doc = sections(libtes.Configuration)
    rows = [
        (f"`{name}`", linked(meaning))
        for section in ("Args", "Attributes")
        for name, meaning in entries(doc[section]).items()
    ]
    return joined(
        "## Configuration",
        doc["summary"],
        f"The arguments are {names(entries(doc['Args']))}; all are attributes too.",
        table(("Name", "Meaning"), rows),
    )


def names(of: Iterable[str]) -> str:
    """Return the names in a row."""
    return ", ".join(f"`{name}`" for name in of)


def models_section() -> str:
    """Return what all models have in common."""
    doc = sections(Model)
    methods = (Model.to_dict, Model.to_str)
    return joined(
        "## Models in general",
        linked(doc["text"]),
        "Limits hold for what you make and set, never for answers.",
        table(
            ("Call", "What it does"),
            [(f"`{each.__name__}()`", sections(each)["summary"]) for each in methods],
        ),
    )


def failures_section() -> str:
    """Return the exceptions and what they tell."""
    rows = [
        (
            f"`{name}`",
            names(base.__name__ for base in each.__bases__),
            linked(sections(each)["summary"]),
        )
        for name, each in FAILURES.items()
    ]
    doc = sections(exceptions.ApiException)
    tells = entries(doc["Attributes"])
    tells["may_have_happened"] = sections(exceptions.ApiException.may_have_happened)["summary"]
    return joined(
        "## Failures",
        table(("Exception", "Kind of", "Meaning"), rows),
        "### What an ApiException tells",
        linked(doc["text"]),
        table(("Attribute", "Meaning"), [(f"`{k}`", linked(v)) for k, v in tells.items()]),
    )


def again_section() -> str:
    """Return what the client tries again, and how long it waits."""
    statuses = ", ".join(map(str, sorted(rest.RETRIED_STATUSES)))
    policy = rest.RetryPolicy()
    return joined(
        "## Trying again",
        f"A call that failed is made again, up to {policy.total} times, where that is safe and may "
        f"help. For one that only reads that is after status {statuses}, and after every "
        f"{link('ApiConnectionException')} but a {link('TlsException')}. Any other is made again "
        "only where the service cannot have acted on it: after status 429, and after a "
        f"{link('ConnectException')} that is no {link('TlsException')}.",
        f"The wait before is up to {policy.backoff:g} s, twice as long each time, at most "
        f"{policy.longest:g} s, and random within that. If the service says how long to wait, that "
        f"is obeyed up to {rest.RETRY_AFTER_LIMIT:g} s; beyond that the error is raised at once. "
        "`retries` of the [configuration](#configuration) changes how often.",
    )


def pages() -> dict[str, str]:
    """Return all pages by the names of their files."""
    made = {INDEX: index_page(), **{f"{owner}.md": api_page(owner) for owner in APIS}}
    made.update((f"{name}.md", model_page(name)) for name in MODELS)
    return {name: text.replace(f"({name}#", "(#") for name, text in made.items()}


def differences(made: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with each page that is not as the code would have it."""
    found = {}
    for name, text in made.items():
        path = DOCS / name
        if not path.exists():
            found[name] = "missing"
        elif path.read_text(encoding="utf-8") != text:
            found[name] = "out of date"
    for path in DOCS.glob("*.md"):
        if path.name not in made and title(path) == MARK:
            found[path.name] = "of something that is no more"
    return found


def main() -> int:
    """Write the pages, or check them; the result is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    check = parser.parse_args().check
    made = pages()
    found = differences(made)
    for name, state in found.items():
        print(f"docs/{name} is {state}" if check else f"docs/{name} was {state}")
        if not check and name in made:
            (DOCS / name).write_bytes(made[name].encode())
        elif not check:
            (DOCS / name).unlink()
    if check and found:
        print("Run: python docs/generate.py")
    return int(check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
