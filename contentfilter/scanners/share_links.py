"""Small files that make Windows ask another machine's share for something as soon as they are opened, or a
folder is shown: playlists, and settings of folders.

Pages are looked at in :mod:`contentfilter.scanners.page_acts`; what asks and starts something besides
(``.scf``, ``.url``, themes, libraries) in :mod:`contentfilter.scanners.scripts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.content.filename import suffixes
from contentfilter.content.limits import KIB
from contentfilter.content.part import Context, Found, Part
from contentfilter.content.references import unescaped
from contentfilter.scanners.opening import opening
from contentfilter.scanners.remote import is_share

_LISTS = frozenset({"asx", "wax", "wvx", "wmx", "m3u", "m3u8", "pls", "wpl", "zpl"})
_ENTRY = re.compile(rb"^[ \t]*(?:file\d{1,4}[ \t]*=[ \t]*)?((?:\\\\|file:)[^\r\n]{3,500})", re.MULTILINE)
_REFERENCE = re.compile(rb"\b(?:href|src)\s{0,9}=\s{0,9}[\"']?\s{0,9}((?:\\\\|file:|//)[^\"'<>\r\n]{3,500})")
_FOLDER = "desktop.ini"
_SETTING = re.compile(
    rb"^[ \t]*(?:iconresource|iconfile|infotip|logo|localizedresourcename)[ \t]*=[ \t]*@?\"?"
    rb"((?:\\\\|file:)[^\r\n]{3,500})",
    re.MULTILINE,
)
_SEARCHED = 64 * KIB


class ShareLinks:
    """Finds ``forced-authentication``."""

    name = "share-links"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if not part.name:
            return
        if not _LISTS.isdisjoint(suffixes(part.name)):
            patterns, kind = [_ENTRY, _REFERENCE], "playlist"
        elif part.name.lower() == _FOLDER:
            patterns, kind = [_SETTING], "folder"
        else:
            return
        text = opening(part.data, _SEARCHED).replace(b"\r", b"\n")
        for pattern in patterns:
            for match in pattern.finditer(text):
                target = unescaped(match[1].decode("latin-1"))
                if is_share(target):
                    yield part.found("forced-authentication", f"{kind} asks {target[:200]}")
                    return
