"""Which mail is signed, in whose name, and what becomes of one that cannot be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import dkim
import pytest
from twisted.internet.defer import Deferred

from contentfilter.assessing import Mail, StampFailed
from contentfilter.content.results import ScanFailed
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as Mailbox
from contentfilter.signing.messages import Result, Signed, SignTask, Unsigned
from contentfilter.signing.public import PublicKey
from contentfilter.signing.signature import Transmission
from contentfilter.signing.signer import work
from contentfilter.signing.stamper import SigningStamper
from contentfilter.spool.spool import Spool
from mailbase.registry import Registry, load_registry
from mailbase.ticket import Ticket
from mailbase.vocabulary import Flow
from tests.samples.dkim_keys import key, records

RSA, RSA_KEY = key()
EDWARDS, EDWARDS_KEY = key("ed001", "ed25519-sha256")
NOW = 1_790_000_000.7
REGISTRY = """
servers:
  mail.a.example:
    users: [anna]
    domains: {a.example: , new.a.example: , dark.a.example: }
    systems: [192.0.2.0/24]
  mail.b.example:
    users: [bert]
    domains: {b.example: }
    systems: [198.51.100.0/24]
"""
A_SYSTEM, B_SYSTEM, NOBODY = "192.0.2.7", "198.51.100.7", "203.0.113.7"


class World:
    """What the stamper asks, and what it counts."""

    def __init__(self, registry: Registry) -> None:
        self.keys: dict[str, tuple[PublicKey, ...] | None] = {
            "a.example": (RSA,),
            "b.example": (RSA,),
            "dark.a.example": None,
        }
        self.instead: Result | ScanFailed | None = None
        self.tasks: list[SignTask] = []
        self.count: Counter[str] = Counter()
        self.were_used: list[Sequence[PublicKey]] = []
        self.stamper = SigningStamper(registry, self, self, self, lambda: NOW, self.were_used.append)

    async def choose(self, domain: str) -> tuple[PublicKey, ...] | None:
        return self.keys.get(domain, ())

    async def submit(self, task: SignTask, descriptor: int) -> Result | ScanFailed:
        self.tasks.append(task)
        try:
            if self.instead is not None:
                return self.instead
            return work(task, descriptor, {"dkim001": RSA_KEY, "ed001": EDWARDS_KEY}, Transmission())
        finally:
            os.close(descriptor)

    def signed(self, algorithm: str) -> None:
        self.count[algorithm] += 1

    def unsigned(self, reason: str) -> None:
        self.count[reason] += 1


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    path = tmp_path_factory.mktemp("registry") / "registry.yaml"
    path.write_text(REGISTRY)
    return load_registry(path)


@pytest.fixture
def world(registry: Registry) -> World:
    return World(registry)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, 1 << 20)
    yield spool
    spool.close()


def mail(
    spool: Spool,
    author: str | None = "a.example",
    flow: Flow = Flow.OUTBOUND,
    client: str = A_SYSTEM,
    user: str = "",
    sender: str = "",
    unasked: bool = False,
    header: bytes = b"",
    body: bytes = b"\r\nx\r\n..y\r\n",
) -> Mail:
    if user and not header:
        header = b"X-Postwarden-Id: 0123456789abc\r\nReceived: from x by y; z\r\n"
    author_line = b"" if author is None else f"From: Somebody <x@{author}>\r\n".encode()
    spool.write(header + author_line + b"Subject: x\r\n" + body)
    envelope = Envelope(Mailbox(sender, b""), Client(address=client, name="unknown"))
    ticket = None if unasked else Ticket("0123456789abc", flow, client, sender, user)
    return Mail("0123456789abc", envelope, spool, flow, ticket, unasked=unasked)


def stamp(world: World, mail: Mail) -> bytes:
    lines: list[bytes] = []
    done = Deferred.fromCoroutine(world.stamper.stamp(mail, []))
    failures: list[BaseException] = []
    done.addCallbacks(lines.append, lambda failure: failures.append(failure.value))
    if failures:
        raise failures[0]
    return lines[0]


def verifies(lines: bytes, arrived: bytes, domain: str) -> bool:
    known = records(domain, RSA)
    return bool(
        dkim.verify(lines + arrived, dnsfunc=lambda name, timeout=5: known[name.decode().rstrip(".")])
    )


ROADS = {
    "a system for its own": {"client": A_SYSTEM, "author": "a.example"},
    "a user for his own": {"client": NOBODY, "author": "b.example", "flow": Flow.SUBMISSION, "user": "bert"},
    "a user elsewhere for her own": {
        "client": B_SYSTEM, "author": "a.example", "flow": Flow.SUBMISSION, "user": "anna",
    },
    "an unknown user in a system's network": {
        "client": A_SYSTEM, "author": "a.example", "flow": Flow.SUBMISSION, "user": "carl",
    },
    "whatever the envelope says": {"client": A_SYSTEM, "author": "a.example", "sender": "x@b.example"},
    "without policyd": {"client": A_SYSTEM, "author": "a.example", "unasked": True},
}  # fmt: skip


@pytest.mark.parametrize("road", ROADS)
def test_mail_is_signed_in_the_name_of_its_author(world: World, spool: Spool, road: str) -> None:
    options = ROADS[road]
    domain = str(options["author"])
    lines = stamp(world, mail(spool, **options))  # type: ignore[arg-type]
    head = spool.head()
    arrived = (
        head[: head.index(b"From:")]
        + f"From: Somebody <x@{domain}>\r\nSubject: x\r\n\r\nx\r\n.y\r\n".encode()
    )
    assert verifies(lines, arrived, domain)
    assert world.count == {"rsa-sha256": 1}
    assert world.were_used == [(RSA,)]
    assert world.tasks == [SignTask(spool.wire_size, domain, ("dkim001",), int(NOW))]


FOREIGN = {
    "a system for another": ({"client": A_SYSTEM, "author": "b.example"}, "foreign-from"),
    "a user for another": (
        {"client": NOBODY, "author": "a.example", "flow": Flow.SUBMISSION, "user": "bert"}, "foreign-from",
    ),
    "a user for the network's owner": (
        {"client": A_SYSTEM, "author": "a.example", "flow": Flow.SUBMISSION, "user": "bert"}, "foreign-from",
    ),
    "with the other's envelope": (
        {"client": A_SYSTEM, "author": "b.example", "sender": "x@b.example"}, "foreign-from",
    ),
    "with the other's name before the address": (
        {"client": A_SYSTEM, "author": "a.example> <x@b.example"}, "unclear-from",
    ),
    "a domain that is nobody's": ({"client": A_SYSTEM, "author": "elsewhere.example"}, "foreign-from"),
    "below its own": ({"client": A_SYSTEM, "author": "x.a.example"}, "foreign-from"),
    "nobody for somebody": ({"client": NOBODY, "author": "a.example"}, "unknown-sender"),
    "an unknown user": (
        {"client": NOBODY, "author": "a.example", "flow": Flow.SUBMISSION, "user": "carl"}, "unknown-sender",
    ),
    "a ticket of another's mail, copied": (
        {
            "client": NOBODY,
            "author": "b.example",
            "flow": Flow.SUBMISSION,
            "user": "bert",
            "header": b"Received: from x by y; z\r\nX-Postwarden-Id: 0123456789abc\r\n",
        },
        "unknown-sender",
    ),
    "a ticket of another's mail above, where nothing was": (
        {
            "client": NOBODY,
            "author": "b.example",
            "flow": Flow.SUBMISSION,
            "user": "bert",
            "header": b"X-Postwarden-Id: 0123456789abd\r\nX-Postwarden-Id: 0123456789abc\r\n",
        },
        "unknown-sender",
    ),
    "no author": ({"author": None}, "no-from"),
    "a second author": ({"header": b"From: y@b.example\r\n"}, "several-from"),
    "a domain that is not set up": ({"author": "new.a.example"}, "not-set-up"),
    "a domain that is not set up, policyd silent": (
        {"client": NOBODY, "author": "new.a.example", "unasked": True}, "unknown-sender",
    ),
    "nobody's domain, policyd silent": (
        {"client": NOBODY, "author": "elsewhere.example", "unasked": True}, "unknown-sender",
    ),
    "a header that would go on with ours": ({"header": b" folded\r\n"}, "unforeseeable"),
}  # fmt: skip


@pytest.mark.parametrize("road", FOREIGN)
def test_other_mail_goes_without_and_is_counted(world: World, spool: Spool, road: str) -> None:
    options, reason = FOREIGN[road]
    assert stamp(world, mail(spool, **options)) == b""  # type: ignore[arg-type]
    assert world.count == {reason: 1}
    assert world.were_used == []


@pytest.mark.parametrize("flow", [Flow.INBOUND, Flow.UPSTREAM])
def test_mail_from_elsewhere_is_not_signed_and_not_counted(world: World, spool: Spool, flow: Flow) -> None:
    assert stamp(world, mail(spool, flow=flow, user="anna")) == b""
    assert (world.tasks, world.count) == ([], {})


def test_an_author_that_only_the_signer_sees_twice(world: World, spool: Spool) -> None:
    header = b"From: x@a.example\r\n" + b"X: y\r\n" * 12_000
    assert stamp(world, mail(spool, author="b.example", header=header)) == b""
    assert world.count == {"several-from": 1}


def test_with_a_second_kind_of_key_there_are_two_signatures(world: World, spool: Spool) -> None:
    world.keys["a.example"] = (RSA, EDWARDS)
    lines = stamp(world, mail(spool))
    assert lines.count(b"DKIM-Signature:") == 2
    assert world.count == {"rsa-sha256": 1, "ed25519-sha256": 1}


TROUBLE = {
    "DNS": {"author": "dark.a.example"},
    "policyd, a user's mail": {"client": NOBODY, "flow": Flow.SUBMISSION, "unasked": True},
    "policyd, a user in another's network": {"client": B_SYSTEM, "unasked": True},
}


@pytest.mark.parametrize("name", TROUBLE)
def test_for_trouble_of_ours_the_mail_waits(world: World, spool: Spool, name: str) -> None:
    with pytest.raises(StampFailed):
        stamp(world, mail(spool, **TROUBLE[name]))  # type: ignore[arg-type]
    assert (world.tasks, world.count) == ([], {})


@pytest.mark.parametrize("reason", ["overload", "timed-out", "crashed", "unavailable", "protocol"])
def test_without_a_signer_the_mail_waits(world: World, spool: Spool, reason: str) -> None:
    world.instead = ScanFailed("workers", reason, "why")  # type: ignore[arg-type]
    with pytest.raises(StampFailed, match=f"{reason}: why"):
        stamp(world, mail(spool))
    assert world.count == {}


def test_a_spool_that_cannot_be_read_makes_the_mail_wait(
    world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = mail(spool)

    def broken(*_arguments: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Spool, "as_fd", broken)
    with pytest.raises(StampFailed, match="Input/output error"):
        stamp(world, letter)
    monkeypatch.setattr(Spool, "head", broken)
    with pytest.raises(StampFailed, match="Input/output error"):
        stamp(world, letter)


def test_a_signer_that_signs_for_another_is_not_believed(world: World, spool: Spool) -> None:
    other = work(
        SignTask(0, "b.example", ("dkim001",), 1), os.memfd_create("x"), {"dkim001": RSA_KEY}, Transmission()
    )
    assert other == Unsigned("no-from")
    world.instead = Signed(b"DKIM-Signature: v=1; d=b.example; s=dkim001\r\n")
    with pytest.raises(StampFailed, match="another mail"):
        stamp(world, mail(spool))
