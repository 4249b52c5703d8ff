"""``identity``: the gateway's own name."""

from __future__ import annotations

import functools
import re
import socket
from typing import Annotated

from pydantic import AfterValidator, Field

from mailbase.addresses import normal_domain
from mailbase.documents import Section, Text
from mailbase.documents.problems import shown

_CONTACT = re.compile(r"[\x20-\x7e]{0,120}")


def _hostname(value: str) -> str:
    name = normal_domain(value)
    if name is None or "." not in name:
        raise ValueError(f"expected a full host name such as mx.example.org, got {shown(value)}")
    return name


def _contact(value: str) -> str:
    if not _CONTACT.fullmatch(value):
        raise ValueError(f"expected at most 120 characters of printable ASCII, got {shown(value)}")
    return value


@functools.cache
def own_name() -> str:
    """The machine's name; the resolver is asked only if the name set on the machine has no dot."""
    name = socket.gethostname()
    return (name if "." in name else socket.getfqdn()).lower()


class IdentitySettings(Section):
    hostname: Annotated[Text, AfterValidator(_hostname)] = Field(default_factory=own_name)
    """Names the gateway in banners, replies and Received lines."""
    contact: Annotated[Text, AfterValidator(_contact)] = ""
    """URL or text at the end of refusals."""
