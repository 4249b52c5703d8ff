"""The base of all models, and the plain types of their fields."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, model_validator

_T = TypeVar("_T")
_K = TypeVar("_K")


class Section(BaseModel):
    """A mapping of the file. Unknown keys are errors; a section without content has its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="strings")

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, data: Any) -> Any:
        # "policyd:" with everything below it commented out is None in YAML.
        return {} if data is None else data


def _number_as_text(value: Any) -> Any:
    # A name or telephone number of digits alone is a number in YAML; nothing is lost in turning it back.
    return str(value) if type(value) is int else value


def _list(value: Any) -> Any:
    """None (a key without content) as the empty list, and a lone value as a list of one."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _table(value: Any) -> Any:
    return {} if value is None else value


Flag = Annotated[bool, Strict()]
"""true or false (also yes, no, on, off)."""
Count = Annotated[int, Strict()]
"""A whole number."""
Text = Annotated[str, Strict(), BeforeValidator(_number_as_text)]
"""Text; digits alone may stand without quotes."""
Listing = Annotated[tuple[_T, ...], BeforeValidator(_list)]
"""A list; a lone value may stand without brackets."""
Table = Annotated[dict[_K, _T], BeforeValidator(_table)]
"""A mapping whose keys are names; a key without content is an empty one."""
