"""What every model is made of: declared fields, what users may set, and what they see.

A model declares each field once::

    class Image(Model):
        name: Value[str] = required("Name in its registry, without tag.", length=NOT_EMPTY)
        credentials: Nested[Credentials] = optional("Login for a private registry.")

All else comes from the declaration. Attributes are slots. What a user sets is checked by
``__setattr__``; ``decoding`` fills models from responses, past these checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
    """The declaration of one field: its names, type and meaning, and what a user may set it to.

    As an annotation it tells type checkers what reading gives and what setting accepts. ``length``
    is the fewest and most characters, ``between`` the least and greatest number.
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
        def __get__(self, instance: object, owner: type) -> Any:
            """Read the field; ``None`` where nobody set it."""

        def __set__(self, instance: object, value: Optional[Set]) -> None:
            """Set the field after checking the value."""

    def check(self, value: Any, limits: bool) -> Any:
        """Return the value to store for one that a user sets, or raise if it is invalid."""
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
    """Declare a field that a user may leave out; the rest is as in ``Field``."""
    return Field(doc, required=False, **declared)


def required(doc: str, **declared: Any) -> Any:
    """Declare a field that a user must give; the rest is as in ``Field``."""
    return Field(doc, required=True, **declared)


def switch(*, default: object, kw_only: bool) -> Any:
    """Tell type checkers of the constructor's last argument, which is no field."""


@dataclass_transform(field_specifiers=(required, switch))
class ModelType(type):
    """Turns the declarations in a class body into slots and tables.

    Its own body has no annotations: from Python 3.14 on they would hide those of the models.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        """Make the class; its fields keep the order in which they were first declared."""
        declared = {key: value for key, value in namespace.items() if isinstance(value, Field)}
        inherited = {k: v for base in bases for k, v in getattr(base, "_fields", {}).items()}
        body = {key: value for key, value in namespace.items() if key not in declared}
        body.setdefault("__slots__", tuple(key for key in declared if key not in inherited))
        cls: Any = super().__new__(mcs, name, bases, body)
        for key, field in declared.items():
            field.name = key
            field.type = get_args(cls.__annotations__[key])[0]
            field.where = f"{name}.{key}"
            field.json = field.json or camel_case(key)
        cls._fields = fields = {**inherited, **declared}
        cls.openapi_types = {key: type_name(field.type) for key, field in fields.items()}
        cls.attribute_map = {key: field.json for key, field in fields.items()}
        if fields and "__init__" not in namespace:
            cls.__init__ = _first_constructor(cls)
        return cls

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's arguments, for ``inspect``, ``help`` and notebooks."""
        from inspect import Parameter, Signature

        hints = {key: field.type for key, field in vars(cls)["_fields"].items()}
        hints["local_vars_configuration"] = object
        kind = Parameter.POSITIONAL_OR_KEYWORD
        return Signature(
            [Parameter(key, kind, default=None, annotation=Optional[h]) for key, h in hints.items()]
        )


class Model(Boundary, metaclass=ModelType):
    """Base of the models: a value with declared fields.

    Arguments are the fields, by position or by name; ``None`` means not set, and what is not set
    is not sent. Wherever a model may stand, a plain dict with the names of the JSON may stand
    too: it is kept and sent as it is. ``local_vars_configuration`` may be a ``Configuration``
    whose ``client_side_validation`` is off; then the limits of the contract are not checked.

    Raises:
        ApiTypeError: An argument is unknown or of the wrong type.
        ApiValueError: A required field is missing, or a value lies outside its limits.
    """

    __slots__ = ("__weakref__", "local_vars_configuration")

    _fields: ClassVar[dict[str, Field[Any, Any]]]
    openapi_types: ClassVar[dict[str, str]]  # Python name to type
    attribute_map: ClassVar[dict[str, str]]  # Python name to JSON name

    if TYPE_CHECKING:
        local_vars_configuration: Optional[object] = switch(default=None, kw_only=True)
    else:  # hidden from type checkers, which would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            cls = type(self)
            if name in cls._fields:
                value = cls._fields[name].check(value, _limited(self.local_vars_configuration))
            elif name != "local_vars_configuration":
                hint = closest(name, cls._fields)
                raise AttributeError(f"{cls.__name__} has no field {name!r}{hint}")
            _store(self, name, value)

        @property
        def __dict__(self) -> dict[str, Any]:
            """A copy of the fields and their values, for ``vars()``: models have slots."""
            return {name: getattr(self, name, None) for name in type(self)._fields}

    def to_dict(self) -> dict[str, Any]:
        """Return the data under Python names, models within as dicts, times as datetimes."""
        return {name: _plain(getattr(self, name)) for name in type(self)._fields}

    def to_str(self) -> str:
        """Return the data laid out over lines, with secrets masked."""
        from pprint import pformat

        return pformat(redact(self.to_dict()))

    __str__ = to_str

    def __repr__(self) -> str:
        from .._display import summary

        return summary(type(self).__name__, vars(self))

    def _repr_html_(self) -> str:
        from .._display import tree

        return tree(repr(self), self.to_dict())

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self)._fields)

    def __reduce__(self) -> tuple[Any, ...]:
        # Past the checks: a response may lie outside the limits.
        names = ("local_vars_configuration", *type(self)._fields)
        return _rebuild, (type(self), {name: getattr(self, name) for name in names})


_store = object.__setattr__


def _first_constructor(cls: Any) -> Callable[..., None]:
    """Return the ``__init__`` that puts the compiled one in its place when it is first called."""

    @confidential
    def construct(self: Model, *args: Any, **kwargs: Any) -> None:
        cls.__init__ = _constructor(cls)
        cls.__init__(self, *args, **kwargs)

    return construct


def _constructor(cls: type[Model]) -> Callable[..., None]:
    """Compile ``__init__``, as ``dataclasses`` does: a value that is fine is set without a call."""
    parameters = (*cls._fields, "local_vars_configuration")
    names: dict[str, Any] = {
        "__name__": __name__,
        "inf": math.inf,
        "_names": parameters,
        "_bind": bind_arguments,
        "_clear": clear_frames,
        "_shown": shows_locals,
        "_limited": _limited,
        **{f"_set_{name}": getattr(cls, name).__set__ for name in parameters},
    }
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
            f"            {name} = _check_{name}({name}, _limited(local_vars_configuration))",
            f"        _set_{name}(self, {name})",
        ]
    lines += [
        "    except BaseException as _error:",
        "        if not _shown(self, local_vars_configuration):",
        f"            _given = _more = _others = {' = '.join(parameters)} = None",
        "            _clear(_error)",
        "        raise",
    ]
    exec("\n".join(lines), names)  # noqa: S102 made of the declared names alone
    constructor: Callable[..., None] = names["__init__"]
    constructor.__qualname__ = f"{cls.__name__}.__init__"  # which Python's own errors name
    return constructor


def _limited(configuration: object) -> bool:
    return bool(getattr(configuration, "client_side_validation", True))


def _rebuild(cls: type[Model], state: dict[str, Any]) -> Model:
    model = cls.__new__(cls)
    for name in ("local_vars_configuration", *cls._fields):
        _store(model, name, state.get(name))
    return model


def camel_case(name: str) -> str:
    """Return the name in JSON that a Python name stands for, unless a field says otherwise."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def type_name(declared: Any) -> str:
    """Return the name that ``openapi_types`` gives a type, such as ``list[TaskVersion]``."""
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
