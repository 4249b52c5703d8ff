"""PDF documents: locked or only restricted, told apart by trying (qpdf); actions; attached files."""

from __future__ import annotations

import io
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator

import pikepdf

from contentfilter.containers.zipmember import inflate
from contentfilter.part import Content, Context, Found, Part

_HEADER_WITHIN = 1024
_MAX_OBJECTS = 200_000
_MAX_ATTACHMENTS = 200
_MAX_ITEMS = 1000
"""Items of an array that are looked at; long ones are numbers."""
_NOT_EXPANDING = frozenset({"/ASCIIHexDecode", "/ASCII85Decode", "/Crypt"})
_ACTIONS = {"/JavaScript": "pdf-javascript", "/Launch": "pdf-launch"}


class Pdf:
    """Finds ``pdf-encrypted``, ``pdf-owner-restricted``, ``pdf-javascript``, ``pdf-launch``; hands out
    attached files."""

    name = "pdf"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        # Readers accept the header anywhere in the first kilobyte (ISO 32000-1 annex H.3.4.1).
        if b"%PDF" not in part.data[: _HEADER_WITHIN + 4]:
            return
        try:
            document = pikepdf.open(io.BytesIO(part.data), suppress_warnings=True)
        except pikepdf.PasswordError:
            yield part.found("pdf-encrypted", "needs a password")
            yield part.unscanned("encrypted", "PDF")
            return
        except (pikepdf.PdfError, ValueError, RuntimeError) as error:
            if _locked(part.data, str(error)):
                yield part.found("pdf-encrypted", "locked in a way that is not known")
                yield part.unscanned("encrypted", f"PDF: {_message(error)}")
            else:
                yield part.unscanned("malformed", f"PDF: {_message(error)}")
            return
        with document:
            if document.is_encrypted:
                yield part.found("pdf-owner-restricted", "opens with the empty password")
            if any("file is damaged" in str(warning) for warning in document.get_warnings()):
                # qpdf has put together what it could find; another program may find something else.
                yield part.unscanned("malformed", "PDF: damaged, and repaired for looking into it")
            yield from _actions(part, document)
            yield from _attachments(part, document, context)


_BUFFER = re.compile(r"stream <[^>]*>:? ?")
_MAX_TRAILERS = 20
_TRAILER = re.compile(rb"/Encrypt\s+(\d{1,10})\s+\d{1,5}\s+R")


def _locked(data: Content, error: str) -> bool:
    """Whether a PDF that qpdf cannot read is locked: qpdf says so, or a description of the lock is there."""
    if "encrypt" in error.lower() and "not a dictionary" not in error:
        return True
    numbers = dict.fromkeys(match[1] for match in itertools.islice(_TRAILER.finditer(data), _MAX_TRAILERS))
    for number in numbers:
        wanted = re.compile(rb"(?<!\d)%s\s+\d{1,5}\s+obj\s*<<[^>]{0,300}/(?:Filter|V|O|U)\b" % number)
        if wanted.search(data):
            return True
    return re.search(rb"/Encrypt\s*<<", data) is not None


def _message(error: Exception) -> str:
    """qpdf's words without the address of our buffer."""
    return _BUFFER.sub("", str(error))


def _actions(part: Part, document: pikepdf.Pdf) -> Iterator[Found]:
    found: dict[str, str] = {}
    try:
        for number, thing in enumerate(document.objects):
            if number >= _MAX_OBJECTS:
                yield part.unscanned("too-large", "PDF objects")
                break
            if isinstance(thing, pikepdf.Dictionary):
                _look(thing, found, 0)
    except (pikepdf.PdfError, ValueError, RuntimeError, TypeError) as error:
        yield part.unscanned("malformed", f"PDF: {_message(error)}")
    for name, detail in found.items():
        yield part.found(name, detail)


def _look(thing: pikepdf.Object, found: dict[str, str], depth: int) -> None:
    """Actions in a dictionary, and in the dictionaries and arrays that lie directly in it."""
    if isinstance(thing, pikepdf.Array):
        inner: Iterable[tuple[str, pikepdf.Object]] = (
            ("", value) for value in itertools.islice(thing, _MAX_ITEMS)
        )
    else:
        inner = thing.items()
    for key, value in inner:
        if key == "/S" and isinstance(value, pikepdf.Name) and (name := _ACTIONS.get(str(value))):
            found.setdefault(name, "action")
        elif key == "/JS":
            found.setdefault("pdf-javascript", "script")
        elif depth < 4 and isinstance(value, (pikepdf.Dictionary, pikepdf.Array)) and not value.is_indirect:
            _look(value, found, depth + 1)


def _attachments(part: Part, document: pikepdf.Pdf, context: Context) -> Iterator[Found]:
    try:
        names = list(document.attachments)[: _MAX_ATTACHMENTS + 1]
        for number, name in enumerate(names):
            if number == _MAX_ATTACHMENTS:
                yield part.unscanned("too-large", "PDF attachments")
                return
            stream = document.attachments[name].get_file().obj
            if not isinstance(stream, pikepdf.Stream):
                yield part.unscanned("malformed", "PDF attachment")
                continue
            content, problem = _content(stream, context.budget.allowance())
            child = part.child(name, content)
            if problem:
                yield child.unscanned(problem, "PDF attachment")
            if content:
                yield child
    except (pikepdf.PdfError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        yield part.unscanned("malformed", f"PDF attachments: {_message(error)}")


def _content(stream: pikepdf.Stream, limit: int) -> tuple[Content, str]:
    """The octets of an embedded file, bounded; qpdf itself would expand without end."""
    raw = stream.read_raw_bytes()
    filters = stream.get("/Filter")
    names = (
        []
        if filters is None
        else [str(filters)]
        if isinstance(filters, pikepdf.Name)
        else list(map(str, filters))
    )
    if not names:
        return raw[:limit], "too-large" if len(raw) > limit else ""
    if names == ["/FlateDecode"] and stream.get("/DecodeParms") is None:
        result = inflate(raw, 0, len(raw), limit, zlib.MAX_WBITS)
        return result.data, result.problem
    if set(names) <= _NOT_EXPANDING:
        return stream.read_bytes()[:limit], ""
    return b"", "unsupported"
