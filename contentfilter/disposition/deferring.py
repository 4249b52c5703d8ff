"""Asks policyd's greylisting whether a mail that looks like spam has to wait, and how long.

Nothing waits for an answer that does not come: without policyd the mail goes on, tagged.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Protocol

from contentfilter.assessing import Mail
from contentfilter.metrics import Metrics
from contentfilter.spool.spool import Spool
from mailbase.config import ListenerSettings
from mailbase.control import ControlError
from mailbase.deferral import VERB, DeferralAnswer, DeferralQuestion
from mailbase.logs import Log
from mailbase.vocabulary import Flow

TIMEOUT = 2.0
"""Seconds for policyd to answer."""
MAX_DIGESTED = 1 << 20
"""Octets of a body that make it the same; with its length, the rest of a large one changes nothing."""

_MESSAGE_ID = re.compile(rb"(?im)^message-id[ \t]*:([^\r\n]{0,998}(?:\r?\n[ \t][^\r\n]{0,998}){0,4})")


class Policyd(Protocol):
    """policyd's control socket."""

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]: ...


def may_wait(mail: Mail, listener: ListenerSettings) -> bool:
    """Whether the mail's client can be told to come again: another server, which still has the mail.

    Without a ticket nobody knows whether it has waited already. Behind the queue Postfix would wait, and not
    the server that brought it: there a listener has LMTP or a flow of its own, or Postfix tells its queue id.
    """
    if mail.flow is not Flow.INBOUND or mail.ticket is None or mail.envelope.lmtp:
        return False
    return listener.flow in (None, Flow.INBOUND) and not mail.envelope.client.ident


class Deferrals:
    """Arguments:
    metrics: count.
    log: for what cannot be asked.
    """

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log

    async def ask(self, policyd: Policyd, mail: Mail, patience: float) -> int:
        """Seconds that the mail has to wait; 0 if it need not, or nobody can say.

        Arguments:
            mail: one that may wait.
            patience: seconds that there are for the answer.
        """
        client = mail.envelope.client
        try:
            question = DeferralQuestion(
                mail.id, client.address, client.name, mail.envelope.sender.address, digest(mail.spool)
            )
            answer = DeferralAnswer.from_dict(
                await policyd.request(VERB, question.to_dict(), max(0.0, min(TIMEOUT, patience)))
            )
        except (ControlError, OSError, ValueError) as error:
            self._metrics.deferrals.labels("unavailable").inc()
            self._log.warning("deferral-unavailable", id=mail.id, error=str(error))
            return 0
        self._metrics.deferrals.labels(answer.why).inc()
        return answer.wait


def digest(spool: Spool) -> str:
    """What the same mail has when it comes again: of its Message-ID and its body, 32 hexadecimal digits.

    Raises:
        OSError: the spool cannot be read.
        ValueError: the spool is closed.
    """
    head = spool.head()
    end = head.find(b"\r\n\r\n")
    found = _MESSAGE_ID.search(head, 0, len(head) if end < 0 else end + 2)
    # Of a header that long the lines are taken for the body: they come again as they are.
    body = 0 if end < 0 else end + 4
    seen = blake2b(digest_size=16)
    seen.update(b"%d\0" % (spool.wire_size - body))
    seen.update(b" ".join(found[1].split()) if found else b"")
    seen.update(b"\0")
    seen.update(spool.digest_from(body, MAX_DIGESTED))
    return seen.hexdigest()
