"""The reader of RAR headers, both versions, and what is written anew of them."""

from __future__ import annotations

from contentfilter.containers.rar import RarError, read_rar, write_rar
from tests.samples.rar import File, rar4, rar5

_FILES = (
    File("a.txt", b"text"),
    File("b.txt", b"text" * 9, packed=True),
    File("c", b"x" * 16, encrypted=True),
)
SEEDS = [
    *(make(*_FILES) for make in (rar4, rar5)),
    *(make(header_lock=True) for make in (rar4, rar5)),
    *(
        make(File("CMT", b"comment", service=True), File("a", b"b", part="after"), volume=True)
        for make in (rar4, rar5)
    ),
    rar5(File("a", b"text", packed=True), File("b", b"text", packed=True, solid=True)),
]
MEMBERS = 50


def target(data: bytes) -> None:
    try:
        found = read_rar(data, 0, MEMBERS)
    except RarError:
        return
    assert len(found.members) <= MEMBERS
    assert sum(map(len, found.runs())) == len(found.members)
    view = memoryview(data)
    for member in found.members:
        assert 0 <= member.start <= member.end
        again = write_rar(found.version, [(member, view[member.start : member.end])])
        [copy] = read_rar(again, 0, MEMBERS).members
        assert (copy.size, copy.method) == (member.size, member.method)
