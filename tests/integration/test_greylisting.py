"""Greylisting as an SMTP client meets it."""

from __future__ import annotations

import itertools
import time

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.waiting import wait_until

_networks = itertools.count(1)


@pytest.fixture
def client() -> str:
    """An address in a network that no other test uses."""
    return f"203.0.{next(_networks)}.25"


@pytest.fixture
def recipient(mark) -> str:
    return f"{mark}@{registered.DOMAIN}"


def after_the_delay(outside, mail, recipient, client, **who):
    """Try again as a mail server does, until it is no longer deferred."""
    end = time.monotonic() + 15.0

    def again():
        outcome = outside.mx(mail, recipient, client=client, **who)
        return outcome if outcome.code != 450 or time.monotonic() > end else None

    return wait_until(again, 16.0, "an answer that is not 450")


def test_first_try_is_deferred_and_the_retry_passes(outside, gateway, mark, client, recipient):
    mail = samples.mail(mark, recipient=recipient)
    first = outside.mx(mail, recipient, client=client)
    assert first.stage == "RCPT"
    assert first.code == 450
    assert "4.2.0" in str(first.reply)
    assert "reylisted" in str(first.reply)
    assert after_the_delay(outside, mail, recipient, client).code == 250
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)


def test_who_tries_again_at_once_waits_on(outside, mark):
    def within_a_second(number: int) -> bool:
        """Try twice; whether that took no more than the delay leaves, which is counted in whole seconds."""
        recipient = f"{mark}-{number}@{registered.DOMAIN}"
        mail = samples.mail(mark, recipient=recipient)
        client = f"203.0.{number}.25"
        began = int(time.time())
        first, second = (outside.mx(mail, recipient, client=client).code for _ in range(2))
        within = int(time.time()) == began
        assert first == 450
        assert second == 450 or not within
        return within

    wait_until(lambda: within_a_second(next(_networks)), 60.0, "two tries within one second")


def test_another_host_of_the_same_network_may_retry(outside, mark, client, recipient):
    mail = samples.mail(mark, recipient=recipient)
    # With a PTR; an address without one stands for itself.
    assert outside.mx(mail, recipient, client=client, name="out1.pool.example").code == 450
    neighbour = client.rpartition(".")[0] + ".77"
    assert after_the_delay(outside, mail, recipient, neighbour, name="out2.pool.example").code == 250


def test_an_address_without_a_name_stands_for_itself(outside, gateway, mark, client, recipient):
    mail = samples.mail(mark, recipient=recipient)
    assert outside.mx(mail, recipient, client=client).code == 450
    assert after_the_delay(outside, mail, recipient, client).code == 250
    neighbour = client.rpartition(".")[0] + ".77"
    assert outside.mx(mail, recipient, client=neighbour).code == 450


def test_each_recipient_is_decided_by_itself(outside, gateway, mark, client):
    known, new = f"known-{mark}@{registered.DOMAIN}", f"new-{mark}@{registered.DOMAIN}"
    mail = samples.mail(mark)
    outside.mx(mail, known, client=client)
    assert after_the_delay(outside, mail, known, client).code == 250
    outcome = outside.mx(mail, [known, new], client=client)
    assert [reply.code for reply in outcome.recipients] == [250, 450]


@pytest.mark.parametrize("local", ["abuse", "postmaster"])
def test_complaints_are_not_delayed(outside, mark, client, local):
    assert outside.mx(samples.mail(mark), f"{local}@{registered.DOMAIN}", client=client).code == 250


def test_upstream_relays_registered_systems_and_users_are_not_delayed(outside, mark, recipient):
    mail = samples.mail(mark)
    assert outside.mx(mail, recipient, client=registered.UPSTREAM).code == 250
    assert outside.mx(mail, recipient, client=registered.SYSTEM).code == 250
    assert outside.user(mail, recipient).code == 250


def test_a_domain_can_be_without(outside, mark, client):
    assert outside.mx(samples.mail(mark), f"{mark}@{registered.OPEN_DOMAIN}", client=client).code == 250


def test_a_bounce_is_delayed_like_any_other(outside, mark, client, recipient):
    mail = samples.mail(mark, recipient=recipient)
    assert outside.mx(mail, recipient, client=client, sender="").code == 450
    assert after_the_delay(outside, mail, recipient, client, sender="").code == 250


def test_what_passed_survives_a_restart_of_policyd(outside, gateway, mark, client, recipient):
    mail = samples.mail(mark, recipient=recipient)
    outside.mx(mail, recipient, client=client)
    assert after_the_delay(outside, mail, recipient, client).code == 250
    gateway.policyd.stop()
    gateway.start_policyd()
    assert outside.mx(mail, recipient, client=client).code == 250
