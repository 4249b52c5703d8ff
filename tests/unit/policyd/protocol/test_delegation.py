"""Postfix's policy delegation protocol: requests in any pieces and any order, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.protocol.delegation import MAX_REQUEST, Event, PolicyProtocol, ProtocolError, encode
from policyd.protocol.request import FREQUENT, Request, Stage

FULL = b"""request=smtpd_access_policy
protocol_state=RCPT
protocol_name=ESMTP
helo_name=some.domain.tld
queue_id=8045F2AB23
sender=foo@bar.tld
recipient=bar@foo.tld
recipient_count=0
client_address=1.2.3.4
client_name=another.domain.tld
reverse_client_name=another.domain.tld
instance=123.456.7
sasl_method=plain
sasl_username=you
sasl_sender=
size=12345
ccert_subject=solaris9.porcupine.org
ccert_issuer=Wietse+20Venema
ccert_fingerprint=C2:9D:F4:87:71:73:73:D9:18:E7:C2:F3:C1:DA:6E:04
encryption_protocol=TLSv1/SSLv3
encryption_cipher=DHE-RSA-AES256-SHA
encryption_keysize=256
etrn_domain=
stress=
ccert_pubkey_fingerprint=68:B3:29:DA:98:93:E3:40:99:C7:D8:AD:5C:B9:C9:40
client_port=1234
policy_context=submission
server_address=10.3.2.1
server_port=54321
compatibility_level=major.minor.patch
mail_version=3.8.0
tls_sni=mx.example.org

"""
"""SMTPD_POLICY_README's example."""


def one(data: bytes) -> Event:
    (event,) = PolicyProtocol().feed(data)
    return event


def request(data: bytes) -> Request:
    event = one(data)
    assert isinstance(event, Request)
    return event


def test_every_attribute_of_the_readme() -> None:
    found = request(FULL)
    assert found.stage is Stage.RCPT
    assert found.client_address == "1.2.3.4"
    assert found.client_name == found.reverse_client_name == "another.domain.tld"
    assert (found.sender, found.recipient, found.instance) == ("foo@bar.tld", "bar@foo.tld", "123.456.7")
    assert (found.sasl_username, found.policy_context) == ("you", "submission")
    assert found.get("helo_name") == "some.domain.tld"
    assert found.get("tls_sni") == "mx.example.org"
    assert found.get("of_the_future") == ""
    assert found.number("size") == 12345
    assert found.number("stress") == 0
    assert found.xtext("ccert_issuer") == "Wietse Venema"
    assert len(found.attributes) == 32


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.OTHER])
def test_every_stage(stage: Stage) -> None:
    assert request(b"request=smtpd_access_policy\nprotocol_state=%s\n\n" % stage.encode()).stage is stage


def test_a_stage_of_the_future_is_other() -> None:
    assert request(b"request=smtpd_access_policy\nprotocol_state=NEW\n\n").stage is Stage.OTHER


def test_a_request_without_attributes_has_empty_ones() -> None:
    found = request(b"request=smtpd_access_policy\n\n")
    assert (found.sender, found.client_address, found.instance) == ("", "", "")
    assert found.stage is Stage.OTHER


def test_order_and_unknown_names_do_not_matter() -> None:
    found = request(b"sender=a\nx=y\nrequest=smtpd_access_policy\nrecipient=b=c\n\n")
    assert (found.sender, found.recipient) == ("a", "b=c")


def test_the_second_request_is_read_like_the_first_and_like_one_of_another_order() -> None:
    protocol = PolicyProtocol()
    other = b"recipient=r2\nsender=s2\nrequest=smtpd_access_policy\n\n"
    events = [event for data in (FULL, FULL, other, FULL, other) for event in protocol.feed(data)]
    assert [event.sender for event in events if isinstance(event, Request)] == [
        "foo@bar.tld",
        "foo@bar.tld",
        "s2",
        "foo@bar.tld",
        "s2",
    ]
    assert all(event.attributes == request(FULL).attributes for event in events[:2])  # type: ignore[union-attr]


def test_of_a_name_that_stands_twice_the_last_counts_also_in_the_second_request() -> None:
    twice = b"request=smtpd_access_policy\nsender=a\nsender=b\n\n"
    events = PolicyProtocol().feed(twice * 2)
    protocol = PolicyProtocol()
    events += [*protocol.feed(twice), *protocol.feed(twice)]
    assert [event.sender for event in events if isinstance(event, Request)] == ["b"] * 4


def test_many_requests_in_one_piece() -> None:
    events = PolicyProtocol().feed(FULL * 1000)
    assert len(events) == 1000
    assert all(isinstance(event, Request) for event in events)


@pytest.mark.parametrize("learnt", [False, True], ids=["first", "after a request like it"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (FULL.replace(b"request=smtpd_access_policy\n", b""), "no-request"),
        (FULL.replace(b"smtpd_access_policy", b"something_else"), "unknown-request"),
        (FULL.replace(b"foo@bar.tld", b"foo\0bar"), "nul"),
        (FULL.replace(b"stress=\n", b"stress\n"), "malformed"),
        (b"\n\n", "malformed"),
        (b"\n" + FULL, "malformed"),
        (FULL.replace(b"\n", b"\r\n") + b"\n\n", "malformed"),
    ],
)
def test_what_is_no_request_ends_everything(data: bytes, reason: str, learnt: bool) -> None:
    protocol = PolicyProtocol()
    if learnt:
        protocol.feed(FULL)
    assert protocol.feed(data + FULL) == [ProtocolError(reason)]
    assert protocol.feed(FULL) == []
    assert protocol.buffered == 0


def padded(size: int) -> bytes:
    """A request of exactly ``size`` octets."""
    start = b"request=smtpd_access_policy\nsender="
    return start + b"x" * (size - len(start) - 2) + b"\n\n"


@pytest.mark.parametrize("step", [1 << 20, 4096, 1000])
@pytest.mark.parametrize("learnt", [False, True])
def test_the_bound_of_a_request(step: int, learnt: bool) -> None:
    for size, good in ((MAX_REQUEST, True), (MAX_REQUEST + 1, False)):
        protocol = PolicyProtocol()
        if learnt:
            protocol.feed(padded(100))
        data = padded(size)
        events = [
            event for start in range(0, size, step) for event in protocol.feed(data[start : start + step])
        ]
        assert len(events) == 1
        assert isinstance(events[0], Request) is good


def test_endless_input_is_given_up_and_not_kept() -> None:
    protocol = PolicyProtocol()
    events: list[Event] = []
    for _ in range(100):
        events += protocol.feed(b"a=" + b"x" * 4094)
        assert protocol.buffered < MAX_REQUEST
    assert events == [ProtocolError("too-large")]


def test_invalid_utf8_is_replaced_and_never_a_surrogate() -> None:
    found = request(b"request=smtpd_access_policy\nsender=\xff\xc3(\xed\xa0\x80@x\n\n")
    found.sender.encode("utf-8")
    assert "�" in found.sender


def test_utf8_is_understood() -> None:
    assert request("request=smtpd_access_policy\nsender=jürgen@müller.example\n\n".encode()).sender == (
        "jürgen@müller.example"
    )


@pytest.mark.parametrize("number", [b"-1", b"1e9", b"", b"12x", "١٢".encode(), b"9" * 19, b" 1"])
def test_a_number_that_is_none_is_zero(number: bytes) -> None:
    assert request(b"request=smtpd_access_policy\nsize=%s\n\n" % number).number("size") == 0


# Replies


@pytest.mark.parametrize("action", ["DUNNO", "OK", "554 5.7.1 Relay access denied [abc]"])
def test_a_reply_is_one_line_and_an_empty_one(action: str) -> None:
    assert encode(action) == b"action=" + action.encode() + b"\n\n"


@pytest.mark.parametrize(
    "text", ["554 x\n\naction=OK\n\n", "554 \r\n\0\x7f", "554 é\ud800\U0001f600", "554 " + "x" * 5000]
)
def test_no_reply_holds_anything_but_bounded_printable_ascii(text: str) -> None:
    reply = encode(text)
    assert reply.startswith(b"action=554 ")
    assert reply.endswith(b"\n\n")
    assert all(0x20 <= octet <= 0x7E for octet in reply[:-2])
    assert len(reply) <= 510


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "aa", "b", "helo_name", "name"]),
            st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=8),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_one_attribute_is_found_as_if_all_were_taken_apart(lines: list[tuple[str, str]]) -> None:
    request = Request().fill(("",) * len(FREQUENT), "\n".join(f"{name}={value}" for name, value in lines))
    for name in ("a", "aa", "b", "helo_name", "name", "missing", ""):
        assert request.get(name) == request.attributes.get(name, "")
