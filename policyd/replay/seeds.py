"""What greylisting knew before the recording began, as far as the recorded answers tell.

A simulation begins with an empty memory. Where the recording says that a triplet was known, or was tried
before, and the simulation has never met its sender and recipient, it is put into its memory as it must have
been. So the first weeks of a replay are no flood of first contacts that were none.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from policyd.evidence.facts import Grey, GreylistFact
from policyd.greylist.identity import Caller
from policyd.greylist.keys import normal_recipient, normal_sender
from policyd.greylist.ledger import Records
from policyd.greylist.terms import Terms
from policyd.replay.past import Answer

_KNOWN, _PASSED, _EARLY, _EARNED = (
    f"greylist-{grey}" for grey in (Grey.KNOWN, Grey.PASSED, Grey.EARLY, Grey.CLIENT_EARNED)
)
TELLING = frozenset({_KNOWN, _PASSED, _EARLY, _EARNED})
"""Reasons that tell of something before."""


MAX_RETRIES = 1000
"""Good retries that are made up for a caller; where more are needed, it has to earn them."""


class SeededLedger:
    """A :class:`~policyd.greylist.ledger.Ledger` in front of another one, which remembers.

    Arguments:
        ledger: of the simulation; answers at once.
    """

    def __init__(self, ledger: Records) -> None:
        self._ledger = ledger
        self._terms = ledger.terms
        self._unpaid = replace(ledger.terms, auto_allow_after=0)
        """Terms under which passing earns a network nothing: its own answers say what it had earned."""
        self._passing = replace(ledger.terms, lifetime=0.0)
        """Terms under which a made up triplet is forgotten at once."""
        self._met: set[int] = set()
        """Pairs of sender and recipient, and callers, that the simulation knows: hashes, 60 octets each."""
        self.answer: Answer | None = None
        """Recorded for the request that is decided now."""

    def attempt(
        self,
        caller: Caller,
        sender: str,
        recipient: str,
        now: float,
        *,
        trace: bool = True,
        terms: Terms | None = None,
    ) -> GreylistFact | Awaitable[GreylistFact]:
        """See :class:`~policyd.greylist.ledger.Ledger`."""
        if trace:
            # Without the caller: by what he is known again is where other settings differ. But bounces to one
            # recipient come from everywhere.
            met = hash(
                (normal_sender(sender), normal_recipient(recipient), "" if sender else caller.identities)
            )
            if met not in self._met:
                self._met.add(met)
                answer = self.answer
                # In brackets where greylisting was a shadow.
                reason = "" if answer is None else answer.reason.strip("()")
                if answer is not None and reason in TELLING:
                    self._seed(reason, answer.wait, caller, sender, recipient, now)
        return self._ledger.attempt(caller, sender, recipient, now, trace=trace, terms=terms)

    def _seed(
        self, reason: str, wait: float, caller: Caller, sender: str, recipient: str, now: float
    ) -> None:
        terms = self._terms
        if reason == _EARNED:
            if (
                0 < terms.auto_allow_after <= MAX_RETRIES
                and (earned := hash(caller.identities)) not in self._met
            ):
                self._met.add(earned)
                for number in range(terms.auto_allow_after):
                    self._pass(self._passing, caller, sender, f"{number}.{recipient}", now)
        elif reason == _KNOWN:
            self._pass(self._unpaid, caller, sender, recipient, now)
        else:
            waited = terms.delay + 1 if reason == _PASSED else max(0.0, terms.delay - wait)
            self._try(self._unpaid, caller, sender, recipient, now - waited)

    def _pass(self, terms: Terms, caller: Caller, sender: str, recipient: str, now: float) -> None:
        """Let a triplet have passed just before."""
        self._try(terms, caller, sender, recipient, now - terms.delay - 2)
        self._try(terms, caller, sender, recipient, now - 1)

    def _try(self, terms: Terms, caller: Caller, sender: str, recipient: str, at: float) -> None:
        self._ledger.terms = terms
        try:
            done = self._ledger.attempt(caller, sender, recipient, at)
        finally:
            self._ledger.terms = self._terms
        assert isinstance(done, GreylistFact), "a simulation's ledger answers at once"
