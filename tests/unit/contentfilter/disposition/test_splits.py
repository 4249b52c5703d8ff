"""Mails whose recipients need different answers: told to come again, and known again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contentfilter.disposition import splits as module
from contentfilter.disposition.splits import (
    ABANDONED,
    LIFETIME,
    MAX_OF_NETWORK,
    MAX_PUT_OFF,
    MAX_TRIES,
    Splits,
)
from contentfilter.session.envelope import Client, Envelope, Path

CLIENT = "203.0.113.9"
GOOD, BAD = 2, 5


class Scene:
    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[str] = []
        self.splits = Splits(
            lambda: self.now, lambda address: address == b"\xc6\x33\x64\x07", self.events.append
        )

    def envelope(self, *recipients: str, sender="s@x", client=CLIENT, size: int | None = 100) -> Envelope:
        paths = [Path(one, f"<{one}>".encode()) for one in recipients]
        return Envelope(Path(sender, f"<{sender}>".encode()), Client(address=client), [], paths, size=size)

    def mixed(self, good: list[str], bad: list[str], **about) -> bool:
        """A mail whose recipients get different answers."""
        envelope = self.envelope(*good, *bad, **about)
        labels = {place: GOOD if place < len(good) else BAD for place in range(len(envelope.recipients))}
        return self.splits.remember(envelope, labels)

    def offer(self, *recipients: str, **about) -> Envelope:
        """A transaction; returns it with those recipients that were taken."""
        envelope = self.envelope(**about)
        parting = self.splits.begin(envelope)
        for one in recipients:
            if parting is None or parting.takes(one, envelope):
                envelope.recipients.append(Path(one, b""))
        return envelope

    def taken(self, *recipients: str, **about) -> list[str]:
        return [path.address for path in self.offer(*recipients, **about).recipients]


@pytest.fixture
def scene():
    return Scene()


def test_nothing_is_remembered_at_first(scene):
    assert scene.splits.begin(scene.envelope()) is None
    assert scene.taken("a@x", "b@x") == ["a@x", "b@x"]


def test_the_second_try_is_taken_for_those_that_go_with_the_first(scene):
    assert scene.mixed(["a@x", "b@x"], ["c@y", "d@y"])
    assert scene.taken("a@x", "c@y", "b@x", "d@y") == ["a@x", "b@x"]
    scene.splits.answered(scene.envelope("a@x", "b@x"))
    assert scene.taken("c@y", "d@y") == ["c@y", "d@y"]
    scene.splits.answered(scene.envelope("c@y", "d@y"))
    assert len(scene.splits) == scene.splits.recipients == 0
    assert scene.events == ["mail", "recipient", "recipient"]


def test_whoever_stands_first_goes_first(scene):
    scene.mixed(["a@x"], ["c@y"])
    assert scene.taken("c@y", "a@x") == ["c@y"]


def test_three_kinds_come_one_after_another(scene):
    envelope = scene.envelope("a@x", "b@x", "c@x")
    scene.splits.remember(envelope, {0: 2, 1: 4, 2: 5})
    left = ["a@x", "b@x", "c@x"]
    for _ in range(3):
        taken = scene.taken(*left)
        assert taken == left[:1]
        scene.splits.answered(scene.envelope(*taken))
        left.remove(taken[0])
    assert len(scene.splits) == 0


@pytest.mark.parametrize("spelling", ["C@Y", '"c"@y', "c@y."])
def test_recipients_and_senders_are_known_however_they_are_spelt(scene, spelling):
    scene.mixed(["a@x"], ["c@y"])
    assert scene.taken("a@x", spelling, sender="S@X") == ["a@x"]


@pytest.mark.parametrize(
    ("client", "size", "known"),
    [
        (CLIENT, 100, True),
        (CLIENT, None, True),
        (CLIENT, 1000, True),  # a hop more in the header
        (CLIENT, 100_000, False),
        ("203.0.113.200", 100, True),  # a machine beside it
        ("2001:db8::1", 100, True),  # the same message from another one of the sender's machines
        ("192.0.2.1", 101, False),
        ("192.0.2.1", None, False),
        ("", None, False),
    ],
)
def test_the_message_is_known_by_network_and_size(scene, client, size, known):
    scene.mixed(["a@x"], ["c@y"])
    assert (scene.taken("a@x", "c@y", client=client, size=size) == ["a@x"]) is known
    assert scene.taken("a@x", "c@y", sender="other@x") == ["a@x", "c@y"]


def test_recipients_never_heard_of_go_apart_from_those_remembered(scene):
    scene.mixed(["a@x"], ["c@y"])
    assert scene.taken("new@x", "a@x", "c@y", "new2@x") == ["new@x", "new2@x"]
    assert scene.taken("a@x", "new@x") == ["a@x"]


def test_an_upstream_relay_is_never_told_to_come_again(scene):
    scene.mixed(["a@x"], ["c@y"])
    assert scene.taken("a@x", "c@y", client="198.51.100.7") == ["a@x", "c@y"]


def test_a_mail_is_forgotten_in_time(scene):
    scene.mixed(["a@x"], ["c@y"])
    scene.now = LIFETIME - 1
    assert scene.taken("a@x", "c@y") == ["a@x"]
    scene.now = LIFETIME
    assert scene.taken("a@x", "c@y") == ["a@x", "c@y"]
    assert len(scene.splits) == scene.splits.recipients == 0


def test_a_verdict_that_changes_is_the_one_that_counts(scene):
    scene.mixed(["a@x", "b@x"], ["c@y"])
    assert scene.mixed(["a@x"], ["b@x", "c@y"])
    assert scene.taken("a@x", "b@x", "c@y") == ["a@x"]
    scene.splits.answered(scene.envelope("a@x"))
    assert scene.taken("b@x", "c@y") == ["b@x", "c@y"]
    assert len(scene.splits) == 1


def test_verdicts_that_change_for_ever_come_to_an_end(scene):
    for _ in range(MAX_TRIES):
        assert scene.mixed(["a@x"], ["c@y"])
    assert not scene.mixed(["a@x"], ["c@y"])
    assert scene.events[-1] == "given-up"
    assert len(scene.splits) == 0


def test_a_client_that_ends_at_the_first_4xx_is_answered_as_one(scene):
    """As Postfix does with smtpd_proxy_options=speed_adjust."""
    scene.mixed(["a@x"], ["c@y"])
    for _ in range(MAX_TRIES - 1):
        assert scene.taken("a@x", "c@y") == ["a@x"]
    envelope = scene.offer("a@x", "c@y")
    assert envelope.inseparable
    assert len(envelope.recipients) == 2
    assert not scene.splits.remember(envelope, {0: GOOD, 1: BAD})
    assert len(scene.splits) == 0


def test_no_transaction_has_so_many_errors_that_postfix_ends_it(scene):
    bad = [f"c{number}@y" for number in range(MAX_PUT_OFF + 5)]
    scene.mixed(["a@x"], bad)
    envelope = scene.offer("a@x", *bad)
    assert envelope.inseparable
    assert len(envelope.recipients) == 1 + 5
    exact = Scene()
    exact.mixed(["a@x"], bad[:MAX_PUT_OFF])
    envelope = exact.offer("a@x", *bad[:MAX_PUT_OFF])
    assert not envelope.inseparable
    assert len(envelope.recipients) == 1


def test_a_mail_to_many_in_several_transactions_is_several(scene):
    """Else the tries of each would count for all."""
    for number in range(3 * MAX_TRIES):
        assert scene.mixed([f"a{number}@x"], [f"c{number}@y"])
    assert scene.taken("a0@x", "c0@y") == ["a0@x"]
    assert scene.taken("a9@x", "c9@y") == ["a9@x"]


def test_one_network_takes_no_room_of_another(scene):
    for number in range(3 * MAX_OF_NETWORK):
        remembered = scene.mixed(
            ["a@x"], ["c@y"], sender=f"s{number}@spam", client=f"203.0.113.{number % 250}"
        )
        assert remembered is (number < MAX_OF_NETWORK)
    assert scene.events[-1] == "given-up"
    assert scene.mixed(["a@x"], ["c@y"], client="192.0.2.1")
    assert len(scene.splits) == 1 + MAX_OF_NETWORK
    # Those that were there are not driven out: each comes to its end.
    assert scene.taken("a@x", "c@y", sender="s0@spam") == ["a@x"]


def test_what_never_came_again_makes_room(scene):
    for number in range(MAX_OF_NETWORK):
        scene.mixed(["a@x"], ["c@y"], sender=f"s{number}@spam")
    scene.now = ABANDONED - 1
    assert not scene.mixed(["a@x"], ["c@y"])
    scene.now = ABANDONED
    assert scene.mixed(["a@x"], ["c@y"])
    assert len(scene.splits) == MAX_OF_NETWORK


def test_one_that_never_came_again_is_enough_to_make_room(scene):
    scene.mixed(["a@x"], ["c@y"], sender="old@spam")
    scene.now = ABANDONED
    for number in range(1, MAX_OF_NETWORK):
        scene.mixed(["a@x"], ["c@y"], sender=f"s{number}@spam")
    assert scene.mixed(["a@x"], ["c@y"], sender="new@x")
    assert not scene.mixed(["a@x"], ["c@y"], sender="newer@x")
    assert scene.taken("a@x", "c@y", sender="s1@spam") == ["a@x"]


def test_what_is_remembered_is_bounded(scene, monkeypatch):
    monkeypatch.setattr(module, "MAX_MAILS", 50)
    monkeypatch.setattr(module, "MAX_RECIPIENTS", 300)
    for number in range(200):
        remembered = scene.mixed(["a@x"], ["c@y"], sender=f"s{number}@x", client=f"10.{number}.0.1")
        assert remembered is (number < 50)
        assert len(scene.splits) <= 50
    scene.now = ABANDONED
    good = [f"a{i}@x" for i in range(40)]
    for number in range(100):
        remembered = scene.mixed(good, ["c@y"], sender=f"t{number}@x", client=f"10.{number}.0.1")
        assert scene.splits.recipients <= 300
        assert remembered is (number < 7)
    assert scene.taken("a0@x", "c@y", sender="t0@x", client="10.0.0.1") == ["a0@x"]


def test_a_thousand_recipients(scene):
    good, bad = [f"a{i}@x" for i in range(995)], [f"c{i}@y" for i in range(5)]
    scene.mixed(good, bad)
    assert scene.taken(*good, *bad) == good
    scene.splits.answered(scene.envelope(*good))
    assert scene.taken(*bad) == bad


def test_the_envelope_of_a_transaction_is_its_own(scene):
    scene.mixed(["a@x"], ["c@y"])
    first = scene.offer("a@x", "c@y")
    assert not first.inseparable
    assert not replace(first).inseparable
