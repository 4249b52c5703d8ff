"""Archives that are small and hold far too much; each function takes its size, so tests have a small one."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

from tests.samples.archives import DEFLATED, Entry, deflated
from tests.samples.sevenzip import File, huge, seven_zip, stored

MIB = 1 << 20


def deflated_zeros(size: int) -> bytes:
    """A deflate stream of that many zeros (whole MiB), at one thousandth of the size and without the work."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = stream.compress(bytes(MIB)) + stream.flush(zlib.Z_FULL_FLUSH)
    return block * (size // MIB) + b"\x03\0"


def zip_of_zeros(size: int, members: int = 1) -> bytes:
    """Members of ``size`` zeros each."""
    return _zip([(b"%d" % n, deflated_zeros(size), size) for n in range(members)])


def nested_zips(levels: int, width: int, leaf: int) -> bytes:
    """As 42.zip: archives of archives, at the bottom ``leaf`` zeros in each."""
    data = zip_of_zeros(leaf)
    for level in range(levels):
        data = _zip([(b"%d-%d.zip" % (level, n), deflated(data), len(data)) for n in range(width)])
    return data


def overlapping_zip(members: int, kernel: int) -> bytes:
    """Members that share their data: each holds the next one's header and all that follows it.

    The header is hidden in a stored block of deflate, so no two members begin at the same place.
    """
    body, size = deflated_zeros(kernel), kernel
    entries: list[tuple[Entry, int]] = []
    for number in reversed(range(members)):
        entry = Entry(b"%06d" % number, DEFLATED, 0, len(body), size)
        local = entry.local()
        entries.append((entry, len(body)))
        quoted = struct.pack("<BHH", 0, len(local), len(local) ^ 0xFFFF) + local
        body = (quoted if number else local) + body
        size += len(local)
    directory = b"".join(
        entry.central(len(body) - len(entry.local()) - after) for entry, after in reversed(entries)
    )
    return body + directory + _end(members, len(directory), len(body))


def zip_of_many(members: int) -> bytes:
    """Empty members."""
    return _zip([(b"%d" % n, b"\x03\0", 0) for n in range(members)])


def tar_of_many(members: int) -> bytes:
    """Empty members in a TAR archive, compressed by gzip."""
    head = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as stream:
        for start in range(0, members, 1000):
            stream.write(bytes(head) * min(1000, members - start))
        stream.write(bytes(1024))
    return out.getvalue()


def seven_zip_of_many(members: int) -> bytes:
    """Members of one octet each; their header is what is large."""
    return seven_zip(*(stored(f"{n}", b"x") for n in range(members)))


def seven_zip_of_memory(dictionary: int) -> bytes:
    """A member that takes so much memory to unpack."""
    return seven_zip(File("a", bytes(64), 1 << 20, (huge(dictionary),)))


def compressed_zeros(kind: str, size: int) -> bytes:
    """A gzip, bzip2 or xz file of that many zeros (whole MiB)."""
    if kind == "gzip":
        # The checksum of zeros is not worth the minutes that it takes; it comes after all of them.
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated_zeros(size) + bytes(8)
    if kind == "bzip2":
        return bz2.compress(bytes(MIB)) * (size // MIB)
    return lzma.compress(bytes(MIB)) * (size // MIB)


def xz_of_memory(dictionary: int) -> bytes:
    """An xz file that asks for so large a dictionary; of little content."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": dictionary}]
    return lzma.compress(b"x" * 1000, lzma.FORMAT_XZ, filters=filters)


def nested(levels: int, core: bytes = b"core") -> bytes:
    """Archives within archives, one in each, by turns ZIP, gzip and TAR."""
    for level in range(levels):
        if level % 3 == 0:
            core = _zip([(b"%d" % level, deflated(core), len(core))])
        elif level % 3 == 1:
            core = gzip.compress(core, mtime=0)
        else:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as writer:
                info = tarfile.TarInfo(f"{level}")
                info.size = len(core)
                writer.addfile(info, io.BytesIO(core))
            core = out.getvalue()
    return core


# Archives that hold themselves, after Russ Cox, "Zip Files All The Way Down". What can be said in deflate is
# "the next n octets as they are" (L) and "the last n octets again" (R). Each takes five octets, so that they
# can speak of one another: L is the header of a stored block; R is a block of matches, filled up.

_UNIT = 5


def zip_quine() -> bytes:
    """A ZIP archive whose only member is itself, with its right checksum."""
    name = b"the-same-archive-once-more.zip"

    def ends(crc: int, size: int) -> tuple[bytes, bytes]:
        entry = Entry(name, DEFLATED, 0, max(0, size - 2 * len(name) - 30 - 46 - 22), size, crc)
        prefix, central = entry.local(), entry.central(0)
        return prefix, central + _end(1, len(central), max(0, size - len(central) - 22))

    return _quine(ends)


def gzip_quine() -> bytes:
    """A gzip file that expands to itself, with its right checksum."""

    def ends(crc: int, size: int) -> tuple[bytes, bytes]:
        return b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"again".ljust(49, b"-") + b"\0", struct.pack(
            "<II", crc, size
        )

    return _quine(ends)


def _quine(ends) -> bytes:
    size = len(_assembled(*ends(0, 0)))

    def checksum(crc: int) -> int:
        return zlib.crc32(_assembled(*ends(crc, size)))

    # The checksum stands in what it is made of, and every bit of it does so linearly: solve for it.
    constant = checksum(0)
    rows = [0] * 32
    for bit in range(32):
        column = checksum(1 << bit) ^ constant ^ (1 << bit)
        for row in range(32):
            rows[row] |= (column >> row & 1) << bit
    rows = [row | (constant >> number & 1) << 32 for number, row in enumerate(rows)]
    for bit in range(32):
        pivot = next(n for n in range(bit, 32) if rows[n] >> bit & 1)
        rows[bit], rows[pivot] = rows[pivot], rows[bit]
        rows = [row ^ rows[bit] if n != bit and row >> bit & 1 else row for n, row in enumerate(rows)]
    crc = sum((row >> 32 & 1) << number for number, row in enumerate(rows))
    return _assembled(*ends(crc, size))


def _assembled(prefix: bytes, suffix: bytes) -> bytes:
    # The last block, stored and empty, begins in what its R leaves free.
    tail = b"\0\0\xff\xff" + suffix
    repeat_prefix, repeat_tail = _again(len(prefix) + _UNIT), _again(len(tail) + _UNIT, last=True)
    literal_prefix, literal_tail = _literal(len(prefix) + _UNIT), _literal(len(tail) + _UNIT)
    nothing, one, four, again = _literal(0), _literal(_UNIT), _literal(4 * _UNIT), _again(4 * _UNIT)
    return b"".join(
        (
            *(prefix, literal_prefix, prefix, literal_prefix, repeat_prefix),
            *(one, repeat_prefix, one, one),
            *(four, repeat_prefix, one, one, four, again),
            *(four, again, four, again, four, again),
            *(four, again, nothing, nothing, literal_tail, again),
            *(nothing, nothing, literal_tail, repeat_tail, tail),
            *(repeat_tail, tail),
        )
    )


def _literal(size: int) -> bytes:
    return struct.pack("<BHH", 0, size, size ^ 0xFFFF)


def _again(size: int, *, last: bool = False) -> bytes:
    """Matches of ``size`` octets at that distance, in a block that takes five octets with what follows."""
    bits = "0" + "10"
    for length in (size // 2, size // 2) if size == 4 * _UNIT else (size,):
        bits += _length(length) + _distance(size)
    bits += "0000000"
    while len(bits) < (30 if last else 40):
        bits += "0" + "10" + "0000000"
    if last:
        bits = (bits + "1" + "00").ljust(40, "0")
    assert len(bits) == 40, (size, len(bits))
    return int(bits[::-1], 2).to_bytes(_UNIT, "little")


def _length(value: int) -> str:
    if value <= 10:
        return f"{value - 2:07b}"
    extra = (value - 3).bit_length() - 3
    code = 4 * extra + ((value - 3) >> extra)
    return f"{code + 1:07b}" + f"{(value - 3) & ((1 << extra) - 1):0{extra}b}"[::-1]


def _distance(value: int) -> str:
    extra = (value - 1).bit_length() - 2
    code = 2 * extra + ((value - 1) >> extra)
    return f"{code:05b}" + f"{(value - 1) & ((1 << extra) - 1):0{extra}b}"[::-1]


def _zip(members: list[tuple[bytes, bytes, int]]) -> bytes:
    """An archive of names, packed data and sizes."""
    out, directory = bytearray(), bytearray()
    for name, packed, size in members:
        entry = Entry(name, DEFLATED, 0, min(len(packed), 0xFFFFFFFE), min(size, 0xFFFFFFFE))
        directory += entry.central(len(out))
        out += entry.local() + packed
    return bytes(out + directory) + _end(len(members), len(directory), len(out))


def _end(count: int, size: int, offset: int) -> bytes:
    count = min(count, 0xFFFF) if count <= 0xFFFF else count & 0xFFFF
    return struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, offset, 0)


def opened_by_zipfile(data: bytes) -> list[bytes]:
    """What the standard library reads of an archive, for tests of the generators themselves."""
    with zipfile.ZipFile(io.BytesIO(data)) as reader:
        return [reader.read(info) for info in reader.infolist()]
