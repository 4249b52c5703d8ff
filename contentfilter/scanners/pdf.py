"""PDF documents: locked or only restricted, told apart by trying; what they do by themselves; their files."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator

import pikepdf

from contentfilter.containers.cfb import MAGIC as OLE
from contentfilter.content.filename import suffixes
from contentfilter.content.limits import KIB, MIB
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.pdf import hybrid, syntax
from contentfilter.pdf.objects import ERRORS, Fact, File, Trouble, Walk, message
from contentfilter.pdf.streams import set_bounds
from contentfilter.scanners.remote import starts_program
from mailbase.vocabulary import Unscanned

_ATTEMPT, _ATTEMPT_MIB = 3_000, 20_000
"""Microseconds that an attempt to open a document takes, and for each MiB of it."""
_OPEN_WORK = 512 * KIB
"""What a document counts for, against the bound on work: qpdf takes half a millisecond for the smallest."""
_EARLIER = "an earlier revision"
_ONE_OF_SEVERAL = "one of several documents"
_MAX_REVISIONS = 8
"""Earlier revisions with a lock that are looked at."""
_EOF = b"%%EOF"
_PADDING = b"\0 \t\r\n\f"
_LAST = 900
"""Of the octets at the end, qpdf looks for the table's place in some more; scanners and mail programs pad."""
_MAX_WARNINGS = 2_000
_DAMAGED = ("file is damaged", "error decoding stream data")
_TWICE = re.compile("duplicated key /(?:EF|F|UF|Filter|DecodeParms|Encrypt|Root|StmF|EFF|CF)\\b")
_BOMB = "memory limit exceeded"
_COUNTED = ("EF", "ObjStm")
"""Names of which each must have been met: beside one file, or object stream, another may be hidden."""
_CARRIERS = (OLE, b"PK\3\4", b"\x78\x9f\x3e\x22")
_PICTURE, _PICTURE_AT = (b"\1\0\0\0", b" EMF"), (0, 40)

set_bounds()


class Pdf:
    """Finds ``pdf-encrypted``, ``pdf-owner-restricted``, ``pdf-javascript``, ``pdf-launch``; hands out
    embedded files, forms, and further documents and revisions in the same file."""

    name = "pdf"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if not syntax.is_pdf(part.data):
            return
        carried = _is_carried(part)
        for item in self._document(part, context):
            if not (carried and isinstance(item, Unscanned) and item.reason == "malformed"):
                yield item

    def _document(self, part: Part, context: Context) -> Iterator[Found]:
        # What is a piece already has no pieces: the last one may hold a million headers.
        pieces, many = syntax.documents(part.data) if part.inside != _ONE_OF_SEVERAL else ([], False)
        for start, end in pieces:
            yield part.piece(_ONE_OF_SEVERAL, part.data[start:end])
        if many:
            yield part.unscanned("too-large", "PDF documents in a row")
        if not context.budget.take_work(least=_OPEN_WORK):
            yield part.unscanned("too-large", "PDF")
            return
        try:
            document = _open_in_front(part.data)
        except pikepdf.PasswordError:
            yield from _locked(part, context)
        except MemoryError:
            yield part.unscanned("too-large", "PDF")
        except ERRORS as error:
            yield from _unreadable(part, context, message(error))
        else:
            with document:
                yield from _opened(part, document, context)


def _is_carried(part: Part) -> bool:
    """Whether a document seems to lie in another file: an OLE file, ZIP archive, TNEF or picture.

    As a document by itself it is damaged then, which says nothing: its offsets count from elsewhere, and
    more stands behind it. As a member it is looked at by itself. Readers of PDF would open such a picture, so
    it counts as one only where nothing sends it to them.
    """
    data = part.data
    if all(data[at : at + 4] == mark for mark, at in zip(_PICTURE, _PICTURE_AT, strict=True)):
        return "pdf" not in suffixes(part.name) and "pdf" not in part.media
    return data.startswith(_CARRIERS) and not syntax.has_header(data)


def _open(data: Content, password: str = "") -> pikepdf.Pdf:
    """The document; also where qpdf has put its table together.

    Raises:
        pikepdf.PasswordError: it needs another password.
    """
    if not data[-_LAST:].strip(_PADDING):
        data = data.rstrip(_PADDING)
    document = pikepdf.open(io.BytesIO(data), password=password, suppress_warnings=True)
    matched = document.user_password_matched or document.owner_password_matched
    if document.is_encrypted and not matched:
        # qpdf does not say so of a document that it had to repair, and decrypts it to nonsense.
        document.close()
        raise pikepdf.PasswordError("invalid password")
    return document


def _open_in_front(data: Content) -> pikepdf.Pdf:
    """The document; where more stands behind it than readers mind, as it is without that.

    Where qpdf repairs a document whose table is a stream, one that anybody can open seems locked to it.
    """
    try:
        return _open(data)
    except ERRORS as error:
        end = data.rfind(_EOF)
        if end < 0 or len(data) - end < _LAST or not _speaks_of_lock(data, message(error)):
            raise
        return _open(data[: end + len(_EOF)])


def _opened(part: Part, document: pikepdf.Pdf, context: Context) -> Iterator[Found]:
    if document.is_encrypted:
        yield part.found("pdf-owner-restricted", "opens with the empty password")
    elif part.inside != _EARLIER:
        ends = syntax.encrypted_revisions(part.data)
        if len(ends) > _MAX_REVISIONS:
            yield part.unscanned("too-large", "PDF: revisions")
        for end in ends[:_MAX_REVISIONS]:
            # A reader that starts there sees a locked document; what starts there is looked at by itself.
            if end < len(part.data.rstrip()):
                yield part.piece(_EARLIER, part.data[:end])
            else:
                yield part.unscanned("malformed", "PDF: a lock that cannot be read")
    yield from _walked(part, document, context)


def _walked(part: Part, document: pikepdf.Pdf, context: Context, damaged: bool = False) -> Iterator[Found]:
    """What there is in a document that is open; that it is damaged is told unless it was."""
    walk = Walk(document, context.budget.allowance)
    facts: set[str] = set()
    yield from _told(part, walk, context, facts)
    yield from _hybrid(part, document, walk, context, facts)
    yield from _hidden(part, walk, context, facts)
    warnings = [str(warning) for warning in itertools.islice(document.get_warnings(), _MAX_WARNINGS)]
    if any(_BOMB in warning for warning in warnings):
        yield part.unscanned("too-large", "PDF: a stream expands to more than is looked at")
    elif not damaged and any(sign in warning for warning in warnings for sign in _DAMAGED):
        # qpdf has put together what it could find; another program may find something else.
        yield part.unscanned("malformed", "PDF: damaged, and repaired for looking into it")
    elif any(_TWICE.search(warning) for warning in warnings):
        yield part.unscanned("malformed", "PDF: an entry twice, of which programs differ which one counts")


def _hybrid(
    part: Part, document: pikepdf.Pdf, walk: Walk, context: Context, facts: set[str]
) -> Iterator[Found]:
    """What only a stream beside a table lists (7.5.8.4). To qpdf such objects are free, as the table says."""
    whole = hybrid.preferring_streams(part.data, document)
    if not whole:
        return
    try:
        other = _open(whole)
    except (MemoryError, *ERRORS):
        yield part.unscanned("malformed", "PDF: a table beside another")
        return
    with other:
        second = Walk(other, context.budget.allowance, frozenset(walk.handed))
        yield from _told(part, second, context, facts)
        walk.adopt(second)


def _told(part: Part, walk: Walk, context: Context, facts: set[str]) -> Iterator[Found]:
    for item in walk.run():
        match item:
            case Fact(name, detail):
                if starts_program(detail.removeprefix("URI ")) and "executable" not in facts:
                    facts.add("executable")
                    yield part.found("executable", f"link {detail[:200]}")
                if name not in facts:
                    facts.add(name)
                    yield part.found(name, detail)
                    if name == "pdf-encrypted":
                        yield part.unscanned("encrypted", "PDF: payload")
            case Trouble(reason, detail):
                yield part.unscanned(reason, f"PDF: {detail}")
            case File(name, content, problem):
                inner = part.child(name, content) if name else part.piece("XFA form", content)
                if problem:
                    yield inner.unscanned(problem, "PDF: embedded file")
                if content:
                    yield inner
        if context.budget.exhausted:
            return


def _hidden(part: Part, walk: Walk, context: Context, facts: set[str]) -> Iterator[Found]:
    """What stands in the file and in no object that its tables list, as in an earlier revision; a program
    that repairs the file, or counts objects in streams otherwise, may take it."""
    names = syntax.telling_names(part.data)
    for content in walk.packed:
        names += syntax.telling_names(content)
    if names.keys() <= walk.seen.keys() and all(names[name] <= walk.seen[name] for name in _COUNTED):
        return
    try:
        document = _open(syntax.without_table(part.data, walk.packed))
    except (MemoryError, *ERRORS):
        pass  # the names themselves are told
    else:
        with document:
            second = Walk(document, context.budget.allowance, frozenset(walk.handed))
            yield from _told(part, second, context, facts)
            walk.adopt(second)
    hidden = names.keys() - walk.seen.keys()
    for sign, name in (("JS", "pdf-javascript"), ("Launch", "pdf-launch")):
        if sign in hidden and name not in facts:
            yield part.found(name, "in an object that is not in use")
    if {"EmbeddedFile", "EF"} & hidden:
        yield part.unscanned("malformed", "PDF: an embedded file that no table lists")


def _locked(part: Part, context: Context) -> Iterator[Found]:
    """A document that the empty password doesn't open."""
    cost = _ATTEMPT + len(part.data) * _ATTEMPT_MIB // MIB
    for password in context.passwords.attempts(cost, ()):
        try:
            document = _open(part.data, password.text)
        except (MemoryError, *ERRORS):  # the password is wrong, for one
            continue
        with document:
            context.passwords.opened(password)
            yield part.found("pdf-encrypted", "needs a password, which the mail tells")
            yield from _walked(part, document, context)
            return
    yield part.found("pdf-encrypted", "needs a password")
    yield part.unscanned("encrypted", "PDF")


def _unreadable(part: Part, context: Context, error: str) -> Iterator[Found]:
    """A file that qpdf cannot open: locked in a way that it doesn't know, or damaged beyond its repairs."""
    if _BOMB in error:
        yield part.unscanned("too-large", "PDF: a stream expands to more than is looked at")
        return
    if _speaks_of_lock(part.data, error):
        if (torso := _torso(part.data)) is not None:
            yield part.unscanned("malformed", f"PDF: {error}")
            with torso:
                yield part.found("pdf-owner-restricted", "opens with the empty password")
                yield from _walked(part, torso, context, damaged=True)
            return
        yield part.found("pdf-encrypted", "locked in a way that is not known")
        yield part.unscanned("encrypted", f"PDF: {error}")
        return
    try:
        document = _open(syntax.with_trailer(part.data))
    except (MemoryError, *ERRORS):
        yield part.unscanned("malformed", f"PDF: {error}")
        return
    if not syntax.is_form_data(part.data):
        yield part.unscanned("malformed", f"PDF: {error}")
    with document:
        yield from _walked(part, document, context, damaged=True)


def _torso(data: Content) -> pikepdf.Pdf | None:
    """A document that was cut off, as in bounces, if what is there opens with the empty password."""
    if not (lock := syntax.lock_of_torso(data)):
        return None
    try:
        return _open(syntax.with_trailer(data, lock))
    except (MemoryError, *ERRORS):
        return None


_MAX_TRAILERS = 20
_TRAILER = re.compile(syntax.name("Encrypt") + rb"\s{1,20}(\d{1,10})\s{1,20}\d{1,5}\s{1,20}R")
_DIRECT = re.compile(syntax.name("Encrypt") + rb"\s{0,20}<<")
_HANDLER = re.compile(rb"(?:%s)\b" % b"|".join(map(syntax.name, ("Filter", "V", "O", "U"))))
_MAX_OBJECTS = 50
"""Objects of one number that are looked at."""
_LOCK_SIZE = 2000
"""Octets in which the description of a lock says what it is."""


def _speaks_of_lock(data: Content, error: str) -> bool:
    """Whether a PDF that qpdf cannot read is locked: qpdf says so, or a description of the lock is there."""
    if "encrypt" in error.lower() and "not a dictionary" not in error:
        return True
    numbers = dict.fromkeys(match[1] for match in itertools.islice(_TRAILER.finditer(data), _MAX_TRAILERS))
    for number in numbers:
        objects = re.finditer(rb"(?<!\d)%s\s{1,20}\d{1,5}\s{1,20}obj\s{0,20}<<" % number, data)
        for match in itertools.islice(objects, _MAX_OBJECTS):
            end = data.find(b"endobj", match.end(), match.end() + _LOCK_SIZE)
            if _HANDLER.search(data, match.end(), end if end >= 0 else match.end() + _LOCK_SIZE):
                return True
    return _DIRECT.search(data) is not None
