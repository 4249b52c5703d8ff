"""Seals: the same for the same octets, however they come, and for no others."""

from __future__ import annotations

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from contentfilter.spool import seal as seals
from contentfilter.spool.seal import Seal, intact, seal

DATA = bytes(range(256)) * 20


@pytest.fixture(params=["poly1305", "fips"], autouse=True)
def algorithm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "fips":

        def unknown(key: bytes) -> None:
            raise UnsupportedAlgorithm("poly1305 is not supported by this version of OpenSSL.")

        monkeypatch.setattr(seals, "Poly1305", unknown)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000, len(DATA)])
def test_pieces_make_the_seal_of_the_whole(size: int):
    made = Seal()
    for at in range(0, len(DATA), size):
        made.update(DATA[at : at + size])
    assert made.digest == made.digest == seal(DATA)


@pytest.mark.parametrize(
    "other", [b"", DATA[:-1], DATA + b"\0", b"\0" + DATA, DATA[:-1] + b"\0", DATA[256:] + DATA[:256] + b"x"]
)
def test_other_octets_have_another_seal(other: bytes):
    assert seal(other) != seal(DATA)


def test_each_octet_counts():
    whole = seal(DATA[:512])
    changed = bytearray(DATA[:512])
    for at in range(len(changed)):
        changed[at] ^= 1
        assert seal(bytes(changed)) != whole
        changed[at] ^= 1


def test_a_seal_depends_on_a_key(monkeypatch: pytest.MonkeyPatch):
    before = seal(DATA)
    monkeypatch.setattr(seals, "_KEY", bytes(32))
    assert seal(DATA) != before


def test_nothing_is_added_behind_a_seal():
    made = Seal()
    made.update(b"a")
    assert made.digest
    with pytest.raises(ValueError, match="behind a seal"):
        made.update(b"b")


def test_behind_pieces_that_differ_comes_an_error():
    assert b"".join(intact(iter([DATA, b"x"]), seal(DATA + b"x"))) == DATA + b"x"
    passed = []
    with pytest.raises(OSError, match="differ"):
        passed.extend(intact(iter([DATA, b"y"]), seal(DATA + b"x")))
    assert passed == [DATA, b"y"]
