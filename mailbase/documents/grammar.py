"""The YAML we read: plain data of YAML 1.1 without the traps that bite in a mail gateway's files.

Differences from PyYAML's safe loader: no base-60 numbers (``2001:10:20:30:40:50:1:2`` is an address and
not an integer), no octal numbers (``0660`` stays what was written, for a file mode), no dates, and a leading
``+`` does not make a number (``+4989123`` is a telephone number).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    # libyaml reads a registry of thousands of servers some twenty times faster.
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PREFIX = "tag:yaml.org,2002:"
BOOL, INT, FLOAT, NULL, STR, MERGE, MAP, SEQ = (
    _PREFIX + name for name in ("bool", "int", "float", "null", "str", "merge", "map", "seq")
)


class Loader(_Base):
    """Composes nodes, which know their lines; it never constructs an object."""

    yaml_implicit_resolvers = {}


for _tag, _form, _first in (
    (BOOL, r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    (INT, r"-?(?:0|[1-9][0-9]{0,17})", "-0123456789"),
    (FLOAT, r"-?[0-9]{1,15}\.[0-9]{1,15}", "-0123456789"),
    (NULL, r"~|null|Null|NULL|", "~nN"),
    (MERGE, r"<<", "<"),
):
    Loader.add_implicit_resolver(
        _tag, re.compile(f"(?:{_form})\\Z"), [*_first, *([""] if _tag == NULL else [])]
    )


def scalar(tag: str, text: str) -> bool | int | float | str | None:
    """The value of a scalar.

    Raises:
        ValueError: an explicit tag that does not fit the text, or one that we do not read.
    """
    if tag in (STR, MERGE):
        return text
    if tag == NULL:
        return None
    if tag == BOOL and text.lower() in ("yes", "true", "on", "no", "false", "off"):
        return text.lower() in ("yes", "true", "on")
    if tag == INT and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if tag == FLOAT and re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
        return float(text)
    raise ValueError(f"a plain value, without the tag {tag.removeprefix(_PREFIX)!r}")
