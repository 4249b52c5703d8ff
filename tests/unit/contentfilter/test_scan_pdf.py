"""PDF: locked or restricted in every way, what a document does by itself, which files it holds, bombs."""

from __future__ import annotations

import base64
import io
import itertools
import time
import zlib
from collections.abc import Callable

import pikepdf
import pytest

from contentfilter.content.scan import ScanOptions, scan_document, scan_message
from contentfilter.pdf.streams import lzw
from contentfilter.pdf.syntax import documents, encrypted_revisions, is_pdf, telling_names
from tests.samples.archives import stored_zip
from tests.samples.bombs import deflated_zeros
from tests.samples.compound import compound_file
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.office import MACRO, docm
from tests.samples.pdf import PAGE, pdf, raw_pdf, stream, with_object_stream

PROGRAM = docm(MACRO)
MACROS = {"office-macro", "office-macro-suspicious"}


def scanned(data: bytes, options: ScanOptions | None = None) -> tuple[set[str], set[str]]:
    result = scan_document("x", data, options)
    assert "failed" not in {item.reason for item in result.unscanned}, result.unscanned
    return {finding.name for finding in result.findings}, {item.reason for item in result.unscanned}


def attach(document: pikepdf.Pdf, name: str, content: bytes) -> None:
    document.attachments[name] = pikepdf.AttachedFileSpec(document, content)


# Locks.

LOCKS = {
    "R2": {"R": 2, "aes": False, "metadata": False},
    "R3": {"R": 3, "aes": False, "metadata": False},
    "R4": {"R": 4, "aes": True},
    "R4, RC4": {"R": 4, "aes": False, "metadata": False},
    "R5": {"R": 5},
    "R6": {"R": 6},
    "R6, metadata open": {"R": 6, "metadata": False},
}


def locked(user: str, owner: str = "owner", change=None, **how) -> bytes:
    return pdf(change, pikepdf.Encryption(user=user, owner=owner, **how))


@pytest.mark.parametrize("how", LOCKS.values(), ids=LOCKS.keys())
def test_locked_and_restricted_are_told_apart(how: dict[str, object]):
    assert scanned(locked("secret", **how)) == ({"pdf-encrypted"}, {"encrypted"})
    assert scanned(locked("", **how)) == ({"pdf-owner-restricted"}, set())
    assert scanned(locked("", "", **how)) == ({"pdf-owner-restricted"}, set())


@pytest.mark.parametrize("how", LOCKS.values(), ids=LOCKS.keys())
def test_what_is_restricted_is_scanned_like_any_other(how: dict[str, object]):
    def change(document: pikepdf.Pdf) -> None:
        document.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
        attach(document, "a.docm", PROGRAM)

    names, reasons = scanned(locked("", change=change, **how))
    assert names == {"pdf-owner-restricted", "pdf-javascript", *MACROS}
    assert reasons == set()


LOCKED = locked("secret")
LOCKED_OLD = locked("secret", R=4)
PACKED = pdf(
    lock=pikepdf.Encryption(user="secret", owner="o"),
    object_stream_mode=pikepdf.ObjectStreamMode.generate,
)


@pytest.mark.parametrize(
    "data",
    [
        b"junk " * 100 + LOCKED,
        b"%PDF-1.7\n" + b"\0" * 900 + LOCKED,
        LOCKED_OLD.replace(b"/Encrypt", b"/E#6ecrypt"),
        LOCKED_OLD.replace(b"/Encrypt", b"/#45#6E#63#72#79#70#74"),
        LOCKED_OLD.replace(b"/Encrypt ", b"/Encrypt%comment\n\t "),
        LOCKED + b"\r\n" * 200,
        # Behind so much, qpdf finds no end, repairs, and no longer says that a password is wanted.
        LOCKED + b"\r\n" * 1000,
        LOCKED + b"x" * 5000,
        LOCKED_OLD + bytes(20_000),
        PACKED + b"x" * 2000,
        b"x" * 1100 + PACKED,
        LOCKED + b"xref\n0 0\ntrailer<<>>\nstartxref\n%d\n%%%%EOF\n" % len(LOCKED),
        pdf(
            lock=pikepdf.Encryption(user="secret", owner="o"),
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
        ),
        pdf(lock=pikepdf.Encryption(user="secret", owner="o"), linearize=True),
        LOCKED_OLD.replace(b"startxref", b"startxxxx"),
        LOCKED_OLD[: LOCKED_OLD.rindex(b"startxref")],
        LOCKED_OLD.replace(b"%PDF-1", b"no header"),
        # Handlers that nobody here knows: certificates, rights management.
        LOCKED_OLD.replace(b"/Filter /Standard", b"/Filter /Adobe.PubSec /SubFilter /adbe.pkcs7.s5"),
        LOCKED_OLD.replace(b"/Filter /Standard", b"/Filter /MicrosoftIRMServices"),
        LOCKED_OLD.replace(b"/V 4", b"/V 9"),
        LOCKED_OLD.replace(b"/R 4", b"/R 9"),
    ],
)
def test_locks_in_disguise(data: bytes):
    assert scanned(data) == ({"pdf-encrypted"}, {"encrypted"})


@pytest.mark.parametrize("how", LOCKS.values(), ids=LOCKS.keys())
def test_lock_behind_which_much_stands(how: dict[str, object]):
    for user, name in (("secret", "pdf-encrypted"), ("", "pdf-owner-restricted")):
        assert name in scanned(locked(user, **how) + b"x" * 2000)[0]
    result = scan_message(
        message(multipart(text(b"Password: secret\r\n"), attachment(locked("secret", **how) + b"x" * 2000)))
    )
    assert [item.detail for item in result.findings] == ["needs a password, which the mail tells"]


@pytest.mark.parametrize("rest", [b"\r\n" * 1500, bytes(5000), b"<b>Warning</b>: x on line 3<br />\n" * 60])
def test_what_stands_behind_a_document_whose_table_is_a_stream(rest: bytes):
    for user, name in (("secret", "pdf-encrypted"), ("", "pdf-owner-restricted")):
        out = io.BytesIO()
        lock = pikepdf.Encryption(user=user, owner="owner", R=4)
        with pikepdf.open(io.BytesIO(pdf())) as document:
            document.save(out, encryption=lock, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        assert scanned(out.getvalue() + rest)[0] == {name}
    with pikepdf.open(io.BytesIO(pdf())) as document:
        document.save(out := io.BytesIO(), object_stream_mode=pikepdf.ObjectStreamMode.generate)
    if not rest.strip(b"\0\r\n"):
        assert scanned(out.getvalue() + rest) == (set(), set())


def test_revision_that_takes_the_lock_away():
    end = LOCKED_OLD.rindex(b"startxref")
    start = int(LOCKED_OLD[end + 10 :].split()[0])
    assert LOCKED_OLD[start : start + 4] == b"xref"
    plain = LOCKED_OLD[:start].replace(b"/Encrypt", b"/Nothing") + LOCKED_OLD[start:]
    assert scanned(plain)[0] == {"pdf-encrypted"}
    for name in (b"/Encrypt", b"/Encryp#74"):
        base = LOCKED_OLD.replace(b"/Encrypt", name) + b"%xref\n0 1\n"  # where /Prev would lead
        names, reasons = scanned(raw_pdf(base=base))
        assert "pdf-encrypted" in names
        assert "encrypted" in reasons


def test_lock_that_cannot_be_read_is_told():
    at = LOCKED_OLD.index(b"/Filter /Standard")
    data = LOCKED_OLD[:at] + b"%" + LOCKED_OLD[at + 1 :]
    names, reasons = scanned(data)
    assert names | reasons
    data = LOCKED_OLD[:at] + b"%" + LOCKED_OLD[at:]
    names, reasons = scanned(data)
    assert names | reasons


def test_attachments_alone_are_encrypted():
    base = locked(
        "secret", R=4, change=lambda d: d.attachments.__setitem__("a", pikepdf.AttachedFileSpec(d, b"x"))
    )
    names = (b"/StmF /StdCF", b"/StrF /StdCF")
    assert all(name in base for name in names)
    data = base.replace(names[0], b"/StmF /Identity /EFF /StdCF").replace(names[1], b"/StrF /Identity")
    data = data.replace(b"/AuthEvent /DocOpen", b"/AuthEvent /EFOpen")
    assert scanned(data)[0] == {"pdf-encrypted"}


@pytest.mark.parametrize(
    "about",
    [
        b"/EP<</Type/EncryptedPayload/Subtype/Acme>>",
        b"/AFRelationship/EncryptedPayload",
        b"/AFRelationship/Encrypted#50ayload",
    ],
)
def test_wrapper_around_an_encrypted_document(about: bytes):
    spec = b"<</Type/Filespec/F(a.pdf)/EF<</F 5 0 R>>%s>>" % about
    data = raw_pdf(
        b"/Collection<</View/H>>/Names<</EmbeddedFiles<</Names[(a)4 0 R]>>>>",
        {4: spec, 5: stream(b"\x93\x12cipher text", b"/Type/EmbeddedFile")},
    )
    assert scanned(data) == ({"pdf-encrypted"}, {"encrypted"})


def test_password_that_the_mail_tells():
    def change(document: pikepdf.Pdf) -> None:
        attach(document, "a.docm", PROGRAM)

    for how in LOCKS.values():
        data = locked("Pa55-wort", change=change, **how)
        for parts in itertools.permutations((text(b"Password: Pa55-wort\r\n"), attachment(data, "a.pdf"))):
            result = scan_message(message(multipart(*parts)))
            assert {finding.name for finding in result.findings} == {"pdf-encrypted", *MACROS}
            assert result.unscanned == ()
    result = scan_message(message(multipart(text(b"no word of it\r\n"), attachment(data, "a.pdf"))))
    assert [finding.name for finding in result.findings] == ["pdf-encrypted"]
    assert [item.reason for item in result.unscanned] == ["encrypted"]


@pytest.mark.parametrize(
    "data",
    [
        raw_pdf(objects={4: b"(trailer of /Encrypt)"}),
        raw_pdf(objects={4: stream(b"BT (about /Encrypt and /Encrypted things) Tj ET")}),
        raw_pdf(base=raw_pdf()),
        raw_pdf(b"/Encrypted true"),
        raw_pdf(objects={4: b"<</Encrypt/Me>>"}),
        raw_pdf(trailer=b"/EncryptMetadata true"),
    ],
)
def test_what_only_speaks_of_encryption(data: bytes):
    assert scanned(data) == (set(), set())


# What a document does by itself.

SCRIPT = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"
SCRIPTS = {
    "open action": raw_pdf(b"/OpenAction" + SCRIPT),
    "open action, elsewhere": raw_pdf(b"/OpenAction 4 0 R", {4: SCRIPT}),
    "name tree": raw_pdf(b"/Names<</JavaScript<</Names[(a)%s]>>>>" % SCRIPT),
    "name tree, deep": raw_pdf(b"/Names<</JavaScript%s%s%s>>" % (b"<</Kids[" * 60, SCRIPT, b"]>>" * 60)),
    "name tree, late": raw_pdf(b"/Names<</JavaScript<</Names[%s%s]>>>>" % (b"(a)null" * 5000, SCRIPT)),
    "additional actions": raw_pdf(b"/AA<</WC" + SCRIPT + b">>"),
    "page": raw_pdf(objects={3: PAGE[:-2] + b"/AA<</O" + SCRIPT + b">>>>"}),
    "field": raw_pdf(objects={4: b"<</FT/Tx/T(a)/AA<</K" + SCRIPT + b">>>>"}),
    "escaped": raw_pdf(b"/OpenAction<</S/J#61v#61Script/J#53(x)>>"),
    "escaped, whole": raw_pdf(b"/OpenAction<</#53/#4a#61#76#61#53#63#72#69#70#74/#4A#53(x)>>"),
    "hexadecimal": raw_pdf(b"/OpenAction<</S/JavaScript/JS<6170702e616c657274>>>"),
    "stream": raw_pdf(b"/OpenAction<</S/JavaScript/JS 4 0 R>>", {4: stream(b"app.alert(1)")}),
    "rendition": raw_pdf(objects={4: b"<</S/Rendition/OP 0/JS(x)>>"}),
    "next action": raw_pdf(b"/OpenAction<</S/GoTo/D[3 0 R/Fit]/Next[<</S/Named/N/Print>>%s]>>" % SCRIPT),
    "object stream": with_object_stream(b"<</JavaScript<</Names[(a)%s]>>>>" % SCRIPT),
    "comments": raw_pdf(b"/OpenAction<<%x\n/S%y\n/JavaScript%z\r/JS%\n(x)>>"),
    "3D": raw_pdf(objects={4: stream(b"x", b"/Type/3D/OnInstantiate 5 0 R"), 5: stream(b"x")}),
    "XFA": raw_pdf(
        b"/AcroForm<</XFA 4 0 R>>",
        {4: stream(b"<xdp><script contentType='application/x-javascript'>x</script></xdp>")},
    ),
    "XFA in pieces": raw_pdf(
        b"/AcroForm<</XFA[(a)4 0 R(b)5 0 R]>>",
        {4: stream(b"<xdp><xfa:scr"), 5: stream(zlib.compress(b"ipt>x</xfa:script>"), b"/Filter/Fl")},
    ),
    "FDF": b"%FDF-1.2\n1 0 obj\n<</FDF<</JavaScript<</After(x)>>>>>>\nendobj\ntrailer\n<</Root 1 0 R>>\n",
    "late header": b"x" * 1000 + raw_pdf(b"/OpenAction" + SCRIPT),
    "no header": raw_pdf(b"/OpenAction" + SCRIPT).replace(b"%PDF", b"%XYZ"),
    "postscript header": b"%!PS-Adobe-3.0 PDF-1.4\n" + raw_pdf(b"/OpenAction" + SCRIPT)[9:],
}  # fmt: skip


@pytest.mark.parametrize("data", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_scripts(data: bytes):
    assert scanned(data)[0] == {"pdf-javascript"}


LAUNCH = b"<</S/Launch/F(cmd.exe)>>"
LAUNCHES = {
    "open action": raw_pdf(b"/OpenAction" + LAUNCH),
    "escaped": raw_pdf(b"/OpenAction<</S/L#61unch/Win<</F(cmd.exe)>>>>"),
    "annotation": raw_pdf(objects={4: b"<</Type/Annot/Subtype/Link/A" + LAUNCH + b">>"}),
    "object stream": with_object_stream(b"<</A" + LAUNCH + b">>"),
    "remote go-to": raw_pdf(b"/OpenAction<</S/GoToR/F(\\\\\\\\evil.example\\\\x)/D[0/Fit]>>"),
    "embedded go-to": raw_pdf(b"/OpenAction<</S/GoToE/F<</F(//evil.example/x)>>/D[0/Fit]>>"),
    "link to a search elsewhere": raw_pdf(
        objects={4: b"<</S/URI/URI(search-ms:query=a&crumb=location:\\\\\\\\192.0.2.1\\\\a)>>"}
    ),
    "link to a diagnosis": raw_pdf(objects={4: b"<</S/URI/URI(MS-MSDT:/id PCWDiagnostic)>>"}),
    "link to a program": raw_pdf(objects={4: b"<</S/URI/URI(file:///C:/Windows/System32/calc.exe)>>"}),
}


@pytest.mark.parametrize("data", LAUNCHES.values(), ids=LAUNCHES.keys())
def test_launch_actions(data: bytes):
    assert scanned(data) == ({"pdf-launch"}, set())


@pytest.mark.parametrize(
    "data",
    [
        raw_pdf(b"/OpenAction[3 0 R/Fit]"),
        raw_pdf(objects={4: b"<</S/URI/URI(https://example.org/a.exe)>>"}),
        raw_pdf(objects={4: b"<</S/URI/URI(file:///C:/a/b.pdf)>>"}),
        raw_pdf(objects={4: b"<</S/GoToR/F(chapter2.pdf)/D[0/Fit]>>"}),
        raw_pdf(b"/Names<</JavaScript<</Names[]>>>>"),
        raw_pdf(objects={4: b"<</Title(how /JS and /Launch work)>>"}),
        raw_pdf(b"/AcroForm<</XFA 4 0 R>>", {4: stream(b"<xdp>describes a form</xdp>")}),
        raw_pdf(objects={4: b"[%s]" % (b"1 " * 200_000)}),
        b"%FDF-1.2\n1 0 obj\n<</FDF<</Fields[]>>>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n",
    ],
)
def test_what_harmless_documents_do(data: bytes):
    assert scanned(data) == (set(), set())


# Embedded files.


def ascii85(data: bytes) -> bytes:
    return base64.a85encode(data) + b"~>"


def run_lengths(data: bytes) -> bytes:
    pieces = [data[at : at + 128] for at in range(0, len(data), 128)]
    return b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces) + b"\x80"


def lzw_encoded(data: bytes) -> bytes:
    # A word is known by the code of all but its last octet, so that long ones cost no more than short ones.
    table: dict[tuple[int, int], int] = {}
    codes, width, word, size = [f"{256:09b}"], 9, -1, 258
    for octet in data:
        if word < 0:
            word = octet
            continue
        if (word, octet) in table:
            word = table[word, octet]
            continue
        codes.append(f"{word:0{width}b}")
        table[word, octet] = size
        size += 1
        word = octet
        if size == 4095:
            codes.append(f"{256:0{width}b}")
            table.clear()
            size, width = 258, 9
            continue
        width = max(width, size.bit_length())
    codes.append(f"{word:0{width}b}{257:0{max(width, (size + 1).bit_length())}b}")
    bits = "".join(codes)
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")


def predicted(data: bytes, columns: int = 64) -> bytes:
    data += bytes(-len(data) % columns)
    return zlib.compress(b"".join(b"\0" + data[at : at + columns] for at in range(0, len(data), columns)))


FILTERS = {
    "none": (PROGRAM, b""),
    "flate": (zlib.compress(PROGRAM), b"/Filter/FlateDecode"),
    "flate, array": (zlib.compress(PROGRAM), b"/Filter[/FlateDecode]/DecodeParms[null]"),
    "flate, short name": (zlib.compress(PROGRAM), b"/Filter/Fl"),
    "flate, escaped": (zlib.compress(PROGRAM), b"/Filter/Fl#61teDecode"),
    "flate, twice": (zlib.compress(zlib.compress(PROGRAM)), b"/Filter[/FlateDecode/FlateDecode]"),
    "flate, cut": (zlib.compress(PROGRAM)[:-4], b"/Filter/FlateDecode"),
    "flate, predictor": (
        predicted(PROGRAM),
        b"/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 64>>",
    ),
    "hexadecimal": (PROGRAM.hex().encode() + b">", b"/Filter/ASCIIHexDecode"),
    "ascii85": (ascii85(PROGRAM), b"/Filter/ASCII85Decode"),
    "ascii85 of flate": (ascii85(zlib.compress(PROGRAM)), b"/Filter[/ASCII85Decode/FlateDecode]"),
    "run lengths": (run_lengths(PROGRAM), b"/Filter/RunLengthDecode"),
    "lzw": (lzw_encoded(PROGRAM), b"/Filter/LZWDecode"),
    "identity": (PROGRAM, b"/Filter[/Crypt]/DecodeParms[<</Name/Identity>>]"),
}


@pytest.mark.parametrize(("data", "about"), FILTERS.values(), ids=FILTERS.keys())
def test_filters_of_an_embedded_file(data: bytes, about: bytes):
    spec = b"<</Type/Filespec/F(a.docm)/EF<</F 5 0 R>>>>"
    whole = raw_pdf(
        b"/Names<</EmbeddedFiles<</Names[(a)4 0 R]>>>>",
        {4: spec, 5: stream(data, b"/Type/EmbeddedFile" + about)},
    )
    assert scanned(whole)[0] == MACROS


FILE = stream(PROGRAM, b"/Type/EmbeddedFile")
PLACES = {
    "annotation": {4: b"<</Subtype/FileAttachment/FS<</F(a)/EF<</F 5 0 R>>>>>>", 5: FILE},
    "other platform": {4: b"<</EF<</Unix 5 0 R>>/F(a)>>", 5: FILE},
    "related": {4: b"<</F(a)/RF<</F[(x)5 0 R]>>>>", 5: FILE},
    "rich media": {4: b"<</RichMediaContent<</Assets<</Names[(a)<</EF<</F 5 0 R>>>>]>>>>>>", 5: FILE},
    "no type": {4: b"<</F(a)/E#46<</F 5 0 R>>>>", 5: stream(PROGRAM)},
    "nobody's": {5: FILE},
    "utf-16 name": {4: b"<</UF<feff0061>/EF<</UF 5 0 R>>>>", 5: FILE},
}  # fmt: skip


@pytest.mark.parametrize("objects", PLACES.values(), ids=PLACES.keys())
def test_places_of_an_embedded_file(objects: dict[int, bytes]):
    assert scanned(raw_pdf(objects=objects))[0] == MACROS


def test_embedded_document_is_named_and_looked_into():
    inner = pdf(lambda d: attach(d, "a.docm", PROGRAM))
    outer = pdf(lambda d: attach(d, "b.pdf", inner))
    result = scan_document("c.pdf", outer)
    assert {finding.part for finding in result.findings} == {"c.pdf/b.pdf/a.docm"}
    locked_inside = pdf(lambda d: attach(d, "b.pdf", LOCKED))
    assert [(f.name, f.part) for f in scan_document("c.pdf", locked_inside).findings] == [
        ("pdf-encrypted", "c.pdf/b.pdf")
    ]


# Several readings of one file.


def test_documents_in_a_row():
    scripted, plain = raw_pdf(b"/OpenAction" + SCRIPT), raw_pdf()
    for data in (scripted + plain, plain + scripted, plain + b"junk\n" + scripted + plain):
        assert "pdf-javascript" in scanned(data)[0]
    for data in (LOCKED + plain, plain + LOCKED):
        assert "pdf-encrypted" in scanned(data)[0]
    assert scanned(plain * 9)[1] >= {"too-large"}


def test_headers_without_number_are_no_documents_in_documents():
    result = scan_document("x", b"%PDF-1.7\n" * 100_000)
    assert result.parts <= 10
    assert {item.reason for item in result.unscanned} == {"malformed", "too-large"}


def test_stored_document_in_a_document_is_none_in_a_row():
    inner = raw_pdf()
    data = raw_pdf(objects={4: b"<</F(a)/EF<</F 5 0 R>>>>", 5: stream(inner, b"/Type/EmbeddedFile")})
    assert documents(data) == ([], False)
    assert scanned(data) == (set(), set())


def test_polyglots():
    from tests.samples.archives import plain_zip

    archive = plain_zip({"a.docm": PROGRAM})
    for data in (raw_pdf() + archive, archive + raw_pdf(b"/OpenAction" + SCRIPT)):
        assert scanned(data)[0] & {"office-macro", "pdf-javascript"}


def test_objects_of_an_earlier_revision_and_those_that_no_table_lists():
    superseded = raw_pdf(base=raw_pdf(b"/OpenAction" + SCRIPT))
    assert scanned(superseded)[0] == {"pdf-javascript"}
    data = raw_pdf()
    at = data.index(b"xref\n0 1")
    hidden = data[:at] + b"9 0 obj\n<</F(a)/EF<</F 10 0 R>>>>\nendobj\n10 0 obj\n" + FILE + b"\nendobj\n"
    hidden += data[at:].replace(b"startxref\n%d" % at, b"startxref\n%d" % len(hidden))
    assert scanned(hidden)[0] == MACROS


def test_documents_that_readers_repair():
    data = raw_pdf(b"/OpenAction" + SCRIPT)
    for damaged in (
        data[: data.index(b"trailer")],
        data[: data.index(b"xref")],
        data.replace(b"endobj", b"endob"),
        data.replace(b"startxref\n", b"startxref\n9"),
        data.replace(b"\nxref\n", b"\nxxxx\n"),
    ):
        names, reasons = scanned(damaged)
        assert names == {"pdf-javascript"}
        assert reasons == {"malformed"}


# Bombs and noise.


def zeros(levels: int, size: int = 400 << 20) -> bytes:
    data = b"\x78\x9c" + deflated_zeros(size)
    for _ in range(levels - 1):
        data = zlib.compress(data, 9)
    return data


BOMB = zeros(1)
BOMBS: dict[str, Callable[[], bytes]] = {
    "embedded file": lambda: raw_pdf(objects={4: stream(BOMB, b"/Type/EmbeddedFile/Filter/FlateDecode")}),
    "embedded file, chain": lambda: raw_pdf(
        objects={4: stream(zeros(3), b"/Type/EmbeddedFile/Filter[/FlateDecode/FlateDecode/FlateDecode]")}
    ),
    "too many filters": lambda: raw_pdf(
        objects={4: stream(b"x", b"/Type/EmbeddedFile/Filter[%s]" % (b"/ASCIIHexDecode" * 100))}
    ),
    "predictor": lambda: raw_pdf(
        objects={
            4: stream(BOMB, b"/Type/EmbeddedFile/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 9>>")
        }
    ),
    "object stream": lambda: with_object_stream(b"<</A 1>>", 400 << 20),
    "form": lambda: raw_pdf(b"/AcroForm<</XFA 4 0 R>>", {4: stream(BOMB, b"/Filter/FlateDecode")}),
    "run lengths": lambda: raw_pdf(
        objects={4: stream(b"\x81x" * 2_000_000, b"/Type/EmbeddedFile/Filter/RunLengthDecode")}
    ),
    "lzw": lambda: raw_pdf(
        objects={4: stream(lzw_encoded(bytes(9 << 20)), b"/Type/EmbeddedFile/Filter/LZWDecode")}
    ),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS.keys())
def test_bombs(make: Callable[[], bytes]):
    data = make()
    started = time.process_time()
    names, reasons = scanned(data)
    assert time.process_time() - started < 10
    assert names == {"too-large"}
    assert reasons == {"too-large"}


def test_table_that_is_a_bomb():
    data = with_object_stream(b"<<>>")
    at = data.rindex(b"6 0 obj")
    table = stream(BOMB, b"/Type/XRef/Size 7/W[1 4 1]/Root 1 0 R/Filter/FlateDecode")
    names, reasons = scanned(data[:at] + b"6 0 obj\n" + table + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % at)
    assert names | reasons
    assert reasons <= {"too-large", "malformed"}


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n" * 300_000,
        b"%PDF-1.7\n" + b"trailer<</Encrypt " * 200_000,
        b"%PDF-1.7\n" + b"startxref 9 " * 300_000,
        b"%PDF-1.7\n" + b"/Catalog" * 500_000,
        b"%PDF-1.7\n" + b"1 0 obj " * 500_000 + b"/Catalog",
        b"%PDF-1.7\n" + b"/#4A#53" * 500_000,
        b"%PDF-1.7\n" + b"/Encrypt 7 0 R 7 0 obj<<" * 200_000,
        raw_pdf(objects={4: b"[" * 100_000}),
        raw_pdf(objects={4: b"<</A" * 100_000}),
        raw_pdf(objects={4: b"[%s]" % (b"<</JS 1>>" * 200_000)}),
        raw_pdf(objects=dict.fromkeys(range(4, 40000), b"<</S/JavaScript/JS(x)>>")),
        raw_pdf(objects={2: b"<</Type/Pages/Kids[2 0 R 2 0 R 3 0 R]/Count 9999999>>"}),
        raw_pdf(b"/Names 4 0 R", {4: b"<</Kids[4 0 R 5 0 R]>>", 5: b"<</Kids[4 0 R]/EF 5 0 R>>"}),
        raw_pdf(trailer=b"/Prev 9"),
        raw_pdf().replace(b"/Size 4", b"/Size 4294967295"),
        raw_pdf(b"/AcroForm<</XFA 4 0 R>>", {4: stream(b"<!DOCTYPE x[" + b'<!ENTITY a "&b;&b;">' * 100_000)}),
        raw_pdf(b"/Metadata 4 0 R", {4: stream(b"<!DOCTYPE x[" + b'<!ENTITY a "&a;&a;">' * 100_000)}),
    ],
)  # fmt: skip
def test_what_is_built_to_stall_a_reader(data: bytes):
    started = time.process_time()
    scanned(data)
    assert time.process_time() - started < 10


def test_files_in_a_document_are_counted():
    objects = {number: stream(b"x", b"/Type/EmbeddedFile") for number in range(4, 104)}
    names, reasons = scanned(raw_pdf(objects=objects), ScanOptions(parts=100))
    assert (names, reasons) == ({"too-large"}, {"too-large"})
    assert scanned(raw_pdf(objects=objects), ScanOptions(parts=101)) == (set(), set())


@pytest.mark.parametrize("data", [LOCKED_OLD, pdf(lock=pikepdf.Encryption(user="s", owner="o"))])
def test_locked_document_cut_anywhere_is_no_pass(data: bytes):
    for size in range(20, len(data), 11):
        names, reasons = scanned(data[:size])
        assert names or reasons, size


# The pieces.


EMF = b"\1\0\0\0".ljust(40, b"\0") + b" EMF".ljust(124, b"\0")
IN_OTHERS = {
    "OLE": lambda data: compound_file({"pad": b"x" * 5000, "CONTENTS": data}),
    "ZIP": lambda data: stored_zip({"pad.txt": b"x" * 5000, "a.pdf": data}),
    "EMF": lambda data: EMF + data + b"\1" * 3000,
}


@pytest.mark.parametrize("kind", IN_OTHERS)
def test_a_document_in_another_file_is_no_damaged_one(kind: str):
    pad = {4: b"(%s)" % (b"x" * 5000)}
    carry = IN_OTHERS[kind]
    names, reasons = scanned(carry(raw_pdf(objects=pad)))
    assert (names, reasons & {"malformed"}) == (set(), set())
    assert "pdf-launch" in scanned(carry(raw_pdf(b"/OpenAction<</S/Launch/F(cmd.exe)>>", pad)))[0]
    assert "pdf-encrypted" in scanned(carry(locked("secret")))[0]


def test_a_document_that_begins_like_another_file_is_damaged_all_the_same():
    assert "malformed" in scanned(b"PK\3\4" + raw_pdf()[:-40])[1]


def test_which_files_are_taken_for_pdf():
    assert is_pdf(b"x" * 1024 + b"%PDF-")
    assert not is_pdf(b"x" * 1025 + b"%PDF-")
    assert is_pdf(b"x" * 5000 + b"startxref\n5\n%%EOF" + b"\n" * 1000)
    assert not is_pdf(b"a text about startxref" + b"x" * 5000)
    assert not is_pdf(b"")


def test_names_that_tell():
    assert telling_names(b"/JS (x)/S/La#75nch /EmbeddedFile") == {"JS", "Launch", "EmbeddedFile"}
    assert telling_names(b"/#53 /JavaScript/JS/") == {"JS"}
    assert telling_names(b"/JSON(x)/S/Launcher/Launch/EmbeddedFiles/JavaScript/S/JavaScripts /JS/") == set()


def test_encrypted_revisions_of_no_document():
    assert encrypted_revisions(b"") == []
    assert encrypted_revisions(b"trailer<</Encrypt 1 0 R>>") == [25]
    assert encrypted_revisions(b"trailer<</Encrypted 1 0 R>>") == []


@pytest.mark.parametrize("data", [b"", b"a", b"abc" * 5000, bytes(range(256)) * 64, bytes(20_000)])
def test_lzw(data: bytes):
    assert lzw(lzw_encoded(data) if data else b"\x80\x40\x40", 1 << 20) == (data, "")


def test_lzw_at_its_bound():
    packed = lzw_encoded(bytes(5000))
    assert lzw(packed, 5000) == (bytes(5000), "")
    assert lzw(packed, 4999) == (bytes(4999), "too-large")
    assert lzw(b"\xff\xff\xff", 100) == (b"", "malformed")
