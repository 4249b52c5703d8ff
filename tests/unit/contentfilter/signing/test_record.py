"""Records of keys in DNS, compared with the key."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contentfilter.signing.record import MAX_RECORD, disagreement, parse, record_name, record_text
from tests.samples.dkim_keys import key

PUBLIC, _ = key()
OTHER, _ = key("dkim002")
EDWARDS, _ = key("ed001", "ed25519-sha256")
P = base64.b64encode(PUBLIC.material).decode()


def test_what_we_print_is_what_we_want() -> None:
    for public in (PUBLIC, EDWARDS):
        assert disagreement([record_text(public).encode()], public) == ""
    assert record_text(EDWARDS).startswith("v=DKIM1; k=ed25519; p=")
    assert record_name("dkim001", "inst.example") == "dkim001._domainkey.inst.example"


GOOD = {
    "without version": f"p={P}",
    "blanks": f" v = DKIM1 ;\tk=rsa; p= {P[:100]} \r\n {P[100:]} ; ",
    "unknown tags": f"v=DKIM1; x=y; n=a note; p={P}",
    "hashes": f"v=DKIM1; h=sha1:sha256; p={P}",
    "for mail": f"v=DKIM1; s=email; p={P}",
    "for everything": f"v=DKIM1; s=other:*; p={P}",
    "testing": f"v=DKIM1; t=y:s; p={P}",
}


@pytest.mark.parametrize("name", GOOD)
def test_verifiers_take_it(name: str) -> None:
    assert disagreement([GOOD[name].encode()], PUBLIC) == ""
    # Another text may stand at the same name, where a wildcard put it.
    assert disagreement([b"v=spf1 -all", GOOD[name].encode()], PUBLIC) == ""


BAD = {
    "nothing": ([], "no DKIM record there"),
    "another text": ([b"v=spf1 -all"], "no DKIM record there"),
    "two": ([f"p={P}".encode()] * 2, "several records"),
    "another key": ([record_text(OTHER).encode()], "another key (p=) than the key file"),
    "another kind": ([record_text(EDWARDS).encode()], "for k=ed25519, and the key is for k=rsa"),
    "revoked": ([b"v=DKIM1; p="], "revoked"),
    "another hash": ([f"h=sha1; p={P}".encode()], "wants h=sha1"),
    "another service": ([f"s=x\xff\x01; p={P}".encode("latin-1")], "not for mail: s=x??"),
    "no base64": ([b"p=!!!"], "p= cannot be read"),
    "version at the end": ([f"p={P}; v=DKIM1".encode()], "cannot be read"),
    "another version": ([f"v=DKIM2; p={P}".encode()], "cannot be read"),
    "twice the same tag": ([f"p={P}; p={P}".encode()], "cannot be read"),
    "no key": ([b"v=DKIM1; k=rsa"], "cannot be read"),
    "too long": ([b"p=" + b"A" * MAX_RECORD], "cannot be read"),
    "strings put together wrongly": ([f'v=DKIM1; p={P[:100]}" "{P[100:]}'.encode()], "p= cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_verifiers_do_not_take_it(name: str) -> None:
    records, why = BAD[name]
    assert why in disagreement(records, PUBLIC)


@given(st.binary(max_size=60) | st.text("vDKIM1=;p: kt", max_size=40).map(str.encode))
def test_whatever_stands_there(record: bytes) -> None:
    tags = parse(record)
    assert tags is None or "p" in tags
    assert disagreement([record], PUBLIC)
    assert disagreement([record], PUBLIC).isprintable()
