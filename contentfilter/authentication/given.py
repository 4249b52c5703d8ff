"""What a worker is given for verifying a mail, and what it makes of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from contentfilter.authentication.outcome import Authentication
from contentfilter.authentication.verify import authenticate
from contentfilter.message.wire import Wire

NAME = "authentication"
"""Of the one who looks keys up, under which they are given, and of the trait that comes of them."""

_log = logging.getLogger(__name__)


def verified(wire: Wire, given: Mapping[str, Any]) -> Authentication | None:
    """What the message says of who it is from; None if no keys were given, or something failed.

    Arguments:
        given: with the task, as :class:`contentfilter.authentication.preparing.KeyPreparer` makes it.
    """
    about = given.get(NAME)
    if about is None:
        return None
    try:
        keys = {
            name: None if records is None else [record.encode("latin-1") for record in records]
            for name, records in about["keys"].items()
        }
        return authenticate(wire, keys, about["now"])
    except Exception:  # noqa: BLE001 - hostile input meets several readers; the mail is scanned all the same
        _log.warning("signatures not verified", exc_info=True)
        return None
