"""Whatever a server sends and however it is cut, a callout ends or waits, and says little."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailbase.addresses import split_mailbox
from policyd.callout.conversation import Conversation, Finished, Script, Write
from policyd.callout.path import MAX_PATH, forward_path

SCRIPT = Script("mx.gate.example", (b"<ada@inst.example>",), b"<made-up@inst.example>")

lines = st.one_of(
    st.sampled_from(
        [
            b"220 hi\r\n",
            b"250 ok\r\n",
            b"250-ok\r\n",
            b"250 STARTTLS\r\n",
            b"250-x\r\n250 STARTTLS\r\n",
            b"421 bye\r\n",
            b"450 later\r\n",
            b"550 5.1.1 no\r\n",
            b"354 go\r\n",
            b"\n",
        ]
    ),
    st.binary(max_size=20),
)


@given(st.lists(lines, max_size=12), st.data())
def test_a_conversation_ends_once_and_is_the_same_however_it_is_cut(
    pieces: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=6)))
    conversation = Conversation(SCRIPT)
    conversation.connected()
    finished = 0
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        for doing in conversation.receive(whole[start:end]):
            finished += isinstance(doing, Finished)
            if isinstance(doing, Write):
                assert doing.data.endswith(b"\r\n")
                assert doing.data.count(b"\n") == 1
            if isinstance(doing, Finished):
                assert len(doing.outcome.replies) <= 2
                assert all(200 <= reply.code < 600 for reply in doing.outcome.replies)
    finished += sum(isinstance(doing, Finished) for doing in conversation.fail("lost"))
    assert finished == 1


@given(st.text(max_size=600))
def test_no_recipient_gets_out_of_its_path(address: str) -> None:
    mailbox = split_mailbox(address)
    if mailbox is None or not mailbox.domain:
        return
    path = forward_path(mailbox.local, mailbox.domain)
    if path is None:
        return
    assert len(path) <= MAX_PATH
    assert path.startswith(b"<")
    assert path.endswith(b"@" + mailbox.domain.encode() + b">")
    # A reader of RFC 5321 syntax finds the end where we put it.
    quoted, place = False, 1
    while place < len(path) - 1:
        octet = path[place : place + 1]
        assert octet >= b" "
        if quoted and octet == b"\\":
            place += 1
        elif octet == b'"':
            quoted = not quoted
        elif not quoted:
            assert octet not in b"<> "
        place += 1
    assert not quoted
