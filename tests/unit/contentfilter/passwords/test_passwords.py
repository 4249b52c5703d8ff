"""Passwords that the mail tells: which words are taken for one, in which order, and how many are tried."""

from __future__ import annotations

import base64
import time
from dataclasses import replace

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.message import BytesWire
from contentfilter.passwords.passwords import Password, Passwords
from contentfilter.passwords.telling import as_text, told_by_mail, told_by_name, without_tags
from contentfilter.passwords.words import candidates
from tests.samples.messages import attachment, message, multipart, text

SECRET = "Kx7-geheim"


def told(mail: bytes) -> list[str]:
    return list(told_by_mail(BytesWire(mail), ScanOptions()))


@pytest.mark.parametrize(
    "sentence",
    [
        "The password is Kx7-geheim.",
        "Password: Kx7-geheim",
        "PASSWORD=Kx7-geheim",
        "pwd:Kx7-geheim",
        'Passwort: "Kx7-geheim"',
        "Das Passwort lautet: Kx7-geheim\nViele Grüße",
        "Kennwort für die Datei:\n\n    Kx7-geheim\n",
        "Le mot de passe est « Kx7-geheim ».",
        "mdp: Kx7-geheim",
        "La contraseña es Kx7-geheim, gracias",
        "Contrasena del archivo >>> Kx7-geheim <<<",
        "Hasło do archiwum to Kx7-geheim",
        "Heslo: Kx7-geheim",
        "Пароль: Kx7-geheim",
        "A senha é Kx7-geheim",
        "密码：Kx7-geheim",
        "パスワードはKx7-geheimです",
        "Kx7-geheim is the password",
        "Zip pass - Kx7-geheim",
        "*Password:* *Kx7-geheim*",
        "Pass\u00adword: Kx7\u200b-geheim",
        "Password:\u00a0Kx7-geheim",
    ],
)
def test_password_that_is_named_is_among_the_first(sentence: str):
    noise = "Dear Sir or Madam, please find attached the report of 2024. " * 30
    assert SECRET in list(candidates([noise + sentence + "\n" + noise]))[:20]


def test_phrases_and_digits():
    assert "two words" in list(candidates(['Use "two words" for it']))[:5]
    assert "123456" in list(candidates(["Password: 12 34 56"]))[:8]
    assert "my dog has fleas" in list(candidates(["Password: my dog has fleas\nRegards"]))[:8]
    assert next(candidates(["open it with 4711"])) == "4711"
    assert "0815" in list(candidates([], ["invoice_0815.zip"]))
    assert "invoice_0815" in told_by_name("mails/invoice_0815.zip")


def test_each_word_once_and_none_too_long():
    long = "x" * 65 + " " + "y" * 64 + " " + "z" * 500_000
    words = list(candidates([f"password a a b {long}"]))
    assert len(words) == len(set(words))
    assert "y" * 64 in words
    assert max(map(len, words)) == 64


def test_lines_of_something_encoded_are_no_passwords():
    encoded = base64.encodebytes(bytes(range(256)) * 3).decode()
    words = list(candidates([f"begin-base64 644 a.7z\n{encoded}====\n4711\n"]))
    assert "4711" in words[:9]
    assert max(map(len, words)) <= 32


@pytest.mark.parametrize(
    "page",
    [
        "<html><body><p>Password: <b>Kx7</b>-geheim</p></body></html>",
        "<p>Password:</p><p>Kx7<span style='x'>-ge</span>heim</p>",
        "<p>Password: Kx7<!-- x -->-ge<!---->heim</p>",
        "<div>Password&#58; &#75;x7&#x2d;geheim</div>",
        "<table><tr><td>Password</td><td>Kx7-geheim</td></tr></table>",
        "<style>p { color: red }</style><p>Password: Kx7-geheim</p><script>var x = '<p>'</script>",
    ],
)
def test_words_of_a_web_page(page: str):
    assert SECRET in list(candidates([as_text(page.encode())]))[:12]
    assert "red" not in without_tags(page)


@pytest.mark.parametrize(
    "entity",
    [
        text(b"Password: Kx7-geheim\r\n"),
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nPassword: Kx7-ge=\r\nheim\r\n",
        attachment("Password: Kx7-geheim".encode("utf-16"), "read.txt"),
        attachment("größe\r\nPaßwort Password: Kx7-geheim".encode("latin-1"), "read.txt"),
        attachment(b"x" * 50, "Kx7-geheim.zip"),
        b"Content-Type: message/rfc822\r\n\r\n" + message(text(b"Password: Kx7-geheim\r\n")),
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(message(text(b"Password: Kx7-geheim\r\n"))),
    ],
)
def test_words_of_a_mail_in_every_place(entity: bytes):
    locked = attachment(b"PK\3\4" + bytes(300_000), "locked.zip")
    assert SECRET in told(message(multipart(locked, entity)))[:30]
    assert SECRET in told(message(multipart(entity, locked)))[:30]


@pytest.mark.parametrize(
    "subject",
    [
        b"Subject: Password: Kx7-geheim\r\n",
        b"SUBJECT:\r\n Password:\r\n\tKx7-geheim\r\n",
        b"Subject: =?utf-8?B?" + base64.b64encode("Paßwort password: Kx7-geheim".encode()) + b"?=\r\n",
        b"Subject: =?utf-8?Q?Password:_Kx7-?=\r\n =?utf-8?Q?geheim?=\r\n",
    ],
)
def test_words_of_the_subject(subject: bytes):
    assert SECRET in told(subject + text(b"Password: Kx8\r\n"))[:12]


def test_reading_for_words_is_bounded():
    many = message(multipart(*(text(b"word%d " % n * 100 + b"\r\n") for n in range(3000))))
    large = message(multipart(text(b"password " * 3_000_000), text(b"<p <p " * 20_000)))
    deep = b"Content-Type: text/html\r\n\r\n<p>" + b"<" * 60_000 + b"<style>" * 10_000
    for mail in (many, large, deep, b"Subject: " + b"=?utf-8?Q?a?= " * 5000 + b"\r\n\r\nx"):
        started = time.process_time()
        assert len(told(mail)) < 100_000
        assert time.process_time() - started < 5


def test_no_text_has_no_words():
    assert as_text(b"PK\3\4\0\0") == ""
    assert as_text(b"") == ""
    assert as_text(b" \r\n") == ""


# Attempts.


def passwords(words: list[str], **options: int) -> tuple[Passwords, list[int]]:
    asked: list[int] = []

    def tell() -> list[str]:
        asked.append(1)
        return words

    return Passwords(Budget(replace(ScanOptions(), **options)), tell), asked


def test_everybodys_come_first_and_the_mail_is_read_once_and_late():
    source, asked = passwords(["a", "b", ""])
    attempts = source.attempts(1, ("", "default"))
    assert [next(attempts), next(attempts)] == [Password(""), Password("default")]
    assert not asked
    assert list(attempts) == [Password("a", told=True), Password("b", told=True)]
    assert len(list(source.attempts(1))) == 3
    assert asked == [1]


def test_what_opened_something_is_tried_first():
    source, _asked = passwords(["a", "b"])
    source.opened(Password("b", told=True))
    source.opened(Password("default"))
    assert [p.text for p in source.attempts(1, ("", "default"))] == ["b", "default", "", "a"]
    # Word's default is none of an archive's.
    assert [p.text for p in source.attempts(1, ("",))] == ["b", "", "a"]


@pytest.mark.parametrize(("attempts", "seen"), [(3, 3), (4, 4), (5, 4)])
def test_attempts_are_counted(attempts: int, seen: int):
    source, _asked = passwords(["a", "b", "c"], passwords=attempts)
    assert len(list(source.attempts(1))) == seen
    assert len(list(source.attempts(1))) == attempts - seen


def test_attempts_cost():
    source, _asked = passwords(["a", "b", "c"], password_cost=100)
    assert len(list(source.attempts(50))) == 2
    assert list(source.attempts(1)) == []
    source, _asked = passwords(["a"], password_cost=100)
    assert list(source.attempts(101)) == []
    assert len(list(source.attempts(100))) == 1


def test_words_of_the_mail_are_counted():
    source, _asked = passwords([str(n) for n in range(100)], told_passwords=10)
    assert len(list(source.attempts(1))) == 11


def test_no_attempt_when_time_is_up():
    now = [0.0]
    source = Passwords(Budget(ScanOptions(seconds=5), lambda: now[0]))
    attempts = source.attempts(1, ("", "x"))
    next(attempts)
    now[0] = 6
    assert list(attempts) == []


def test_a_reference_of_thousands_of_digits_ends_no_reading():
    assert without_tags("<p>a &#" + "1" * 5000 + "; b") == "\na \ufffd b"
