"""Who may relay, asked of a real Postfix: nobody but registered systems and authenticated users."""

from __future__ import annotations

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered

FOREIGN = f"carol@{registered.FOREIGN_DOMAIN}"


@pytest.mark.parametrize("client", ["198.51.100.25", "2001:db8:ffff::25", "192.0.3.1", "129.187.254.10"])
def test_nobody_else_can_relay(outside, gateway, mark, client):
    """Not even a trusted upstream relay: it brings mail for us, it does not send through us."""
    address = f"IPV6:{client}" if ":" in client else client
    outcome = outside.mx(samples.mail(mark), FOREIGN, client=address)
    assert outcome.stage == "RCPT"
    assert outcome.code == 554
    assert "5.7.1" in str(outcome.reply)
    assert "elay access denied" in str(outcome.reply)
    assert not gateway.sink.find(mark.encode())


@pytest.mark.parametrize(
    "who",
    [
        {"client": "192.0.2.25"},
        {"client": "192.0.2.255"},
        {"client": "IPV6:2001:db8:1:ffff::1"},
        {"client": "198.51.100.77", "name": f"printer.{registered.DOMAIN}"},
    ],
)
def test_registered_systems_can(outside, gateway, mark, who):
    outcome = outside.mx(samples.mail(mark), FOREIGN, **who)
    assert outcome.code == 250, outcome
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.recipients[0].startswith(f"<{FOREIGN}>".encode())


def test_authenticated_users_can(outside, gateway, mark):
    assert outside.user(samples.mail(mark), FOREIGN).code == 250
    assert gateway.sink.wait_for(mark.encode())


def test_without_authentication_the_submission_port_does_not_relay(outside, gateway, mark):
    outcome = outside.user(samples.mail(mark), FOREIGN, user="")
    assert outcome.code == 554
    assert not gateway.sink.find(mark.encode())


def test_a_name_that_is_only_claimed_does_not_count(outside, mark):
    """HELO is what the client says of itself."""
    outcome = outside.mx(samples.mail(mark), FOREIGN, helo=f"printer.{registered.DOMAIN}")
    assert outcome.code == 554


@pytest.mark.parametrize(
    "recipient",
    [
        f"carol%{registered.FOREIGN_DOMAIN}@{registered.DOMAIN}",
        f"@{registered.DOMAIN}:carol@{registered.FOREIGN_DOMAIN}",
        f"carol@sub.{registered.DOMAIN}",
        f'"carol@{registered.FOREIGN_DOMAIN}"@{registered.DOMAIN}x',
        f"{registered.FOREIGN_DOMAIN}!carol@{registered.FOREIGN_DOMAIN}",
    ],
)
def test_no_notation_of_an_address_opens_the_relay(outside, gateway, mark, recipient):
    outside.mx(samples.mail(mark), recipient)
    for arrived in gateway.sink.find(mark.encode()):
        assert all(
            path.split(b">")[0].endswith(f"@{registered.DOMAIN}".encode()) for path in arrived.recipients
        )
        pytest.fail(f"{recipient} was accepted")


def test_mail_to_a_registered_systems_host_name_is_accepted(outside, gateway, mark):
    outcome = outside.mx(samples.mail(mark), f"root@printer.{registered.DOMAIN}", client=registered.UPSTREAM)
    assert outcome.code == 250, outcome
    assert gateway.sink.wait_for(mark.encode())


def test_mail_to_other_names_of_a_served_domain_is_not(outside, mark):
    outcome = outside.mx(samples.mail(mark), f"root@scanner.{registered.DOMAIN}", client=registered.UPSTREAM)
    assert outcome.code == 554, outcome


def test_one_foreign_recipient_does_not_stop_the_others(outside, gateway, mark):
    outcome = outside.mx(samples.mail(mark), [f"eve@{registered.OPEN_DOMAIN}", FOREIGN])
    assert [reply.code for reply in outcome.recipients] == [250, 554]
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert len(arrived.recipients) == 1
