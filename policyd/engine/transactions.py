"""What was answered in a mail transaction, so that a repeated request gets the same answer and counts once.

Postfix asks again after a lost connection, and may ask at several places for one recipient. Everything is
kept as text in flat dictionaries: nothing here costs Python's cycle collector a look, however much it is.
"""

from __future__ import annotations

from mailbase.ticket import Greylisting
from policyd.evidence.weights import Weighed
from policyd.protocol.request import MAX_ADDRESS, Request

MAX_ENTRIES = 25_000
"""Answers in one of the two generations that are held; some hundred octets each."""
MAX_NOTES = 256 * 1024
"""Characters noted of the recipients of one transaction: far more than smtpd_recipient_limit allows."""

MAX_WEIGHED = 5_000
"""Transactions in one of two generations whose evidence is held; some hundred octets each."""

ACCEPTED, KEPT_OUT, TICKET = "+", "-", "="
WAITED, SPARED = "w", "s"
"""ACCEPTED, of a recipient for whom greylisting made the mail wait, or spared who brings it."""
_ACCEPTING = ACCEPTED + WAITED + SPARED


class Transactions:
    """Answers by request, and what is known of each transaction, by ``instance``.

    What is too long or too much to be remembered is not; nothing outside of a transaction is.
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max = max_entries
        self._answers: dict[str, str] = {}
        self._old_answers: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._old_notes: dict[str, str] = {}
        self._weighed: dict[str, Weighed] = {}
        self._old_weighed: dict[str, Weighed] = {}

    def __len__(self) -> int:
        return len(self._answers) + len(self._old_answers)

    @staticmethod
    def question(request: Request) -> str:
        """What makes a request the same as another; empty if it is never the same."""
        instance, recipient, context = request.instance, request.recipient, request.policy_context
        if not instance:
            return ""
        # A stage is a text already, which a format string would make anew.
        question = "\0".join((instance, request.stage, recipient, context))
        if len(question) > MAX_ADDRESS and max(map(len, (instance, recipient, context))) > MAX_ADDRESS:
            return ""
        return question

    def answer(self, question: str) -> str | None:
        """What was answered to ``question`` before."""
        return self._answers.get(question) or self._old_answers.get(question)

    def remember(self, question: str, request: Request, reply: str, mark: str = "") -> None:
        """Note the answer.

        Arguments:
            question: of :meth:`question`, not empty.
            mark: :data:`ACCEPTED` (:data:`WAITED`, :data:`SPARED`) or :data:`KEPT_OUT` for a recipient;
                :data:`TICKET` and its id for a ticket that was given.
        """
        if len(self._answers) >= self._max:
            self._old_answers, self._answers = self._answers, {}
            self._old_notes, self._notes = self._notes, {}
        self._answers[question] = reply
        if mark:
            notes = self._of(request.instance)
            note = mark if mark[:1] == TICKET else mark + request.recipient
            if len(notes) < MAX_NOTES:
                self._notes[request.instance] = f"{notes}\n{note}" if notes else note

    def weighed(self, request: Request) -> Weighed | None:
        """The evidence on this transaction, if it was gathered."""
        instance = request.instance
        return self._weighed.get(instance) or self._old_weighed.get(instance)

    def keep_weighed(self, request: Request, weighed: Weighed) -> None:
        """Note the evidence on this transaction; further recipients and the ticket have it then."""
        if len(self._weighed) >= MAX_WEIGHED:
            self._old_weighed, self._weighed = self._weighed, {}
        self._weighed[request.instance] = weighed

    def ticket(self, request: Request) -> str:
        """The id of the ticket that was given in this transaction; empty if none was."""
        for note in self._of(request.instance).split("\n"):
            if note[:1] == TICKET:
                return note[1:]
        return ""

    def accepted(self, request: Request) -> tuple[str, ...]:
        """Recipients of this transaction that nothing of ours kept out, in their order."""
        notes = self._of(request.instance).split("\n")
        kept_out = {note[1:] for note in notes if note[:1] == KEPT_OUT}
        accepted = dict.fromkeys(note[1:] for note in notes if note[:1] and note[0] in _ACCEPTING)
        return tuple(recipient for recipient in accepted if recipient not in kept_out)

    def greylisting(self, request: Request) -> Greylisting:
        """What greylisting did with this transaction's mail; for one of its recipients is for all of it."""
        marks = {note[:1] for note in self._of(request.instance).split("\n")}
        return "waited" if WAITED in marks else "spared" if SPARED in marks else ""

    def _of(self, instance: str) -> str:
        return self._notes.get(instance) or self._old_notes.get(instance) or ""
