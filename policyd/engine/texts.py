"""From a verdict to the reply that Postfix gets: our words, or the operator's in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailbase.config.evidence import DEFAULT_POINTS
from mailbase.replies import MAX_NAME, printable
from mailbase.vocabulary import Action
from policyd.engine.verdict import Verdict
from policyd.protocol.request import Request

BUILT_IN = "{text} [{id}] {contact}"
"""What stands behind the code: what is wrong, the decision's id, whom to turn to."""

_CODE = re.compile(r"(?:(?:DEFER_IF_PERMIT|DEFER_IF_REJECT|[45][0-9]{2}) )?(?:[45]\.[0-9]+\.[0-9]+ )?")
_ACCEPT = Action.ACCEPT


class Texts:
    """Arguments:
    contact: at the end of every refusal; may be empty, and may hold ``{id}``.
    own: the operator's texts, by reason or by the name of the check that decided.
    """

    def __init__(self, contact: str = "", own: Mapping[str, str] | None = None) -> None:
        self._contact = contact
        self._has_id = "{id}" in contact
        self._own = dict(own or {})

    def reply(self, verdict: Verdict, decision_id: str, request: Request) -> str:
        """The reply; one that keeps mail out names the decision. Encoded on the way out, and not yet here."""
        if verdict.action is _ACCEPT:
            return verdict.reply
        contact = self._contact
        if self._has_id:
            contact = contact.replace("{id}", decision_id)
        if self._own:
            own = self._find(verdict.reason)
            if own is not None:
                return self._in_own_words(own, verdict, decision_id, contact, request)
        return f"{verdict.reply} [{decision_id}] {contact}" if contact else f"{verdict.reply} [{decision_id}]"

    def _find(self, reason: str) -> str | None:
        """The text for exactly this reason, else for its check, else for all that give points."""
        check = reason.partition("-")[0]
        points = self._own.get("points") if check in DEFAULT_POINTS else None
        return self._own.get(reason) or self._own.get(check) or points

    def _in_own_words(
        self, own: str, verdict: Verdict, decision_id: str, contact: str, request: Request
    ) -> str:
        found = _CODE.match(verdict.reply)
        code = found[0] if found else ""
        values = {
            "text": verdict.reply[len(code) :],
            "id": decision_id,
            "contact": contact,
            "client": request.client_address,
            "client_name": _short(request.client_name),
            "helo": _short(request.get("helo_name")),
            "sender": _short(request.sender or "<>"),
            "recipient": _short(request.recipient),
            "wait": str(verdict.wait),
        }
        return (code + own.format_map(values)).rstrip()


def _short(foreign: str) -> str:
    """Bounded, so that a long address cannot push the id out of the reply."""
    return printable(foreign, MAX_NAME)
