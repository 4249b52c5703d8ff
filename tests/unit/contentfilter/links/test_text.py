"""URLs in plain words: those that mail programs make links of, and those that people are to put together."""

from __future__ import annotations

import time

import pytest

from contentfilter.links.text import MAX_FOUND, MAX_LENGTH, urls_in


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("see http://example.com/a?b=c, please", ["http://example.com/a?b=c"]),
        ("(https://en.wikipedia.org/wiki/A_(b))", ["https://en.wikipedia.org/wiki/A_(b)"]),
        ("<http://example.com/x>", ["http://example.com/x"]),
        ('"http://example.com/"...', ["http://example.com/"]),
        ("http://a.com/,http://b.com/", ["http://a.com/,http://b.com/"]),
        ("HTTP://EXAMPLE.COM", ["HTTP://EXAMPLE.COM"]),
        ("http:\\\\example.com\\x", ["http:\\\\example.com\\x"]),
        ("http://3221225985/ http://[::1]:80/", ["http://3221225985/", "http://[::1]:80/"]),
        ("www.example.com!", ["www.example.com"]),
        ("www.example", []),
        ("www.some.example", ["www.some.example"]),
        ("visit example.com. Now", ["example.com"]),
        ("EXAMPLE.COM", ["EXAMPLE.COM"]),
        ("example.com/path. example.com:8080", ["example.com/path", "example.com:8080"]),
        ("example.co.uk, bit.ly/abc", ["example.co.uk", "bit.ly/abc"]),
        ("hxxp://evil[.]com/x", ["hxxp://evil.com/x"]),
        ("hxxps[:]//evil(.)com", ["hxxps://evil.com"]),
        ("http[://]evil.com", ["http://evil.com"]),
        ("evil [dot] com and evil (dot) net", ["evil.com", "evil.net"]),
        ("ｗｗｗ．ｅｘａｍｐｌｅ．ｃｏｍ／ｘ", ["www.example.com/x"]),
        ("http://example.com请点击", ["http://example.com"]),
        ("example.com请", ["example.com"]),
        ("http://пример.рф/путь пример.рф", ["http://пример.рф/путь", "пример.рф"]),
        ("someone@example.com", []),
        ("report.py README.md archive.zip main.rs", []),
        ("e.g.this the end.In the 1.2.3 v1.2 3.14", []),
        ("file.example.com.zip", []),
        ("main.cc:586: error", []),
        ("path/example.com", []),
        ("http://", []),
        ("no links here, none. None", []),
    ],
)
def test_urls_in_words(text: str, urls: list[str]):
    assert list(urls_in(text)) == urls


def test_there_are_bounds():
    assert len(list(urls_in("http://example.com/ " * (MAX_FOUND + 5)))) == MAX_FOUND
    (url,) = urls_in("http://example.com/" + "x" * 5000)
    assert len(url) <= MAX_LENGTH + len("http://")


@pytest.mark.parametrize(
    "text",
    [
        "a." * 65000,
        "http://" * 20000,
        "http://" + "a" * 130000,
        "[.]" * 40000,
        "x.com/" * 20000,
        "x.com " * 20000,
        "(" * 130000,
        ("http://x.com/" + ")" * 1900 + " ") * 60,
        "a-" * 65000,
        "ａ。" * 65000,
        "." * 130000,
        ("http://" + "é." * 900 + " ") * 60,
        " [ " * 40000,
        "a.b@" * 30000,
        ("x" * 63 + ".") * 2000,
    ],
    ids=range(15),
)
def test_time_is_linear(text: str):
    begun = time.process_time()
    list(urls_in(text))
    assert time.process_time() - begun < 1
