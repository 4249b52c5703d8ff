"""HTML and URLs made of what is special in them, in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.letter.html import read_page
from contentfilter.links.text import urls_in
from contentfilter.links.url import read_url
from tests.fuzz.guided import html_page, links

EXAMPLES = settings(max_examples=300, deadline=None)

MARKUP = st.sampled_from(
    [
        "<", ">", "</", "/>", "=", '"', "'", "&", ";", "#", "<!--", "-->", "--!>", "<!", "<?", "\0",
        "\n", " ", "<a href=", "<p>", "</p>", "<p style='display:none'>", "<td>", "</table>",
        "<table>", "<script>", "</script>", "<style>", "</style>", ".x{display:none}", "@media x{",
        "}", "{", "class=x", "<pre>", "&amp;", "&#", "&#x41;", "&#xffffffff;", "<base href=",
        "<img src=x alt=", "color:#fff", "hidden", "<form action=",
        "<meta http-equiv=refresh content=", "0;url=", "text", "\u200b", "<title>", "<textarea>",
    ]
)  # fmt: skip
WRITTEN = st.sampled_from(
    [
        "http://", "https:", "hxxp://", "//", "\\\\", "/", "?", "#", "@", ":", ".", "[", "]", "%",
        "(dot)", "[.]", "www.", "example", ".com", "com", "evil", "8080", "0x7f", "134744072",
        "1.2.3.4", "::1", "%2e", "%2F", "xn--", "аррӏе", "é", "。", "ｗ", "\u00ad", "\t", "\n", " ",
        ",", ")", "(", "=", "&", "aHR0cDovL2V2aWw", "mailto:", "javascript:", "data:", "__", "amp",
        "url=", "translate.goog", "-", "_", "\u202e", "\ud800",
    ]
)  # fmt: skip
PAGES = st.lists(st.one_of(MARKUP, st.text(max_size=3)), max_size=60).map("".join)
TEXTS = st.lists(st.one_of(WRITTEN, st.text(max_size=3)), max_size=40).map("".join)


@EXAMPLES
@given(PAGES)
def test_any_page_is_read(source: str):
    html_page.target(source.encode("utf-8", "surrogatepass"))
    read_page(source)


@EXAMPLES
@given(TEXTS)
def test_any_url_is_read(text: str):
    links.target(text.encode("utf-8", "surrogatepass"))
    read_url(text)
    list(urls_in(text))


LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join((*labels, "com")))
SCHEMES = st.sampled_from(["http://", "HTTPS://", "//", "http:\\\\", "https:"])


@EXAMPLES
@given(HOSTS, SCHEMES, st.text("abc/?=&%", max_size=20))
def test_a_plain_host_is_found_however_it_is_wrapped(host: str, scheme: str, rest: str):
    url = read_url(scheme + host + "/" + rest)
    assert url is not None
    assert url.host == host
    page = read_page(f'<a href="{scheme}{host}/{rest}">x</a>')
    again = read_url(page.links[0].target)
    assert again is not None
    assert again.host == host
    spelt = "".join(f"&#{ord(letter)};" if place % 2 else letter for place, letter in enumerate(host))
    assert read_page(f"<p>see {spelt}/ now").shown == f"see {host}/ now"
    assert list(urls_in(f"see {host}/ now")) == [host + "/"]


@settings(max_examples=100, deadline=None)
@given(PAGES, st.integers(0, 200))
def test_a_page_that_is_cut_is_read(source: str, end: int):
    assert len(read_page(source[:end]).shown) <= 2 * len(source)
