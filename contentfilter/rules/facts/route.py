"""The Received lines: who handed the mail over, under which name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailbase.organisation import organisation

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

_PROVIDERS_LIST = """
aol.com yahoo.com hotmail.com msn.com outlook.com live.com gmail.com google.com gmx.net gmx.de web.de
t-online.de icloud.com apple.com microsoft.com amazon.com paypal.com ebay.com facebook.com mail.ru yandex.ru
163.com 126.com qq.com netscape.com compuserve.com earthlink.net mindspring.com prodigy.net juno.com
excite.com lycos.com comcast.net verizon.net att.net
"""
_PROVIDERS = frozenset(_PROVIDERS_LIST.split())
"""Those whose own servers have names of their own."""
_NUMBERS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
_DYNAMIC = re.compile(
    r"(?:^|[.-])(?:a?dsl|xdsl|vdsl|cable|catv|dial(?:up|in)?|dyn(?:amic)?|dhcp|pool|ppp|pppoe|cust(?:omer)?|client|"
    r"home|user|broadband|ip|host|modem|tnt\d*|pc|fibre|ftth|res(?:idential)?|cpe|ras|isdn|m?nas)(?:[.\d-])|"
    r"\d{1,3}[.-]\d{1,3}[.-]\d{1,3}[.-]\d{1,3}|\d{3}-?\d{3}-?\d{3}-?\d{3}",
)
_GIBBERISH = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}")


def helo_forged(reading: Reading) -> str | None:
    """A client called itself one of a great provider's servers, and its name in DNS is another's."""
    for hop in reading.outside:
        claimed = ".".join(hop.helo.rsplit(".", 2)[-2:])
        # Providers have several domains, and some of their servers the provider's name in another.
        if claimed in _PROVIDERS and "." in hop.name and claimed.partition(".")[0] not in hop.name:
            return f"{hop.helo[:60]} is {hop.name[:60]}"
    return None


def helo_is_address(reading: Reading) -> str | None:
    """A server that hands mail on called itself by a bare number."""
    for hop in reading.outside:
        if _NUMBERS.fullmatch(hop.helo):
            return hop.helo
    return None


def helo_is_us(reading: Reading) -> str | None:
    """A client from outside called itself by the name of the very server that it spoke to."""
    for hop in reading.outside:
        if "." in hop.helo and hop.helo == hop.by and hop.name != hop.by:
            return hop.helo[:80]
    return None


def helo_is_recipient(reading: Reading) -> str | None:
    """A client from outside called itself by the recipient's domain."""
    recipient = reading.mailbox("to").domain
    for hop in reading.outside if recipient else ():
        if hop.helo == recipient and hop.name:
            ours = organisation(recipient)
            if reading.organisation != ours and organisation(hop.name) != ours:
                return recipient[:80]
    return None


def client_unverified(reading: Reading) -> str | None:
    """A server says that the client's name could not be verified."""
    for hop in reading.outside:
        if hop.doubtful:
            return (hop.name or hop.helo or hop.address)[:80]
    return None


def client_dynamic(reading: Reading) -> str | None:
    """A machine on a dial-up or home line handed the mail over, without its provider's server."""
    if not reading.outside:
        return None
    first = reading.outside[0]
    return first.name[:80] if first.name and _DYNAMIC.search(first.name) else None


def helo_random(reading: Reading) -> str | None:
    """A client from outside called itself by random letters."""
    for hop in reading.outside:
        if "." not in hop.helo and len(hop.helo) >= 6 and _GIBBERISH.search(hop.helo):
            return hop.helo[:80]
    return None


def from_not_on_the_way(reading: Reading) -> str | None:
    """From is a great provider's, and no server of it had the mail."""
    if reading.organisation not in _PROVIDERS:
        return None
    label = reading.organisation.partition(".")[0]
    kin = _KIN.get(label, (label,))
    for hop in reading.hops:
        if any(name in place for name in kin for place in (hop.name, hop.helo, hop.by)):
            return None
    return reading.organisation if reading.hops else None


_KIN = {
    "gmail": ("google", "gmail"),
    "hotmail": ("hotmail", "outlook", "msn", "live", "microsoft"),
    "msn": ("hotmail", "outlook", "msn", "live", "microsoft"),
    "live": ("hotmail", "outlook", "msn", "live", "microsoft"),
    "outlook": ("hotmail", "outlook", "msn", "live", "microsoft"),
    "gmx": ("gmx", "kundenserver", "ui-", "1and1"),
    "web": ("web.de", "gmx", "kundenserver"),
    "microsoft": ("microsoft", "outlook", "office", "azure", "exacttarget"),
    "icloud": ("apple", "icloud", "me.com", "mac.com"),
    "aol": ("aol", "yahoo"),
    "yahoo": ("yahoo", "aol"),
    "verizon": ("verizon", "yahoo", "aol"),
    "att": ("att.", "yahoo", "sbcglobal"),
    "compuserve": ("compuserve", "aol"),
    "netscape": ("netscape", "aol"),
    "earthlink": ("earthlink", "mindspring"),
    "mindspring": ("earthlink", "mindspring"),
    "163": ("163", "126", "netease"),
    "126": ("163", "126", "netease"),
}


FACTS = (
    helo_forged, helo_is_address, helo_is_us, helo_is_recipient, client_unverified, client_dynamic,
    helo_random, from_not_on_the_way,
)  # fmt: skip
