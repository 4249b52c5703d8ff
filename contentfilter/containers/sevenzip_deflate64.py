"""Deflate64 in 7z folders, for which libarchive has no decoder."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from contentfilter.containers.inflate64 import inflate64
from contentfilter.containers.sevenzip_streams import Coder, Folder

_DEFLATE, DEFLATE64 = b"\x04\x01\x08", b"\x04\x01\x09"


def uses_deflate64(folder: Folder) -> bool:
    return any(coder.method == DEFLATE64 for coder in folder.coders)


def with_deflate(
    folder: Folder, streams: Sequence[bytes], limit: int, late: Callable[[], bool]
) -> tuple[Folder, list[bytes], str]:
    """The folder with deflate in place of Deflate64, its packed streams, and what is wrong, if anything.

    Where the coder does not stand right before a packed stream, which no program makes, it is
    ``unsupported``.

    Arguments:
        streams: its packed streams.
        limit: octets that may come out.
        late: whether to stop.
    """
    plain, coders, problem = list(streams), list(folder.coders), ""
    takes = gives = 0
    for number, coder in enumerate(folder.coders):
        if coder.method == DEFLATE64:
            place = folder.streams.index(takes) if takes in folder.streams else len(plain)
            if place >= len(plain) or gives >= len(folder.sizes):
                return folder, plain, "unsupported"
            wanted = folder.sizes[gives]
            result = inflate64(plain[place], min(limit, wanted), late)
            if len(result.data) < wanted:
                problem = problem or ("too-large" if result.problem == "too-large" else "malformed")
            stream = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
            plain[place] = stream.compress(result.data) + stream.flush()
            coders[number] = Coder(_DEFLATE, b"", coder.inputs, coder.outputs)
        takes += coder.inputs
        gives += coder.outputs
    return replace(folder, coders=coders), plain, problem
