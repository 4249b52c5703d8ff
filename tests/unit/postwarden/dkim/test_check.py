"""What ``postwarden dkim check`` finds in DNS and in Postfix's settings."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.signing.record import record_text
from mailbase.config.identity import IdentitySettings
from mailbase.config.signing import SigningSettings
from mailbase.dns import Found, TableResolver, Temporary
from mailbase.registry import Domain, Server
from postwarden.dkim.checking import DkimChecking, DkimFinding
from postwarden.dkim.postfix import judge
from postwarden.registry.check.finding import Severity
from tests.samples.dkim_keys import key

RELAY = "relay.example"
IDENTITY = IdentitySettings(hostname="mx.gateway.example", dkim_domain=RELAY)
KEY, _ = key("dkim001")
OTHER, _ = key("dkim002")
TEXT, FOREIGN = record_text(KEY).encode(), record_text(OTHER).encode()


def via(selector: str, *records: Any, kind: type = Found) -> Any:
    """An answer at the end of a CNAME."""
    return kind(tuple(records), 300.0, f"{selector}.{RELAY}")


GOOD = {
    (f"dkim001.{RELAY}", "TXT"): TEXT,
    ("dkim001._domainkey.a.example", "TXT"): via("dkim001", TEXT),
    ("dkim002._domainkey.a.example", "CNAME"): f"dkim002.{RELAY}",
}


def findings(table: dict[Any, Any], *domains: str, keys: Any = (KEY,)) -> list[DkimFinding]:
    resolver = TableResolver(table)
    server = Server("mail.a.example", domains=tuple(Domain(name, "mail.a.example") for name in domains))
    found: list[list[DkimFinding]] = []
    checking = DkimChecking(resolver, IDENTITY, keys)
    Deferred.fromCoroutine(checking.run([server])).addCallback(found.append)
    return found[0]


def test_all_is_well() -> None:
    assert findings(GOOD, "a.example") == []


def test_the_gateways_own_record() -> None:
    (one,) = findings({**GOOD, (f"dkim001.{RELAY}", "TXT"): record_text(OTHER)}, "a.example")
    assert (one.subject, one.severity) == (f"dkim001.{RELAY}", Severity.ERROR)
    assert "another key" in one.found
    assert one.change.startswith(f'dkim001.{RELAY}. IN TXT "v=DKIM1; k=rsa; p=')


@pytest.mark.parametrize(
    ("name", "answer", "severity", "found", "change"),
    [
        (
            "dkim001",
            via("dkim001", FOREIGN),
            "error",
            "another key",
            "IN CNAME dkim001.relay.example.",
        ),
        (
            "dkim001",
            Found((TEXT,), 300.0, "dkim001._domainkey.a.example"),
            "warning",
            "as a copy",
            "IN CNAME",
        ),
        ("dkim001", Temporary("no server"), "warning", "DNS does not answer: no server", "ask again later"),
        ("dkim002", f"dkim009.{RELAY}", "warning", "for a key to come", "IN CNAME dkim002.relay.example."),
        ("dkim002", Temporary(), "warning", "DNS does not answer", "ask again later"),
    ],
)
def test_what_is_wrong_with_a_domain(name: str, answer: Any, severity: str, found: str, change: str) -> None:
    kind = "TXT" if name == "dkim001" else "CNAME"
    (one,) = findings({**GOOD, (f"{name}._domainkey.a.example", kind): answer}, "a.example")
    assert (one.server, one.subject, one.selector, one.severity) == (
        "mail.a.example",
        "a.example",
        name,
        severity,
    )
    assert found in one.found
    assert change in one.change


def test_a_missing_cname_of_two() -> None:
    table = {key_: value for key_, value in GOOD.items() if not key_[0].startswith("dkim002")}
    (one,) = findings(table, "a.example")
    assert (one.selector, one.severity) == ("dkim002", "warning")


def test_a_customer_who_has_set_nothing_gets_one_line() -> None:
    (one,) = findings(GOOD, "a.example", "b.example")
    assert (one.subject, one.selector) == ("b.example", "")
    assert one.change == (
        "dkim001._domainkey.b.example. IN CNAME dkim001.relay.example.; "
        "dkim002._domainkey.b.example. IN CNAME dkim002.relay.example."
    )


def test_many_domains_keep_their_order() -> None:
    names = [f"d{number}.example" for number in range(50)]
    assert [one.subject for one in findings(GOOD, *names)] == names


RIGHT = {
    "smtp_line_length_limit": "0",
    "cleanup_replace_stray_cr_lf": "yes",
    "disable_mime_output_conversion": "yes",
    "smtp_generic_maps": "",
}


def test_postfix_as_it_should_be() -> None:
    assert list(judge(RIGHT, SigningSettings())) == []
    assert list(judge({}, SigningSettings())) == []
    older = {name: value for name, value in RIGHT.items() if name != "cleanup_replace_stray_cr_lf"}
    assert list(judge(older, SigningSettings())) == []
    folding = SigningSettings(line_length=998, stray_cr="kept")
    folds = {**RIGHT, "smtp_line_length_limit": "998", "cleanup_replace_stray_cr_lf": "no"}
    assert list(judge(folds, folding)) == []


@pytest.mark.parametrize(
    ("parameter", "value", "change"),
    [
        ("smtp_line_length_limit", "998", "contentfilter.signing.line_length: 998"),
        ("cleanup_replace_stray_cr_lf", "no", "contentfilter.signing.stray_cr: kept"),
        ("disable_mime_output_conversion", "no", "disable_mime_output_conversion = yes in main.cf"),
        ("smtp_generic_maps", "hash:/x", "smtp_generic_maps = in main.cf"),
    ],
)
def test_postfix_otherwise(parameter: str, value: str, change: str) -> None:
    (one,) = judge({**RIGHT, parameter: value}, SigningSettings())
    assert (one.subject, one.found.startswith(f"{parameter} = {value}: ")) == ("Postfix", True)
    assert change in one.change
