"""A server's name and addresses: what DNS and the registration say of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailbase.addresses import pack, unpack
from mailbase.dns.answers import Answer, Found, NoData, NxDomain
from mailbase.registry import Server
from postwarden.registry.check.finding import Check, Finding, Severity


def judge_forward(server: Server, answer: Answer[bytes]) -> Iterator[Finding]:
    """What is wrong with the addresses of a server's name."""

    def finding(severity: Severity, found: str, change: str) -> Finding:
        return Finding(server.name, server.name, Check.FORWARD, severity, found, change)

    if not isinstance(answer, Found):
        if isinstance(answer, (NxDomain, NoData)):
            yield finding(Severity.ERROR, "its name has no address in DNS", "set an A or AAAA record")
        else:
            yield finding(Severity.ERROR, f"DNS could not tell ({answer.result})", "check again later")
        return
    registered = {packed for text in server.addresses if (packed := pack(text)) is not None}
    if not registered:
        return
    there = set(answer.records)
    for packed in sorted(there - registered):
        yield finding(
            Severity.WARNING,
            f"has the address {unpack(packed)}, which is not registered",
            "register it (addresses), or it may not relay from there",
        )
    for packed in sorted(registered - there):
        yield finding(
            Severity.WARNING if there & registered else Severity.ERROR,
            f"{unpack(packed)} is registered, and not in DNS",
            f"set {server.name}. {'A' if len(packed) == 4 else 'AAAA'} {unpack(packed)}, or delete it",
        )


def judge_reverse(
    server: Server, address: bytes, names: Answer[str], forward: Mapping[str, Answer[bytes]]
) -> Iterator[Finding]:
    """What is wrong with the PTR record of one of its addresses.

    Arguments:
        names: the PTR records.
        forward: the addresses of each of these names.
    """

    def finding(found: str, change: str) -> Finding:
        return Finding(server.name, unpack(address), Check.PTR, Severity.WARNING, found, change)

    if isinstance(names, (NxDomain, NoData)):
        yield finding("no PTR record", f"set one that says {server.name}.")
    elif not isinstance(names, Found):
        yield finding(f"DNS could not tell ({names.result})", "check again later")
    elif not any(isinstance(answer, Found) and address in answer.records for answer in forward.values()):
        shown = ", ".join(names.records)
        yield finding(
            f"its name {shown} does not lead back to it", f"set a PTR record that says {server.name}."
        )
