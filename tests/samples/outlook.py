"""Writes Outlook messages (MS-OXMSG), OneNote sections (MS-ONESTORE), calendars, as far as tests need."""

from __future__ import annotations

import base64
import struct

from tests.samples.compound import Tree, compound_file

PROPERTIES = "__properties_version1.0"


def stream(tag: str) -> str:
    return f"__substg1.0_{tag}"


def attached(data: bytes, name: str, short: str = "") -> Tree:
    """The storage of one attachment."""
    names: Tree = {stream("3704001E"): short.encode("cp1252")} if short else {}
    return names | {
        PROPERTIES: bytes(24),
        stream("37010102"): data,
        stream("3707001F"): name.encode("utf-16-le"),
    }


def outlook_tree(*attachments: Tree, **streams: bytes) -> Tree:
    """A message's storage; ``streams`` are tags, each with ``t`` in front."""
    tree: Tree = {PROPERTIES: bytes(32), stream("0037001F"): "subject".encode("utf-16-le")}
    tree |= {stream(tag[1:]): content for tag, content in streams.items()}
    tree |= {f"__attach_version1.0_#{number:08X}": item for number, item in enumerate(attachments)}
    return tree


def outlook_message(*attachments: Tree, **streams: bytes) -> bytes:
    return compound_file(outlook_tree(*attachments, **streams))


def within(tree: Tree) -> Tree:
    """A message as attachment of another."""
    return {PROPERTIES: bytes(24), stream("3701000D"): tree}


REVISION_STORE = "3fdd9a101b91f549a5d01791edc8aed8"


def onenote(files: list[bytes], names: list[str], form: str = REVISION_STORE) -> bytes:
    """A section with those files embedded, and texts that may be their names."""
    head = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(32) + bytes.fromhex(form) + bytes(960)
    body = b"".join(length_and_text(name) for name in names)
    for content in files:
        body += bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + struct.pack("<QIQ", len(content), 0, 0)
        body += content + bytes(-len(content) % 8) + bytes.fromhex("22a7fb71790f0b4abb13899256426b24")
    return head + body


def length_and_text(text: str) -> bytes:
    raw = (text + "\0").encode("utf-16-le")
    return b"\1\2\3\4" + struct.pack("<I", len(raw)) + raw + b"\5\6"


def invitation(content: bytes, name: str = "", kind: str = "ENCODING=BASE64;VALUE=BINARY") -> bytes:
    """A calendar with one file in it, folded as it must be."""
    title = f";X-FILENAME={name}" if name else ""
    line = f"ATTACH;FMTTYPE=application/octet-stream;{kind}{title}:{base64.b64encode(content).decode()}"
    folded = "\r\n ".join(line[at : at + 74] for at in range(0, len(line), 74))
    event = f"BEGIN:VEVENT\r\nSUMMARY:x\r\n{folded}\r\nEND:VEVENT"
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{event}\r\nEND:VCALENDAR\r\n".encode()
