"""The Received-SPF header field (RFC 7208 9.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbase.replies import printable
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import FAILED, TEMPORARY
from policyd.protocol.request import Request

FIELD = "Received-SPF"
MAX_SENDER = 160
"""Characters of the sender in it; Postfix cuts the whole at 510, and a cut value would be a broken one."""
MAX_HOST = 80
"""Characters of a host name in it."""

_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_SAYS = {
    "pass": "domain of {} designates {} as permitted sender",
    "fail": "domain of {} does not designate {} as permitted sender",
    "softfail": "domain of {} does not clearly designate {} as permitted sender",
    "neutral": "domain of {} says nothing about {}",
    "none": "domain of {} has no SPF record that says anything about {}",
    "permerror": "domain of {} has a broken SPF record; {} was not judged",
    "temperror": "domain of {} could not be looked up; {} was not judged",
}


def received_spf(request: Request, evidence: Iterable[Evidence], receiver: str) -> str | None:
    """The header line, without line end; None where SPF was not looked at.

    Arguments:
        evidence: on this mail; what is stated of MAIL FROM comes before what is stated of HELO.
        receiver: our own name.
    """
    fact = next((one for one in evidence if one.check == "spf" and one.name != FAILED), None)
    if fact is None:
        return None
    result = "temperror" if fact.name == TEMPORARY else fact.name
    says = _SAYS[result].format(
        printable(fact.detail.partition(":")[0], MAX_HOST) or "the sender", request.client_address
    )
    values = {
        "receiver": _value(receiver, MAX_HOST),
        "client-ip": request.client_address,
        "envelope-from": _value(request.sender, MAX_SENDER),
        "helo": _value(request.get("helo_name"), MAX_HOST),
        "identity": "mailfrom" if request.sender else "helo",
    }
    pairs = "; ".join(f"{key}={value}" for key, value in values.items())
    return printable(f"{FIELD}: {result} ({printable(receiver, MAX_HOST)}: {says}) {pairs}", 500)


def _value(text: str, limit: int) -> str:
    """A dot-atom, or a quoted string (RFC 5322 3.2.4)."""
    clean = printable(text, limit)
    if _DOT_ATOM.fullmatch(clean):
        return clean
    if len(_escaped(clean)) > limit:
        clean = printable(text, limit // 2)
    return f'"{_escaped(clean)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
