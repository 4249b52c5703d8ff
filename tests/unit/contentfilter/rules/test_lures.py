"""Facts about what fraud of today leads to and hides: at their bounds, and for input that fights back."""

from __future__ import annotations

import base64
import time

import pytest

from contentfilter.content.scan import read_letter
from contentfilter.rules.facts import FACTS
from contentfilter.rules.facts.pages import MAX_ATTACHED_PAGE, MAX_SHEETS
from contentfilter.rules.reading import Reading

_HEAD = "From: Bruno Holm <bruno.holm@sender.example>\nTo: {to}\nSubject: x\n"
_ME = "Anna Berg <anna.berg@recipient.example>"


def seen(name: str, body: str, media: str = "text/html", to: str = _ME, more: str = "") -> str | None:
    """What a fact says of a mail with this body."""
    mail = _HEAD.format(to=to) + more + f"Content-Type: {media}; charset=utf-8\n\n{body}"
    return FACTS[name](Reading(read_letter(mail.encode())))


def attached(name: str, content: str, file: str = "a.html", media: str = "text/html") -> str | None:
    """What a fact says of a mail with an attached text."""
    part = f'Content-Type: {media}; name="{file}"\n'
    part += f'Content-Disposition: attachment; filename="{file}"\n\n{content}'
    body = f"--b\nContent-Type: text/plain\n\nHello\n--b\n{part}\n--b--\n"
    mail = _HEAD.format(to=_ME) + f"Content-Type: multipart/mixed; boundary=b\n\n{body}"
    return FACTS[name](Reading(read_letter(mail.encode())))


@pytest.mark.parametrize("shift", range(3))
def test_a_link_carries_the_recipient_in_base64_whatever_follows(shift: int) -> None:
    code = base64.b64encode(b"anna.berg@recipient.example" + b"&x="[:shift]).decode()
    assert seen("link-carries-recipient", f"<a href='https://x.example/?e={code}'>a</a>") == "x.example"


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("https://x.example/#anna.berg@recipient.example", "x.example"),
        ("https://x.example/a.html#ANNA.BERG%40recipient.example", "x.example"),
        ("https://x.example/?e=anna.berg@recipient.example", None),
        ("https://www.sender.example/#anna.berg@recipient.example", None),
        ("https://portal.recipient.example/#anna.berg@recipient.example", None),
        ("https://x.example/#bruno.holm@sender.example", None),
    ],
)
def test_a_link_carries_the_recipient_behind_a_hash(link: str, found: str | None) -> None:
    assert seen("link-carries-recipient", f"<a href='{link}'>a</a>") == found


@pytest.mark.parametrize("to", ["", "undisclosed-recipients:;", "a@b"])
def test_without_a_recipient_no_link_carries_one(to: str) -> None:
    assert seen("link-carries-recipient", "<a href='https://x.example/#a@b'>a</a>", to=to) is None


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("https://forms.gle/AbC123", True),
        ("https://forms.gle/", False),
        ("https://docs.google.com/forms/d/e/1/viewform", True),
        ("https://docs.google.com/document/d/1/edit", False),
        ("https://form.jotform.com/263141234567", True),
        ("https://www.canva.com/design/DAG/view", True),
        ("https://www.canva.com/", False),
        ("https://acme.typeform.com/to/x", True),
        ("https://forms.gle.x.example/a", False),
    ],
)
def test_forms_of_great_sites_are_known(link: str, found: bool) -> None:
    assert (seen("link-to-form", f"<a href='{link}'>a</a>") is not None) is found


def test_a_bucket_is_anybodys_page_in_any_region() -> None:
    for host in ("cpf.s3.eu-north-1.amazonaws.com", "s3.eu-north-1.amazonaws.com", "storage.googleapis.com"):
        assert seen("link-to-free-page", f"<a href='https://{host}/a'>a</a>") == host
    assert seen("link-to-free-page", "<a href='https://console.aws.amazon.com/'>a</a>") is None


def test_domains_of_one_owner_are_no_other_place() -> None:
    body = "Content-Type: text/html\n\n<a href='https://account.live.com/activity'>a</a>"
    real = f"From: x@accountprotection.microsoft.com\nTo: {_ME}\n{body}".encode()
    forged = f"From: x@microsoft.sender.example\nTo: {_ME}\n{body}".encode()
    assert FACTS["links-elsewhere"](Reading(read_letter(real))) is None
    assert FACTS["links-elsewhere"](Reading(read_letter(forged))) == "live.com for sender.example"


def test_a_style_sheet_of_words_is_found_behind_sheets_of_rules() -> None:
    words = ",\n".join(["weather", "garden", "minutes"] * 12)
    sheets = "<style>p {color: red}</style>" * (MAX_SHEETS - 1)
    assert seen("style-holds-words", f"{sheets}<style type='x'>{words}</style>") == "36 words"
    assert seen("style-holds-words", f"<style>{words}") == "36 words"
    assert seen("style-holds-words", f"{sheets}<style></style><style>{words}</style>") is None
    assert seen("style-holds-words", f"<style>@import url(a.css); {words}</style>") is None
    assert seen("style-holds-words", "<style") is None
    assert seen("style-holds-words", "<p>style</p>") is None


def test_a_tag_is_stuffed_from_twenty_names_on() -> None:
    names = [f'w{number:x}=""' for number in range(20)]
    assert seen("tag-stuffed", f"<p {' '.join(names)}>x</p>") is not None
    assert seen("tag-stuffed", f"<p {' '.join(names[1:])}>x</p>") is None
    assert seen("tag-stuffed", '<img alt="">' * 40) is None


def test_hidden_words_count_against_those_that_are_shown() -> None:
    hidden = "<div style='display:none'>" + "word " * 25 + "</div>"
    assert seen("page-hides-words", f"{hidden}<p>One two</p>") == "25 hidden, 2 shown"
    assert seen("page-hides-words", f"{hidden}<p>{'shown ' * 17}</p>") is None
    assert seen("page-hides-words", hidden.replace("word ", "word ", 1)[:-30] + "</div>") is None


@pytest.mark.parametrize(
    "content",
    [
        "<form><input name=p type=password></form>",
        "<script>document.write(unescape('%3C'))</script>",
        "<script>window.location.href = 'https://x.example/'</script>",
        "<script>location.replace(u)</script>",
        "<svg><script>location=atob('aHR0')</script></svg>",
        "<meta http-equiv='refresh' content='0;url=https://x.example/'>",
        "<script>document.write(CryptoJS.AES.decrypt(a, k).toString(u))</script>",
        "<svg><script>new Function(r)()</script></svg>",
        "<script>window['location'] = u</script>",
        "<script>r += String.fromCharCode(parseInt(d.substr(i, 2), 16) ^ k.charCodeAt(i % 9))</script>",
    ],
)
def test_an_attached_page_acts(content: str) -> None:
    assert attached("attached-page-acts", content) is not None
    assert attached("attached-page-acts", content + "x" * MAX_ATTACHED_PAGE) is None
    # In the mail itself it is for other rules.
    assert seen("attached-page-acts", content) is None


@pytest.mark.parametrize(
    ("file", "media"),
    [
        ("a.svg", "image/svg+xml"),
        ("a.svg", "application/octet-stream"),
        ("a.html", "application/octet-stream"),
        ("a.XHTML", "application/xhtml+xml"),
        ("a", "image/svg+xml"),
    ],
)
def test_an_attached_page_acts_whatever_type_it_declares(file: str, media: str) -> None:
    content = "<svg xmlns='http://www.w3.org/2000/svg'><script>location.replace(u)</script></svg>"
    assert attached("attached-page-acts", content, file, media) is not None
    assert attached("attached-page-acts", content, "a.bin", "application/octet-stream") is None


@pytest.mark.parametrize(
    "content", ["<h1>Where: location = Bonn</h1>", "<script>draw(data)</script>", "no page"]
)
def test_an_attached_report_does_not_act(content: str) -> None:
    assert attached("attached-page-acts", content) is None


def test_an_attachment_bears_the_recipients_name() -> None:
    assert attached("attachment-names-recipient", "x", "VM_Anna.Berg_1.html") == "VM_Anna.Berg_1.html"
    assert attached("attachment-names-recipient", "x", "anna.html") is None


@pytest.mark.parametrize(
    ("to", "text", "found"),
    [
        (_ME, "Sehr geehrte Frau Berg,", "berg"),
        (_ME, "Hi Anna Berg!", "berg"),
        ('"Berg, Anna" <a@recipient.example>', "Dear Ms Berg", "berg"),
        (_ME, "Dear customer, Berg", "berg"),
        (_ME, "The Berg account", None),
        (_ME, "Dear customer", None),
        ("anna.berg@recipient.example", "Dear anna.berg", None),
        (
            "anna.berg@recipient.example <anna.berg@recipient.example>",
            "Dear anna.berg@recipient.example",
            None,
        ),
    ],
)
def test_who_knows_the_name_greets_by_it(to: str, text: str, found: str | None) -> None:
    assert seen("greets-by-name", text, "text/plain", to) == found


def test_own_organisation_is_the_registrable_domain() -> None:
    own = f"From: x@it.recipient.example\nTo: {_ME}\n\nx".encode()
    assert FACTS["from-own-organisation"](Reading(read_letter(own))) == "recipient.example"
    assert seen("from-own-organisation", "x") is None
    assert seen("from-own-organisation", "x", to="undisclosed-recipients:;") is None


@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ("spk-sicherheit.online", "spk-sicherheit"),
        ("mail.paket-info24.com", "paket-info24"),
        ("kundenservice-push.info", "kundenservice-push"),
        ("elster-erstattung.com", "elster-erstattung"),
        ("ing-diba.de", None),
        ("mail-service.example", None),
        ("bank-support.example", None),
        ("sicherheit.example", None),
        ("verify-.example", None),
        ("meyer-sicherheit.example", None),
        ("-", None),
    ],
)
def test_a_domain_is_put_together_of_lures(domain: str, found: str | None) -> None:
    letter = read_letter(f"From: x@{domain}\nTo: {_ME}\n\nx".encode())
    assert FACTS["from-domain-of-lures"](Reading(letter)) == found


def test_free_addresses_are_known_in_every_country() -> None:
    for domain, free in (
        ("outlook.com.br", True),
        ("gmx.ch", True),
        ("my.com", True),
        ("outlook.sender.example", False),
    ):
        letter = read_letter(f"From: x@{domain}\nTo: {_ME}\n\nx".encode())
        assert (FACTS["from-freemail"](Reading(letter)) is not None) is free


@pytest.mark.parametrize(
    "body",
    [
        "<style>" * 20_000,
        "<style" * 20_000,
        '<p ' + 'a=""b ' * 20_000,
        "<p" + ' a=""' * 19 + " " * 90_000,
        "location" * 12_000,
        "<input " * 12_000,
        "eval(" * 20_000,
        "https://x.example/#" * 5_000,
    ],
    ids=range(8),
)  # fmt: skip
def test_what_fights_back_takes_no_time(body: str) -> None:
    began = time.process_time()
    for name in (
        "style-holds-words",
        "tag-stuffed",
        "page-hides-words",
        "link-carries-recipient",
        "link-to-form",
    ):
        seen(name, body)
    attached("attached-page-acts", body[:MAX_ATTACHED_PAGE])
    assert time.process_time() - began < 2.0
