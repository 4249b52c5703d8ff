"""Where the MX records of a registered name lead: to the relays, or to its registered server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailbase.dns.answers import Answer, Found, Mx, NoData, NxDomain
from mailbase.registry import Server
from postwarden.registry.check.finding import Check, Finding, Severity
from postwarden.registry.dns import PREFERENCE


def judge(server: Server, name: str, answer: Answer[Mx], relays: Sequence[str]) -> Iterator[Finding]:
    """What is wrong with the MX records of ``name``.

    Arguments:
        server: that ``name`` is assigned to.
        relays: names of all relays.
    """
    records = ", ".join(f"{name}. MX {PREFERENCE} {relay}." for relay in relays)

    def finding(severity: Severity, found: str, change: str = f"set {records}") -> Finding:
        return Finding(server.name, name, Check.MX, severity, found, change)

    if isinstance(answer, (NxDomain, NoData)):
        missing = "the name is not in DNS" if isinstance(answer, NxDomain) else "no MX record"
        yield finding(Severity.ERROR, missing)
        return
    if not isinstance(answer, Found):
        yield finding(Severity.ERROR, f"DNS could not tell ({answer.result})", "check again later")
        return
    preferences = {record.exchange: record.preference for record in sorted(answer.records, reverse=True)}
    ours = {relay: preferences[relay] for relay in relays if relay in preferences}
    own = {name for name in (server.name, server.backup) if name in preferences and name not in relays}
    others = sorted(preferences.keys() - ours.keys() - own)
    if others:
        names = ", ".join(exchange or "." for exchange in others)
        yield finding(Severity.ERROR, f"leads to {names}", f"delete that record; {records}")
    if not ours:
        if not own:
            if not others:
                yield finding(Severity.ERROR, "no MX record")
        elif server.name not in own:
            yield finding(Severity.ERROR, f"leads to the backup {server.backup} alone")
        return
    missing_relays = [relay for relay in relays if relay not in ours]
    if missing_relays:
        yield finding(Severity.ERROR, f"does not lead to {', '.join(missing_relays)}")
    if len(set(ours.values())) > 1:
        shown = ", ".join(f"{preference} {relay}" for relay, preference in ours.items())
        yield finding(Severity.ERROR, f"the relays have different preferences: {shown}")
    for exchange in sorted(own):
        if preferences[exchange] <= max(ours.values()):
            yield finding(
                Severity.ERROR,
                f"{exchange} is preferred to a relay, or its equal",
                f"delete that record; {records}",
            )
        else:
            yield finding(
                Severity.WARNING,
                f"leads to {exchange} as well, behind the relays: mail gets around the gateway",
                "delete that record",
            )
