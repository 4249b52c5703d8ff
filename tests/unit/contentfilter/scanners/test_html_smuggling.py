"""Web pages that build files, and the many that do not."""

from __future__ import annotations

import base64
import bz2
import io
import lzma
import random
import tarfile
import time
import urllib.parse

import pytest

from contentfilter.content.scan import scan_document, scan_message
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.office import docm
from tests.samples.programs import pe, shortcut

from .smuggling import ARCHIVE, BUILD, ENCODED, FORMS, LONG, SVG, found, page, pieces, random_bytes


def test_texts_with_many_escapes_are_nothing():
    text = "\\n".join("\\x41\\u00e4 line" for _ in range(50))
    assert found(page("".join(f'var t{n} = "{text}{n}";' for n in range(300)))) == set()


@pytest.mark.parametrize("form", FORMS)
def test_a_program_in_every_way_to_write_it(form: str):
    assert found(page(FORMS[form])) >= {"executable", "html-smuggling"}


def tar(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        about = tarfile.TarInfo(name)
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return out.getvalue()


JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"
ARCHIVES = {
    "a.tar": tar("invoice.exe", pe()),
    "a.tbz": bz2.compress(tar("invoice.exe", pe())),
    "a.txz": lzma.compress(tar("invoice.exe", pe())),
    "a.zip": JPEG + ARCHIVE,
    "a.eml": message(multipart(text(), attachment(pe(), "invoice.exe"))),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_program_in_every_archive(name: str):
    encoded = base64.b64encode(ARCHIVES[name]).decode()
    assert "executable" in found(page(f'var d = atob("{encoded}");', build=BUILD % name))
    link = f'<html><body><a download="{name}" href="data:application/octet-stream;base64,{encoded}">a</a>'
    assert "executable" in found(link.encode())


def test_replacements_that_make_a_text_long_are_left_out():
    growing = "".join(f'd = d.replace(/{letter}/g, "{"ABCDEFGHIJKLMNOP"}");' for letter in "ABCDEFGHIJKLMNOP")
    started = time.process_time()
    assert found(page(f'var d = "{"A" * 100_000}";{growing}')) == set()
    assert time.process_time() - started < 5
    start = LONG[:4]
    hidden = LONG.replace(start, "@")
    assert "executable" in found(page(f'var d = "{hidden}".replace("@", "{start}");'))


SEALED = base64.b64encode(random_bytes(4000)).decode()
UNKNOWN = {
    "numbers": f"var d = [{','.join(map(str, random_bytes(3000)))}];",
    "negative numbers": f"var d = [{','.join(str(octet - 128) for octet in random_bytes(3000))}];",
    "short pieces": f"var d = {pieces(SEALED, 40)};",
    "pieces from the end": "".join(f"var v{n}='{p}';" for n, p in reversed([*enumerate(pieces(SEALED, 40))])),
    "each character moved on": f"var d = '{''.join(chr(ord(one) + 3) for one in SEALED)}';",
    "base85": f"var d = '{base64.b85encode(random_bytes(4000)).decode().replace('`', ',')}';",
}  # fmt: skip


@pytest.mark.parametrize("form", UNKNOWN)
def test_data_that_nobody_can_name(form: str):
    assert found(page(UNKNOWN[form])) == {"html-smuggling"}
    assert found(page(UNKNOWN[form], build="")) == set()


@pytest.mark.parametrize(
    "script",
    [
        f"var d = [{','.join(str(n % 97) for n in range(5000))}];",
        f"var d = [{','.join(map(str, random_bytes(900)))}];",
        "var d = ["
        + ",".join(f"'{word}'" for word in ["addEventListener", "MouseEvent2", "sha384"] * 500)
        + "];",
        "var d = '" + "M10,20L30,40C50,60,70,80,90,100Z" * 200 + "';",
        "var d = '" + "functionName(argument1,argument2){return_this.value;}" * 100 + "';",
    ],
)
def test_data_of_charts_and_words(script: str):
    assert found(page(script)) == set()


def test_pictures_that_are_no_more_are_nothing():
    picture = base64.b64encode(JPEG).decode()
    body = f'<img src="data:image/jpeg;base64,{picture}">'
    assert found(page(f'var d = "{picture}";', body, BUILD % "chart.jpg")) == set()


XML = '<?xml version="1.0"?><a:a xmlns:a="urn:a" xmlns:h="http://www.w3.org/1999/xhtml"%s>%s</a:a>'
CODE = f'<h:script>var d = atob("{ENCODED}");{BUILD % "a.zip"}</h:script>'


@pytest.mark.parametrize(
    ("attributes", "body"),
    [
        ("", CODE),
        ("", CODE.replace("h:", "").replace("<script", '<script xmlns="http://www.w3.org/1999/xhtml"')),
        (
            "",
            CODE.replace("h:", "\u00e4:").replace(
                ":script>", ':script xmlns:\u00e4="http://www.w3.org/1999/xhtml">', 1
            ),
        ),
        (' xmlns:s="http://www.w3.org/2000/svg"', CODE.replace("h:", "s:")),
    ],
)
def test_elements_of_web_pages_in_other_xml(attributes: str, body: str):
    assert found((XML % (attributes, body)).encode(), "invoice.xml") >= {"executable", "html-smuggling"}


def test_xml_that_only_declares_the_namespace_is_no_page():
    text = (XML % ("", CODE.replace("h:", "a:"))).encode()
    assert found(text, "document.fodt") == set()


def test_many_literals_take_little_time():
    start = time.process_time()
    text = "".join(f"<p>{base64.b64encode(random.Random(n).randbytes(60)).decode()}</p>" for n in range(8000))
    found(page("", text))
    assert time.process_time() - start < 4


def test_a_disc_image_in_a_page():
    image = bytes(0x8001) + b"CD001\1" + bytes(5000)
    assert "html-smuggling" in found(page(f'var d = "{base64.b64encode(image).decode()}";'))


@pytest.mark.parametrize(
    "build",
    [
        'navigator.msSaveOrOpenBlob(new Blob([d]), "a.zip");',
        'navigator["msSave" + "Blob"](d);',
        'window["URL"]["createObject" + "URL"](d);',
        'window["\\x55RL"]["\\x63reateObjectURL"](d);',
        'a.href = "data:application/octet-stream;base64," + d; a.setAttribute("download", "x");',
        "showSaveFilePicker();",
        "saveAs(new Blob([d]), n);",
        "_0x1a2b3c;" * 30,
        f'eval(atob("{base64.b64encode((BUILD % "a").encode()).decode()}"));',
        "document.write(unescape('" + urllib.parse.quote(f"<script>{BUILD % 'a'}</script>") + "'));",
        "document.write(unescape('" + "".join(f"%{ord(c):02x}" for c in BUILD % "a") + "'));",
    ],
)
def test_ways_to_build_a_file(build: str):
    secret = base64.b64encode(random_bytes(3000)).decode()
    assert found(page(f'var d = "{secret}";', build=build)) == {"html-smuggling"}


@pytest.mark.parametrize(
    "body",
    [
        f'<div id="d" style="display:none">{ENCODED}</div>',
        f"<div hidden>{base64.encodebytes(ARCHIVE).decode()}</div>",
        f'<input type="hidden" value="{ENCODED}">',
        f"<!-- {ENCODED} -->",
        f"<textarea>{ENCODED}</textarea>",
    ],
)
def test_data_that_stands_elsewhere_in_the_page(body: str):
    assert found(page("var d = x.innerHTML;", body)) >= {"executable", "html-smuggling"}


@pytest.mark.parametrize(
    "data",
    [
        f'<html><a href="data:application/zip;base64,{ENCODED}" download="a.zip">open</a>'.encode(),
        f"<html><a href='DATA:;base64,{urllib.parse.quote(ENCODED)}'>open</a>".encode(),
        f'<html><a href="&#100;&#97;ta&#x3a;application/zip;base64&#44;{ENCODED}">open</a>'.encode(),
        f'<html><a href="data&colon;x/y;base64,{ENCODED}">open</a>'.encode(),
        f'<html><a href="data:application/zip,{urllib.parse.quote(ARCHIVE)}">open</a>'.encode(),
        f'{SVG}<a href="data:x/y;base64,{ENCODED}"><text>open</text></a></svg>'.encode(),
        f'<?xml version="1.0"?>{SVG}<script>d="{ENCODED}";{BUILD}</script></svg>'.encode(),
        b'<html><iframe src="data:text/html;base64,' + base64.b64encode(page(FORMS["one literal"])) + b'">',
        (b"text in front of the page " * 20) + page(FORMS["one literal"]),
        b"\xef\xbb\xbf\r\n" + page(FORMS["one literal"]),
        page(FORMS["one literal"]).decode().encode("utf-16"),
        page(FORMS["one literal"]).upper().replace(ENCODED.upper().encode(), ENCODED.encode()),
    ],
)
def test_pages_of_other_forms(data: bytes):
    assert found(data) >= {"executable", "html-smuggling"}


def test_any_text_is_a_page_by_its_suffix():
    data = b"x" * 5000 + page(FORMS["one literal"])
    assert "executable" in found(data, "a.html")
    assert found(data, "a.txt") == set()


def test_octets_that_browsers_drop():
    data = page(FORMS["one literal"])
    assert "executable" in found(
        b"\0\0" + data.replace(b"script", b"scr\0ipt").replace(b"atob", b"at\0ob"), "a.html"
    )


def test_as_attachment_and_as_a_text():
    data = page(FORMS["one literal"])
    for mail in (
        multipart(text(), attachment(data, "invoice.html", "text/html")),
        b"Content-Type: text/html\r\n\r\n" + data,
    ):
        result = scan_message(message(mail))
        assert {finding.name for finding in result.findings} >= {"executable", "html-smuggling"}


def test_what_is_smuggled_is_scanned_under_its_name():
    result = scan_document("a.html", page(FORMS["one literal"]))
    assert {finding.part for finding in result.findings if finding.name == "executable"} == {
        "a.html/invoice.zip/invoice.exe"
    }
    for payload, finding in ((docm(), "office-macro"), (shortcut(), "executable")):
        smuggled = page(f'var d = "{base64.b64encode(payload).decode()}";')
        assert finding in found(smuggled)


def test_script_that_is_smuggled_under_its_name():
    script = base64.b64encode(
        b"var s = new ActiveXObject('WScript.Shell'); s.Run('calc'); // and so on"
    ).decode()
    assert "executable" in found(page(f'var d = atob("{script}");', build=BUILD % "invoice.js"))
    assert "executable" not in found(page(f'var d = atob("{script}");', build=BUILD % "invoice.txt"))
    decoys = "".join(f"'{number}.pdf';" for number in range(100))
    assert "executable" in found(page(f'{decoys}var d = atob("{script}");', build=BUILD % "invoice.js"))


# Honest pages.

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + random_bytes(5000)).decode()
FONT = base64.b64encode(b"wOF2" + random_bytes(5000)).decode()
WORDS = ",".join(f"'{word}'" for word in ("alpha", "beta", "gamma", "delta") * 200)


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>hello, this is a mail with <b>some</b> text in it, nothing else</body></html>",
        page("track('UA-1');", build="ga('send', 'pageview');"),
        page("", f'<img src="data:image/png;base64,{PICTURE}">', build=""),
        page("", f'<img src="data:image/png;base64,{PICTURE}">'),
        page(f"var font = 'data:font/woff2;base64,{FONT}';"),
        page(f"var words = [{WORDS}];"),
        page("var rows = [" + ",".join(map(str, range(1000))) + "];"),
        page("var prices = [" + ", ".join(str(n * n % 251) for n in range(5000)) + "];"),
        page("/* a chart that can be saved as picture */ canvas.toDataURL('image/png');"),
        page(
            f"var index = 'index.js'; var t = '{base64.b64encode(b'words of a book' * 20).decode()}';",
            "<p>Now download it.</p><img src='data:image/png;base64,AAAA'>",
            build="",
        ),
        page(f'var secret = "{base64.b64encode(random_bytes(5000)).decode()}";', build="decrypt(secret);"),
        page(f'var token = "{base64.b64encode(random_bytes(90)).decode()}";'),
        page(f'var t = "{base64.b64encode(b"a table; of text" * 200).decode()}";'),
        page("var hash = '" + "0123456789abcdef" * 4 + "';"),
        b'<html><a href="https://www.example.org/file.zip" download>download</a> the newsletter </html>',
        b'<html><a href="data:text/csv;charset=utf-8,a%2Cb%0A1%2C2%0A3%2C4" download="t">table</a></html>',
        b'<html><a href="https://x.example/?u='
        + b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlq" * 20
        + b'">x</a></html>',
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>' + b" " * 100,
        b'<?xml version="1.0"?><w:document xmlns:w="x"><w:t>createObjectURL</w:t></w:document>' + b" " * 100,
        b"A text about atob() and createObjectURL: the <script> builds a file, see below. "
        + ENCODED.encode(),
        ENCODED.encode(),
        b"-----BEGIN CERTIFICATE-----\n"
        + base64.encodebytes(random_bytes(2000))
        + b"-----END CERTIFICATE-----\n",
    ],
)
@pytest.mark.parametrize("name", ["", "page.txt"])
def test_honest_pages(data: bytes, name: str):
    if b"A text about" in data or data.startswith(b"-----") or data == ENCODED.encode():
        assert found(data, name) == set()
    else:
        assert found(data, name) == found(data, "page.html") == set()


# Bounds.


@pytest.mark.parametrize(
    "save",
    [
        'a.download = "update.js"',
        "a.setAttribute('download', 'update.JS')",
        '$("<a>").attr({href: u, download: "update.vbs"})',
        'saveAs(new Blob([d]), "update.hta")',
    ],
)
def test_a_script_that_a_page_saves_as_it_stands(save: str):
    build = "var u = URL.createObjectURL(new Blob([d]));" + save
    assert found(page('var d = "new ActiveXObject";', build=build)) == {"html-smuggling"}


@pytest.mark.parametrize(
    "save",
    ['a.download = "table.csv"', 'load("update.js")', 'a.download = "node.js.txt"', "a.download = name"],
)
def test_what_an_honest_page_saves(save: str):
    build = "var u = URL.createObjectURL(new Blob([d]));" + save
    assert found(page('var d = "some text";', build=build)) == set()


def test_a_report_with_its_libraries_and_much_data_is_never_refused():
    codes = (base64.b64encode(b"function f(){}" * number * 20).decode() for number in range(1, 80))
    libraries = "".join(
        f'<script src="data:application/javascript;base64,{code}"></script>' for code in codes
    )
    traces = "".join(
        f'x.push({{"bdata": "{base64.b64encode(random_bytes(3000 + n)).decode()}"}});' for n in range(300)
    )
    assert found(page(traces, libraries)) <= {"html-smuggling"}
