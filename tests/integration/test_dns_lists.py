"""DNS lists, with a real Postfix and a DNS server on loopback: who is refused, and what a bad list does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import yaml

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.nameserver import Behaviour, Nameserver
from postwarden.sandbox.waiting import wait_until

MAPPED = ".0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20
V6 = ".0" * 23 + ".8.b.d.0.1.0.0.2"

ZONE = f"""
    bad.example.                        SOA ns.bad.example. h.bad.example. 1 3600 600 86400 60
    2.0.0.127.black.example.            A   127.0.0.2
    2{MAPPED}.black.example.            A   127.0.0.2
    7.0.18.198.black.example.           A   127.0.0.2
    8.0.18.198.black.example.           A   127.0.0.10
    9.0.18.198.black.example.           A   127.0.0.2
    7{V6}.black.example.                A   127.0.0.2
    2.0.0.127.white.example.            A   127.0.10.0
    9.0.18.198.white.example.           A   127.0.5.3
    test.names.example.                 A   127.0.0.2
    bad.example.names.example.          A   127.0.0.2
    ; refuses everybody everything
    *.refuser.example.                  A   127.255.255.254
    ; passes its test, and refuses mail
    2.0.0.127.late.example.             A   127.0.0.2
    1.0.0.127.late.example.             TXT "not listed"
    *.late.example.                     A   127.255.255.254
    ; has been given up
    *.everybody.example.                A   127.0.0.2
    ; sold
    *.sold.example.                     A   192.0.2.80
    2.0.0.127.fickle.example.           A   127.0.0.2
    2.0.0.127.silent.example.           A   127.0.0.2
"""
LISTS = {
    "black": {
        "kind": "dnsbl",
        "zone": "black.example",
        "families": ["ipv4", "ipv6"],
        "codes": {"spam": "127.0.0.2", "line": "127.0.0.10-11"},
    },
    "white": {"kind": "dnswl", "zone": "white.example", "codes": {"high": "127.0.*.3"}},
    "names": {
        "kind": "rhsbl",
        "zone": "names.example",
        "names": ["sender", "helo"],
        "registrable": True,
    },
    **{
        name: {"kind": "dnsbl", "zone": f"{name}.example"}
        for name in ("refuser", "late", "everybody", "sold", "fickle", "silent")
    },
}
BAD_LISTS = ("refuser", "everybody", "sold", "silent")
"""Those that must not come through their first test."""


@pytest.fixture(scope="module")
def nameserver():
    server = Nameserver(ZONE)
    server.behave("silent.example", Behaviour(drop=1.0))
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(real_postfix, nameserver, tmp_path_factory):
    points = {"black": 4, "black.spam": 6} | dict.fromkeys(("late", "fickle", *BAD_LISTS), 10)
    settings = {
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"], "timeout": "500ms", "deadline": "1s"},
        "policyd": {
            "lists": LISTS,
            "list_health": {"failures": 3, "retry": "1s", "max_retry": "2s"},
        },
        "flows": {
            "inbound": {
                "defer_at": 4,
                "reject_at": 6,
                "checks": {
                    "dnsbl": {"points": points},
                    "dnswl": {"points": {"white.high": -3}},
                    "rhsbl": {"points": {"names": 6}},
                },
            }
        },
    }
    with Gateway(tmp_path_factory.mktemp("lists"), settings=settings) as gateway:
        gateway.start()
        for name in ("black", "white", "names", "late", "fickle"):
            wait_until(lambda name=name: is_on(gateway, name), 10.0, f"{name} passed its test")
        wait_until(lambda: off(gateway) == len(BAD_LISTS), 10.0, "the bad lists are off")
        yield gateway


def is_on(gateway: Gateway, name: str) -> bool:
    return metric(gateway.ports.policyd_metrics, f'policyd_list_on{{list="{name}"}}') == 1


def off(gateway: Gateway) -> int:
    return int(metric(gateway.ports.policyd_metrics, "policyd_lists_off"))


def show(gateway: Gateway) -> tuple[int, dict[str, dict[str, object]]]:
    """What ``policyd lists`` says."""
    command = [sys.executable, "-m", "policyd", "lists", "--config", str(gateway.config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    return ended.returncode, {row["list"]: row for row in rows}


def sender(number: str, **other: object) -> dict[str, object]:
    return {"client": number, "helo": "mail.good.example", "sender": "alice@good.example", **other}


@pytest.mark.parametrize(
    ("who", "code", "words"),
    [
        (sender("198.18.0.7"), 554, "your address is listed by black ["),
        (sender("IPV6:2001:db8::7"), 554, "your address is listed by black ["),
        (sender("198.18.0.8"), 450, "your address is listed by black; try again in 300 s ["),
        (sender("198.18.0.1", sender="eve@mail.bad.example"), 554, "host name is listed by names ["),
        (sender("198.18.0.1", helo="mx.bad.example"), 554, "host name is listed by names ["),
    ],
)
def test_who_is_listed_is_kept_out(outside, gateway, mark, who, code, words):
    outcome = outside.mx(samples.mail(mark), **who)
    assert (outcome.stage, outcome.code) == ("RCPT", code)
    assert words in str(outcome.reply)
    assert not gateway.sink.find(mark.encode())


@pytest.mark.parametrize(
    "who", [sender("198.18.0.1"), sender("IPV6:2001:db8::1"), sender("198.18.0.1", sender="")]
)
def test_who_is_not_listed_passes(outside, gateway, mark, who):
    assert outside.mx(samples.mail(mark), **who).code == 250
    assert gateway.sink.wait_for(mark.encode())


def test_a_list_of_good_clients_outweighs_one_of_bad_ones(outside, gateway, mark):
    assert outside.mx(samples.mail(mark), **sender("198.18.0.9")).code == 250
    assert gateway.sink.wait_for(mark.encode())


def test_a_list_of_good_clients_spares_them_greylisting(outside, gateway, mark):
    recipient = f"person@{registered.DOMAIN}"
    waiting = outside.mx(samples.mail(mark), recipient, **sender("198.18.0.1"))
    assert (waiting.code, "Greylisted" in str(waiting.reply)) == (450, True)
    assert outside.mx(samples.mail(mark), recipient, **sender("198.18.0.9")).code == 250
    assert gateway.sink.wait_for(mark.encode())


def test_bad_lists_are_named_with_their_trouble_and_asked_nothing(outside, gateway, nameserver, mark):
    late = metric(gateway.ports.policyd_metrics, "policyd_late_total")
    assert outside.mx(samples.mail(mark), **sender("198.18.0.20")).code == 250
    status, lists = show(gateway)
    assert status == 1
    assert {name: lists[name]["trouble"] for name in BAD_LISTS} == {
        "refuser": "refused",
        "everybody": "lists-all",
        "sold": "foreign",
        "silent": "unanswered",
    }
    assert all(lists[name]["state"] == "off" for name in BAD_LISTS)
    asked = {asked.name for asked in nameserver.asked}
    assert "20.0.18.198.black.example" in asked
    assert not asked & {f"20.0.18.198.{name}.example" for name in BAD_LISTS}
    assert metric(gateway.ports.policyd_metrics, "policyd_late_total") == late
    log = gateway.policyd.tail(1_000_000)
    for name in BAD_LISTS:
        assert log.count(f"event=list-off list={name} ") == 1


def test_a_list_that_refuses_a_mail_is_switched_off_and_the_mail_passes(outside, gateway, mark):
    assert outside.mx(samples.mail(mark), **sender("198.18.0.30")).code == 250
    assert gateway.sink.wait_for(mark.encode())
    log = wait_until(
        lambda: "event=list-off list=late" in (text := gateway.policyd.tail(1_000_000)) and text,
        5.0,
        "late is switched off",
    )
    assert "event=list-off list=late trouble=refused detail=127.255.255.254" in log


def test_a_list_that_falls_silent_is_switched_off_and_comes_back_by_itself(
    outside, gateway, nameserver, mark
):
    nameserver.behave("fickle.example", Behaviour(drop=1.0))
    try:
        # Each of these waits for the list: one second, as the DNS settings have it.
        for number in range(40, 43):
            assert outside.mx(samples.mail(mark), **sender(f"198.18.0.{number}")).code == 250
        wait_until(lambda: not is_on(gateway, "fickle"), 10.0, "fickle is off")
        before = len(nameserver.asked)
        assert outside.mx(samples.mail(mark), **sender("198.18.0.44")).code == 250
        names = {asked.name for asked in nameserver.asked[before:]}
        assert "44.0.18.198.black.example" in names
        assert "44.0.18.198.fickle.example" not in names
    finally:
        nameserver.behave("fickle.example")
    wait_until(lambda: is_on(gateway, "fickle"), 15.0, "fickle is on again")


def test_a_reload_keeps_what_is_known_and_takes_what_is_new(outside, gateway, nameserver, mark):
    content = yaml.safe_load(gateway.config.read_text())
    content["policyd"]["lists"]["second"] = {"kind": "dnsbl", "zone": "black.example", "shadow": True}
    content["flows"]["inbound"]["checks"]["dnsbl"]["points"]["second"] = 10
    since = show(gateway)[1]["black"]["since"]
    gateway.config.write_text(yaml.safe_dump(content, sort_keys=False))
    gateway.policyd.signal(signal.SIGHUP)
    wait_until(lambda: is_on(gateway, "second"), 10.0, "the new list is asked")
    assert show(gateway)[1]["black"]["since"] == since
    # 4 points count; the shadow's 10 do not.
    assert outside.mx(samples.mail(mark), **sender("198.18.0.8", sender="b@good.example")).code == 450
    assert metric(gateway.ports.policyd_metrics, 'policyd_facts_total{check="dnsbl",fact="second"}') >= 1
    assert metric(gateway.ports.policyd_metrics, 'policyd_list_hits_total{list="second"}') >= 1
    assert metric(gateway.ports.policyd_metrics, 'policyd_list_lookups_total{list="black"}') >= 1
