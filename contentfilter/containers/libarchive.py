"""A thin layer on libarchive (libarchive.so.13): the archive formats that we do not read by our own rules.

Interface: :class:`Reader` goes through the entries of one archive that is in memory, and gives the content of
each in pieces, under the caller's bounds. Which formats and filters are tried is the caller's choice, made
from signatures; libarchive's own guessing is never asked, since some of its formats take anything.

The layer is our own because the ready-made binding tries one format alone, has no question for encryption,
and writes names out of archives to the log.

Diagnostics: :class:`ArchiveError` with a reason that the scanners know. libarchive tells kinds of trouble
apart by its messages alone, so the reason is read from them; a message that says nothing is ``malformed``.

Not here: filters that libarchive hands to other programs (lrzip, grzip, lzop); they count as unsupported.
"""

from __future__ import annotations

import ctypes
import errno
import functools
from collections.abc import Callable, Iterator, Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_void_p, c_wchar_p
from dataclasses import dataclass
from typing import Any, TypeAlias

Content: TypeAlias = bytes | bytearray
Late: TypeAlias = Callable[[], bool]

LIBRARY = "libarchive.so.13"
_OK, _EOF, _RETRY, _WARN = 0, 1, -10, -20
_FOLDER, _LINK = 0o040000, 0o120000
_NO_FILTER = 0
_MAX_RETRIES = 100
"""Answers without progress in a row, until an archive counts as malformed."""


class ArchiveError(Exception):
    """What libarchive could not do.

    Arguments:
        reason: ``encrypted``, ``too-large`` (it wants more memory than there is), ``unsupported`` or
            ``malformed``.
        detail: in libarchive's words, bounded.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as its header has it.

    Arguments:
        name: for people.
        size: octets when expanded, as claimed; -1 if nothing is claimed.
        encrypted: its data or its header is, as far as libarchive sees.
        folder: a directory or a link, which has no content of its own.
    """

    name: str
    size: int
    encrypted: bool
    folder: bool


@dataclass(slots=True)
class Extract:
    """What came out of one entry.

    Arguments:
        data: the octets, as many as were allowed.
        problem: why it is not all of the entry; empty if it is.
        detail: in words.
    """

    data: bytearray
    problem: str = ""
    detail: str = ""


class Reader:
    """One pass over an archive; a context manager.

    Arguments:
        data: holds the archive; must not change meanwhile.
        formats: names as in ``archive_read_support_format_NAME``.
        filters: likewise; compressions around the archive.
        start: octets of ``data`` in front of the archive.
        options: as ``archive_read_set_options(3)`` takes them.
        passwords: tried by libarchive for entries of ZIP archives.

    Raises:
        ArchiveError: libarchive is missing, lacks one of these, or the archive does not begin like one.
    """

    def __init__(
        self,
        data: Content,
        formats: Sequence[str],
        filters: Sequence[str] = (),
        *,
        start: int = 0,
        options: str = "",
        passwords: Sequence[bytes] = (),
    ) -> None:
        self._lib = _library()
        self._pinned: object
        self._pinned, address = _address(data)
        self._handle = self._lib.archive_read_new()
        if not self._handle:
            raise ArchiveError("too-large", "no memory")
        try:
            for kind, names in (("format", formats), ("filter", filters)):
                for name in names:
                    self._support(kind, name)
            for password in passwords:
                self._check(self._lib.archive_read_add_passphrase(self._handle, password))
            if options:
                self._check(self._lib.archive_read_set_options(self._handle, options.encode("ascii")))
            size = len(data) - start
            self._check(self._lib.archive_read_open_memory(self._handle, address + start, size))
            if filters and self._lib.archive_filter_code(self._handle, 0) == _NO_FILTER:
                # Without one that fits, libarchive would hand the packed data out as the content.
                raise ArchiveError("malformed", f"not compressed by {filters[0]}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give libarchive's memory back."""
        if self._handle:
            self._lib.archive_read_free(self._handle)
            self._handle = None
            self._pinned = None

    def entries(self) -> Iterator[Entry]:
        """The entries; the content of each is there until the next is asked for.

        Raises:
            ArchiveError: there may be more, and they cannot be reached.
        """
        entry = c_void_p()
        retries = 0
        while True:
            result = self._lib.archive_read_next_header(self._handle, byref(entry))
            if result == _EOF:
                return
            if result == _RETRY and retries < _MAX_RETRIES:
                retries += 1
                continue
            if result < _WARN:
                raise self._error()
            retries = 0
            yield self._entry(entry)

    def extract(self, limit: int, late: Late) -> Extract:
        """The content of the present entry.

        Arguments:
            limit: octets that are taken at most.
            late: whether to stop, asked between pieces.
        """
        out = bytearray()
        piece, size, offset = c_void_p(), c_size_t(), c_int64()
        fruitless = 0
        warning = ""
        while True:
            result = self._lib.archive_read_data_block(self._handle, byref(piece), byref(size), byref(offset))
            if result == _EOF:
                return Extract(out, "malformed" if warning else "", warning)
            if result < _WARN and result != _RETRY:
                error = self._error()
                return Extract(out, error.reason, error.detail)
            if result == _WARN:
                warning = self._error().detail
            gap = max(0, offset.value - len(out))
            take = max(0, min(size.value, limit - len(out) - gap))
            if gap + size.value > limit - len(out):
                out += bytes(min(gap, limit - len(out)))
                out += ctypes.string_at(piece, take) if take else b""
                return Extract(out, "too-large", "expands to more than is looked at")
            if gap:
                out += bytes(gap)
            if take:
                out += ctypes.string_at(piece, take)
            fruitless = 0 if take else fruitless + 1
            if fruitless > _MAX_RETRIES:
                return Extract(out, "malformed", "no progress")
            if late():
                return Extract(out, "timed-out", "the rest of the archive")

    @property
    def has_locked_entries(self) -> bool:
        """Whether libarchive met encryption anywhere, in headers as well."""
        return bool(self._lib.archive_read_has_encrypted_entries(self._handle) > 0)

    def _support(self, kind: str, name: str) -> None:
        function = getattr(self._lib, f"archive_read_support_{kind}_{name}", None)
        # A warning says that it would run another program.
        if function is None or _typed(function, c_int, c_void_p)(self._handle) != _OK:
            raise ArchiveError("unsupported", f"libarchive reads no {name}")

    def _entry(self, entry: c_void_p) -> Entry:
        lib = self._lib
        kind = lib.archive_entry_filetype(entry)
        link = lib.archive_entry_hardlink(entry) is not None or kind == _LINK
        size = lib.archive_entry_size(entry) if lib.archive_entry_size_is_set(entry) else -1
        folder = (kind == _FOLDER or link) and size <= 0
        return Entry(self._name(entry), size, lib.archive_entry_is_encrypted(entry) > 0, folder)

    def _name(self, entry: c_void_p) -> str:
        raw: bytes | None = self._lib.archive_entry_pathname_utf8(entry)
        if raw is None:
            try:
                wide: str | None = self._lib.archive_entry_pathname_w(entry)
            except ValueError:  # what is no character
                wide = None
            if wide is not None:
                return wide
            raw = self._lib.archive_entry_pathname(entry) or b""
        return raw.decode("utf-8", "replace")

    def _check(self, result: int) -> None:
        if result < _WARN:
            raise self._error()

    def _error(self) -> ArchiveError:
        text = (self._lib.archive_error_string(self._handle) or b"").decode("utf-8", "replace")[:200]
        return ArchiveError(_reason(text, self._lib.archive_errno(self._handle)), text or "unreadable")


def _reason(text: str, number: int) -> str:
    """Which trouble a message tells of."""
    low = text.lower()
    if "crypt" in low or "passphrase" in low or "password" in low:
        return "encrypted"
    if number == errno.ENOMEM or "memory" in low or "dictionary" in low:
        return "too-large"
    if "upport" in low or "not implemented" in low or "codec" in low:
        return "unsupported"
    return "malformed"


def _address(data: Content) -> tuple[object, int]:
    """Where the octets lie, and what keeps them there."""
    if isinstance(data, bytearray):
        if not data:
            return b"", 0
        pinned = (ctypes.c_char * len(data)).from_buffer(data)
        return pinned, ctypes.addressof(pinned)
    return data, ctypes.cast(c_char_p(data), c_void_p).value or 0


@functools.cache
def _library() -> ctypes.CDLL:
    """libarchive with its functions typed.

    Raises:
        ArchiveError: it is not installed.
    """
    try:
        lib = ctypes.CDLL(LIBRARY)
    except OSError:
        raise ArchiveError("unsupported", "libarchive is not installed") from None
    handle = c_void_p
    for name, result, arguments in (
        ("read_new", c_void_p, ()),
        ("read_free", c_int, (handle,)),
        ("read_open_memory", c_int, (handle, c_void_p, c_size_t)),
        ("read_add_passphrase", c_int, (handle, c_char_p)),
        ("read_set_options", c_int, (handle, c_char_p)),
        ("read_next_header", c_int, (handle, POINTER(c_void_p))),
        ("read_data_block", c_int, (handle, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_int64))),
        ("read_has_encrypted_entries", c_int, (handle,)),
        ("filter_code", c_int, (handle, c_int)),
        ("error_string", c_char_p, (handle,)),
        ("errno", c_int, (handle,)),
        ("entry_pathname", c_char_p, (handle,)),
        ("entry_pathname_utf8", c_char_p, (handle,)),
        ("entry_pathname_w", c_wchar_p, (handle,)),
        ("entry_hardlink", c_char_p, (handle,)),
        ("entry_filetype", ctypes.c_uint, (handle,)),
        ("entry_size", c_int64, (handle,)),
        ("entry_size_is_set", c_int, (handle,)),
        ("entry_is_encrypted", c_int, (handle,)),
    ):
        _typed(getattr(lib, f"archive_{name}"), result, *arguments)
    return lib


def available() -> bool:
    """Whether libarchive is installed; loads it, for a process that will have no right to later."""
    try:
        _library()
    except ArchiveError:
        return False
    return True


def _typed(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype = result
    function.argtypes = arguments
    return function
