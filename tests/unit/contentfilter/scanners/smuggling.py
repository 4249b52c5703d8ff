"""Web pages that build a file, in every way to write down its octets."""

from __future__ import annotations

import base64
import random
import zlib

from contentfilter.content.scan import ScanOptions
from tests.samples.archives import plain_zip
from tests.samples.programs import pe

from ..scanned import names, scan

ARCHIVE = plain_zip({"invoice.exe": pe()})
ENCODED = base64.b64encode(ARCHIVE).decode()
LONG = base64.b64encode(ARCHIVE + plain_zip({"b.txt": bytes(range(256))})).decode()
SVG = '<svg xmlns="http://www.w3.org/2000/svg">'
BUILD = """
var b = new Uint8Array(d.length); for (var i = 0; i < d.length; i++) b[i] = d.charCodeAt(i);
var u = URL.createObjectURL(new Blob([b], {type: "octet/stream"}));
var a = document.createElement("a"); a.href = u; a.download = "%s"; a.click();
"""


def page(script: str, body: str = "", build: str = BUILD % "invoice.zip") -> bytes:
    head = "<!DOCTYPE html><html><head><title>x</title></head>"
    return f"{head}<body>{body}<script>{script}{build}</script></body></html>".encode()


def found(data: bytes, name: str = "invoice.html", options: ScanOptions | None = None) -> set[str]:
    return names(scan(data, options, name))


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def random_bytes(size: int) -> bytes:
    return random.Random(1).randbytes(size)


FORMS = {
    "one literal": f'var d = atob("{ENCODED}");',
    "single quotes": f"var d = atob('{ENCODED}');",
    "added up": "var d = atob(" + " +\n ".join(f'"{piece}"' for piece in pieces(ENCODED, 60)) + ");",
    "an array": "var d = atob([" + ",".join(f"'{piece}'" for piece in pieces(ENCODED, 9)) + "].join(''));",
    "variables": "".join(f"var v{n}='{piece}';" for n, piece in enumerate(pieces(ENCODED, 20))),
    "backwards": f'var d = atob("{ENCODED[::-1]}".split("").reverse().join(""));',
    "numbers": f"var d = [{', '.join(map(str, ARCHIVE))}];",
    "signed numbers": f"var d = [{','.join(str((octet + 128) % 256 - 128) for octet in ARCHIVE)}];",
    "hexadecimal numbers": f"var d = [{', '.join(map(hex, ARCHIVE))}];",
    "hexadecimal": f'var d = "{ARCHIVE.hex()}";',
    "hexadecimal with blanks": f'var d = "{ARCHIVE.hex(" ")}";',
    "escapes": 'var d = "' + "".join(f"\\x{ord(c):02x}" for c in ENCODED) + '";',
    "wide escapes": 'var d = "' + "".join(f"\\u{ord(c):04x}" for c in ENCODED) + '";',
    "percent": f'var d = unescape("{"".join(f"%{octet:02x}" for octet in ARCHIVE)}");',
    "url-safe": f'var d = "{base64.urlsafe_b64encode(ARCHIVE).decode()}";',
    "lines far in": f"var d = `{base64.encodebytes(ARCHIVE).decode()}`;".replace("\n", "\n" + " " * 30),
    "lines": f"var d = `{base64.encodebytes(ARCHIVE).decode()}`;",
    "no padding": f'var d = "{ENCODED.rstrip("=")}";',
    "XOR": f'var d = atob("{base64.b64encode(bytes(o ^ 0x5A for o in ARCHIVE)).decode()}");',
    "zlib": f'var d = pako.inflate(atob("{base64.b64encode(zlib.compress(ARCHIVE)).decode()}"));',
    "octets by number": 'var d = "' + "".join(f"\\x{octet:02x}" for octet in ARCHIVE) + '";',
    "wide octets": 'var d = "' + "".join(f"\\u{octet:04x}" for octet in ARCHIVE) + '";',
    "octal octets": 'var d = "' + "".join(f"\\{octet:03o}" for octet in ARCHIVE) + '";',
    "octets, letters as they are": 'var d = "'
    + "".join(chr(octet) if bytes((octet,)).isalnum() else f"\\x{octet:02x}" for octet in ARCHIVE)
    + '";',
    "octets in pieces": "var d = " + "+".join(f'"\\x{octet:02x}"' for octet in ARCHIVE) + ";",
    "numbers in a text": f'var d = "{"|".join(map(str, ARCHIVE))}".split("|");',
    "characters to be taken out": f'var d = atob("{"*".join(pieces(ENCODED, 3))}".replace("*", ""));',
    "hyphens to be taken out": f'var d = atob("{"-".join(pieces(ENCODED, 3))}".split("-").join(""));',
    "another character": f'var d = atob("{LONG.replace("A", "@")}".replace(/@/g, "A"));',
    "another character each time": f'var d = atob("{LONG.replace("A", "!")}".replaceAll("!", "A"));',
    "another character, split": f'var d = atob("{LONG.replace("A", "xyz")}".split("xyz").join("A"));',
    "a character to escape": f'var d = atob("{LONG.replace("A", "$(")}".replace(/\\$\\(/g, "A"));',
    "UTF-16": f'var d = atob("{base64.b64encode(ARCHIVE.decode("latin-1").encode("utf-16-le")).decode()}");',
    "a page in UTF-16": 'document.write(atob("'
    + base64.b64encode(f'<script>var x = "{ENCODED}";'.encode("utf-16-be")).decode()
    + '"));',
    "braced escapes": 'var d = "' + "".join(f"\\u{{{octet:x}}}" for octet in ARCHIVE) + '";',
    "wide percent": f'var d = unescape("{"".join(f"%u{octet:04x}" for octet in ARCHIVE)}");',
    "hexadecimal backwards": f'var d = "{ARCHIVE.hex()[::-1]}".split("").reverse().join("");',
    "pieces backwards": "var d = atob(["
    + ",".join(f"'{piece}'" for piece in pieces(ENCODED, 12)[::-1])
    + "].reverse().join(''));",
    "in a comment": f"/* <!--{ENCODED}--> */ var d = atob(document.firstChild.data);",
    "twice": f'var d = atob(atob("{base64.b64encode(ENCODED.encode()).decode()}"));',
}
