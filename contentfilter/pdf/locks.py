"""Embedded files of a PDF document that are locked otherwise than the document (ISO 32000-1 7.6.5).

qpdf decrypts each file as it does all other streams. Where the standard, or another program, takes another
filter for it, what comes out here is noise, which would seem harmless.
"""

from __future__ import annotations

import pikepdf

from contentfilter.pdf.streams import filters_of

_WITH_FILTERS = (4, 5)
"""Versions of the algorithm (``V``) that have crypt filters."""
_NOT_LOCKED_LIKE_OTHERS = ("/XRef", "/Metadata")


def differ_for_files(document: pikepdf.Pdf) -> bool:
    """Whether embedded files have another crypt filter than streams, or one that means something else to each
    program."""
    lock = document.trailer.get("/Encrypt")
    if not isinstance(lock, pikepdf.Dictionary) or lock.get("/V") not in _WITH_FILTERS:
        return False
    streams = lock.get("/StmF", pikepdf.Name.Identity)
    if lock.get("/EFF", streams) != streams:
        return True
    if streams == pikepdf.Name.Identity:
        return False
    filters = lock.get("/CF")
    method = filters.get(str(streams)) if isinstance(filters, pikepdf.Dictionary) else None
    return not isinstance(method, pikepdf.Dictionary) or method.get("/CFM", "/None") == "/None"


def has_own(stream: pikepdf.Stream) -> bool:
    """Whether an embedded file says itself how it is locked, or claims to be what is not locked."""
    return str(stream.get("/Type")) in _NOT_LOCKED_LIKE_OTHERS or any(
        name == "/Crypt" for name, _parameters in filters_of(stream)
    )
