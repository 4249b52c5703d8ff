"""Releasing from the quarantine, with a scripted Postfix at the other end of a socket pair."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from pathlib import Path

import pytest

from contentfilter.quarantine.entry import MAGIC, Entry, QuarantineError, read
from contentfilter.quarantine.release import release
from contentfilter.spool.unstuffing import stuffed, unstuffed

ID = "0123456789abc"
MESSAGE = b"Subject: x\r\n\r\n.dot\r\n..two\r\n\r\nbare\rcr \xff\r\n" + b"0123456789\r\n.\r\n" * 30_000
RECIPIENTS = ["r@y.example", '"q q"@y.example']
EHLO = b"250-mx.example\r\n250-PIPELINING\r\n250-XFORWARD NAME ADDR\r\n250 8BITMIME\r\n"


def entry(folder: Path, message: bytes = MESSAGE, **changes: object) -> Entry:
    metadata = {
        "id": ID,
        "sender": "s@x.example",
        "recipients": RECIPIENTS,
        "sha256": hashlib.sha256(message).hexdigest(),
        "wire": {
            "lmtp": True,
            "xforward": ["XFORWARD NAME=mail.x.example ADDR=192.0.2.1 HELO=x"],
            "mail": "<s@x.example> SIZE=5 BODY=8BITMIME",
            "rcpt": ["<r@y.example> NOTIFY=NEVER", '<"q q"@y.example>'],
        },
        **changes,
    }
    head = json.dumps(metadata).encode() + b"\n"
    path = folder / f"20261122T020000.000000Z-{ID}.mail"
    path.write_bytes(MAGIC + b"%d\n" % len(head) + head + message)
    return read(path)


class Postfix:
    """Answers line by line; what stands for a command is its verb.

    Arguments:
        answers: verb → reply; ``END`` for the end of data. None closes the connection, silently.
    """

    def __init__(self, **answers: bytes | None) -> None:
        self.answers = {"EHLO": EHLO, "DATA": b"354 go\r\n", "END": b"250 2.0.0 queued as 1\r\n", **answers}
        self.lines: list[bytes] = []
        self.data = b""
        self.thread: threading.Thread | None = None
        self.at_end: list[bool] = []
        self.path: Path | None = None

    def connect(self, place: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.thread = threading.Thread(target=self._serve, args=(theirs,))
        self.thread.start()
        return ours

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            if not self._answer(connection, "BANNER", b"220 mx\r\n"):
                return
            while line := stream.readline():
                verb = line.split(b" ")[0].strip().decode().upper()
                self.lines.append(line)
                if not self._answer(connection, verb, b"250 2.0.0 Ok\r\n") or verb == "QUIT":
                    return
                if verb == "DATA" and self.answers["DATA"] == b"354 go\r\n":
                    while (piece := stream.readline()) != b".\r\n":
                        if not piece:
                            return
                        self.data += piece
                    if self.path is not None:
                        self.at_end.append(self.path.exists())
                    if not self._answer(connection, "END", b""):
                        return

    def _answer(self, connection: socket.socket, verb: str, otherwise: bytes) -> bool:
        answer = self.answers.get(verb, otherwise)
        if answer is not None:
            connection.sendall(answer)
        return answer is not None


def done(postfix: Postfix) -> None:
    assert postfix.thread is not None
    postfix.thread.join(10)
    assert not postfix.thread.is_alive()


def test_it_goes_out_as_it_came_to_those_it_was_for_and_then_is_gone(tmp_path):
    kept, postfix = entry(tmp_path), Postfix()
    postfix.path = kept.path
    result = release(kept, "127.0.0.1:10025", "filter.mx", connect=postfix.connect)
    done(postfix)
    assert b"".join(unstuffed([postfix.data])) == MESSAGE
    assert postfix.lines[0] == b"EHLO filter.mx\r\n"
    # What the server did not announce is left out: HELO of XFORWARD, SIZE.
    assert postfix.lines[1:] == [
        b"XFORWARD NAME=mail.x.example ADDR=192.0.2.1\r\n",
        b"MAIL FROM:<s@x.example> BODY=8BITMIME\r\n",
        b"RCPT TO:<r@y.example> NOTIFY=NEVER\r\n",
        b'RCPT TO:<"q q"@y.example>\r\n',
        b"DATA\r\n",
        b"QUIT\r\n",
    ]
    assert (result.recipients, result.reply, result.kept) == (
        tuple(RECIPIENTS),
        "250 2.0.0 queued as 1",
        False,
    )
    assert postfix.at_end == [True]
    assert not kept.path.exists()


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"BANNER": b"421 busy\r\n"}, "421 busy"),
        ({"BANNER": None}, "connection closed"),
        ({"EHLO": b"502 no\r\n"}, "502 no"),
        ({"MAIL": b"550 5.1.0 no\r\n"}, "refuses it: 550 5.1.0 no"),
        ({"RCPT": b"550 5.1.1 unknown\r\n"}, "refuses it: 550 5.1.1 unknown"),
        ({"DATA": b"451 later\r\n"}, "refuses it: 451 later"),
        ({"DATA": None}, "connection closed"),
        ({"END": b"554 5.7.1 no\r\n"}, "refuses it: 554 5.7.1 no"),
        ({"END": None}, "may have been delivered"),
        ({"END": b"nonsense\r\n"}, "may have been delivered"),
    ],
)
def test_what_postfix_did_not_take_stays(tmp_path, answers, message):
    kept, postfix = entry(tmp_path), Postfix(**answers)
    with pytest.raises(QuarantineError, match=message):
        release(kept, "127.0.0.1:10025", "filter.mx", connect=postfix.connect)
    done(postfix)
    assert read(kept.path).intact


def test_what_postfix_took_is_released_however_it_says_goodbye(tmp_path):
    kept, postfix = entry(tmp_path), Postfix(QUIT=None)
    assert not release(kept, "127.0.0.1:10025", "filter.mx", connect=postfix.connect).kept
    done(postfix)
    assert not kept.path.exists()


def test_nobody_listens(tmp_path):
    kept = entry(tmp_path)
    with pytest.raises(QuarantineError, match="No such file"):
        release(kept, f"unix:{tmp_path}/nothing", "filter.mx")
    assert kept.path.exists()


def test_one_of_its_recipients_alone_and_the_message_stays_for_the_others(tmp_path):
    kept, postfix = entry(tmp_path), Postfix()
    result = release(kept, "127.0.0.1:1", "filter.mx", ["R@Y.example"], connect=postfix.connect)
    done(postfix)
    assert [line for line in postfix.lines if line.startswith(b"RCPT")] == [
        b"RCPT TO:<r@y.example> NOTIFY=NEVER\r\n"
    ]
    assert result.kept
    assert kept.path.exists()
    postfix = Postfix()
    result = release(kept, "127.0.0.1:1", "filter.mx", RECIPIENTS, connect=postfix.connect)
    done(postfix)
    assert not result.kept
    assert not kept.path.exists()


def test_others_only_by_force_and_then_it_stays(tmp_path):
    kept, postfix = entry(tmp_path), Postfix()
    with pytest.raises(
        QuarantineError, match=r"not for boss@z\.example; its recipients are r@y\.example.*--force"
    ):
        release(kept, "127.0.0.1:1", "filter.mx", ["boss@z.example"], connect=postfix.connect)
    assert postfix.thread is None
    result = release(kept, "127.0.0.1:1", "filter.mx", ["boss@z.example"], True, connect=postfix.connect)
    done(postfix)
    assert b"RCPT TO:<boss@z.example>\r\n" in postfix.lines
    assert result.kept
    assert kept.path.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "0" * 64},
        {"recipients": ["r@y.example"]},
        {"recipients": []},
        {"sender": 5},
        {"wire": None},
        {"wire": {"xforward": [], "mail": "<>\r\nRCPT TO:<evil@x>", "rcpt": ["<a>", "<b>"]}},
    ],
)
def test_a_damaged_one_is_not_sent(tmp_path, changes):
    kept, postfix = entry(tmp_path, **changes), Postfix()
    with pytest.raises(QuarantineError):
        release(kept, "127.0.0.1:1", "filter.mx", connect=postfix.connect)
    assert postfix.thread is None
    assert kept.path.exists()


def test_two_at_a_time_deliver_it_once(tmp_path):
    kept = entry(tmp_path)
    postfixes = [Postfix(), Postfix()]
    barrier = threading.Barrier(2)
    results: list[object] = []

    def go(postfix: Postfix) -> None:
        barrier.wait()
        try:
            results.append(release(kept, "127.0.0.1:1", "filter.mx", connect=postfix.connect))
        except QuarantineError as problem:
            results.append(problem)

    threads = [threading.Thread(target=go, args=(postfix,)) for postfix in postfixes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(isinstance(one, QuarantineError) for one in results) == [False, True]
    assert sorted(bool(postfix.data) for postfix in postfixes) == [False, True]
    assert not kept.path.exists()


def test_killed_after_postfix_took_it_it_is_still_there(tmp_path, monkeypatch):
    kept, postfix = entry(tmp_path), Postfix()

    def killed(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        release(kept, "127.0.0.1:1", "filter.mx", connect=postfix.connect)
    done(postfix)
    monkeypatch.undo()
    assert b"".join(unstuffed([postfix.data])) == MESSAGE
    again = Postfix()
    release(read(kept.path), "127.0.0.1:1", "filter.mx", connect=again.connect)
    done(again)
    assert again.data == postfix.data
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
def test_stuffing_is_the_reverse_of_unstuffing_wherever_the_pieces_end(size):
    message = b".\r\n..\r\n\r\n.\r.\n.x\r\n\r\n...\r\nx.\r\n"
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    wire = b"".join(stuffed(pieces))
    assert wire == b"..\r\n...\r\n\r\n..\r.\n.x\r\n\r\n....\r\nx.\r\n"
    assert b"".join(unstuffed([wire])) == message
    assert list(stuffed([])) == []
