"""The sample mails, octet by octet."""

import email
import email.policy

import pytest

from postwarden.demo import samples
from postwarden.demo.scenario import STEPS


@pytest.mark.parametrize(
    "make", [samples.renamed_macros, samples.locked_zip, samples.locked_pdf, samples.virus]
)
def test_attachments_come_out_as_they_went_in(make):
    file = make()
    message = email.message_from_bytes(samples.mail("m", attachments=(file,)), policy=email.policy.default)
    (part,) = message.iter_attachments()
    assert part.get_filename() == file.name
    assert part.get_payload(decode=True) == file.data


def test_every_line_ends_in_crlf():
    mail = samples.mail("m", attachments=(samples.locked_zip(),))
    assert mail.count(b"\n") == mail.count(b"\r\n") == mail.count(b"\r")


def test_header_lines_that_gateways_like_to_drop_are_there():
    head = samples.mail("m").partition(b"\r\n\r\n")[0]
    assert b"\r\nBcc: " in head
    assert head.startswith(b"Return-Path: ")


def test_steps_that_repeat_name_an_earlier_step():
    titles: set[str] = set()
    for step in STEPS:
        assert not step.retry_of or step.retry_of in titles
        titles.add(step.title)
        assert b"mark-1" in step.mail("mark-1")
