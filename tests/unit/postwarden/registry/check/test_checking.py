"""Registered servers looked at as the command does it: DNS, dialogues and recipients together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.config import loads
from mailbase.dns import TableResolver
from mailbase.dns.answers import NxDomain, Temporary
from mailbase.replies import Reply
from policyd.callout.conversation import Outcome, Script
from policyd.callout.servers import Place, Servers
from postwarden.registry.check.checking import AT_ONCE, TOGETHER, Checking
from postwarden.registry.check.finding import Check, Finding, Severity

from .looked_at import GOOD, NOW, TLS

REGISTRY = """
servers:
  mail.inst.example:
    addresses: [192.0.2.25, 192.0.2.26]
    domains:
      inst.example: {existing: ada@inst.example, unknown: nobody@inst.example}
      new.example: {existing: jörg@new.example}
    systems: [printer.inst.example, 192.0.2.0/24]
  mx1.gate.example: {addresses: 192.0.2.90, domains: {gate.example: }}
"""
ZONE = {
    ("inst.example", "MX"): [(10, "mx1.gate.example"), (10, "mx2.gate.example")],
    ("new.example", "MX"): [(10, "mx1.gate.example"), (10, "mx2.gate.example")],
    ("printer.inst.example", "MX"): [(10, "mx1.gate.example"), (10, "mx2.gate.example")],
    ("gate.example", "MX"): [(10, "mx1.gate.example"), (10, "mx2.gate.example")],
    ("mail.inst.example", "A"): ["192.0.2.25", "192.0.2.26"],
    ("mx1.gate.example", "A"): "192.0.2.90",
    ("25.2.0.192.in-addr.arpa", "PTR"): "mail.inst.example",
    ("26.2.0.192.in-addr.arpa", "PTR"): "mail.inst.example",
    ("90.2.0.192.in-addr.arpa", "PTR"): "mx1.gate.example",
}


class World:
    """Servers that answer RCPT from a table, and DNS."""

    def __init__(self, folder: Path, registry: str = REGISTRY) -> None:
        (folder / "registry.yaml").write_text(registry)
        self.settings = loads(
            "identity: {hostname: mx1.gate.example, relays: [mx1.gate.example, mx2.gate.example]}\n"
            "registry: registry.yaml",
            folder=folder,
        )
        self.clock = Clock()
        self.clock.advance(NOW)
        self.resolver = TableResolver(ZONE)
        self.users = {"ada@inst.example", "jörg@new.example"}
        self.outcome = Outcome(keywords={**TLS, "SMTPUTF8": ()}, tls=True)
        self.by_host: dict[str, Outcome] = {}
        self.delay = 0.0
        self.talking = self.most = 0
        self.talks: list[tuple[Place, Script, str]] = []
        self.progress: list[tuple[int, int]] = []

    def talk(self, place: Place, script: Script, name: str, until: float) -> Any:
        self.talks.append((place, script, name))
        self.talking += 1
        self.most = max(self.most, self.talking)
        outcome = self.by_host.get(place.host, self.outcome)
        if outcome.handshake_failed and not script.tls:
            outcome = Outcome(keywords={**TLS, "STARTTLS": ()})
        if script.recipients and not outcome.failure:
            replies = [self.reply(path.decode().strip("<>")) for path in script.recipients]
            outcome = Outcome(tuple(replies), keywords=outcome.keywords, tls=outcome.tls)
        done: Deferred[Any] = Deferred()
        done.addCallback(self.end)
        if self.delay:
            self.clock.callLater(self.delay, done.callback, (outcome, GOOD if outcome.tls else None))
        else:
            done.callback((outcome, GOOD if outcome.tls else None))
        return done

    def end(self, result: Any) -> Any:
        self.talking -= 1
        return result

    def reply(self, address: str) -> Reply:
        return Reply.relayed([b"250 2.1.5 ok" if address in self.users else b"550 5.1.1 no such user"])

    def run(self, only: str = "") -> list[Finding]:
        servers = [one for name, one in self.settings.registry.servers.items() if only in name]
        checking = Checking(
            self.settings,
            self.resolver,
            Servers(self.settings, self.resolver, lambda packed: False),
            self.talk,
            self.clock.seconds,
            lambda done, of: self.progress.append((done, of)),
        )
        found: list[list[Finding]] = []
        Deferred.fromCoroutine(checking.run(servers)).addCallback(found.append)
        for _ in range(1000):
            if found:
                return found[0]
            self.clock.advance(1.0)
        raise AssertionError("no end")

    def texts(self, only: str = "mail") -> list[str]:
        return [f"{one.subject} {one.check}: {one.found}" for one in self.run(only)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


MISSING = "new.example callout: its registration names no unknown address"


def test_a_registry_in_order_but_for_one_address(world: World) -> None:
    assert world.texts() == [MISSING]
    recipients = [(script.recipients, script.smtputf8) for _, script, _ in world.talks if script.recipients]
    assert recipients == [
        ([b"<ada@inst.example>", b"<nobody@inst.example>"], False),
        (["<jörg@new.example>".encode()], True),
    ]
    assert world.progress[-1] == (5, 5)


def test_the_gateway_itself_is_not_called(world: World) -> None:
    texts = world.texts("mx1")
    assert world.talks == []
    assert [text.partition(":")[0] for text in texts] == ["gate.example callout"] * 2


def test_recipients_that_are_not_as_registered(world: World) -> None:
    world.users = {"nobody@inst.example"}
    assert world.texts() == [
        MISSING,
        "ada@inst.example callout: should exist, and is refused: 550 5.1.1 no such user",
        "nobody@inst.example callout: should not exist, and is accepted: 250 2.1.5 ok",
        "jörg@new.example callout: should exist, and is refused: 550 5.1.1 no such user",
    ]


def test_an_address_that_was_closed_has_its_consequence_told(world: World) -> None:
    world.users = {"jörg@new.example"}
    (finding,) = (one for one in world.run("mail") if one.subject == "ada@inst.example")
    assert finding.severity is Severity.ERROR
    assert "nobody at inst.example is refused as unknown until then" in finding.change


BACKED_UP = """
servers:
  mail.inst.example:
    addresses: [192.0.2.25]
    backup: mail2.inst.example
    domains:
      inst.example: {existing: ada@inst.example, unknown: nobody@inst.example}
    systems: [mail2.inst.example]
"""


def test_the_backup_is_looked_at_likewise(tmp_path: Path) -> None:
    world = World(tmp_path, BACKED_UP)
    world.resolver.set("mail2.inst.example", "A", "192.0.2.99")
    world.by_host = {"192.0.2.99": Outcome(keywords={"SIZE": ("1024",)}, tls=True)}
    begun = "192.0.2.99 size: the backup mail2.inst.example: takes messages up to 1024 octets only"
    assert [text for text in world.texts() if "backup" in text] == [begun]
    asked = [(place.host, script.recipients, name) for place, script, name in world.talks]
    recipients = [b"<ada@inst.example>", b"<nobody@inst.example>"]
    assert asked[-1] == ("192.0.2.99", recipients, "mail2.inst.example")
    world.by_host = {"192.0.2.99": Outcome(failure="timed out", stage="banner")}
    assert (
        "192.0.2.99 connection: the backup mail2.inst.example: no SMTP: timed out (at banner)"
        in world.texts()
    )


def test_a_backup_that_nobody_can_find(tmp_path: Path) -> None:
    texts = World(tmp_path, BACKED_UP).texts()
    name = "mail2.inst.example"
    assert f"{name} connection: the backup {name}: no address in DNS: nxdomain" in texts


def test_recipients_that_cannot_be_asked_for(world: World) -> None:
    world.reply = lambda address: Reply.relayed([b"450 4.7.1 greylisted"])  # type: ignore[method-assign]
    assert "ada@inst.example callout: neither known nor unknown: 450 4.7.1 greylisted" in world.texts()
    world.by_host = {"192.0.2.25": Outcome(failure="refused", stage="connect")}
    texts = world.texts()
    assert "192.0.2.25 connection: no SMTP: refused (at connect)" in texts
    # The other address answers for the recipients.
    assert {place.host for place, script, _ in world.talks[-2:] if script.recipients} == {"192.0.2.26"}


def test_a_server_that_answers_nowhere(world: World) -> None:
    world.outcome = Outcome(failure="timed out", stage="banner")
    assert world.texts() == [
        MISSING,
        "192.0.2.25 connection: no SMTP: timed out (at banner)",
        "192.0.2.26 connection: no SMTP: timed out (at banner)",
    ]


def test_a_server_that_ends_in_between(world: World) -> None:
    talk = world.talk

    def cut(place: Place, script: Script, name: str, until: float) -> Any:
        def less(result: Any) -> Any:
            outcome, certificate = result
            return Outcome(outcome.replies[:1], "421 too many", "rcpt"), certificate

        done = talk(place, script, name, until)
        return done.addCallback(less) if script.recipients else done

    world.talk = cut  # type: ignore[method-assign]
    assert "nobody@inst.example callout: could not be asked for: 421 too many" in world.texts()


def test_a_server_whose_tls_fails_is_looked_at_without(world: World) -> None:
    world.outcome = Outcome(failure="lost", handshake_failed=True)
    texts = world.texts()
    assert "192.0.2.25 starttls: TLS comes to nothing: lost" in texts
    assert not any("refused" in text for text in texts if "starttls" in text)
    assert [script.tls for _, script, _ in world.talks if script.recipients] == [False, False]


def test_names_that_do_not_agree(world: World) -> None:
    world.resolver.set("mail.inst.example", "A", ["192.0.2.25", "192.0.2.77"])
    world.resolver.set("25.2.0.192.in-addr.arpa", "PTR", "old.inst.example")
    world.resolver.set("26.2.0.192.in-addr.arpa", "PTR", NxDomain())  # type: ignore[arg-type]
    assert world.texts()[:4] == [
        "mail.inst.example forward: has the address 192.0.2.77, which is not registered",
        "mail.inst.example forward: 192.0.2.26 is registered, and not in DNS",
        "192.0.2.25 ptr: its name old.inst.example does not lead back to it",
        "192.0.2.26 ptr: no PTR record",
    ]


def test_a_name_without_an_address(world: World) -> None:
    world.resolver.set("mail.inst.example", "A", NxDomain())  # type: ignore[arg-type]
    assert "mail.inst.example forward: its name has no address in DNS" in world.texts()


def test_a_server_that_nobody_knows_the_address_of(tmp_path: Path) -> None:
    world = World(tmp_path, "servers: {lost.example: {domains: {inst.example: }}}")
    assert "lost.example connection: no address in DNS: nxdomain" in world.texts("lost")
    assert world.talks == []


def test_dns_that_cannot_tell_is_said(world: World) -> None:
    for name, kind in (
        ("inst.example", "MX"),
        ("mail.inst.example", "A"),
        ("25.2.0.192.in-addr.arpa", "PTR"),
    ):
        world.resolver.set(name, kind, Temporary())
    texts = world.texts()
    for start in ("inst.example mx", "mail.inst.example forward", "192.0.2.25 ptr"):
        assert f"{start}: DNS could not tell (temporary)" in texts


def test_many_servers_are_looked_at_at_one_time_and_not_too_many(tmp_path: Path) -> None:
    servers = "".join(f"  m{number}.example: {{addresses: 198.51.100.{number}}}\n" for number in range(60))
    world = World(tmp_path, "servers:\n" + servers)
    world.delay = 1.0
    world.run("example")
    assert len(world.talks) == 60
    assert AT_ONCE / 2 <= world.most <= AT_ONCE


def test_any_number_of_servers_that_answer_at_once(tmp_path: Path) -> None:
    servers = "".join(
        f"  m{number}.example: {{domains: {{d{number}.example: }}}}\n" for number in range(1500)
    )
    world = World(tmp_path, "servers:\n" + servers)
    found = world.run("example")
    assert {one.found for one in found if one.check is Check.MX} == {"the name is not in DNS"}
    assert [one.subject for one in found if one.check is Check.MX] == [
        f"d{number}.example" for number in range(1500)
    ]
    assert world.progress[-1] == (4500, 4500)


def test_many_recipients_come_in_several_conversations(tmp_path: Path) -> None:
    existing = ", ".join(f"u{number}@inst.example" for number in range(2 * TOGETHER + 1))
    domain = f"{{inst.example: {{existing: [{existing}]}}}}"
    world = World(tmp_path, f"servers: {{m.example: {{addresses: 192.0.2.5, domains: {domain}}}}}")
    world.run("m.example")
    assert [len(script.recipients) for _, script, _ in world.talks] == [0, TOGETHER, TOGETHER, 1]
