"""Postfix's own log lines as a source of requests: what was asked can be told from what became of it.

- A recipient put off or refused by us or another greylisting: ``NOQUEUE: reject: RCPT from name[address]``.
- A mail accepted: ``QUEUEID: client=`` says when and from whom, qmgr's ``from=<>, size=, nrcpt=`` the sender,
  the deliveries' ``to=<>, orig_to=<>`` the recipients. It is known whole only when its last recipient was
  tried, so requests are held back until nothing earlier can come.
- A mail refused at its end by a filter before the queue: ``proxy-reject: END-OF-MESSAGE``.

What others refused (unknown users, DNSBLs in main.cf) would be refused whatever we say, and is left out; so
is what a filter behind the queue brings back, and what a program on this machine sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from mailbase.addresses import pack
from mailbase.ids import is_id
from mailbase.vocabulary import Action
from policyd.protocol.request import Request
from policyd.replay.past import Answer, Fate, Recorded, past_request
from policyd.replay.stamps import Stamp

MAX_MAILS = 20_000
"""Mails whose recipients are not all known."""
MAX_RECIPIENTS = 2_000
"""Recipients of one mail that are noted."""
MAX_HELD = 100_000
"""Requests held back until what came before them is known."""
MAX_CLIENTS = 10_000
"""Processes whose client is remembered."""
HOLD = 600.0
"""Seconds of the log until a mail is taken as it is."""

_PLACE = r"(\S{0,255}?)\[([0-9A-Fa-f.:]{2,45})\](?::[0-9]{1,5})?"
_CLIENT = re.compile(rf"([0-9A-Za-z]{{5,20}}): client={_PLACE}")
_LOGIN = re.compile(r", sasl_username=([^,]{1,255})")
_BEFORE = re.compile(rf", orig_client={_PLACE}")
_QUEUED = re.compile(
    r"([0-9A-Za-z]{5,20}): from=<([^>]{0,1000})>, size=([0-9]{1,18}), nrcpt=([0-9]{1,6}) \(queue active\)"
)
_TRIED = re.compile(
    r"([0-9A-Za-z]{5,20}): to=<([^>]{0,1000})>, (?:orig_to=<([^>]{0,1000})>, )?.{0,1000}?status=([a-z]+)"
)
_REFUSED = re.compile(
    rf"[0-9A-Za-z]{{5,20}}: reject: RCPT from {_PLACE}: ([45])[0-9][0-9] (.*)"
    r"; from=<([^>]{0,1000})> to=<([^>]{0,1000})> proto=(\w{1,20})(?: helo=<([^>]{0,1000})>)?"
)
_PROXIED = re.compile(
    r"proxy-(accept|reject): END-OF-MESSAGE: (.*); from=<([^>]{0,1000})>(?: to=<([^>]{0,1000})>)?"
    r" proto=(\w{1,20})(?: helo=<([^>]{0,1000})>)?"
)
_QUEUED_AS = re.compile(r"queued as ([0-9A-Za-z]{5,20})")
_GREY = re.compile(r"gr[ea]y-?list", re.IGNORECASE)
_OUR_ID = re.compile(r"\[([0-9a-z]{13})\]")
_CODE = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}")

_RECEIVED = Answer(Action.ACCEPT, "received")


@dataclass(slots=True)
class _Mail:
    """A mail that smtpd took."""

    queue_id: str
    time: float
    name: str
    address: str
    login: str
    sender: str | None = None
    size: str = ""
    wanted: int = 0
    helo: str = ""
    fate: Fate | None = None
    tried: set[str] = field(default_factory=set)
    recipients: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What was not made a request of.

    Arguments:
        others: recipients that something else than a policy server refused.
        incomplete: mails whose sender or recipients the log does not tell.
        brought_back: mails that a filter behind the queue brought back, or a program on this machine sent.
    """

    others: int = 0
    incomplete: int = 0
    brought_back: int = 0


class PostfixLog:
    """Takes the lines of one host, gives requests in the order of their time.

    Arguments:
        tally: counts what is left out.
    """

    def __init__(self, tally: Tally | None = None) -> None:
        self.tally = tally or Tally()
        self._mails: dict[str, _Mail] = {}
        self._clients: dict[str, tuple[str, str]] = {}
        self._held: list[tuple[float, int, Recorded]] = []
        self._count = 0

    def feed(self, stamp: Stamp, text: str) -> None:
        """Take the message of one line.

        Arguments:
            stamp: of the line.
            text: the message.
        """
        program = stamp.program.rpartition("/")[2]
        if program == "smtpd":
            self._smtpd(stamp, text)
        elif program == "qmgr" or program == "nqmgr":
            self._qmgr(text)
        elif "status=" in text and (found := _TRIED.match(text)):
            self._tried(*found.groups())

    def ready(self, now: float) -> Iterator[Recorded]:
        """The requests before which nothing more can come.

        Arguments:
            now: time of the last line.
        """
        while self._mails:
            oldest = next(iter(self._mails.values()))
            if len(self._mails) <= MAX_MAILS and len(self._held) <= MAX_HELD and now - oldest.time < HOLD:
                break
            self._complete(oldest)
        until = next(iter(self._mails.values())).time if self._mails else now
        while self._held and self._held[0][0] <= until:
            yield heappop(self._held)[2]

    def rest(self) -> Iterator[Recorded]:
        """All other requests, at the end of the log."""
        for mail in list(self._mails.values()):
            self._complete(mail)
        while self._held:
            yield heappop(self._held)[2]

    @property
    def held(self) -> int:
        """Mails and requests in memory."""
        return len(self._mails) + len(self._held) + len(self._clients)

    def _smtpd(self, stamp: Stamp, text: str) -> None:
        if ": client=" in text:
            self._client(stamp, text)
        elif ": reject: RCPT from " in text:
            if found := _REFUSED.match(text):
                self._refused(stamp.time, *found.groups())
        elif text.startswith("proxy-") and (found := _PROXIED.match(text)):
            self._proxied(stamp, *found.groups())

    def _client(self, stamp: Stamp, text: str) -> None:
        found = _CLIENT.match(text)
        if found is None:
            return
        queue_id, name, address = found.groups()
        rest = text[found.end() :]
        login = _LOGIN.search(rest)
        if queue_id == "NOQUEUE":
            # A filter before the queue: the mail gets its queue id behind it.
            if len(self._clients) >= MAX_CLIENTS:
                self._clients.clear()
            self._clients[stamp.pid] = (name, address)
            return
        if ", orig_queue_id=" in rest:
            self.tally.brought_back += 1
            return
        if before := _BEFORE.search(rest):
            name, address = before.groups()
        elif login is None and _is_loopback(address):
            self.tally.brought_back += 1
            return
        if queue_id in self._mails:
            self._complete(self._mails[queue_id])
        self._mails[queue_id] = _Mail(queue_id, stamp.time, name, address, login[1] if login else "")

    def _qmgr(self, text: str) -> None:
        if found := _QUEUED.match(text):
            mail = self._mails.get(found[1])
            if mail is not None:
                mail.sender, mail.size, mail.wanted = found[2], found[3], int(found[4])
        elif text.endswith(": removed") and (mail := self._mails.get(text[:-9])) is not None:
            self._complete(mail)

    def _tried(self, queue_id: str, recipient: str, original: str | None, status: str) -> None:
        mail = self._mails.get(queue_id)
        if mail is None or len(mail.tried) >= MAX_RECIPIENTS:
            return
        mail.tried.add(recipient)
        mail.recipients[original or recipient] = None
        if status == "sent":
            mail.fate = Fate.DELIVERED
        if mail.wanted and len(mail.tried) >= mail.wanted:
            self._complete(mail)

    def _proxied(
        self,
        stamp: Stamp,
        outcome: str,
        reply: str,
        sender: str,
        recipient: str | None,
        protocol: str,
        helo: str | None,
    ) -> None:
        client = self._clients.pop(stamp.pid, None)
        if outcome == "accept":
            queued = _QUEUED_AS.search(reply)
            if queued and (mail := self._mails.get(queued[1])) is not None:
                mail.helo = helo or ""
            return
        if client is None or not recipient or reply[:1] != "5":
            return
        request = _request(*client, sender, recipient, protocol, helo or "")
        self._hold(Recorded(stamp.time, request, _RECEIVED, fate=Fate.REFUSED))

    def _refused(
        self,
        time: float,
        name: str,
        address: str,
        kind: str,
        reply: str,
        sender: str,
        recipient: str,
        protocol: str,
        helo: str | None,
    ) -> None:
        ours = any(is_id(found) for found in _OUR_ID.findall(reply))
        if not ours and not _GREY.search(reply):
            self.tally.others += 1
            return
        code = _CODE.match(reply)
        action = Action.DEFER if kind == "4" else Action.REJECT
        answer = Answer(action, f"reply-{code[0] if code else kind}")
        self._hold(Recorded(time, _request(name, address, sender, recipient, protocol, helo or ""), answer))

    def _complete(self, mail: _Mail) -> None:
        """All is known of ``mail`` that will be."""
        del self._mails[mail.queue_id]
        if mail.sender is None or not mail.recipients:
            self.tally.incomplete += 1
            return
        count = len(mail.recipients)
        more = {
            "instance": f"{mail.queue_id}.{mail.time:.6f}",
            "queue_id": mail.queue_id,
            "sasl_username": mail.login,
        }

        def request(stage: str, recipient: str, **others: str) -> Request:
            return _request(
                mail.name,
                mail.address,
                mail.sender or "",
                recipient,
                "ESMTP",
                mail.helo,
                stage,
                **more,
                **others,
            )

        for recipient in mail.recipients:
            self._hold(Recorded(mail.time, request("RCPT", recipient), _RECEIVED, fate=mail.fate))
        single = next(iter(mail.recipients)) if count == 1 else ""
        for stage in ("DATA", "END-OF-MESSAGE"):
            size = mail.size if stage == "END-OF-MESSAGE" else "0"
            self._hold(Recorded(mail.time, request(stage, single, recipient_count=str(count), size=size)))

    def _hold(self, recorded: Recorded) -> None:
        self._count += 1
        heappush(self._held, (recorded.time, self._count, recorded))


def _request(
    name: str,
    address: str,
    sender: str,
    recipient: str,
    protocol: str,
    helo: str,
    stage: str = "RCPT",
    **more: str,
) -> Request:
    return past_request(
        {
            "request": "smtpd_access_policy",
            "protocol_state": stage,
            "protocol_name": protocol,
            "client_address": address,
            "client_name": name or "unknown",
            "reverse_client_name": name or "unknown",
            "helo_name": helo,
            "sender": sender,
            "recipient": recipient,
            **more,
        }
    )


def _is_loopback(address: str) -> bool:
    packed = pack(address)
    return packed is not None and (packed[0] == 127 if len(packed) == 4 else packed == bytes(15) + b"\1")
