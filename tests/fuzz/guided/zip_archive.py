"""The ZIP reader: any octets, in bounded work, and nothing beyond what was asked for."""

from __future__ import annotations

from contentfilter.containers.ziparchive import ZipArchive
from tests.samples.archives import STORED, Item, archive, item, plain_zip, with_end64
from tests.samples.bombs import overlapping_zip, zip_quine
from tests.samples.written import written

_PLAIN = archive([item(b"a", b"content"), item(b"b", b"content", STORED)])
SEEDS = [
    _PLAIN,
    plain_zip({"word/document.xml": b"<w/>", "[Content_Types].xml": b"<Types/>"}),
    archive([item(b"a", b"x", flags=1), Item(None, item(b"b", b"y").central, b"")], b"comment", b"front"),
    with_end64(_PLAIN, _PLAIN.index(b"PK\1\2"), 94, 2),
    written("zip", {"a": b"content"}, options="zip:encryption=aes256", password=b"x"),
    overlapping_zip(3, 1 << 20)[:1500],
    zip_quine(),
]
MEMBERS, LIMIT = 20, 1 << 16


def target(data: bytes) -> None:
    found = ZipArchive.find(data, MEMBERS)
    if found is None:
        return
    assert len(found.members) <= 2 * MEMBERS
    for member in found.members:
        assert isinstance(member.text_name, str)
        assert len(found.peek(member)) <= 64
        for result in found.expand(member, LIMIT):
            assert len(result.data) <= LIMIT
            assert result.problem in ("", "too-large", "malformed", "unsupported", "encrypted", "timed-out")
    assert all(problem.isprintable() for problem in found.problems)
