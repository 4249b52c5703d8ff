"""MAIL and RCPT arguments."""

from __future__ import annotations

import pytest

from contentfilter.smtp.commands import SyntaxProblem, parse_mailbox, without


@pytest.mark.parametrize(
    ("line", "address", "parameters"),
    [
        (b"<a@x.example>", "a@x.example", {}),
        (b" <a@x.example>", "a@x.example", {}),
        (b"a@x.example", "a@x.example", {}),
        (b"<>", "", {}),
        (b"<> SIZE=10 BODY=8BITMIME", "", {"SIZE": "10", "BODY": "8BITMIME"}),
        (b"<@hop.example,@b.example:a@x.example>", "a@x.example", {}),
        (b'<"a b"@x.example> size=1', '"a b"@x.example', {"SIZE": "1"}),
        (b'<"a>\\"b"@x.example>', '"a>\\"b"@x.example', {}),
        (b"<a\\>b@x.example>", "a\\>b@x.example", {}),
        (b"<a@x.example>  SMTPUTF8\tRET=HDRS", "a@x.example", {"SMTPUTF8": "", "RET": "HDRS"}),
        ("<grün@x.example> SMTPUTF8".encode(), "grün@x.example", {"SMTPUTF8": ""}),
        (b"<\xff@x.example>", "\\xff@x.example", {}),
    ],
)
def test_mailbox_is_read(line: bytes, address: str, parameters: dict[str, str]) -> None:
    mailbox = parse_mailbox(line, null=True)
    assert mailbox.path.address == address
    assert mailbox.path.line == line
    assert mailbox.parameters == parameters


@pytest.mark.parametrize(
    "line",
    [b"", b"<", b"<a@x.example", b"a@x.example>", b"<a@x.example>SIZE=1", b"<a><b>", b'<"a@x.example>', b" "],
)
def test_mailbox_malformed(line: bytes) -> None:
    with pytest.raises(SyntaxProblem) as raised:
        parse_mailbox(line, null=True)
    assert raised.value.status == "5.1.7"


@pytest.mark.parametrize(
    "line", [b"<a@x> =1", b"<a@x> SIZE=", b"<a@x> A=b=c=", b"<a@x> SIZE=1 size=2", b"<a@x> -A"]
)
def test_mailbox_malformed_parameters(line: bytes) -> None:
    if line.endswith(b"c="):
        assert parse_mailbox(line, null=True).parameters == {"A": "b=c="}
        return
    with pytest.raises(SyntaxProblem) as raised:
        parse_mailbox(line, null=True)
    assert raised.value.status == "5.5.4"


def test_mailbox_null_path_is_no_recipient() -> None:
    with pytest.raises(SyntaxProblem) as raised:
        parse_mailbox(b"<>", null=False)
    assert raised.value.status == "5.1.3"


def test_mailbox_long_garbage_is_read_in_linear_time() -> None:
    for garbage in (b"<" + b'"' * 2000, b"<" + b"\\" * 2001, b'<"' + b'\\"' * 1000, b"<@" + b":@" * 1000):
        with pytest.raises(SyntaxProblem):
            parse_mailbox(garbage, null=True)


def test_parameter_is_taken_out() -> None:
    line = b"<a@x.example> SIZE=10 AUTH=<> BODY=7BIT"
    assert without(line, "AUTH") == b"<a@x.example> SIZE=10 BODY=7BIT"
    assert without(b'<"AUTH=a b"@x>', "AUTH") == b'<"AUTH=a b"@x>'
    assert without(line, "SIZE") == b"<a@x.example> AUTH=<> BODY=7BIT"
