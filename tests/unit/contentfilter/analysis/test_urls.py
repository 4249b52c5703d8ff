"""What the URLs of a mail say of it, and which hosts are to be looked up."""

from __future__ import annotations

import pytest

from contentfilter.analysis import ANALYSERS, Analysis, Knowledge, analyse
from contentfilter.analysis.urls import PER_ORGANISATION
from contentfilter.content.clues import Clue
from contentfilter.content.scan import scan_message
from contentfilter.content.traits import MAX_HOSTS, Traits
from contentfilter.letter import Letter, Text
from contentfilter.links.mentions import MAX_MENTIONS
from mailbase.config.points import CLUE_POINTS
from tests.samples.messages import multipart


def read(source: str, header: str = "From: a@sender.com\r\n", media: str = "text/html") -> Analysis:
    analysis = Analysis(Knowledge())
    letter = Letter(header.encode(), (Text("1", media, source.encode()),))
    analysis.task = {"clues": analyse(letter, analysis, [ANALYSERS["urls"]])}
    return analysis


def clues(source: str, header: str = "From: a@sender.com\r\n", media: str = "text/html") -> dict[str, str]:
    found: tuple[Clue, ...] = read(source, header, media).task["clues"]
    assert {clue.name for clue in found} <= {f"url.{fact}" for fact in CLUE_POINTS["url"]}
    return {clue.name: clue.detail for clue in found}


def hosts(source: str, media: str = "text/html") -> tuple[str, ...]:
    found: tuple[str, ...] = read(source, media=media).traits.get("hosts", ())
    assert Traits.from_dict(Traits(hosts=found).to_dict()).hosts == found
    return found


PHISH = '<p>Dear customer, <a href="https://secure.evil.com/login">https://www.bank.com/login</a>'


@pytest.mark.parametrize(
    "link",
    [
        '<a href="https://evil.com/">https://www.bank.com/</a>',
        '<a href="https://evil.com/">www.bank.com</a>',
        '<a href="https://evil.com/"> <b>bank</b>.com/login </a>',
        '<a href="https://evil.com/">&lt;https://bank.com&gt;</a>',
        '<a href="https://evil.com/"><img src=x alt="www.bank.com"></a>',
        '<a href="http://192.0.2.1/">https://www.bank.com/</a>',
        '<a href="https://www.google.com/url?q=https://evil.com/">https://www.bank.com/</a>',
        '<a href="https://bank.com.evil.com/">bank.com</a>',
        '<a href="https://www.bank.com@evil.com/">www.bank.com</a>',
        '<base href="https://evil.com/"><a href="/x">www.bank.com</a>',
        '<a href="https://evil.co.uk/">https://bank.co.uk/</a>',
    ],
)
def test_text_that_names_another_host(link: str):
    assert "url.mismatch" in clues(f"<p>Dear customer, {link}")


@pytest.mark.parametrize(
    "link",
    [
        '<a href="https://www.bank.com/login?x">https://bank.com/login</a>',
        '<a href="https://bank.de/">www.bank.com</a>',
        '<a href="https://login.bank.co.uk/">www.bank.co.uk</a>',
        '<a href="https://evil.com/">click here</a>',
        '<a href="https://evil.com/">visit www.bank.com now</a>',
        '<a href="https://evil.com/">report.pdf</a>',
        '<a href="https://evil.com/">setup.zip</a>',
        '<a href="https://evil.com/">1.2.3</a>',
        '<a href="mailto:x@evil.com">www.bank.com</a>',
        '<a href="https://evil.com/">someone@bank.com</a>',
        '<a href="https://eur03.safelinks.protection.outlook.com/?url=https%3A%2F%2Fbank.com">bank.com</a>',
        '<a href="https://tracker.com/?to=https://www.bank.com/x">www.bank.com</a>',
        '<a href="https://click.mailchi.mp/abc">www.bank.com</a>',
        '<a href="https://t.co/abc">bank.com/some/where</a>',
        '<a href="https://bank.com.evil.com">Node.js</a>',
    ],
)
def test_text_that_is_honest(link: str):
    assert not clues(f"<p>Dear customer, {link}").keys() & {"url.mismatch", "url.mismatch-author"}


def test_a_newsletter_counts_its_readers():
    letter = "".join(
        f'<a href="https://track.mailing.com/{number}">Offer {number}</a>' for number in range(3)
    )
    letter += '<a href="https://track.mailing.com/x">www.shop.com</a>'
    assert "url.mismatch" not in clues(letter)
    one = '<a href="https://track.mailing.com/x">www.shop.com</a>'
    assert "url.mismatch" in clues(one)
    assert "url.mismatch" not in clues(one, "From: a@sender.com\r\nList-Unsubscribe: <mailto:x@y>\r\n")
    assert "url.mismatch" not in clues(one, "From: a@sender.com\r\nList-Id: <x.y>\r\n")


def test_an_author_may_let_others_count():
    one = '<a href="https://track.mailing.com/x">www.shop.com</a>'
    found = clues(one, 'From: "The shop" <news@mail.shop.com>\r\n')
    assert found == {"url.mismatch-author": "www.shop.com leads to track.mailing.com"}
    # The worse of two counts.
    both = one + '<a href="https://track.mailing.com/y">www.bank.com</a>'
    assert list(clues(both, "From: news@shop.com\r\n")) == ["url.mismatch"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('<a href="http://www.bank.com@evil.com/">x</a>', "url.user"),
        ('<a href="http://134744072/">x</a>', "url.number"),
        ('<a href="http://ev%69l.com/">x</a>', "url.encoded"),
        ('<a href="http://ev\til.com/">x</a>', "url.broken"),
        ('<a href="http:\\\\evil.com/">x</a>', "url.slashes"),
        ('<a href="http://evil.com:8888/">x</a>', "url.port"),
        ('<a href="http://8.8.8.8/">x</a>', "url.address"),
        ("see http://8.8.8.8/", "url.address"),
        ('<a href="http://xn--pypal-4ve.com/">x</a>', "url.lookalike"),
        ('<a href="https://www.paypal.com.evil.com/">x</a>', "url.nested"),
        ('<a href="https://bit.ly/abc">x</a>', "url.shortener"),
        ('<a href="https://www.google.com/url?q=https://evil.com/">x</a>', "url.redirect"),
        ('<a href="java\nscript:x()">x</a>', "url.script"),
        ('<form action="data:text/html,x">', "url.script"),
        ('<meta http-equiv=refresh content="0;url=http://evil.com/">', "url.refresh"),
    ],
)
def test_odd_urls(source: str, name: str):
    found = clues(source)
    assert list(found) == [name]
    assert found[name]


@pytest.mark.parametrize(
    "source",
    [
        '<img src="http://8.8.8.8/x.gif">',
        '<a href="http://192.168.1.1/">x</a>',
        '<a href="http://0x7f.1/" style="display:none">x</a>',
        '<a href="https://www.nature.com.ezproxy.some.edu/">x</a>',
        '<a href="https://www.paypal.com/">x</a>',
        '<img src="data:image/png;base64,xx">',
        '<a href="https://www.google.com/url?q=https://www.google.com/maps">x</a>',
        '<a href="https://münchen.de/">x</a>',
        '<a href="https://user@some.com/">x</a>',
        "<a href=>x</a><a>y</a>",
        "connect to host.some.com:2703",
        "",
    ],
)
def test_honest_urls(source: str):
    assert clues(source) == {}


def test_hosts_to_look_up_begin_with_what_is_opened():
    source = (
        '<img src="http://pictures.com/"><a href="https://www.google.com/url?q=http://hidden.net/">x</a>'
        '<a href="mailto:x@mail.com">m</a> see words.org and <a href="http://link.com/">y</a>'
        '<p style="display:none"><a href="http://unseen.com/">z</a>'
    )
    assert hosts(source) == (
        "hidden.net", "link.com", "words.org", "pictures.com", "unseen.com", "mail.com", "www.google.com",
    )  # fmt: skip


def test_hosts_are_each_told_once_and_not_endlessly():
    assert hosts('<a href="http://a.com/1"><a href="http://A.com./2">') == ("a.com",)
    assert hosts("".join(f"http://h{number}.a.com/ " for number in range(20))) == tuple(
        f"h{number}.a.com" for number in range(PER_ORGANISATION)
    )
    assert len(hosts("".join(f"http://h{number}.com/ " for number in range(400)))) == MAX_HOSTS
    many = read("".join(f"<a href=http://h{number}.com/>{number}</a>" for number in range(MAX_MENTIONS + 9)))
    assert len(many.traits["hosts"]) == MAX_HOSTS


def test_what_nobody_opens_pushes_out_no_link() -> None:
    junk = "".join(
        f"<img src=http://i{number}.com/><a href=http://h{number}.com/ style=display:none>x</a>"
        for number in range(1500)
    )
    assert hosts(junk + '<a href="http://real.com/">x</a>')[0] == "real.com"


def test_private_hosts_and_reports_are_not_looked_up():
    assert hosts("http://10.0.0.1/ http://localhost/ hxxp://evil[.]com/", "text/plain") == ()
    assert hosts("http://8.8.8.8/ evil[.]com http://[2001:db9::1]/", "text/plain") == (
        "8.8.8.8",
        "evil.com",
        "2001:db9::1",
    )


def test_a_whole_mail_is_read():
    """Quoted-printable with a soft break in the host, an encoded subject, Base64."""
    html = (
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b'<a href=3D"http://ev=\r\nil.com/">x</a>'
    )
    plain = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naHR0cDovL290aGVyLmNvbS8="
    header = b"From: a@b.example\r\nSubject: =?utf-8?q?www.sub=6Aect.com?=\r\nMIME-Version: 1.0\r\n"
    result = scan_message(header + multipart(plain, html), analysis=Analysis(Knowledge()))
    assert result.traits.hosts == ("evil.com", "other.com", "www.subject.com")


def test_attached_pages_are_read() -> None:
    page = (
        b'Content-Type: text/html\r\nContent-Disposition: attachment; filename="invoice.html"\r\n\r\n'
        b'<form action="http://134744072/x"><a href="https://evil.com/">https://www.bank.com/</a>'
    )
    named = b'Content-Type: text/html; name="index.html"\r\n\r\n<a href="https://shown.com/">x</a>'
    header = b"From: a@b.example\r\nMIME-Version: 1.0\r\n"
    result = scan_message(header + multipart(named, page), analysis=Analysis(Knowledge()))
    assert result.traits.hosts == ("shown.com", "8.8.8.8", "evil.com", "www.bank.com")
    assert "url.number" in {clue.name for clue in result.clues}


def test_what_is_odd_about_one_url_is_told_in_one_order():
    # Whatever the seed of the hashes in this worker: the report of a mail must not depend on who scanned it.
    odd = '<p><a href="http://user:secret@0x7f000001:81/%2f">x</a>'
    told = [name for name in clues(odd) if name.startswith("url.")]
    assert len(told) > 1
    assert told == sorted(told)
