"""``policyd.outgoing``: how one's own users and systems are watched, and who is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from mailbase.addresses import normal_address, pack
from mailbase.config.places import ConnectPlace, FilePath
from mailbase.config.units import Duration, between
from mailbase.documents import Count, Flag, Listing, Section, Text
from mailbase.documents.problems import Location, shown

MAX_FIGURE = 1_000_000_000
MAX_FACTOR = 1000.0
_URL = re.compile(r"[\x21-\x7e]{1,500}")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {shown(value)}")
    if not 1 <= value <= MAX_FACTOR:
        raise ValueError(f"expected 1 to {MAX_FACTOR:g}, got {value:g}")
    return float(value)


def _mailbox(value: str) -> str:
    mailbox = normal_address(value)
    if mailbox is None or "@" not in mailbox or not value.isascii():
        raise ValueError(f"expected a mail address such as abuse@example.org, got {shown(value)}")
    return value


def _address(value: str) -> str:
    if pack(value) is None:
        raise ValueError(f"expected an IP address such as 192.0.2.25, got {shown(value)}")
    return value


def _url(value: str) -> str:
    parts = urlsplit(value) if _URL.fullmatch(value) else None
    try:
        usable = parts is not None and (parts.port or True) and parts.hostname and not parts.username
    except ValueError:
        usable = False
    if parts is None or not usable or parts.scheme not in ("http", "https"):
        raise ValueError(f"expected a URL such as https://hooks.example.org/mail, got {shown(value)}")
    return value


Factor = Annotated[float, BeforeValidator(_number)]
Figure = Annotated[Count, between(1, MAX_FIGURE)]


class FigureSettings(Section):
    """A number for each thing that is counted; None: it does not matter."""

    messages: Figure | None = None
    """Mails."""
    recipients: Figure | None = None
    """Their recipients, taken together."""
    strangers: Figure | None = None
    """Mails to recipients of whom at least half were never written to before."""
    refused: Figure | None = None
    """Mails that contentfilter refused or quarantined."""
    failed: Figure | None = None
    """Recipients that their server does not know."""
    points: Figure | None = None
    """Points of the mails that have 2.5 or more, taken together."""


def _over(**built_in: int) -> BeforeValidator:
    """Lays the file's figures over built-in ones."""

    def complete(given: Any) -> Any:
        if given is None:
            return built_in
        return {**built_in, **given} if isinstance(given, dict) else given

    return BeforeValidator(complete)


_USERS = {"messages": 45, "recipients": 200, "strangers": 25, "refused": 5, "failed": 20, "points": 60}
_USERS_SUSPENDED = {"recipients": 10_000, "refused": 100}
_SYSTEMS = {
    "messages": 500,
    "recipients": 2_000,
    "strangers": 250,
    "refused": 20,
    "failed": 200,
    "points": 600,
}


class UserWatchSettings(Section):
    floor: Annotated[FigureSettings, _over(**_USERS)] = FigureSettings(**_USERS)
    """Less than this in an hour is no jump."""
    quota: FigureSettings = FigureSettings()
    """From this on in a day there is a notice, whatever was usual."""
    suspend: Annotated[FigureSettings, _over(**_USERS_SUSPENDED)] = FigureSettings(**_USERS_SUSPENDED)
    """From this on in an hour the account is suspended."""


class SystemWatchSettings(Section):
    floor: Annotated[FigureSettings, _over(**_SYSTEMS)] = FigureSettings(**_SYSTEMS)
    """Likewise, of a registered system."""
    quota: FigureSettings = FigureSettings()
    """Likewise."""
    suspend: FigureSettings = FigureSettings()
    """Likewise."""


class NoticeSettings(Section):
    every: Annotated[Duration, between("5m", "30d")] = 86400.0
    """Seconds between two notices on the same user or system."""
    mail: Flag = True
    """Whether administrators are told by mail."""
    to: Listing[Annotated[Text, AfterValidator(_mailbox)]] = ()
    """Who gets every notice; none: postmaster@ and the hostname, where no administrator is registered."""
    smtp: ConnectPlace | None = None
    """Postfix behind the filter; None: the reinjection port behind the queue."""
    webhook: Annotated[Text, AfterValidator(_url)] | None = None
    """Gets each notice as JSON by HTTP POST; None: nobody."""
    token_file: FilePath | None = None
    """Holds what is sent as ``Authorization: Bearer``; None: nothing."""
    timeout: Annotated[Duration, between("1s", "2m")] = 10.0
    """Seconds for one attempt, of mail or webhook."""


class OwnAddressSettings(Section):
    enabled: Flag = True
    """Whether the gateway's own addresses are looked up in the DNSBLs of ``policyd.lists``."""
    addresses: Listing[Annotated[Text, AfterValidator(_address)]] = ()
    """From where the gateway sends; none: the public addresses of ``identity.relays``."""
    interval: Annotated[Duration, between("5m", "7d")] = 3600.0
    """Seconds between two rounds."""


class OutgoingSettings(Section):
    enabled: Flag = True
    """Whether users and registered systems are watched."""
    factor: Factor = 3.0
    """A jump is so many times the most that there was in an hour, or a day, before."""
    day: Factor = 6.0
    """In a day, so many times the floor of an hour."""
    learn: Annotated[Duration, between("0s", "60d")] = 8 * 86400.0
    """Seconds until a registered system's amount of mail is compared with what it did before."""
    users: UserWatchSettings = UserWatchSettings()
    systems: SystemWatchSettings = SystemWatchSettings()
    exempt: Listing[Text] = ()
    """Users and registered systems that are counted and never judged."""
    suspend_for: Annotated[Duration, between("5m", "30d")] = 86400.0
    """Seconds that a suspension lasts, unless an operator lifts it."""
    suspend_reply: Literal["defer", "reject"] = "defer"
    """Whether mail of the suspended gets 450 or 554."""
    notices: NoticeSettings = NoticeSettings()
    own: OwnAddressSettings = OwnAddressSettings()


def outgoing_conflicts(outgoing: OutgoingSettings) -> Iterator[tuple[Location, str]]:
    """What must not be said together, as (location within ``policyd.outgoing``, message)."""
    notices = outgoing.notices
    if notices.token_file is not None and (notices.webhook or "").partition(":")[0] != "https":
        yield (
            ("notices", "token_file"),
            "expected notices.webhook to be a https URL: the token would be readable on its way",
        )
