"""A daemon of ours is dead or stands still: mail waits or goes on, and nothing gets a 5xx for our trouble."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, Rewired
from postwarden.sandbox.ports import PortReservation

FOREIGN = f"carol@{registered.FOREIGN_DOMAIN}"


@pytest.fixture(scope="module")
def own(real_postfix, tmp_path_factory):
    """A gateway that may be broken; Postfix waits for policyd only 2 seconds instead of 10.

    Its main.cf names the served domains. Where Postfix looks them up in policyd, all mail waits without it:
    see test_socketmap.py.
    """
    with Gateway(tmp_path_factory.mktemp("outage"), policy_timeout=2, live_registry=False) as gateway:
        gateway.start()
        yield gateway


def try_all(outside, mark: str) -> dict[str, object]:
    """Three mails at once: to a served domain, from a registered system, and an attempt to relay."""
    mail = samples.mail(mark)
    with ThreadPoolExecutor(3) as pool:
        tries = {
            "served": pool.submit(outside.mx, mail, f"bob@{registered.DOMAIN}"),
            "system": pool.submit(outside.mx, mail, FOREIGN, client=registered.SYSTEM),
            "foreign": pool.submit(outside.mx, mail, FOREIGN),
        }
        return {name: future.result() for name, future in tries.items()}


def judge_without_policyd(outcomes, sink, mark: str) -> None:
    assert outcomes["served"].code == 250, outcomes["served"]
    assert sink.wait_for(mark.encode())
    assert outcomes["system"].code == 450, outcomes["system"]
    assert 400 <= outcomes["foreign"].code < 500, outcomes["foreign"]
    assert len(sink.find(mark.encode())) == 1


def test_policyd_dead(own, outside_of, mark):
    own.policyd.kill()
    try:
        judge_without_policyd(try_all(outside_of(own), mark), own.sink, mark)
    finally:
        own.start_policyd()
    outcomes = try_all(outside_of(own), f"{mark}-after")
    assert outcomes["system"].code == 250
    assert outcomes["foreign"].code == 554


def test_policyd_stopped(own, outside_of, mark):
    """SIGSTOP: connections stay open and nobody answers."""
    own.policyd.signal(signal.SIGSTOP)
    try:
        judge_without_policyd(try_all(outside_of(own), mark), own.sink, mark)
    finally:
        own.policyd.signal(signal.SIGCONT)
    assert try_all(outside_of(own), f"{mark}-after")["system"].code == 250


def test_without_policyd_content_is_still_looked_at(own, outside_of, mark):
    own.policyd.kill()
    try:
        outcome = outside_of(own).mx(samples.mail(mark, attachments=(samples.renamed_macros(),)))
        assert outcome.code == 554
    finally:
        own.start_policyd()


def test_contentfilter_dead(own, outside_of, mark):
    outside = outside_of(own)
    own.contentfilter.kill()
    try:
        before = outside.mx(samples.mail(mark), f"eve@{registered.OPEN_DOMAIN}")
        assert before.code == 451, before
        # Behind the queue the mail is taken, and waits.
        assert outside.user(samples.mail(f"{mark}-user"), FOREIGN).code == 250
        assert not own.sink.find(mark.encode())
    finally:
        own.start_contentfilter()
    assert outside.mx(samples.mail(mark), f"eve@{registered.OPEN_DOMAIN}").code == 250
    # Postfix mostly tries again within 2 s; on a busy machine it took half a minute once.
    assert own.sink.wait_for(f"{mark}-user".encode(), within=90.0)


def test_reinjection_port_dead(own, outside_of, mark):
    """contentfilter has nobody to give the mail to: it is not accepted."""
    own.contentfilter.stop()
    try:
        with PortReservation() as nobody:
            own.write_config(Rewired(reinject_before=nobody.take()))
        own.start_contentfilter("/healthz")
        outcome = outside_of(own).mx(samples.mail(mark), f"eve@{registered.OPEN_DOMAIN}")
        assert outcome.code == 451, outcome
    finally:
        own.contentfilter.stop()
        own.write_config()
        own.start_contentfilter()
    assert not own.sink.find(mark.encode())


def test_next_hop_refuses_a_recipient(own, outside_of, mark):
    """What Postfix behind the filter refuses is told to the client in Postfix's own words."""
    outside = outside_of(own)
    own.sink.on_message = lambda delivery: b"451 4.7.1 later"
    try:
        assert outside.mx(samples.mail(mark), f"eve@{registered.OPEN_DOMAIN}").code == 250
        assert not own.sink.find(mark.encode())
    finally:
        own.sink.on_message = lambda delivery: b"250 2.0.0 Ok"
    own.postfix.wait_empty(20.0)
    assert own.sink.wait_for(mark.encode())


def test_workers_are_replaced_when_they_are_killed(own, outside_of, mark):
    """A worker's death costs at most a 451; the next mail passes."""
    children = (
        Path(f"/proc/{own.contentfilter.pid}/task/{own.contentfilter.pid}/children").read_text().split()
    )
    assert children, "contentfilter has no worker processes"
    for pid in children:
        os.kill(int(pid), signal.SIGKILL)
    outside = outside_of(own)
    codes = [
        outside.mx(samples.mail(f"{mark}-{turn}"), f"eve@{registered.OPEN_DOMAIN}").code for turn in range(4)
    ]
    assert set(codes) <= {250, 451}
    assert codes[-1] == 250
