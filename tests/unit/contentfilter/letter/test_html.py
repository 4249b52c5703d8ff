"""HTML as the reader of a mail sees it."""

from __future__ import annotations

import time

import pytest

from contentfilter.content.references import unescaped
from contentfilter.letter.elements import MAX_DEPTH
from contentfilter.letter.html import MAX_LINKS, attributes_of, read_page, trimmed
from contentfilter.links.link import MAX_LINK_TEXT, MAX_TARGET, Link


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("plain words", "plain words"),
        ("a\r\n  b\tc", "a b c"),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("<p>one</p><p>two", "one\ntwo"),
        ("<div>one<div>two</div>three</div>", "one\ntwo\nthree"),
        ("<b>Via</b>g<i>ra</i>", "Viagra"),
        ("Vi<x>ag</y>r<o:p></o:p>a", "Viagra"),
        ("Via<!-- x -->gra", "Viagra"),
        ("Via<!-->gra<!--->!", "Viagra!"),
        ("a<!-- > -- > --!>b", "ab"),
        ("<ul><li>one<li>two</ul>", "one\ntwo"),
        ("<table><tr><td>one<td>two<tr><td>three</table>", "one two\nthree"),
        ("V&#8203;i&shy;a&zwnj;gra", "Viagra"),
        ("&lt;b&gt; &amp;amp; &#65;&#x42; &euro;&nbsp;5", "<b> &amp; AB € 5"),
        ("a < b and c > d", "a < b and c > d"),
        ("1<2 </ >3</b>4<!doctype html>5<?php x ?>6<![CDATA[7]]>8", "1<2 34568"),
        ("<a title=\"a > b\" alt='<b>'>x</a>", "x"),
        ('<a href=http://x.example/"q>x</a>', "x"),
        ('<p "quoted>x', "x"),
        ("<script>document.write('<b>no</b>')</script >yes", "yes"),
        ("<STYLE>p{}</STYLE><p>yes", "yes"),
        ("<title>t</title>yes <noscript>also</noscript>", "yes also"),
        ("<textarea><b></textarea>", "<b>"),
        ("<iframe><b>no</iframe>yes", "yes"),
        ("<pre>one\ntwo</pre>a\nb", "one\ntwo\na b"),
        ('<img src=a.gif alt="Big sale">now', "Big sale now"),
        ("x\0y", "xy"),
        ("", ""),
        ("yes<a href='no", "yes"),
        ("yes<!-- no", "yes"),
        ("yes<script> no", "yes"),
        ("yes<", "yes<"),
    ],
)
def test_text_is_what_a_reader_sees(source: str, shown: str):
    page = read_page(source)
    assert page.shown == shown
    assert not page.hidden or page.cut


@pytest.mark.parametrize(
    "source",
    [
        "<div style='display:none'>HIDE</div>",
        '<div STYLE="Display : NONE !important; color:red">HIDE</div>',
        "<span style='visibility:hidden'>HIDE</span>",
        "<span style='font-size:0'>HIDE</span>",
        "<span style='font-size:1px'>HIDE</span>",
        "<span style='font:0/0 a'>HIDE</span>",
        "<span style='font: bold 1px/1px Arial'>HIDE</span>",
        "<div style='max-height:0px;overflow:hidden'>HIDE</div>",
        "<div style='opacity:0.0'>HIDE</div>",
        "<div style='text-indent:-9999px'>HIDE</div>",
        "<div style='position:absolute;left:-10000px'>HIDE</div>",
        "<div hidden>HIDE</div>",
        "<template>HIDE</template>",
        "<font color=white>HIDE</font>",
        "<font color='#FFFFFE'>HIDE</font>",
        "<span style='color:#fff'>HIDE</span>",
        "<span style='color:rgb(255, 250, 252)'>HIDE</span>",
        "<span style='color:transparent'>HIDE</span>",
        "<span style='color:rgba(0,0,0,0)'>HIDE</span>",
        "<table><tr bgcolor=#101010><td><font color=black>HIDE</font></table>",
        "<div style='background:#000'><p>HIDE</p></div>",
        "<div style='display:/* x */none'>HIDE</div>",
        "<div style='display:none'><div style='display:block;font-size:12px'>HIDE</div></div>",
        "<div style='display:none'><table><tr><td></div>HIDE</table></div>",
        "<style>.pre, .x{color:red} .pre{display:none}</style><p class='a PRE'>HIDE</p>",
        "<style>#pre{font-size:0}</style><p id=pre>HIDE</p>",
        "<style><!-- p.pre{display:none} --></style><p class=pre>HIDE</p>",
    ],
)
def test_hidden_text_is_told_apart(source: str):
    page = read_page(f"seen {source} too")
    assert page.shown.split() == ["seen", "too"]
    assert page.hidden == "HIDE"


@pytest.mark.parametrize(
    "source",
    [
        "<td style='font-size:0'><span style='font-size:14px'>SEE</span></td>",
        "<div style='visibility:hidden'><p style='visibility:visible'>SEE</p></div>",
        "<div style='background:#333'><font color=white>SEE</font></div>",
        "<td bgcolor='#333333'><span style='color:#ffffff'>SEE</span></td>",
        "<td background='dark.png'><span style='color:#ffffff'>SEE</span></td>",
        "<td style='background:url(dark.png) #fff'><span style='color:#ffffff'>SEE</span></td>",
        "<td style='background-image:linear-gradient(#000,#000)'><b style='color:#fff'>SEE</b></td>",
        "<style>.hero td{background:#000}</style><table class=hero><td><font color=#fff>SEE</font></table>",
        "<style>.dark{background-color:#000}</style><div class=dark><font color=#fff>SEE</font></div>",
        "<style>@media (max-width:600px){.m{display:none}}</style><p class=m>SEE</p>",
        "<style>@media x{.m{color:red} p{display:none}} .m{color:red}</style><p class=m>SEE</p>",
        "<p style='display:none'>hidden<p>SEE",
        "<p style='display:none'><b>hidden<p>SEE",
        "<span style='color:#999'>SEE</span>",
        "<span style='color:var(--x)'>SEE</span>",
        "<span style='font-size:2em'>SEE</span>",
        "<span style='font-size:small'>SEE</span>",
        "<span style='font-weight:0;font:700 14px/0 Arial'>SEE</span>",
        "<span style='opacity:0.6'>SEE</span>",
        "<span style='mso-hide:all'>SEE</span>",
        "<div style='display:none'>hidden</div>SEE",
        "<div style='height:0;overflow:visible'>SEE</div>",
        "<div style='display:none;display:block'>SEE</div>",
        "<style>.a{display:none} .a{display:block}</style><p class=a>SEE</p>",
    ],
)
def test_what_can_be_seen_is_shown(source: str):
    assert "SEE" in read_page(source).shown


def test_links_carry_their_text():
    page = read_page(
        "<a href=' http://a.example/?x=1&amp;y=2\n'>https://<b>bank</b>.example/</a> and "
        '<A HREF="mailto:x@example.org"><img src=b.png alt="write  us"></A>'
        '<a href="#top">one<a href=two>unclosed'
        "<a href=''>empty</a><a name=x>none</a>"
    )
    assert page.links == (
        Link("http://a.example/?x=1&y=2", "https://bank.example/"),
        Link("b.png", "", "image"),
        Link("mailto:x@example.org", "write us"),
        Link("#top", "one"),
        Link("two", "unclosed"),
    )


def test_hidden_links_say_so():
    page = read_page(
        "<p style='display:none'><a href=one>x</a></p>"
        "<a href=two style='font-size:0'>y</a><a href=three>z</a>"
    )
    assert page.links == (
        Link("one", "x", hidden=True),
        Link("two", "y", hidden=True),
        Link("three", "z"),
    )


def test_whatever_leads_somewhere_is_a_link():
    page = read_page(
        '<base href="http://base.example/"><base href="http://second.example/">'
        '<meta http-equiv="Refresh" content="0; URL=\'http://r.example/\'">'
        '<link rel=stylesheet href="http://s.example/x.css"><script src=//j.example/x.js></script>'
        '<body background="http://b.example/x.png"><form action="http://f.example/"><input name=u>'
        "<input type=Password><button>Go</button></form><iframe src=http://i.example/></iframe>"
        "<map><area href=http://m.example/></map><video src=http://v.example/></video>"
    )
    assert page.base == "http://base.example/"
    assert [(link.kind, link.target) for link in page.links] == [
        ("refresh", "http://r.example/"),
        ("style", "http://s.example/x.css"),
        ("script", "//j.example/x.js"),
        ("image", "http://b.example/x.png"),
        ("form", "http://f.example/"),
        ("frame", "http://i.example/"),
        ("link", "http://m.example/"),
        ("media", "http://v.example/"),
    ]
    assert page.inputs == {"text", "password", "submit"}


def test_pictures_are_counted():
    page = read_page(
        "<img src=a><img src=b width=1 height=1><img src=c style='display:none'><img src=d width=0px>"
        "<img src=e width=600 height=10>"
    )
    assert (page.images, page.pixels) == (2, 3)
    assert len(page.links) == 5


def test_title_and_counts():
    page = read_page("<title> A &amp;\nB </title><title>C</title><p>V&#8203;i\u00adagra</p>")
    assert (page.title, page.invisible, page.tags) == ("A &\nB", 2, 3)


def test_text_of_a_tag_without_end_is_hidden():
    page = read_page('yes<a href="http://x.example/')
    assert (page.shown, page.cut) == ("yes", True)
    assert "http://x.example/" in page.hidden


def test_bounds_hold():
    many = read_page("<a href=x>" * (MAX_LINKS + 5))
    assert len(many.links) == MAX_LINKS
    long = read_page(f"<a href='{'x' * (MAX_TARGET + 5)}'>{'y' * (MAX_LINK_TEXT + 5)}</a>")
    assert (len(long.links[0].target), len(long.links[0].shown)) == (MAX_TARGET, MAX_LINK_TEXT)
    deep = read_page(
        "<div>" * (MAX_DEPTH + 50) + "<p style='display:none'>no</p>" + "</div>" * MAX_DEPTH + "yes"
    )
    assert deep.shown.endswith("yes")


@pytest.mark.parametrize(
    "source",
    [
        "<" * 131072,
        "<a " * 40000,
        '<a x=">"' * 16000,
        '<a b="' * 20000 + ">",
        "<a b='" * 20001,
        "<!--" * 30000,
        "<!--" + "--!" * 40000,
        "&" * 131072,
        "&#" + "1" * 131072,
        "&#x" + "0" * 131072,
        "<script>" * 16000,
        "<script></scrip" * 8000,
        "<style>" + "/*" * 60000,
        "<style>" + "a{" * 60000,
        "<style>" + ".a," * 40000 + "{color:red}" * 5 + "</style>" + "<p class=a>" * 2000,
        "<b><td>" + "<i>" * 490 + "</b>" * 30000,
        "<p>" + ("<b>" * 19 + "<div>") * 1500,
        "<div style='" + "a:b;" * 30000 + "'>",
        "<div " + "a" * 131000 + ">",
        "<div " + "a=" * 60000 + ">",
        "<meta http-equiv=refresh content='" + " " * 131000 + "'>",
        "<a href=x>" * 12000,
        "<a href=x>" + "<img alt=y>" * 11000,
        "<p style='background:" + "url(" * 30000 + "'>",
        "<p style='color:rgb(" + "1 " * 60000 + "'>",
        " \n" * 65000,
    ],
    ids=range(26),
)
def test_time_is_linear(source: str):
    begun = time.process_time()
    read_page(source)
    assert time.process_time() - begun < 2


def test_attributes():
    assert attributes_of(' a=1 B="2 &gt; x" a=3 c d=\'"\' e = f/ /g="') == {
        "a": "1",
        "b": "2 > x",
        "c": "",
        "d": '"',
        "e": "f/",
        "g": '"',
    }


def test_targets_are_trimmed():
    assert trimmed(" \t java\nscript:\tx \0") == "java\nscript:\tx"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&#0000000000000065;", "A"),
        ("&#x00000000000000041;", "A"),
        ("&#99999999999;x", "\ufffdx"),
        ("&#x110000;", "\ufffd"),
        ("&#0;", "\ufffd"),
        ("&#;&;&nosuch;", "&#;&;&nosuch;"),
        ("&#" + "9" * 5000, "\ufffd"),
    ],
)
def test_references(text: str, expected: str):
    assert unescaped(text) == expected
