"""The base of the models: fields, each declared once, and all that follows from them.

Fields are slots. ``__setattr__`` checks what users set; ``decoding`` bypasses these checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar, Union, get_args, get_origin

from .._checks import Bounds, bind_arguments, check_bounds, convert
from .._redaction import Boundary, clear_frames, confidential, redact, shows_locals
from ..exceptions import closest, wrong_value

if TYPE_CHECKING:
    import inspect
    from typing import ClassVar, overload

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[type], type]:
        """Stand in at run time for the marker that only type checkers read."""
        return lambda cls: cls


Get = TypeVar("Get")
Set = TypeVar("Set")
AnyModel = TypeVar("AnyModel", bound="Model")
ANY: Bounds = (-math.inf, math.inf)
NOT_EMPTY: Bounds = (1, math.inf)


class Field(Generic[Get, Set]):
    """The declaration of a field: its meaning, type and limits, and its name in JSON.

    ``length`` limits the characters of a string, ``between`` the value of a number. As an
    annotation it tells type checkers which type the field has and which it can be set to.
    """

    name: str
    type: Any
    where: str

    def __init__(
        self, doc: str, required: bool, json: str = "", length: Bounds = ANY, between: Bounds = ANY
    ) -> None:
        self.doc = doc
        self.required = required
        self.json = json
        self.length = length
        self.between = between

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> Field[Get, Set]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Optional[Get]: ...
        def __get__(self, instance: object, owner: type) -> Any: ...
        def __set__(self, instance: object, value: Optional[Set]) -> None: ...

    def check(self, value: Any, configuration: object) -> Any:
        """Return what to store for a value that a user sets."""
        limits = getattr(configuration, "client_side_validation", True)
        if value is None:
            if self.required and limits:
                raise wrong_value(self.where, "not be `None`")
            return None
        value = convert(self.type, value, self.where)
        if limits and self.type is str:
            check_bounds(self.length, len(value), self.where, " characters")
        elif limits and self.type in (int, float):
            check_bounds(self.between, value, self.where)
        return value


Value = Field[Get, Get]
Time = Field[datetime, datetime]
Nested = Field[AnyModel, Union[AnyModel, Mapping[str, Any]]]
Many = Field[list[AnyModel], Sequence[Union[AnyModel, Mapping[str, Any]]]]


def optional(doc: str, **declared: Any) -> Any:
    """Declare a field that users may leave unset; other arguments are those of ``Field``."""
    return Field(doc, required=False, **declared)


def required(doc: str, **declared: Any) -> Any:
    """Declare a field that users must set; other arguments are those of ``Field``."""
    return Field(doc, required=True, **declared)


def switch(*, default: object, kw_only: bool) -> Any:
    """Declare, for type checkers, the last argument of constructors, which is not a field."""


@dataclass_transform(field_specifiers=(required, switch))
class ModelType(type):
    """Turns the fields that a class body declares into slots and tables."""

    # It has no annotations of its own: since Python 3.14 these would hide those of the models.
    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        """Make the class; fields keep the order in which they were first declared."""
        declared = {key: value for key, value in namespace.items() if isinstance(value, Field)}
        above = [getattr(base, "_fields", {}) for base in bases]
        inherited = {key: copy(field) for fields in above for key, field in fields.items()}
        body = {key: value for key, value in namespace.items() if key not in declared}
        body.setdefault("__slots__", tuple(key for key in declared if key not in inherited))
        cls: Any = super().__new__(mcs, name, bases, body)
        for key, field in declared.items():
            field.name = key
            field.type = get_args(cls.__annotations__[key])[0]
            field.json = field.json or camel_case(key)
        cls._fields = fields = {**inherited, **declared}
        for key, field in fields.items():
            field.where = f"{name}.{key}"
        cls.openapi_types = {key: type_name(field.type) for key, field in fields.items()}
        cls.attribute_map = {key: field.json for key, field in fields.items()}
        if fields and "__init__" not in namespace:

            @confidential
            def construct(self: Model, *args: Any, **kwargs: Any) -> None:
                cls.__init__ = _constructor(cls)  # generated when first needed
                cls.__init__(self, *args, **kwargs)

            cls.__init__ = construct
        return cls

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's arguments, for ``inspect``, ``help`` and notebooks."""
        from inspect import Parameter, Signature

        hints = {key: field.type for key, field in vars(cls)["_fields"].items()}
        hints["local_vars_configuration"] = object
        kind = Parameter.POSITIONAL_OR_KEYWORD
        given = [Parameter(k, kind, default=None, annotation=Optional[h]) for k, h in hints.items()]
        return Signature(given)


class Model(Boundary, metaclass=ModelType):
    """Base of the models.

    Arguments are the fields, by position or by name; ``None`` leaves a field unset, and unset
    fields are not sent. In place of any model, a dict with its JSON names is accepted and sent
    unchanged. ``local_vars_configuration`` may be a ``Configuration``: if its
    ``client_side_validation`` is off, required fields and limits are not checked.

    Raises:
        ApiTypeError: An argument is unknown or has the wrong type.
        ApiValueError: A required field is missing, or a value is outside its limits.
    """

    __slots__ = ("__weakref__", "local_vars_configuration")

    _fields: ClassVar[dict[str, Field[Any, Any]]]
    openapi_types: ClassVar[dict[str, str]]  # Python name to type
    attribute_map: ClassVar[dict[str, str]]  # Python name to JSON name

    if TYPE_CHECKING:
        local_vars_configuration: Optional[object] = switch(default=None, kw_only=True)
    else:  # type checkers, if they saw this, would accept any attribute

        def __setattr__(self, name: str, value: Any) -> None:
            cls = type(self)
            if name in cls._fields:
                value = cls._fields[name].check(value, self.local_vars_configuration)
            elif name != "local_vars_configuration":
                hint = closest(name, cls._fields)
                raise AttributeError(f"{cls.__name__} has no field {name!r}{hint}")
            _store(self, name, value)

        @property
        def __dict__(self) -> dict[str, Any]:
            """A copy of the fields, for ``vars()``: models have slots."""
            return {name: getattr(self, name, None) for name in type(self)._fields}

    def to_dict(self) -> dict[str, Any]:
        """Return the data under Python names: models as dicts, times as ``datetime``."""
        return {name: _plain(getattr(self, name)) for name in type(self)._fields}

    def to_str(self) -> str:
        """Return the data as indented text, with secrets masked."""
        from pprint import pformat

        return pformat(redact(self.to_dict()))

    __str__ = to_str

    def __repr__(self) -> str:
        from .._display import summary

        return summary(type(self).__name__, vars(self))

    def _repr_html_(self) -> str:
        from .._display import model

        return model(repr(self), self.to_dict())

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self)._fields)

    def __reduce__(self) -> tuple[Any, ...]:
        # Unchecked: values of a response may be outside the limits.
        names = ("local_vars_configuration", *type(self)._fields)
        return _rebuild, (type(self), {name: getattr(self, name) for name in names})


_store = object.__setattr__


def _constructor(cls: type[Model]) -> Callable[..., None]:
    """Generate ``__init__``, which calls nothing to set a value that is valid as it is."""
    parameters = (*cls._fields, "local_vars_configuration")
    names: dict[str, Any] = {"__name__": __name__, "inf": math.inf, "_names": parameters}
    names.update(_bind=bind_arguments, _clear=clear_frames, _shown=shows_locals)
    names.update({f"_set_{name}": getattr(cls, name).__set__ for name in parameters})
    lines = [
        f"def __init__(self, {'=None, '.join(parameters)}=None, *_more, **_others):",
        "    try:",
        "        if _more or _others:",
        f"            _given = {', '.join(parameters)}, *_more",
        f"            _bind({cls.__name__!r}, _names, {len(parameters)}, _given, _others)",
        "        _set_local_vars_configuration(self, local_vars_configuration)",
    ]
    for name, field in cls._fields.items():
        names[f"_check_{name}"] = field.check
        names[f"_type_{name}"] = field.type
        fine = f"{name}.__class__ is _type_{name}"
        if field.type is str and field.length != ANY:
            fine += f" and {field.length[0]} <= len({name}) <= {field.length[1]}"
        elif field.type is float or (field.length, field.between) != (ANY, ANY):
            fine = "False"
        lines += [
            f"        if not ({fine if field.required else f'{name} is None or {fine}'}):",
            f"            {name} = _check_{name}({name}, local_vars_configuration)",
            f"        _set_{name}(self, {name})",
        ]
    lines += [
        "    except BaseException as _error:",
        "        if not _shown(self, local_vars_configuration):",
        f"            _given = _more = _others = {' = '.join(parameters)} = None",
        "            _clear(_error)",
        "        raise",
    ]
    constructor: Callable[..., None] = compile_function(cls, "__init__", lines, names)
    constructor.__qualname__ = f"{cls.__name__}.__init__"  # for Python's own errors
    return constructor


def compile_function(
    cls: type[Model], name: str, lines: Sequence[str], names: dict[str, Any]
) -> Any:
    """Compile generated source, which tracebacks and debuggers then show."""
    import linecache

    source = "\n".join(lines)
    file = f"<generated {name} of {cls.__module__}.{cls.__qualname__}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    exec(compile(source, file, "exec"), names)  # noqa: S102 made of the declared names alone
    return names[name]


def _rebuild(cls: type[Model], state: dict[str, Any]) -> Model:
    model = cls.__new__(cls)
    for name in ("local_vars_configuration", *cls._fields):
        _store(model, name, state.get(name))
    return model


def camel_case(name: str) -> str:
    """Return the default JSON name of a Python name, such as ``taskVersions``."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def type_name(declared: Any) -> str:
    """Return the name of a type in ``openapi_types``, such as ``list[TaskVersion]``."""
    if get_origin(declared) is list:
        return f"list[{type_name(get_args(declared)[0])}]"
    if get_origin(declared) is dict:
        return "dict({}, {})".format(*map(type_name, get_args(declared)))
    return "object" if declared is Any else str(declared.__name__)


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
