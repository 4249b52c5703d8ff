"""From plain data to a typed model, with pydantic's complaints put into the operator's words."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from mailbase.documents.problems import MAX_PROBLEMS, ConfigError, Location, Problem, dotted, nearest, shown

if typing.TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Origin(Protocol):
    """Knows where a value came from."""

    def where(self, location: Location) -> tuple[str, int]:
        """Source and line (0: none) of the value at ``location``."""
        ...


_M = TypeVar("_M", bound=BaseModel)

_EXPECTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "path_type": "the path of a file",
}


def build(model: type[_M], data: Any, origin: Origin, context: Mapping[str, Any] | None = None) -> _M:
    """An instance of ``model`` made of ``data``.

    Arguments:
        origin: tells the file and line of a value.
        context: handed to the validators.

    Raises:
        ConfigError: with every problem found, not only the first.
    """
    try:
        return model.model_validate(data, context=dict(context or {}))
    except ValidationError as error:
        details = error.errors(include_url=False)[:MAX_PROBLEMS]
        raise ConfigError(_problem(model, detail, origin) for detail in details) from None


def _problem(model: type[BaseModel], detail: ErrorDetails, origin: Origin) -> Problem:
    # pydantic marks an error in the key of a mapping by a last step "[key]".
    location = detail["loc"][:-1] if detail["loc"][-1:] == ("[key]",) else detail["loc"]
    source, line = origin.where(location)
    return Problem(source, line, dotted(location), _message(model, detail, location))


def _message(model: type[BaseModel], detail: ErrorDetails, location: Location) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown key" + nearest(str(location[-1]), known_keys(model, location[:-1]))
    if kind == "missing":
        return "is missing and has no default"
    if kind in ("enum", "literal_error"):
        choices = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        hint = nearest(value, choices.split(", ")) if isinstance(value, str) else ""
        hint = hint if "did you mean" in hint else ""
        return f"expected one of {choices}, got {shown(value)}{hint}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {shown(value)}"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    return f"{detail['msg']}, got {shown(value)}"


def known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that the model at ``location`` below ``model`` may have; none where there is no model."""
    found: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, int) or found is None:
            # A list's position: its element's model was already taken when the list's key was passed.
            continue
        field = next((f for n, f in found.model_fields.items() if step in (n, f.alias)), None)
        if field is not None:
            found = next(_models(field.annotation), None)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a field's annotation, such as ``X | None``, ``tuple[X, ...]`` or ``dict[str, X]``."""
    arguments = typing.get_args(annotation)
    if not arguments and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in arguments:
        yield from _models(argument)
