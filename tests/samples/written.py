"""Archives as libarchive writes them: 7z, ISO 9660, cpio, XAR, ar, encrypted ZIP, and its compressions."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import byref, c_char_p, c_int, c_int64, c_size_t, c_uint, c_void_p
from typing import Any

_lib: Any = ctypes.CDLL("libarchive.so.13")
_lib.archive_write_new.restype = c_void_p
_lib.archive_entry_new.restype = c_void_p
_lib.archive_error_string.restype = c_char_p


def written(
    kind: str,
    members: Mapping[str, bytes],
    filters: Sequence[str] = (),
    options: str = "",
    password: bytes | None = None,
) -> bytes:
    """An archive of those members.

    Arguments:
        kind: as in ``archive_write_set_format_KIND``.
        filters: as in ``archive_write_add_filter_NAME``; what is around the archive.
        options: as ``archive_write_set_options(3)`` takes them.
        password: for formats that libarchive encrypts.
    """
    room = sum(map(len, members.values())) * 2 + (4 << 20) + 4096 * len(members)
    out, used = ctypes.create_string_buffer(room), c_size_t()
    archive = c_void_p(_lib.archive_write_new())
    try:
        _done(archive, getattr(_lib, f"archive_write_set_format_{kind}")(archive))
        for name in filters:
            _done(archive, getattr(_lib, f"archive_write_add_filter_{name}")(archive))
        if password is not None:
            _done(archive, _lib.archive_write_set_passphrase(archive, c_char_p(password)))
        if options:
            _done(archive, _lib.archive_write_set_options(archive, c_char_p(options.encode())))
        _done(archive, _lib.archive_write_set_bytes_in_last_block(archive, c_int(1)))
        _done(archive, _lib.archive_write_open_memory(archive, out, c_size_t(room), byref(used)))
        for name, content in members.items():
            _member(archive, name, content)
        _done(archive, _lib.archive_write_close(archive))
        return out.raw[: used.value]
    finally:
        _lib.archive_write_free(archive)


def compressed(filter_name: str, content: bytes) -> bytes:
    """A single compressed file: ``zstd``, ``lz4``, ``lzip``, ``lzma``, ``compress``."""
    return written("raw", {"x": content}, (filter_name,))


def _member(archive: c_void_p, name: str, content: bytes) -> None:
    entry = c_void_p(_lib.archive_entry_new())
    try:
        _lib.archive_entry_set_pathname(entry, c_char_p(name.encode()))
        _lib.archive_entry_set_size(entry, c_int64(len(content)))
        _lib.archive_entry_set_filetype(entry, c_uint(0o100000))
        _lib.archive_entry_set_perm(entry, c_int(0o644))
        _done(archive, _lib.archive_write_header(archive, entry))
        if content:
            _lib.archive_write_data(archive, c_char_p(content), c_size_t(len(content)))
    finally:
        _lib.archive_entry_free(entry)


def _done(archive: c_void_p, result: int) -> None:
    if result < 0:
        raise AssertionError((_lib.archive_error_string(archive) or b"").decode())
