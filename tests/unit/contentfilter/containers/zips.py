"""What is in a ZIP archive, as the tests of its reader ask."""

from __future__ import annotations

from dataclasses import replace

from contentfilter.containers.ziparchive import ZipArchive
from tests.samples.archives import Item, archive, item

LIMIT = 1 << 20
SECRET = b"what the victim's program will see" * 3


def opened(data: bytes, limit: int = 1000) -> ZipArchive:
    found = ZipArchive.find(data, limit)
    assert found is not None
    return found


def contents(found: ZipArchive) -> set[bytes]:
    """Everything that is handed out; empty readings aside."""
    return {
        bytes(result.data)
        for member in found.members
        for result in found.expand(member, LIMIT)
        if result.data
    }


def problems(found: ZipArchive) -> str:
    contents(found)
    return " ".join(found.problems)


def lying(**local: int | bytes) -> bytes:
    honest = item(b"a.txt", SECRET)
    assert honest.local is not None
    return archive([Item(replace(honest.local, **local), honest.central, honest.data)])  # type: ignore[arg-type]


def directory_of(data: bytes) -> bytes:
    return data[data.index(b"PK\x01\x02") : data.index(b"PK\x05\x06")]
