"""``dns``: whom we ask, how long we wait, and what is remembered."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from mailbase.addresses import pack, unpack
from mailbase.config.units import Duration, Size, between
from mailbase.documents import Count, Listing, Section, Text
from mailbase.documents.problems import shown

PORT = 53


def parse_server(text: str) -> tuple[str, int]:
    """IP address and port of such as ``192.0.2.53:5353``, ``2001:db8::53`` or ``[2001:db8::53]:5353``.

    Raises:
        ValueError: with the message for the operator.
    """
    host, port = text, str(PORT)
    if text[:1] == "[":
        host, bracket, rest = text[1:].partition("]")
        port = rest[1:] if rest[:1] == ":" else str(PORT) if bracket and not rest else ""
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    packed = pack(host)
    if packed is None or not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError(
            "expected the IP address of a DNS server, with or without a port "
            f"(192.0.2.53, [2001:db8::53]:5353), got {shown(text)}"
        )
    return unpack(packed), int(port)


def _server(value: str) -> str:
    host, port = parse_server(value)
    return host if port == PORT else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class DnsSettings(Section):
    servers: Listing[Annotated[Text, AfterValidator(_server)]] = ()
    """Recursive servers, the preferred one first; empty: those of /etc/resolv.conf."""
    timeout: Annotated[Duration, between("100ms", "10s")] = 1.0
    """Seconds until a server that is silent is passed over for the next one."""
    deadline: Annotated[Duration, between("500ms", "60s")] = 5.0
    """Seconds of one look-up in all."""
    in_flight: Annotated[Count, between(1, 20_000)] = 1000
    """Look-ups under way; up to 32 share a socket."""
    backlog: Annotated[Count, between(0, 1_000_000)] = 10_000
    """Look-ups that may wait for their turn."""
    cache_size: Annotated[Size, between("0KiB", "4GiB")] = 32 << 20
    """Octets of answers that are remembered."""
    min_ttl: Annotated[Duration, between("0s", "10m")] = 5.0
    """Seconds that an answer is kept at least."""
    max_ttl: Annotated[Duration, between("1m", "7d")] = 86400.0
    """Seconds that records are kept at most."""
    negative_ttl: Annotated[Duration, between("0s", "1d")] = 900.0
    """Seconds that a no is kept at most."""
    failure_ttl: Annotated[Duration, between("0s", "5m")] = 5.0
    """Seconds after which a failed look-up is tried again (RFC 2308 7: 5 minutes at most)."""
