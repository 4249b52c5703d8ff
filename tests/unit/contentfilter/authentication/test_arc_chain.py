"""ARC chains: those that hold, and each way in which one does not (RFC 8617 5.2)."""

from __future__ import annotations

import re

import pytest

from contentfilter.authentication.forwarding import trusted_forwarder
from contentfilter.authentication.outcome import MAX_PASSED, Chain, Sealed
from contentfilter.authentication.reported import MAX_RESULTS, reported
from contentfilter.authentication.signature import Keys
from contentfilter.authentication.verify import authenticate
from contentfilter.message.wire import BytesWire
from tests.samples.signed import PLAIN, record, rsa_key, seal, sign

NOW = 1_800_000_000.0
KEYS = {
    "s._domainkey.sealer.example": [record(rsa_key())],
    "s._domainkey.list.example": [record(rsa_key(number=1))],
    "s._domainkey.example.org": [record(rsa_key())],
}


def chain(message: bytes, keys: Keys = KEYS) -> Chain:
    return authenticate(BytesWire(message), keys, NOW).chain


def sealed(sets: int) -> bytes:
    message = PLAIN
    for number in range(1, sets + 1):
        domain, key = (b"sealer.example", rsa_key()) if number % 2 else (b"list.example", rsa_key(number=1))
        message = seal(message, key, number, domain=domain)
    return message


def test_a_mail_without_sets_has_no_chain() -> None:
    assert chain(PLAIN) == Chain("none")


@pytest.mark.parametrize("sets", [1, 2, 3, 10])
def test_a_chain_holds(sets: int) -> None:
    found = chain(sealed(sets))
    assert (found.result, found.reason) == ("pass", "")
    assert [one.domain for one in found.sets] == ["sealer.example", "list.example"] * (sets // 2) + [
        "sealer.example"
    ] * (sets % 2)
    assert found.sets[0].dmarc == "pass"


def test_a_list_may_change_the_mail_and_seal_it_anew() -> None:
    changed = sealed(1).replace(b"Subject: A ", b"Subject: [list] A ").replace(b"Hello", b"Hi")
    assert chain(changed).result == "fail"
    assert chain(seal(changed, rsa_key(number=1), 2, domain=b"list.example")).result == "pass"


def test_nobody_can_seal_in_another_s_name_and_cover_it_up() -> None:
    """The last seal is good, and covers the false one."""
    false = seal(PLAIN, rsa_key(number=2), 1, domain=b"sealer.example")
    message = seal(false, rsa_key(number=1), 2, domain=b"list.example")
    assert chain(message) == Chain("fail", "seal 1: signature did not verify")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"Hello", b"Hallo", "body hash did not verify"),
        (b"A  test", b"B  test", "signature did not verify"),
        (
            b"i=1; relay.example; dmarc=pass",
            b"i=1; relay.example; dmarc=fail",
            "seal 2: signature did not verify",
        ),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=3", "set 1 is not complete"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=2", "set 2 has a field twice"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=0", "a field is of no set"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=51", "a field is of no set"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=", "a field is of no set"),
        (b"ARC-Seal: i=1", b"ARC-Seal: j=1", "a field is of no set"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=1; i=1", "a field of a set is malformed"),
        (b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results:", "a field is of no set"),
        (b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results: x; i=1;", "a field is of no set"),
        (b"ARC-Seal: i=2", b"ARC-Seal: i=2; h=from", "seal 2 has h="),
        (b"cv=pass", b"cv=none", "seal 2 says cv=none"),
        (b"cv=pass", b"cv=fail", "seal 2 says cv=fail"),
        (b"cv=pass", b"cv=perhaps", "signature is malformed"),
        (b"cv=pass; ", b"", "signature has no cv="),
        (b"cv=none", b"cv=pass", "seal 1 says cv=pass"),
        (b"cv=none", b"cv=fail", "seal 1 says cv=fail"),
        (b"h=from:", b"h=arc-seal:from:", "a message signature covers a seal"),
        (b"a=rsa-sha256; cv=pass", b"a=rsa-sha1; cv=pass", "SHA-1 is not good enough"),
    ],
)
def test_a_chain_that_does_not_hold(old: bytes, new: bytes, reason: str) -> None:
    message = sealed(2)
    assert old in message
    found = chain(message.replace(old, new, 1) if b"h=from" not in old else message.replace(old, new))
    assert (found.result, found.reason) == ("fail", reason)


@pytest.mark.parametrize("field", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_set_needs_all_its_fields(field: bytes, number: int) -> None:
    pattern = rb"(?m)^%b: i=%d;[^\n]*\n(?:[ \t][^\n]*\n)*" % (field, number)
    lacking, count = re.subn(pattern, b"", sealed(2))
    assert count == 1
    assert chain(lacking) == Chain("fail", f"set {number} is not complete")


def test_more_sets_than_there_may_be() -> None:
    message = b"".join(b"ARC-Seal: i=%d; d=sealer.example; s=s\r\n" % n for n in range(1, 52)) + PLAIN
    assert chain(message) == Chain("fail", "too many sets")


def test_a_failed_look_up_is_no_failed_chain() -> None:
    lost: Keys = {**KEYS, "s._domainkey.list.example": None}
    found = authenticate(BytesWire(sealed(2)), lost, NOW)
    assert found.chain == Chain("temperror", "key could not be looked up")
    assert not found.lasting
    assert chain(sealed(1), lost).result == "pass"
    assert chain(sealed(2), {**KEYS, "s._domainkey.list.example": []}).result == "fail"


def test_a_chain_and_a_signature_share_one_look_at_the_body() -> None:
    message = seal(sign(PLAIN, rsa_key()), rsa_key(), 1)
    found = authenticate(BytesWire(message), KEYS, NOW)
    assert (found.chain.result, found.signatures[0].result) == ("pass", "pass")


@pytest.mark.parametrize(
    ("text", "dmarc", "passed"),
    [
        (b"i=1; mx.example; dmarc=pass header.from=a.example", "pass", ()),
        (b"i=1; mx.example; DMARC=Fail (p=none) header.from=a.example", "fail", ()),
        (b"i=1; mx.example; dkim=pass header.d=A.example", "", ("a.example",)),
        (b"i=1; mx.example; dkim=pass header.i=@b.a.example header.s=x", "", ("b.a.example",)),
        (
            b"i=1; mx.example; dkim=fail header.d=a.example; spf=pass smtp.mailfrom=x@b.example",
            "",
            ("b.example",),
        ),
        (
            b"i=1; mx.example; spf=pass (sender permitted) smtp.mfrom=b.example; dmarc=none",
            "none",
            ("b.example",),
        ),
        (b"i=1; mx.example; none", "", ()),
        (b"i=1; mx.example", "", ()),
        (b"i=1;", "", ()),
        (b"i=1; mx.example; dkim=pass header.d=", "", ()),
        (b"i=1; mx.example; " + b"(" * 1500, "", ()),
        (b"i=1; mx.example; dmarc=pass" + b" " * MAX_RESULTS, "", ()),
        (b"i=1; mx.example; \xff\xfe=\0", "", ()),
    ],
)
def test_what_a_sealer_reports(text: bytes, dmarc: str, passed: tuple[str, ...]) -> None:
    assert reported(text) == (dmarc, passed)


def test_no_more_is_kept_of_a_report_than_allowed() -> None:
    many = b"".join(b"; dkim=pass header.d=d%d.example" % number for number in range(MAX_PASSED + 5))
    assert len(reported(b"i=1; mx.example" + many)[1]) == MAX_PASSED


GOOD = Sealed("a.sealer.example", "pass")
OTHER = Sealed("unknown.example", "pass")
TRUSTED = ("sealer.example", "list.example")


@pytest.mark.parametrize(
    ("found", "forwarder"),
    [
        (Chain("pass", "", (GOOD,)), "a.sealer.example"),
        (Chain("fail", "", (GOOD,)), ""),
        (Chain("none"), ""),
        (Chain("pass", "", (OTHER,)), ""),
        # Who sealed last may have changed anything.
        (Chain("pass", "", (GOOD, OTHER)), ""),
        # Of several the first, who had it from outside.
        (Chain("pass", "", (GOOD, Sealed("list.example", "fail"))), "a.sealer.example"),
        (Chain("pass", "", (Sealed("sealer.example", "fail"), Sealed("list.example", "pass"))), ""),
        (Chain("pass", "", (OTHER, GOOD)), "a.sealer.example"),
        (Chain("pass", "", (Sealed("list.example", "", ("example.org",)),)), "list.example"),
        (Chain("pass", "", (Sealed("list.example", "none", ("mail.example.org",)),)), "list.example"),
        (Chain("pass", "", (Sealed("list.example", "", ("other.example",)),)), ""),
        (Chain("pass", "", (Sealed("list.example", "fail", ("example.org",)),)), ""),
        (Chain("pass", "", (Sealed("notsealer.example", "pass"),)), ""),
    ],
)
def test_whose_word_is_taken(found: Chain, forwarder: str) -> None:
    assert trusted_forwarder(found, "example.org", TRUSTED) == forwarder
    assert trusted_forwarder(found, "example.org", ()) == ""
