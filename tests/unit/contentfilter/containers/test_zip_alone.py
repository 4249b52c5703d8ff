"""Single members of ZIP archives, as libarchive decrypts and expands them."""

from __future__ import annotations

import struct
import zlib

import pytest

from contentfilter.containers.zipalone import expand_alone, unlock
from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.containers.zipmember import Expanded, Member
from tests.samples.archives import Item, archive, item
from tests.samples.written import compressed, written

CONTENT = b"what nobody should see " * 100
WRONG = [b"", b"x", b"secret ", b"Secret", b"\xff\xfe", b"s" * 2000]


def never() -> bool:
    return False


def member_of(data: bytes) -> Member:
    found = ZipArchive.find(data, 10)
    assert found is not None
    return found.members[0]


def locked(kind: str, packing: str = "deflate") -> bytes:
    options = f"zip:encryption={kind},zip:compression={packing}"
    return written("zip", {"a.txt": CONTENT}, options=options, password=b"secret")


@pytest.mark.parametrize("packing", ["deflate", "store"])
@pytest.mark.parametrize("kind", ["traditional", "aes128", "aes256"])
def test_the_right_password_opens(kind: str, packing: str):
    data = locked(kind, packing)
    member = member_of(data)
    assert member.encrypted
    result = unlock(data, member, b"secret", 1 << 20, never)
    assert result is not None
    assert (bytes(result.data), result.problem) == (CONTENT, "")


@pytest.mark.parametrize("kind", ["traditional", "aes128", "aes256"])
@pytest.mark.parametrize("password", WRONG)
def test_a_wrong_password_does_not(kind: str, password: bytes):
    data = locked(kind)
    result = unlock(data, member_of(data), password, 1 << 20, never)
    # One octet is all that the traditional encryption tests a password by.
    assert result is None or (kind == "traditional" and result.problem)


@pytest.mark.parametrize(("limit", "problem"), [(len(CONTENT), ""), (len(CONTENT) - 1, "too-large")])
def test_limit(limit: int, problem: str):
    data = locked("aes256")
    result = unlock(data, member_of(data), b"secret", limit, never)
    assert result is not None
    assert (bytes(result.data), result.problem) == (CONTENT[:limit], problem)


@pytest.mark.parametrize("kind", ["traditional", "aes256"])
def test_cut_and_changed_members_do_not_open_whole(kind: str):
    data = locked(kind)
    member = member_of(data)
    for at in range(member.start, member.end, 7):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        for broken in (changed, data[:at]):
            result = unlock(broken, member, b"secret", 1 << 20, never)
            assert result is None or result.problem or bytes(result.data) == CONTENT


def test_an_archive_that_lies_about_the_rest_opens_as_well():
    data = bytearray(locked("traditional"))
    directory = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, directory + 8, 0)
    assert (result := unlock(data, member_of(bytes(data)), b"secret", 1 << 20, never)) is not None
    assert bytes(result.data) == CONTENT


def expanded(method: int, packed: bytes, **changed: int) -> Expanded:
    fields = {"packed": len(packed), "size": len(CONTENT), "crc": zlib.crc32(CONTENT)} | changed
    entry = item(b"a", b"", method=method, **fields).local
    data = archive([Item(entry, entry, packed)])
    return expand_alone(data, member_of(data), method, 1 << 20)


def test_zstandard():
    assert bytes(expanded(93, compressed("zstd", CONTENT)).data) == CONTENT
    assert expanded(93, b"nothing of the kind").problem == "malformed"


def test_methods_of_nobody():
    assert expanded(6, b"x").problem == "unsupported"
    assert expanded(77, b"x").problem == "unsupported"
