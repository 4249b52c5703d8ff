"""What DNS says of the gateway: others judge its mail by nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from contentfilter.authentication.dmarc_record import find_record
from mailbase.addresses import unpack
from mailbase.dns.answers import Answer, Found, NoData, NxDomain
from mailbase.reserved import is_private
from policyd.spf.outcome import Result
from postwarden.doctor.symptom import Check, Symptom
from postwarden.registry.check.finding import Severity

_UNKNOWN = "ask again later, and see whether dns.servers answer"


def judge_name(relay: str, answer: Answer[bytes]) -> Iterator[Symptom]:
    """What is wrong with the addresses of a relay's name."""
    if isinstance(answer, Found):
        private = [unpack(one) for one in answer.records if is_private(one)]
        if private:
            found = f"has the address {', '.join(private)}, which nobody outside reaches"
            yield Symptom(relay, Check.NAME, Severity.ERROR, found, "set its public addresses in DNS")
    elif isinstance(answer, (NxDomain, NoData)):
        change = "set an A or AAAA record, or correct identity.hostname and identity.relays"
        yield Symptom(relay, Check.NAME, Severity.ERROR, "has no address in DNS", change)
    else:
        found = f"DNS could not tell its addresses ({answer.result})"
        yield Symptom(relay, Check.NAME, Severity.WARNING, found, _UNKNOWN)


def judge_reverse(
    relay: str, address: bytes, names: Answer[str], forward: Mapping[str, Answer[bytes]]
) -> Iterator[Symptom]:
    """What is wrong with the PTR record of one of a relay's addresses.

    Arguments:
        names: the PTR records.
        forward: the addresses of each of these names.
    """
    text, change = unpack(address), f"set one PTR record that says {relay}."
    if isinstance(names, (NxDomain, NoData)):
        found = "no PTR record: large receivers refuse mail from it"
        yield Symptom(text, Check.NAME, Severity.ERROR, found, change)
    elif not isinstance(names, Found):
        found = f"DNS could not tell its PTR record ({names.result})"
        yield Symptom(text, Check.NAME, Severity.WARNING, found, _UNKNOWN)
    else:
        confirmed = [
            name
            for name in names.records
            if isinstance(answer := forward[name], Found) and address in answer.records
        ]
        shown = ", ".join(names.records)
        if not confirmed:
            found = f"its name {shown} does not lead back to it"
            yield Symptom(text, Check.NAME, Severity.ERROR, found, change)
        elif relay not in confirmed:
            found = f"its name is {shown}, and it says {relay} in HELO"
            yield Symptom(text, Check.NAME, Severity.WARNING, found, change)


def judge_spf(record: str, address: bytes, result: Result) -> Iterator[Symptom]:
    """What the gateway's own SPF record says of one of its addresses.

    Arguments:
        record: name of the record that customers include.
    """
    text = unpack(address)
    if result == "none":
        found = f"there is no SPF record at {record}, which customers' records include"
        yield Symptom(record, Check.SPF, Severity.ERROR, found, "set what postwarden registry dns prints")
    elif result == "temperror":
        yield Symptom(record, Check.SPF, Severity.WARNING, "DNS could not tell", _UNKNOWN)
    elif result == "permerror":
        yield Symptom(record, Check.SPF, Severity.ERROR, "the record is broken", "mend it (RFC 7208)")
    elif result != "pass":
        found = f"{record} does not name {text} ({result}): customers' mail from there fails SPF"
        yield Symptom(text, Check.SPF, Severity.ERROR, found, f"add it to {record}")


def judge_dmarc(domain: str, answer: Answer[bytes]) -> Iterator[Symptom]:
    """Whether the gateway's own domain says what is to be done with mail forged in its name."""
    if isinstance(answer, (NxDomain, NoData)) or (
        isinstance(answer, Found) and find_record(answer.records) is None
    ):
        found = "no DMARC record: anybody can write in the gateway's name"
        change = f'set _dmarc.{domain}. TXT "v=DMARC1; p=none; rua=mailto:postmaster@{domain}" to begin with'
        yield Symptom(domain, Check.DMARC, Severity.WARNING, found, change)
    elif not isinstance(answer, Found):
        found = f"DNS could not tell its DMARC record ({answer.result})"
        yield Symptom(domain, Check.DMARC, Severity.WARNING, found, _UNKNOWN)


def judge_listing(address: bytes, name: str, facts: Sequence[str]) -> Iterator[Symptom]:
    """Whether a list of bad clients has one of our addresses.

    Arguments:
        name: of the list, in ``policyd.lists``.
        facts: what it says of the address.
    """
    if facts:
        found = f"is on the list {name} ({', '.join(facts)})"
        change = 'find out who sends ("policyd outgoing list --odd"), then ask the list to take it off'
        yield Symptom(unpack(address), Check.LISTED, Severity.ERROR, found, change)
