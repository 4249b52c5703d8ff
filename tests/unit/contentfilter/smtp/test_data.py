"""End of data and smuggling: only CRLF "." CRLF ends a message, and nothing else gets through that could."""

from __future__ import annotations

import itertools

import pytest

from contentfilter.smtp.data import DataReader, Defect

NEXT = b"MAIL FROM:<next@x.example>\r\n"


def read(pieces: list[bytes]) -> tuple[bytes, bytes, DataReader]:
    """Content, what follows the end, and the reader."""
    reader = DataReader()
    content, rest = b"", b""
    for piece in pieces:
        if reader.ended:
            rest += piece
            continue
        found, rest = reader.feed(piece)
        content += found
    return content, rest, reader


def splits(wire: bytes) -> list[list[bytes]]:
    """``wire`` whole, cut once at every place, and byte by byte."""
    once = [[wire[:i], wire[i:]] for i in range(1, len(wire))]
    return [[wire], *once, [wire[i : i + 1] for i in range(len(wire))]]


def reference(wire: bytes) -> int | None:
    """Where the terminator begins, found one octet at a time."""
    line = b""
    for i in range(len(wire)):
        line += wire[i : i + 1]
        if line.endswith(b"\r\n"):
            if line == b".\r\n":
                return i + 1 - 3
            line = b""
    return None


def postfix_end(wire: bytes, bound: int = 2048) -> int | None:
    """Where Postfix's smtpd takes the data for ended: offset behind it.

    As smtp_get() and data_cmd() do it: a record is what comes up to LF, at most ``bound`` octets; all CRs
    before LF are stripped; a record that is "." and does not continue another one is the end.
    """
    at, continues = 0, False
    while at < len(wire):
        newline = wire.find(b"\n", at)
        if newline < 0:
            return None
        stop = min(newline + 1, at + bound)
        record = wire[at:stop]
        if record.endswith(b"\r") and wire[stop : stop + 1] == b"\n":
            stop += 1
            record += b"\n"
        at = stop
        text = record[:-1].rstrip(b"\r") if record.endswith(b"\n") else record
        if text == b"." and not continues and record.endswith(b"\n"):
            return at
        continues = not record.endswith(b"\n")
    return None


def liberal_end(wire: bytes) -> int | None:
    """Where a server ends the data that takes CRLF and bare LF alike for a line end."""
    at = 0
    for line in (
        wire.splitlines(keepends=True) if b"\r" not in wire.replace(b"\r\n", b"") else wire.split(b"\n")
    ):
        bare = line.rstrip(b"\n").removesuffix(b"\r")
        at += len(line) if line.endswith(b"\n") else len(line) + 1
        if bare == b".":
            return at
    return None


@pytest.mark.parametrize(
    "wire", [b"Subject: x\r\n\r\nHello\r\n", b"", b"\r\n", b"..\r\n", b"a\r\n..b\r\n\r\n"]
)
def test_data_clean_message_passes_unchanged_at_every_split(wire: bytes) -> None:
    for pieces in splits(wire + b".\r\n" + NEXT):
        content, rest, reader = read(pieces)
        assert reader.ended
        assert content == wire
        assert rest == NEXT
        assert reader.defect is None
        assert reader.wire_size == len(wire)
        assert reader.size == len(wire) - wire.count(b"\r\n.") - wire.startswith(b".")


@pytest.mark.parametrize(
    ("inside", "defect"),
    [
        (b"\n.\n", Defect.BARE_LF),
        (b"\n.\r\n", Defect.BARE_LF),
        (b"\r\n.\n", Defect.BARE_LF),
        (b"\n.\r", Defect.BARE_LF),
        (b"\n\n.\r\n", Defect.BARE_LF),
        (b"\n", Defect.BARE_LF),
        (b"\n\r", Defect.BARE_LF),
        (b"\r\n\n.\r\n\n", Defect.BARE_LF),
        (b"\r\n.\r\r\n", Defect.DOT_CR),
        (b"\r\n.\r\r\r\n", Defect.DOT_CR),
        (b"\r\n.\r", Defect.DOT_CR),
        (b"\r\n.\rMAIL", Defect.DOT_CR),
        (b"\r\n.\r\x00\n", Defect.BARE_LF),
        (b"\r.\r", None),
        (b"\r.\r\n", None),
        (b"\r\r\n", None),
        (b"\r\r", None),
        (b"\r\n..\r\r\n", None),
        (b"\r\n..\r", None),
        (b"\x00\r\n..\x00\r\n\x00", None),
        (b"\r\n. \r\n", None),
        (b"\r\n.\x00\r\n", None),
    ],
)
def test_data_smuggling_sequence_never_ends_the_message(inside: bytes, defect: Defect | None) -> None:
    body = b"Subject: x\r\n\r\nHello" + inside + b"RCPT TO:<victim@x.example>\r\n"
    for pieces in splits(body + b".\r\n" + NEXT):
        content, rest, reader = read(pieces)
        assert (content, rest) == (body, NEXT)
        assert reader.defect is defect


@pytest.mark.parametrize("start", [b".\n", b"\n.\r\n", b".\r\r\n", b".\rx", b"\n"])
def test_data_smuggling_at_the_very_start(start: bytes) -> None:
    for pieces in splits(start + b"x\r\n.\r\n" + NEXT):
        content, rest, reader = read(pieces)
        assert content == start + b"x\r\n"
        assert rest == NEXT
        assert reader.defect is not None


def test_data_all_short_messages_against_reference_and_other_servers() -> None:
    """Every string of CR, LF, dot and a letter: the end is the reference's, and what we would pass on ends
    for Postfix and for a liberal server exactly where it ends for us."""
    for length in range(7):
        for letters in itertools.product(b"\r\n.a", repeat=length):
            wire = bytes(letters) + b"\r\n.\r\n"
            content, rest, reader = read([wire])
            end = reference(wire)
            assert reader.ended
            assert end is not None
            assert content == wire[:end]
            assert rest == wire[end + 3 :]
            bare = content.replace(b"\r\n", b"").count(b"\n")
            assert (reader.defect is Defect.BARE_LF) == (bare > 0)
            if reader.defect is None:
                onward = b"X-Ours: y\r\n" + content + b".\r\n"
                for bound in (2048, 4, 3, 2):
                    assert postfix_end(onward, bound) == len(onward), wire
                assert liberal_end(onward) == len(onward), wire


def test_data_models_of_other_servers_are_fooled_by_what_we_refuse() -> None:
    """The models above are no straw men: each sees an end in the sequences that it is known for."""
    assert postfix_end(b"a\r\n.\r\r\nMAIL") == 7
    assert postfix_end(b"a\n.\nMAIL") == 4
    assert postfix_end(b"a\r\n..\r\r\nMAIL\r\n.\r\n") == 17
    assert liberal_end(b"a\n.\nMAIL\n") == 4
    assert postfix_end(b"aaaa.\r\n\r\n.\r\n", bound=4) == 12


def test_data_small_and_large_pieces_give_the_same() -> None:
    body = b"".join(b"..line %d with a dot.\r\nand one without\r\n" % i for i in range(5000))
    for size in (7, 63, 1024, 65536, 1 << 20):
        wire = body + b".\r\n" + NEXT
        content, rest, reader = read([wire[i : i + size] for i in range(0, len(wire), size)])
        assert content == body
        assert rest == NEXT
        assert reader.size == len(body) - 5000


def test_data_holds_back_at_most_four_octets() -> None:
    reader = DataReader()
    content, _ = reader.feed(b"text\r\n.\r")
    assert content == b"text"
    content, rest = reader.feed(b"\nQUIT\r\n")
    assert (content, rest) == (b"\r\n", b"QUIT\r\n")


def test_data_reader_takes_nothing_after_the_end() -> None:
    reader = DataReader()
    reader.feed(b".\r\n")
    with pytest.raises(RuntimeError):
        reader.feed(b"x")


@pytest.mark.parametrize("length", [1, 76, 998])
@pytest.mark.parametrize("lines", [100, 101, 102, 300])
def test_a_bare_lf_among_lines_of_one_length_is_noticed(length: int, lines: int) -> None:
    """Long runs of such lines, as base64 has them, are looked at in another way than other text."""
    line = b"x" * length + b"\r\n"
    for damage in (None, 0, 1, lines // 2, lines - 1):
        content = bytearray(line * lines)
        if damage is not None:
            at = damage * len(line)
            content[at + length] = ord("x")
        reader = DataReader()
        reader.feed(bytes(content) + b".\r\n")
        assert reader.defect is (None if damage is None else Defect.BARE_LF)
        # One LF more, within a line, on the beat of the others and off it.
        for at in (len(line) * 3 - 3, len(line) * 3 - 1):
            reader = DataReader()
            reader.feed(bytes(content[:at] + b"\n" + content[at + 1 :]) + b".\r\n")
            expected = content[:at].endswith(b"\r") and damage is None
            assert (reader.defect is None) is expected


@pytest.mark.parametrize("end", [b"x\n", b"\rx\n", b"\r\0\n", b"\n\r"])
def test_a_bare_lf_at_the_end_of_each_of_many_lines_is_noticed(end: bytes) -> None:
    for lines in (1, 2, 100):
        reader = DataReader()
        reader.feed(b"x")
        reader.feed((b"x" * 76 + end) * lines)
        reader.feed(b"\r\n.\r\n")
        assert reader.defect is Defect.BARE_LF


def test_a_line_end_that_was_cut_in_two_is_whole_again() -> None:
    reader = DataReader()
    reader.feed((b"x" * 76 + b"\r\n") * 200 + b"y\r")
    reader.feed(b"\n" + (b"x" * 76 + b"\r\n") * 200)
    assert reader.defect is None
