"""Links in mail, with a real Postfix and a DNS server on loopback: what listed ones do, and bad lists."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import yaml

from postwarden.demo import samples
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.nameserver import Behaviour, Nameserver
from postwarden.sandbox.waiting import wait_until

ZONE = """
    test.black.example.                 A   127.0.0.2
    evil.com.black.example.             A   127.0.0.2
    worse.net.black.example.            A   127.0.0.4
    google.com.black.example.           A   127.0.0.4
    2.0.0.127.numbers.example.          A   127.0.0.2
    8.8.8.8.numbers.example.            A   127.0.0.2
    test.fickle.example.                A   127.0.0.2
    *.refuser.example.                  A   127.255.255.254
"""
LISTS = {
    "black": {
        "zone": "black.example",
        "codes": {"phish": "127.0.0.4"},
        "points": 6,
        "code_points": {"phish": 16},
    },
    "numbers": {"zone": "numbers.example", "ask": "ipv4", "points": 6},
    "fickle": {"zone": "fickle.example", "points": 20},
    "refuser": {"zone": "refuser.example", "points": 20},
}


@pytest.fixture(scope="module")
def nameserver():
    with Nameserver(ZONE) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(real_postfix, nameserver, tmp_path_factory):
    settings = {
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"], "timeout": "500ms", "deadline": "1s"},
        "contentfilter": {
            "urls": {
                "lists": LISTS,
                "list_health": {"failures": 2, "retry": "1s", "max_retry": "2s"},
                "exempt": ["spared.evil.com"],
            }
        },
        "flows": {"inbound": {"tag_at": 5, "defer_at": None, "reject_at": 15}},
    }
    with Gateway(tmp_path_factory.mktemp("url-lists"), settings=settings) as gateway:
        gateway.start()
        for name in ("black", "numbers", "fickle"):
            wait_until(lambda name=name: is_on(gateway, name), 10.0, f"{name} passed its test")
        yield gateway


def is_on(gateway: Gateway, name: str) -> bool:
    return metric(gateway.ports.filter_metrics, f'contentfilter_list_on{{list="{name}"}}') == 1


def letter(mark: str, text: str, kind: str = "html") -> bytes:
    return samples.mail(mark, text=text).replace(b"text/plain", f"text/{kind}".encode())


def line_of(gateway: Gateway, mark: str) -> str:
    """What contentfilter logged of a mail that arrived."""
    (arrived,) = gateway.sink.wait_for(mark.encode())
    header = arrived.data.partition(b"\r\n\r\n")[0].decode("latin-1")
    decision = header.partition("X-Postwarden-Decision: ")[2].split()[0]
    lines = gateway.contentfilter.log.read_text().splitlines()
    (line,) = (one for one in lines if f"id={decision} " in one and "event=verdict" in one)
    return line


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://www.evil.com/x">click</a>',
        '<a href="http://ev&#105;l.com">click</a> for more',
        "<p>visit <b>evil</b>.com/pills",
        '<a href="https://www.google.com/url?q=http%3A%2F%2Fevil.com">click</a>',
        '<a href="http://8.8.8.8/">click</a>',
        '<a href="http://134744072/">click</a>',
    ],
    ids=range(6),
)
def test_a_mail_with_a_listed_link_is_tagged(outside, gateway, mark, text):
    assert outside.mx(letter(mark, f"<p>{mark}</p>{text}\r\n")).code == 250
    line = line_of(gateway, mark)
    assert "action=tag" in line
    assert (
        "url.numbers" in line
        if "click" in text and ("8.8" in text or "1347" in text)
        else "url.black" in line
    )


def test_what_a_code_is_worth_refuses_a_mail(outside, gateway, mark):
    outcome = outside.mx(letter(mark, "see worse.net/login for more\r\n", "plain"))
    assert (outcome.stage, outcome.code) == ("END", 554)
    assert "spam" in str(outcome.reply)
    assert not gateway.sink.find(mark.encode())


@pytest.mark.parametrize(
    "text",
    [
        "no link",
        "https://good.com/",
        "https://www.google.com/",
        "https://a.spared.evil.com/",
        "hxxp://evil[.]com/",
    ],
    ids=range(5),
)
def test_a_mail_with_other_links_passes(outside, gateway, mark, text):
    assert outside.mx(letter(mark, f"{text}\r\n", "plain")).code == 250
    assert "action=accept" in line_of(gateway, mark)


def test_a_list_that_refuses_is_never_asked_for_mail(outside, gateway, nameserver, mark):
    assert outside.mx(letter(mark, "http://fresh.com/\r\n", "plain")).code == 250
    asked = {one.name for one in nameserver.asked}
    assert "fresh.com.black.example" in asked
    assert "fresh.com.refuser.example" not in asked
    command = [sys.executable, "-m", "contentfilter", "lists", "--config", str(gateway.config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    rows = {row["list"]: row for row in map(json.loads, ended.stdout.splitlines())}
    assert (ended.returncode, rows["refuser"]["state"], rows["refuser"]["trouble"]) == (1, "off", "refused")
    assert rows["black"]["state"] == "on"
    assert gateway.contentfilter.log.read_text().count("event=list-off list=refuser ") == 1


def test_a_list_that_falls_silent_is_switched_off_and_comes_back(outside, gateway, nameserver, mark):
    nameserver.behave("fickle.example", Behaviour(drop=1.0))
    try:
        # Each of these waits for the list: one second, as the DNS settings have it.
        for number in range(2):
            assert outside.mx(letter(mark, f"http://silent{number}.com/\r\n", "plain")).code == 250
        wait_until(lambda: not is_on(gateway, "fickle"), 10.0, "fickle is off")
        assert 'error="no answer from fickle"' in gateway.contentfilter.log.read_text()
    finally:
        nameserver.behave("fickle.example")
    wait_until(lambda: is_on(gateway, "fickle"), 15.0, "fickle is on again")


def test_a_reload_takes_other_lists(outside, gateway, mark):
    content = yaml.safe_load(gateway.config.read_text())
    lists = content["contentfilter"]["urls"]["lists"]
    del lists["refuser"]
    lists["black"]["points"] = 1
    gateway.config.write_text(yaml.safe_dump(content, sort_keys=False))
    gateway.contentfilter.signal(signal.SIGHUP)
    metrics = gateway.ports.filter_metrics
    wait_until(
        lambda: metric(metrics, 'contentfilter_reloads_total{result="ok"}') == 1, 10.0, "it is reloaded"
    )
    assert outside.mx(letter(mark, "http://evil.com/\r\n", "plain")).code == 250
    assert "action=accept" in line_of(gateway, mark)
    assert metric(metrics, "contentfilter_lists_off") == 0
    assert metric(metrics, 'contentfilter_list_hits_total{list="black"}') >= 5
