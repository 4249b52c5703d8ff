"""What the header of a 7z archive is made of: numbers, coders, folders, and the files in them.

Source: 7zFormat.txt of the LZMA SDK.
"""

from __future__ import annotations

from dataclasses import dataclass, field

AES = b"\x06\xf1\x07\x01"
COPY, LZMA, LZMA2, PPMD = b"\0", b"\x03\x01\x01", b"\x21", b"\x03\x04\x01"

END, HEADER, PROPERTIES, MORE_STREAMS, MAIN_STREAMS, FILES = 0, 1, 2, 3, 4, 5
PACK_INFO, UNPACK_INFO, SUBSTREAMS, SIZE, CRC, FOLDER, UNPACK_SIZE, COUNT = 6, 7, 8, 9, 10, 11, 12, 13
EMPTY_STREAM, NAMES, ENCODED = 14, 17, 23
"""The ids of the properties."""
_MAX_STREAMS = 100_000
_MAX_FILES = 100_000
_MAX_CODERS = 32
_MAX_BLOB = 32 << 20


class SevenZipError(Exception):
    """Not to be read as a 7z archive.

    Arguments:
        reason: ``malformed``, ``unsupported`` or ``too-large``.
        detail: in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Coder:
    """One step of the way from packed to plain.

    Arguments:
        method: its id.
        properties: what the method needs to know.
        inputs: streams that go in, when unpacking.
        outputs: streams that come out.
    """

    method: bytes
    properties: bytes
    inputs: int = 1
    outputs: int = 1

    @property
    def memory(self) -> int:
        """Octets of dictionary that unpacking takes."""
        if self.method == LZMA and len(self.properties) >= 5:
            return int.from_bytes(self.properties[1:5], "little")
        if self.method == LZMA2 and self.properties:
            bits = self.properties[0] & 63
            return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)
        if self.method == PPMD and len(self.properties) >= 5:
            return int.from_bytes(self.properties[1:5], "little")
        return 0


@dataclass(slots=True)
class FileEntry:
    """A file in a folder.

    Arguments:
        size: octets.
        crc: of its content, where it is known.
        name: with the path; empty if the archive has none for it.
    """

    size: int
    crc: int | None
    name: str = ""


@dataclass(slots=True)
class Folder:
    """Files that are compressed together.

    Arguments:
        coders: their order says nothing; ``bonds`` ties them.
        bonds: pairs of input and output stream that are tied together.
        streams: inputs that come from packed streams, in the order of those.
        first: the first of its packed streams.
        sizes: octets that come out of each output.
        crc: of the unpacked data, where it is known.
        files: which the unpacked data is divided into, in their order.
    """

    coders: list[Coder]
    bonds: list[tuple[int, int]]
    streams: list[int]
    first: int = 0
    sizes: list[int] = field(default_factory=list)
    crc: int | None = None
    files: list[FileEntry] = field(default_factory=list)

    @property
    def encrypted(self) -> bool:
        return any(coder.method == AES for coder in self.coders)

    @property
    def memory(self) -> int:
        return sum(coder.memory for coder in self.coders)

    @property
    def size(self) -> int:
        """Octets of the unpacked data: of the one output that goes into nothing."""
        tied = {output for _input, output in self.bonds}
        return next((size for number, size in enumerate(self.sizes) if number not in tied), 0)

    def without_coder(self, number: int) -> Folder:
        """The folder as it is once that coder's work is done: its packed stream is then what the coder gave.

        The coder must take one packed stream and give one, as encryption does.
        """
        before = sum(coder.inputs for coder in self.coders[:number])
        output = sum(coder.outputs for coder in self.coders[:number])
        takes = next((takes for takes, gives in self.bonds if gives == output), before)
        return Folder(
            self.coders[:number] + self.coders[number + 1 :],
            [
                (takes - (takes > before), gives - (gives > output))
                for takes, gives in self.bonds
                if gives != output
            ],
            [(found := takes if stream == before else stream) - (found > before) for stream in self.streams],
            self.first,
            self.sizes[:output] + self.sizes[output + 1 :],
            self.crc,
            self.files,
        )


@dataclass(slots=True)
class Streams:
    """Packed streams, and the folders made of them.

    Arguments:
        packed: position and size of each, in the octets that were given.
        folders: in their order.
    """

    packed: list[tuple[int, int]] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)


class Numbers:
    """Takes a header apart, piece by piece.

    Raises:
        SevenZipError: it ends early.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def octet(self) -> int:
        return self.take(1)[0]

    def take(self, size: int) -> bytes:
        raw = self._data[self._at : self._at + size]
        if len(raw) < size:
            raise SevenZipError("malformed", "its header ends early")
        self._at += size
        return raw

    def number(self) -> int:
        """As many octets follow the first as it has ones in front; its other bits are the highest."""
        first = self.octet()
        mask, value = 0x80, 0
        for count in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * count)
            value |= self.octet() << (8 * count)
            mask >>= 1
        return value

    def count(self, limit: int) -> int:
        value = self.number()
        if value > limit:
            raise SevenZipError("too-large", "its header")
        return value

    def checksums(self, count: int) -> list[int | None]:
        if self.octet():
            defined = [True] * count
        else:
            bits = self.take((count + 7) // 8)
            defined = [bool(bits[n // 8] & 0x80 >> n % 8) for n in range(count)]
        return [int.from_bytes(self.take(4), "little") if there else None for there in defined]


def read_streams(reader: Numbers, base: int) -> Streams:
    """The part of a header on streams, after its id.

    Arguments:
        base: position from which the archive counts.
    """
    streams = Streams()
    kind = reader.number()
    if kind == PACK_INFO:
        at = base + reader.number()
        count = reader.count(_MAX_STREAMS)
        while (kind := reader.number()) != END:
            if kind == SIZE:
                for _ in range(count):
                    size = reader.number()
                    streams.packed.append((at, size))
                    at += size
            elif kind == CRC:
                reader.checksums(count)
            else:
                raise SevenZipError("malformed", "its header")
        kind = reader.number()
    if kind == UNPACK_INFO:
        _read_folders(reader, streams)
        kind = reader.number()
    for folder in streams.folders:
        folder.files = [FileEntry(folder.size, folder.crc)]
    if kind == SUBSTREAMS:
        _read_files_of_folders(reader, streams.folders)
        kind = reader.number()
    if kind != END:
        raise SevenZipError("malformed", "its header")
    return streams


def _read_files_of_folders(reader: Numbers, folders: list[Folder]) -> None:
    kind = reader.number()
    counts = [1] * len(folders)
    if kind == COUNT:
        left = _MAX_FILES
        for number in range(len(folders)):
            counts[number] = reader.count(left)
            left -= counts[number]
        kind = reader.number()
    if kind == SIZE or any(count != 1 for count in counts):
        for folder, count in zip(folders, counts, strict=True):
            sizes = [reader.number() for _ in range(count - 1)] if kind == SIZE else [0] * (count - 1)
            sizes = [*sizes, max(0, folder.size - sum(sizes))] if count else []
            folder.files = [FileEntry(size, folder.crc if count == 1 else None) for size in sizes]
        kind = reader.number() if kind == SIZE else kind
    if kind == CRC:
        unknown = [entry for folder in folders for entry in folder.files if entry.crc is None]
        for entry, crc in zip(unknown, reader.checksums(len(unknown)), strict=True):
            entry.crc = crc
        kind = reader.number()
    if kind != END:
        raise SevenZipError("malformed", "its header")


def read_names(reader: Numbers, streams: Streams) -> None:
    """The part of a header on files, after its id; gives the files in the folders their names."""
    count = reader.count(_MAX_FILES)
    names: list[str] = []
    empty = [False] * count
    while (kind := reader.number()) != END:
        raw = reader.take(reader.count(_MAX_BLOB))
        if kind == EMPTY_STREAM:
            if len(raw) < (count + 7) // 8:
                raise SevenZipError("malformed", "its header")
            empty = [bool(raw[n // 8] & 0x80 >> n % 8) for n in range(count)]
        elif kind == NAMES and raw[:1] == b"\0":
            names = raw[1:].decode("utf-16-le", "replace").split("\0")
    full = iter([name for name, none in zip(names, empty, strict=False) if not none])
    for folder in streams.folders:
        for entry in folder.files:
            entry.name = next(full, "")


def _read_folders(reader: Numbers, streams: Streams) -> None:
    if reader.number() != FOLDER:
        raise SevenZipError("malformed", "its header")
    count = reader.count(_MAX_STREAMS)
    if reader.octet():
        raise SevenZipError("unsupported", "folders in a stream of their own")
    first = 0
    for _ in range(count):
        folder = _read_folder(reader)
        folder.first = first
        first += len(folder.streams)
        streams.folders.append(folder)
    if reader.number() != UNPACK_SIZE:
        raise SevenZipError("malformed", "its header")
    for folder in streams.folders:
        folder.sizes = [reader.number() for coder in folder.coders for _ in range(coder.outputs)]
    while (kind := reader.number()) != END:
        if kind != CRC:
            raise SevenZipError("malformed", "its header")
        for folder, crc in zip(streams.folders, reader.checksums(count), strict=True):
            folder.crc = crc


def _read_folder(reader: Numbers) -> Folder:
    coders = []
    for _ in range(reader.count(_MAX_CODERS)):
        flags = reader.octet()
        method = reader.take(flags & 15)
        inputs, outputs = (reader.count(_MAX_CODERS), reader.count(_MAX_CODERS)) if flags & 0x10 else (1, 1)
        properties = reader.take(reader.count(_MAX_STREAMS)) if flags & 0x20 else b""
        coders.append(Coder(method, properties, inputs, outputs))
    inputs, outputs = sum(coder.inputs for coder in coders), sum(coder.outputs for coder in coders)
    if not outputs:
        raise SevenZipError("malformed", "a folder without coders")
    bonds = [(reader.number(), reader.number()) for _ in range(outputs - 1)]
    free = inputs - len(bonds)
    if free <= 0:
        raise SevenZipError("malformed", "a folder without data")
    if free == 1:
        tied = {bond[0] for bond in bonds}
        streams = [number for number in range(inputs) if number not in tied][:1]
    else:
        streams = [reader.number() for _ in range(free)]
    return Folder(coders, bonds, streams)
