"""The base of all models, and the plain types of their fields."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Strict, model_validator

from mailbase.documents.problems import shown

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


def _something(value: str) -> str:
    if not value.strip():
        raise ValueError(f"expected some text, got {shown(value)}")
    return value


def _list(value: Any) -> Any:
    """None (a key without content) as the empty list, and a lone value as a list of one."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _filled(value: Any) -> Any:
    # Not pydantic's min_length: it also complains where all entries are there and wrong.
    if value is None or value == [] or value == ():
        raise ValueError("expected at least one entry")
    return value


def _table(value: Any) -> Any:
    return {} if value is None else value


Flag = Annotated[bool, Strict()]
"""true or false (also yes, no, on, off)."""
Count = Annotated[int, Strict()]
"""A whole number."""
Text = Annotated[str, Strict(), BeforeValidator(_number_as_text)]
"""Text; digits alone may stand without quotes."""
FilledText = Annotated[Text, AfterValidator(_something)]
"""As :data:`Text`, but not empty."""
Listing = Annotated[tuple[_T, ...], BeforeValidator(_list)]
"""A list; a lone value may stand without brackets."""
FilledListing = Annotated[Listing[_T], BeforeValidator(_filled)]
"""As :data:`Listing`, but not empty."""
Table = Annotated[dict[_K, _T], BeforeValidator(_table)]
"""A mapping whose keys are names; a key without content is an empty one."""
