"""Stands in for Postfix where there is none: asks policyd, then hands the mail to contentfilter.

It speaks both protocols as Postfix would for one mail, and is a mail server in no other way: it queues
nothing, and it takes no connections.
"""

from __future__ import annotations

import itertools
import os
import socket
import time

from postwarden.demo.scenario import Step
from postwarden.sandbox.client import Dialogue, Reply, xtext
from postwarden.sandbox.ports import LOOPBACK

TIMEOUT = 60.0
"""Seconds for each answer."""


class Front:
    """Sends sample mails by way of the two daemons alone.

    Arguments:
        policy: port of the policy service.
        before: port of the content filter for other mail servers.
        after: port of the content filter for users (LMTP).
        domains: that Postfix would have in relay_domains.
    """

    def __init__(self, policy: int, before: int, after: int, domains: frozenset[str]) -> None:
        self._policy = policy
        self._before = before
        self._after = after
        self._domains = domains
        self._numbers = itertools.count(1)

    def send(self, step: Step, mail: bytes) -> Reply:
        """Send ``mail`` as ``step`` says; returns what an SMTP client would have been answered."""
        instance = f"{os.getpid():x}.{time.time():f}.{next(self._numbers)}"
        action = self._ask(step, "RCPT", instance, len(mail))
        if refusal := smtp_reply(action, step.recipient.rpartition("@")[2] in self._domains):
            return refusal
        verb, _, text = self._ask(step, "DATA", instance, len(mail)).partition(" ")
        prepended = f"{text}\r\n".encode() if verb.upper() == "PREPEND" else b""
        with Dialogue(
            self._after if step.user else self._before, timeout=TIMEOUT, lmtp=bool(step.user)
        ) as filter_:
            filter_.hello()
            address = f"IPV6:{step.client}" if ":" in step.client else step.client
            filter_.command(
                f"XFORWARD ADDR={address} NAME={xtext(step.name)} HELO={xtext(step.helo)} PROTO=ESMTP"
            )
            return filter_.send(step.sender, [step.recipient], prepended + mail).reply

    def _ask(self, step: Step, state: str, instance: str, size: int) -> str:
        """The policy service's action (SMTPD_POLICY_README)."""
        name = "unknown" if step.name == "[UNAVAILABLE]" else step.name
        attributes = {
            "request": "smtpd_access_policy",
            "protocol_state": state,
            "protocol_name": "ESMTP",
            "client_address": step.client,
            "client_name": name,
            "reverse_client_name": name,
            "helo_name": step.helo,
            "sender": step.sender,
            "recipient": step.recipient,
            "recipient_count": "0" if state == "RCPT" else "1",
            "instance": instance,
            "size": str(size),
            "sasl_username": step.user,
        }
        request = "".join(f"{name}={value}\n" for name, value in attributes.items()) + "\n"
        with socket.create_connection((LOOPBACK, self._policy), TIMEOUT) as connection:
            connection.sendall(request.encode())
            answer = b""
            while not answer.endswith(b"\n\n"):
                piece = connection.recv(4096)
                if not piece:
                    return "DEFER_IF_REJECT 4.3.0 Policy service not available"
                answer += piece
        return answer.decode("ascii", "replace").strip().removeprefix("action=")


def smtp_reply(action: str, served: bool) -> Reply | None:
    """What Postfix would answer to RCPT after this action; None if it accepts the recipient.

    Arguments:
        action: the policy service's.
        served: whether the recipient's domain is in relay_domains.
    """
    verb, _, text = action.partition(" ")
    verb = verb.upper()
    if verb in ("OK", "PERMIT"):
        return None
    if verb.isdigit():
        return _reply(int(verb), text)
    if verb == "REJECT":
        return _reply(554, f"5.7.1 {text}")
    if verb in ("DEFER_IF_PERMIT", "DEFER"):
        return _reply(450, text) if served or verb == "DEFER" else _reply(554, "5.7.1 Relay access denied")
    if not served:
        return _reply(450, text) if verb == "DEFER_IF_REJECT" else _reply(554, "5.7.1 Relay access denied")
    return None


def _reply(code: int, text: str) -> Reply:
    return Reply(code, (f"{code} {text}".encode("ascii", "replace"),))
