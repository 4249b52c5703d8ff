"""URLs as a browser takes them, and hosts however they are written."""

from __future__ import annotations

import time

import pytest

from contentfilter.links.hosts import MAX_WRITTEN, Oddity, read_host
from contentfilter.links.lookalike import lookalike
from contentfilter.links.url import MAX_URL, read_url
from contentfilter.links.wrapped import MAX_INNER, destinations

NUMBER, ENCODED, BROKEN = Oddity.NUMBER, Oddity.ENCODED, Oddity.BROKEN
USER, SLASHES, PORT, DEFANGED = Oddity.USER, Oddity.SLASHES, Oddity.PORT, Oddity.DEFANGED


@pytest.mark.parametrize(
    ("text", "scheme", "host", "odd"),
    [
        ("http://example.com", "http", "example.com", ()),
        ("HTTPS://Example.COM.:443/x", "https", "example.com", ()),
        (" \x00http://example.com/ \n", "http", "example.com", ()),
        ("http:example.com", "http", "example.com", ()),
        ("http:/example.com", "http", "example.com", ()),
        ("http:///example.com/", "http", "example.com", (SLASHES,)),
        ("http:\\\\example.com\\x", "http", "example.com", (SLASHES,)),
        ("http:/\\example.com", "http", "example.com", (SLASHES,)),
        ("http://example.com\\@evil.net/", "http", "example.com", ()),
        ("http://example.com?x@evil.net/", "http", "example.com", ()),
        ("http://example.com#@evil.net/", "http", "example.com", ()),
        ("http://www.bank.com@evil.net/", "http", "evil.net", (USER,)),
        ("http://www.bank.com%2Flogin@evil.net/", "http", "evil.net", ()),
        ("http://www%2Ebank%2Ecom:pw@evil.net/", "http", "evil.net", (USER,)),
        ("http://a@b@evil.net/", "http", "evil.net", ()),
        ("http://john.doe:secret@intranet.example/", "http", "intranet.example", ()),
        ("http://example.com:8000/", "http", "example.com", (PORT,)),
        ("http://example.com:8080/", "http", "example.com", ()),
        ("http://example.com:/", "http", "example.com", ()),
        ("http://192.0.2.1/", "http", "192.0.2.1", ()),
        ("http://3221225985/", "http", "192.0.2.1", (NUMBER,)),
        ("http://0xC0.0x00.0x02.0x01/", "http", "192.0.2.1", (NUMBER,)),
        ("http://0300.0.02.01/", "http", "192.0.2.1", (NUMBER,)),
        ("http://0xc0000201", "http", "192.0.2.1", (NUMBER,)),
        ("http://192.513/", "http", "192.0.2.1", (NUMBER,)),
        ("http://%31%39%32.0.2.1/", "http", "192.0.2.1", (ENCODED,)),
        ("http://１９２.0.2.1/", "http", "192.0.2.1", ()),
        ("http://[2001:DB8::1]:80/", "http", "2001:db8::1", ()),
        ("http://[::ffff:192.0.2.1]/", "http", "192.0.2.1", ()),
        ("http://ex%61mple%2ecom/", "http", "example.com", (ENCODED,)),
        ("http://exa\tmp\nle.com/", "http", "example.com", (BROKEN,)),
        ("ht\r\ntp://example.com/", "http", "example.com", (BROKEN,)),
        ("http://example.com/a\nb", "http", "example.com", ()),
        ("http://münchen.de/", "http", "xn--mnchen-3ya.de", ()),
        ("http://MÜNCHEN.de/", "http", "xn--mnchen-3ya.de", ()),
        ("http://ｅｘａｍｐｌｅ。com/", "http", "example.com", ()),
        ("http://exam\u00adple.com/", "http", "example.com", ()),
        ("http://☃.net/", "http", "xn--n3h.net", ()),
        ("http://foo_bar.example.com/", "http", "foo_bar.example.com", ()),
        ("hxxp://example.com/", "http", "example.com", (DEFANGED,)),
        ("h**ps://example.com/", "https", "example.com", (DEFANGED,)),
        ("//example.com/x", "http", "example.com", ()),
        ("\\\\example.com/x", "http", "example.com", (SLASHES,)),
        ("mailto:Some.One@Example.org?subject=x", "mailto", "example.org", ()),
        ("mailto:", "mailto", "", ()),
        ("JaVa\nScript:alert(1)", "javascript", "", ()),
        ("data:text/html,<b>", "data", "", ()),
        ("tel:+4989123", "tel", "", ()),
    ],
)
def test_urls(text: str, scheme: str, host: str, odd: tuple[Oddity, ...]):
    url = read_url(text)
    assert url is not None
    assert (url.scheme, url.host, url.oddities) == (scheme, host, frozenset(odd))


@pytest.mark.parametrize(
    "text",
    [
        "", "words", "a/b", "http://", "http:///", "http://a..b/", "http://a b/", "http://a%20b/", "http://a%00b/",
        "http://1.2.3.4.5/", "http://256.1.1.1/", "http://4294967296/", "http://1.2.3.08/", "http://x.0xg/",
        "http://example.com:99999/", "http://example.com:x/", "http://[::1/", "http://[1.2.3.4]/", "http://[x]/",
        "http://" + "a" * 64 + ".com/", "http://" + "a." * 130 + "com/", "http://" + "%61" * MAX_WRITTEN,
        "http://\u202e/", "//",
    ],
)  # fmt: skip
def test_no_urls(text: str):
    url = read_url(text)
    assert url is None or (url.host == "x.0xg" and not url.address)


def test_parts():
    url = read_url("https://user:pw@example.com:8443/a/b?c=d#e")
    assert url is not None
    assert (url.port, url.user, url.rest, url.fetched) == (8443, "user:pw", "/a/b?c=d#e", True)
    literal = read_url("ftp://[2001:db8::1]:2121/x")
    assert literal is not None
    assert (len(literal.address), literal.port, literal.rest) == (16, 2121, "/x")


@pytest.mark.parametrize(
    ("relative", "rest"),
    [("c", "/a/c"), ("/c", "/c"), ("?q", "/a/b?q"), ("#f", "/a/b#f"), ("", "/a/b"), ("c?d/e", "/a/c?d/e")],
)
def test_what_is_relative(relative: str, rest: str):
    url = read_url(relative, read_url("https://example.com/a/b?x/y"))
    assert url is not None
    assert (url.scheme, url.host, url.rest) == ("https", "example.com", rest)


def test_a_base_gives_its_scheme():
    base = read_url("https://example.com/")
    for text in ("//other.example/", "\\\\other.example/"):
        url = read_url(text, base)
        assert url is not None
        assert (url.scheme, url.host) == ("https", "other.example")


def test_mail_programs_need_no_scheme():
    for text in ("www.example.com/x", "example.com", "example.com:8080/x", "example.com/http://other/"):
        url = read_url(text, lenient=True)
        assert url is not None
        assert (url.scheme, url.host.endswith("example.com")) == ("http", True)
    assert read_url("page/two.html", lenient=True) is None
    assert read_url("nothing", lenient=True) is None


def test_what_is_read_is_bounded():
    url = read_url("http://example.com/" + "x" * 5000)
    assert url is not None
    assert len(url.text) == MAX_URL


@pytest.mark.parametrize("text", ["", ".", "..", "[", "]", "[]", "%", "a.", "-"])
def test_odd_hosts_do_not_hurt(text: str):
    read_host(text)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("https://www.google.com/url?q=http://evil.com/x&sa=D", ["evil.com"]),
        ("https://l.facebook.com/l.php?u=https%3A%2F%2Fevil.com%2Fa&h=AT", ["evil.com"]),
        ("https://a.example/?u=https%253A%252F%252Fevil.com%252F", ["evil.com"]),
        ("https://a.example/?u=https%25253A%25252F%25252Fevil.com", ["evil.com"]),
        ("https://eur03.safelinks.protection.outlook.com/?url=https%3A%2F%2Fgood.com%2F", ["good.com"]),
        ("https://urldefense.com/v3/__https://evil.com/path__;!!abc!x$", ["evil.com"]),
        ("https://urldefense.com/v3/__https://evil.com__;!!abc", ["evil.com"]),
        ("https://urldefense.proofpoint.com/v2/url?u=http-3A__www.evil.com_a&d=D", ["www.evil.com"]),
        ("https://www.google.com/amp/s/evil.com/x", ["evil.com"]),
        ("https://evil-com.cdn.ampproject.org/c/s/evil.com/x", ["evil.com"]),
        ("https://my--site-com.translate.goog/?x", ["my-site.com"]),
        ("https://www.bing.com/ck/a?p=1&u=a1aHR0cHM6Ly9ldmlsLmNvbS9hYmM&ntb=1", ["evil.com"]),
        ("https://web.archive.org/web/2020/http://evil.com/", ["evil.com"]),
        ("https://a.example/r?to=//evil.com/", ["evil.com"]),
        ("https://a.example/r?to=%2F%2Fevil.com", ["evil.com"]),
        ("https://a.example/r?to=http:\\\\evil.com", ["evil.com"]),
        ("https://a.example/?one=http://1.com&two=http://2.com&3=http://3.com&4=http://4.com",
         ["1.com", "2.com", "3.com"]),
        ("https://www.google.com/search?q=a", []),
        ("https://a.example/path//double/http", []),
        ("https://a.example/x?u=http://", []),
        ("https://a.example/x?u=aHR0cAAAAAAAAAAAA", []),
        ("mailto:x@a.example?body=http://evil.com/", []),
    ],
)  # fmt: skip
def test_where_it_passes_on_to(text: str, hosts: list[str]):
    url = read_url(text)
    assert url is not None
    assert [inner.host for inner in destinations(url)] == hosts
    assert len(hosts) <= MAX_INNER


@pytest.mark.parametrize(
    ("host", "like"),
    [
        ("аррӏе.com", "apple"),
        ("pаypal.com", "paypal"),
        ("paypaĺ.com", "paypal"),
        ("www.ɢoogle.com", "google"),
        ("micrоsoft.login.example", "microsoft"),
        ("сор.com", "cop in Cyrillic"),
        ("bаnk.com", "bank in Cyrillic and Latin"),
        ("münchen.de", ""),
        ("größe.de", ""),
        ("naïve-café.fr", ""),
        ("почта.рф", ""),
        ("почта.com", ""),
        ("сор.ru", ""),
        ("ελλάδα.com", ""),
        ("日本語abcカナ.jp", ""),
        ("한국abc.kr", ""),
        ("xn--zzzzzzzzz99999.com", ""),
        ("paypal.com", ""),
    ],
)
def test_lookalikes(host: str, like: str):
    read = read_host(host)
    assert read is not None
    assert lookalike(read.name) == like


@pytest.mark.parametrize(
    "text",
    [
        "http://x.example/" + "http://" * 280,
        "http://x.example/" + "%3a" * 600,
        "http://x.example/" + "aHR0c" * 390,
        "http://x.example/?" + "=//" * 600,
        "http://" + "é." * 900,
        "http://" + "%C3%A9" * 160,
        "http:" + "/" * 1900,
        "http://" + "@" * 1900,
        "http://" + ":" * 1900,
        "http://" + "0x" * 900,
        "http://" + "9" * 250,
    ],
    ids=range(11),
)
def test_a_url_takes_little_time(text: str):
    begun = time.process_time()
    for _ in range(20):
        if (url := read_url(text)) is not None:
            destinations(url)
    assert time.process_time() - begun < 0.5
