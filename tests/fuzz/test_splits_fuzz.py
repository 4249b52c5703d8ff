"""Clients that bring a mail again until all is answered: each recipient is answered, once and soon."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.disposition.splits import MAX_PUT_OFF, MAX_TRIES, Splits
from contentfilter.session.envelope import Client, Envelope, Path

KINDS = {2: "taken", 5: "refused"}
CLIENTS = ("203.0.113.9", "203.0.113.77", "192.0.2.1", "2001:db8::1")


class Gateway:
    """What session and inspector do with splits; the answer for a recipient stands in its address."""

    def __init__(self) -> None:
        self.now = 0.0
        self.splits = Splits(lambda: self.now)
        self.answers: dict[tuple[str, str], list[str]] = {}

    def transaction(
        self, mail: str, recipients: list[str], client: str, size: int | None, stops_at_452: bool
    ) -> set[str]:
        """One try of a client; returns those recipients that it need not bring again."""
        self.now += 300.0
        envelope = Envelope(Path("s@x", b""), Client(address=client), size=size)
        parting = self.splits.begin(envelope)
        errors = 0
        for one in recipients:
            if parting is not None and not parting.takes(one, envelope):
                errors += 1
                assert errors <= MAX_PUT_OFF
                if stops_at_452:
                    return set()
                continue
            envelope.recipients.append(Path(one, b""))
        if not envelope.recipients:
            return set()
        labels = {place: int(path.address[0]) for place, path in enumerate(envelope.recipients)}
        if len(set(labels.values())) > 1:
            if self.splits.remember(envelope, labels):
                return set()
            words = {2: "taken", 5: "quarantined"}
        else:
            words = KINDS
        self.splits.answered(envelope)
        for place, path in enumerate(envelope.recipients):
            self.answers.setdefault((mail, path.address), []).append(words[labels[place]])
        return {path.address for path in envelope.recipients}


recipients = st.lists(
    st.tuples(st.sampled_from((2, 5)), st.integers(0, 40)).map(lambda pair: f"{pair[0]}-{pair[1]}@x"),
    min_size=1,
    max_size=30,
    unique=True,
)
mails = st.lists(st.tuples(recipients, st.one_of(st.none(), st.integers(1, 10_000))), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(mails, st.data(), st.booleans())
def test_every_recipient_is_answered_once_whatever_comes_between(mails, data, stops_at_452):
    """Several mails of one sender to the same people, in any order, from any machine of the client's."""
    gateway = Gateway()
    left = {str(number): list(to) for number, (to, _) in enumerate(mails)}
    tries = 0
    while any(left.values()):
        mail = data.draw(st.sampled_from([one for one in left if left[one]]))
        order = data.draw(st.permutations(left[mail]))
        client = data.draw(st.sampled_from(CLIENTS[:2]))
        done = gateway.transaction(mail, list(order), client, mails[int(mail)][1], stops_at_452)
        left[mail] = [one for one in left[mail] if one not in done]
        tries += 1
        assert tries <= 4 * len(mails) * (MAX_TRIES + 3), "it does not come to an end"
    for number, (to, _) in enumerate(mails):
        for one in to:
            (answer,) = gateway.answers[str(number), one]
            assert answer in (("taken",) if one[0] == "2" else ("refused", "quarantined"))
    assert gateway.splits.recipients >= 0


@settings(max_examples=100, deadline=None)
@given(recipients, st.data())
def test_a_message_that_keeps_its_size_may_come_from_anywhere(to, data):
    gateway = Gateway()
    left, tries = list(to), 0
    while left:
        client = data.draw(st.sampled_from(CLIENTS))
        done = gateway.transaction("m", left, client, 4711, False)
        left = [one for one in left if one not in done]
        tries += 1
        assert tries <= MAX_TRIES + 2
    assert len(gateway.splits) == gateway.splits.recipients == 0
