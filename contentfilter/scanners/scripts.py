"""Scripts and other texts that run, or start something, when they are opened with a double click.

Some tell by their content what they are. Others are text like any other, and only the suffix decides that a
script host gets them; then any content counts, since these hosts run what they can and skip the rest.
docs/findings.md has the list of suffixes with the reason for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.content.filename import suffix, suffixes
from contentfilter.content.limits import KIB
from contentfilter.content.needles import Needles
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.opening import TO_READ, opening
from mailbase.scripts import BY_CONTENT, SUFFIXES, detail

_BY_TYPE = {
    "application/ecmascript": "js",
    "application/hta": "hta",
    "application/javascript": "js",
    "application/x-bat": "bat",
    "application/x-java-jnlp-file": "jnlp",
    "application/x-javascript": "js",
    "application/x-ms-application": "application",
    "text/ecmascript": "js",
    "text/javascript": "js",
    "text/scriptlet": "sct",
    "text/vbscript": "vbs",
}
"""The suffix that programs give to an attachment whose name has none."""
_ENCODED = re.compile(rb"#@~\^[a-z0-9+/]{6}==")


def _within(outer: bytes, inner: bytes) -> re.Pattern[bytes]:
    return re.compile(outer + rb".{0,2000}" + inner, re.DOTALL)


_MARKUP = (
    (b"hta:appl", re.compile(rb"<hta:application\b"), "HTML application"),
    (b"mmc_cons", re.compile(rb"<mmc_consolefile\b"), "management console"),
    (b"scriptlet", re.compile(rb"<(?:\w+:)?scriptlet\b"), "script component"),
    (b"<registration", re.compile(rb"<component\b[^>]{0,200}>\s*<registration\b"), "script component"),
    (
        b"<job",
        re.compile(rb"<job\b[^>]{0,300}>.{0,2000}<script\s+language\b", re.DOTALL),
        "Windows Script Host",
    ),
    (
        b"<librarydesc",
        re.compile(rb"<librarydescription\b[^>]{0,200}schemas\.microsoft\.com/"),
        "Windows library",
    ),
    (b"<searchconn", re.compile(rb"<searchconnectordescription\b"), "search connector"),
    (b"<persistedq", re.compile(rb"<persistedquery\b"), "saved search"),
    (b"<deeplink", _within(rb"<pcsettings\b", rb"<deeplink\b"), "settings shortcut"),
    (b"<jnlp", re.compile(rb"<jnlp\b"), "Java Web Start"),
    (b"<appinst", re.compile(rb"<appinstaller\b[^>]{0,200}\.microsoft\.com/"), "app installer"),
    (
        b"deployment",
        re.compile(rb"<(?:\w+:)?assembly\b.{0,4000}<(?:\w+:)?deployment\b", re.DOTALL),
        "ClickOnce",
    ),
    (
        b"<plist",
        re.compile(rb"<key>url</key>\s*<string>\s*(?:file|smb|afp|ftp|x-\w+|ssh|vnc):"),
        "macOS location",
    ),
    (b"<plist", re.compile(rb"<key>commandstring</key>"), "macOS Terminal"),
)
"""What stands in it, the element that tells, and what opens it."""
_MARKUP_SIGNS = Needles(*dict.fromkeys(sign for sign, _pattern, _kind in _MARKUP))
_ACCESS = frozenset({"mad", "maf", "mag", "mam", "maq", "mar", "mas", "mat", "mau", "mav", "maw"})
_ENTRY_FILES = frozenset({"url", "website", "scf", "desktop", "theme"}) | _ACCESS
_ENTRIES = 64 * KIB
"""Such files may begin with other sections or comments; octets of them that are looked at."""
_REGISTRY = (b"windows registry editor version ", b"regedit4")
_CLICK_ONCE = re.compile(rb"[^\r\n#]{1,1000}#[^\r\n]{1,500}publickeytoken=")
_AWAY = rb"file:|[\\/]{2}|search-ms:|ms-[\w-]+:|javascript:|vbscript:|data:|mhtml:|shell:"
_SHORTCUT = re.compile(
    rb"^[ \t]*(?:url[ \t]*=[ \t]*\"?(?:" + _AWAY + rb"|[a-z]:[\\/])"
    rb"|(?:iconfile|workingdirectory)[ \t]*=[ \t]*\"?(?:file:|[\\/]{2}))",
    re.MULTILINE,
)
_COMMAND = re.compile(rb"^[ \t]*(?:command|iconfile)[ \t]*=", re.MULTILINE)
_THEME = re.compile(
    rb"^[ \t]*(?:path|wallpaper|scrnsave\.exe|item\d+path|imagesrootpath)[ \t]*=[ \t]*\"?(?:file:|[\\/]{2})",
    re.MULTILINE,
)
_HANDED_OVER = re.compile(
    rb"^[ \t]*(?:(?:drivestoredirect|usbdevicestoredirect|alternate shell):s:[ \t]*[^\s]"
    rb"|(?:redirectdrives|remoteapplicationmode):i:[ \t]*[1-9])",
    re.MULTILINE,
)
_BINARY_LIST = b"bplist00"
_LOCATIONS = frozenset({"inetloc", "fileloc", "webloc", "afploc", "ftploc", "vncloc"})
_LOCATION = re.compile(
    rb"(?=(?:([\x51-\x5e\x61-\x6e])|[\x5f\x6f][\x10\x11].{1,2})((?i:file|smb|afp|ftp|x-[\w-]{1,20}|ssh|vnc):))",
    re.DOTALL,
)
"""The address behind what says that a text begins, and how long it is; in one octet if it is short."""
_BUNDLE = re.compile(r"\.app/contents/macos/[^/]+\Z", re.IGNORECASE)
_DESKTOP = re.compile(
    rb"^exec(?:\[[^\]\r\n]{0,20}\])?[ \t]*=[^\r\n]{0,2000}?"
    rb"(?:\b(?:ba|da|z|k|c)?sh['\"]?[ \t]+-\w*c\b|\bcurl\b|\bwget\b|\bbase64\b|\bpython[\d.]*['\"]?[ \t]+-c\b"
    rb"|\bperl['\"]?[ \t]+-\w*e\b|/tmp/|\$\(|`|\bxxd\b|\bnc[ \t])",
    re.MULTILINE,
)


class Scripts:
    """Finds ``executable`` in text."""

    name = "scripts"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if not data:
            return
        if part.name:
            for end in suffixes(part.name):
                if end in SUFFIXES and (end not in BY_CONTENT or _hands_over(data)):
                    yield part.found("executable", detail(end))
                    return
        if part.attached and part.media in _BY_TYPE and not suffix(part.name):
            yield part.found("executable", detail(_BY_TYPE[part.media]))
            return
        if kind := script(data, part.name) or _in_bundle(part):
            yield part.found("executable", kind)


def script(data: Content, name: str) -> str:
    """What runs, told by the content; empty if nothing does.

    Arguments:
        name: of the file. A text without one, or one that is opened to be read, may quote a program; there
            only what nobody can read counts.
    """
    head = opening(data)
    first = head[:1]
    if first == b"#" and _ENCODED.match(head):
        return "encoded script"
    if not name:
        return ""
    ends = frozenset(suffixes(name))
    if ends & TO_READ:
        return ""
    if ends & _ENTRY_FILES:
        return _entries(opening(data, _ENTRIES))
    if ends & _LOCATIONS and data.startswith(_BINARY_LIST):
        # Texts with other characters are in UTF-16 there.
        head = bytes(data[:_ENTRIES]).translate(None, b"\0")
        return "macOS location" if any(map(_begins, _LOCATION.finditer(head))) else ""
    if first == b"[":
        return _entries(head)
    if first == b"<":
        return _markup(head)
    if head.startswith(_REGISTRY):
        return "registry entries"
    if head.startswith((b"http", b"file:")) and _CLICK_ONCE.match(head):
        return "ClickOnce"
    return ""


def _begins(address: re.Match[bytes]) -> bool:
    """Whether a text of a binary list may begin there: a letter of a web address is as good a sign of one."""
    return address[1] is None or len(address[2]) <= address[1][0] & 15


def _hands_over(data: Content) -> bool:
    """Whether a connection to a remote desktop gives the other machine this one's drives, or shows one
    program of it as if it ran here."""
    return _HANDED_OVER.search(opening(data, _ENTRIES).replace(b"\r", b"\n")) is not None


def _in_bundle(part: Part) -> str:
    """What macOS runs where a folder ``NAME.app`` is opened may be a shell script."""
    return "macOS application" if part.data.startswith(b"#!") and _BUNDLE.search(part.path) else ""


def _markup(head: bytes) -> str:
    for sign, pattern, kind in _MARKUP if _MARKUP_SIGNS.stand_in(head) else ():
        if sign in head and pattern.search(head):
            return kind
    return ""


def _entries(head: bytes) -> str:
    """Texts of sections and entries: shortcuts to web pages and the like, if they lead elsewhere."""
    head = head.replace(b"\r", b"\n")
    if b"internetshortcut" in head and _SHORTCUT.search(head):
        return "shortcut to a file or program"
    if b"[shell]" in head and _COMMAND.search(head):
        return "Explorer command"
    if b"[shortcut properties]" in head and b"accessshortcutversion" in head:
        return "shortcut into a database of Access"
    if (b"[theme]" in head or b"[visualstyles]" in head) and _THEME.search(head):
        return "theme from another machine"
    if b"[desktop entry]" in head and (match := _DESKTOP.search(head)):
        return f"desktop entry {match[0][:100].decode('latin-1')!r}"
    return ""
