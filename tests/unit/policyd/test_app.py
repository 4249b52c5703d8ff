"""The daemon as it is wired, without sockets: reload is all or nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailbase.config import ConfigError, load
from mailbase.logs import Log
from mailbase.report import Report
from mailbase.starting import make_log
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Flow
from policyd import app
from policyd.app import Daemon
from policyd.evidence.facts import Effect
from policyd.exceptions.rule import rule_of
from policyd.protocol.request import request_of
from policyd.socketmap.protocol import Query

REGISTRY = "servers: {{m.x.example: {{domains: {{{}: }}}}}}"


class Reactor(Clock):
    def getThreadPool(self) -> None:
        return None

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:
        function(*arguments)


class Threads:
    """Runs what should run in a thread when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def defer(self, reactor: Any, pool: Any, function: Callable[[], Any]) -> Deferred[Any]:
        self.waiting.append((Deferred(), function))
        return self.waiting[-1][0]

    def run(self) -> None:
        while self.waiting:
            deferred, function = self.waiting.pop(0)
            try:
                result = function()
            except Exception:
                deferred.errback(Failure())
            else:
                deferred.callback(result)


class Wired:
    def __init__(self, folder: Path, threads: Threads) -> None:
        self.folder = folder
        self.threads = threads
        self.write("domain.example", "policyd: {greylist: {delay: 5m}}")
        self.stream = io.StringIO()
        self.reactor = Reactor()
        settings = load(folder / "c.yaml")
        self.daemon = Daemon(
            self.reactor, folder / "c.yaml", (), settings, Log("policyd", stream=self.stream)
        )

    def write(self, domain: str, configuration: str) -> None:
        (self.folder / "r.yaml").write_text(REGISTRY.format(domain))
        (self.folder / "c.yaml").write_text(
            f'store: {{url: "sqlite:s"}}\nregistry: r.yaml\n{configuration}\n'
        )

    def reload(self) -> None:
        self.daemon.reload()
        self.threads.run()

    def serves(self, domain: str) -> bool:
        request = request_of(
            {
                "protocol_state": "RCPT",
                "client_address": "192.0.2.1",
                "recipient": f"a@{domain}",
                "policy_context": "relay",
            }
        )
        decision: Any = self.daemon.engine.decide(request)
        return bool(decision.reply == "DUNNO")


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wired:
    threads = Threads()
    monkeypatch.setattr(app, "deferToThreadPool", threads.defer)
    return Wired(tmp_path, threads)


def test_callouts_are_turned_on_and_off_by_a_reload(wired: Wired) -> None:
    def checks() -> set[str]:
        courses = wired.daemon.engine.policy.plan.values()
        return {check.name for course in courses for check in course.checks}

    assert "recipient" not in checks()
    target = "{m.x.example: '127.0.0.1:2525'}"
    wired.write(
        "domain.example",
        f"flows: {{inbound: {{callout: true}}}}\npolicyd: {{callout: {{test_targets: {target}}}}}",
    )
    wired.reload()
    assert "recipient" in checks()
    assert "event=callout-test-target server=m.x.example" in wired.stream.getvalue()
    wired.write("domain.example", "policyd: {callout: {positive: 16m}}")
    wired.reload()
    assert "recipient" in checks(), "a mistake leaves the old configuration in force"
    assert "expected at most 15m" in wired.stream.getvalue()
    wired.write("domain.example", "")
    wired.reload()
    assert "recipient" not in checks()


def test_a_good_reload_is_in_force_as_a_whole(wired: Wired) -> None:
    assert wired.serves("domain.example")
    wired.write("other.example", "policyd: {greylist: {delay: 1m}}")
    wired.reload()
    assert not wired.serves("domain.example")
    assert wired.serves("other.example")
    assert wired.daemon.ledger.terms.delay == 60
    assert wired.daemon.metrics.reloads == {"ok": 1, "refused": 0}
    assert "event=reloaded" in wired.stream.getvalue()


@pytest.mark.parametrize(
    "configuration",
    [
        "policyd: {unknown: key}",
        "policyd: {greylist: {delay: 1m, clients: [missing]}}",
        "policyd: {greylist: {delay: 1m, clients: [bad]}}",
        "policyd: [",
    ],
)
def test_a_bad_reload_leaves_everything_as_it_was_and_says_why(wired: Wired, configuration: str) -> None:
    (wired.folder / "bad").write_text("fine.example\n/(/\n")
    wired.write("other.example", configuration)
    policy = wired.daemon.engine.policy
    wired.reload()
    assert wired.daemon.engine.policy is policy
    assert wired.serves("domain.example")
    assert wired.daemon.ledger.terms.delay == 300
    assert wired.daemon.metrics.reloads == {"ok": 0, "refused": 1}
    assert "event=reload-refused" in wired.stream.getvalue()


def test_a_fault_while_reloading_leaves_everything_as_it_was(
    wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("bug")

    monkeypatch.setattr(app, "build_policy", fail)
    wired.reload()
    assert wired.serves("domain.example")
    assert "bug" in wired.stream.getvalue()


def test_answers_go_on_while_reloading_and_a_second_hangup_is_not_lost(wired: Wired) -> None:
    wired.write("other.example", "")
    wired.daemon.reload()
    assert wired.serves("domain.example")
    wired.daemon.reload()
    assert len(wired.threads.waiting) == 1
    wired.threads.run()
    assert wired.daemon.metrics.reloads["ok"] == 2
    assert wired.serves("other.example")


LISTS = (
    "policyd: {lists: {black: {kind: dnsbl, zone: bl.example%s}}}\nflows: {inbound: {checks: {dnsbl: true}}}"
)


def test_lists_are_watched_from_the_reload_on_and_keep_their_state(wired: Wired) -> None:
    lists = wired.daemon.lists
    wired.reload()
    assert (list(lists.rows()), wired.daemon.resolver.looked_up) == ([], None)
    wired.write("domain.example", LISTS % "")
    wired.reload()
    assert [row["state"] for row in lists.rows()] == ["untested"]
    assert wired.daemon.resolver.looked_up == lists.heard
    assert ("dnsbl", "black") in wired.daemon.metrics.facts
    lists.watched["black"].health.tested(None, "", wired.reactor.seconds())
    wired.write("domain.example", LISTS % ", codes: {bad: 127.0.0.2}")
    wired.reload()
    assert [row["state"] for row in lists.rows()] == ["on"]
    assert ("dnsbl", "black.bad") in wired.daemon.metrics.facts
    wired.write("domain.example", LISTS % ", zones: x")
    wired.reload()
    assert [row["state"] for row in lists.rows()] == ["on"]
    wired.write("domain.example", "")
    wired.reload()
    assert list(lists.rows()) == []
    assert ("dnsbl", "black") not in wired.daemon.metrics.facts


def test_lists_have_a_verb(wired: Wired) -> None:
    wired.write("domain.example", LISTS % "")
    wired.reload()
    (row,) = wired.daemon.lists.table()["lists"]({"verb": "lists"})
    assert (row["list"], row["kind"], row["zone"]) == ("black", "dnsbl", "bl.example")


def test_postfix_is_told_of_the_registry_in_force(wired: Wired) -> None:
    def served(domain: str) -> str:
        return wired.daemon.maps.answer(Query("relay_domains", domain)).result

    assert (served("domain.example"), served("other.example")) == ("OK", "NOTFOUND")
    wired.write("other.example", "")
    wired.reload()
    assert (served("domain.example"), served("other.example")) == ("NOTFOUND", "OK")
    # Without a registry nothing is known of any domain, which is not to say that none is served.
    (wired.folder / "c.yaml").write_text('store: {url: "sqlite:s"}\n')
    wired.reload()
    assert (served("domain.example"), served("other.example")) == ("PERM", "PERM")


def test_what_needs_a_restart_is_named(wired: Wired) -> None:
    wired.write("domain.example", 'policyd: {listen: ["127.0.0.1:1"], metrics: ""}\nlogging: {format: json}')
    wired.reload()
    assert (
        'event=restart-needed changed="policyd.listen, policyd.metrics, logging"' in wired.stream.getvalue()
    )


def test_a_configuration_that_is_refused_needs_no_restart(wired: Wired) -> None:
    wired.write("domain.example", 'policyd: {metrics: ""}')
    wired.reload()
    wired.write("domain.example", "policyd: [")
    wired.reload()
    assert wired.stream.getvalue().count("event=restart-needed") == 1


def test_a_restart_is_needed_until_it_comes_or_all_is_as_before(wired: Wired) -> None:
    def asked_for(more: str) -> bool:
        before = len(wired.stream.getvalue())
        wired.write("domain.example", more)
        wired.reload()
        return "event=restart-needed changed=policyd.metrics" in wired.stream.getvalue()[before:]

    elsewhere = 'policyd: {metrics: "127.0.0.1:1"%s}'
    assert asked_for(elsewhere % "")
    assert asked_for(elsewhere % ", deadline: 5s")
    assert not asked_for("")


def test_of_the_store_only_on_error_changes_without_restart(wired: Wired) -> None:
    store = 'store: {url: "redis://192.0.2.1", on_error: defer, timeout: 100ms, prefix: other}'
    (wired.folder / "c.yaml").write_text(f"{store}\nregistry: r.yaml\n")
    wired.reload()
    assert 'changed="store.url, store.timeout, store.prefix"' in wired.stream.getvalue()
    assert wired.daemon.ledger.on_error == "defer"


def test_skipped_lines_of_an_allowlist_are_logged(wired: Wired) -> None:
    (wired.folder / "odd").write_text("not a name\n")
    wired.write("domain.example", "policyd: {greylist: {clients: [odd]}}")
    wired.reload()
    assert "odd:1: skipped" in wired.stream.getvalue()


def test_a_bad_allowlist_keeps_the_daemon_from_starting(wired: Wired) -> None:
    (wired.folder / "bad").write_text("/(/\n")
    wired.write("domain.example", "policyd: {greylist: {clients: [bad]}}")
    settings = load(wired.folder / "c.yaml")
    with pytest.raises(ConfigError, match="bad:1"):
        Daemon(wired.reactor, wired.folder / "c.yaml", (), settings, Log("policyd", stream=wired.stream))


@pytest.mark.parametrize("key_file", ["", "key"])
def test_pseudonyms_in_the_log(tmp_path: Path, key_file: str, capsys: Any) -> None:
    (tmp_path / "key").write_text("a secret of some length")
    key = ", key_file: key" if key_file else ""
    (tmp_path / "c.yaml").write_text(f"privacy: {{pseudonymise: true{key}}}\n")
    log = make_log("policyd", load(tmp_path / "c.yaml"), Clock())
    log.prepared("decision", "id", "sender", "seconds")("x", "person@inst.example", 0.1)
    log.flush()
    printed = capsys.readouterr().err
    assert "person" not in printed
    assert "id=x" in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a key of 16 octets or more, got 0; head -c 32 /dev/urandom"),
        (b"too short\n", "expected a key of 16 octets or more, got 9"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_key_that_protects_nobody_is_a_mistake(tmp_path: Path, content: bytes | None, message: str) -> None:
    key = tmp_path / "key"
    key.write_bytes(content or b"")
    (tmp_path / "c.yaml").write_text("privacy: {pseudonymise: true, key_file: key}\n")
    settings = load(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text("privacy: {key_file: key}\n")
    without = load(tmp_path / "c.yaml")
    if content is None:
        key.unlink()
    with pytest.raises(ConfigError, match=f"{key}: privacy.key_file: {message}"):
        make_log("policyd", settings)
    make_log("policyd", without)


def test_the_journal_follows_a_reload_and_hears_of_decisions(wired: Wired) -> None:
    journal = wired.daemon.journal
    assert journal is not None
    assert wired.daemon.server.recorder.journal == journal.note
    wired.write(
        "domain.example",
        "policyd: {journal: {rate: 7, max_size: 5MiB, path: other}}\nprivacy: {retention: 2h}",
    )
    wired.reload()
    assert (journal.terms.rate, journal.terms.max_octets, journal.terms.retention) == (7, 5 << 20, 7200.0)
    assert "event=restart-needed changed=policyd.journal.path" in wired.stream.getvalue()


def test_the_journal_lies_beside_the_store_or_where_it_is_told_to(wired: Wired) -> None:
    from policyd.journal.assembly import build_journal

    def path(text: str) -> str:
        wired.write("domain.example", text)
        journal = build_journal(load(wired.folder / "c.yaml"), wired.reactor, wired.daemon._log)
        return str(journal._file._database.path) if journal is not None else ""

    assert path("") == str(wired.folder / "journal.sqlite")
    assert path("policyd: {journal: {path: x/j}}") == str(wired.folder / "x" / "j")
    assert path("policyd: {journal: {enabled: false}}") == ""


def test_the_journal_hears_what_became_of_a_mail(wired: Wired) -> None:
    ticket = Ticket("0123456789abc", Flow.INBOUND, "192.0.2.1", "a@x.example")
    report = Report(ticket.id, ticket.client, ticket.sender, Action.REJECT, ("virus",))
    for hook in wired.daemon.reports.hooks:
        hook(ticket, report, True)
    assert wired.daemon.journal is not None
    assert wired.daemon.journal.pending == 1


def test_rules_and_the_journal_stand_in_the_metrics(wired: Wired) -> None:
    wired.daemon.book.rules.put(rule_of("192.0.2.1", Effect.DENY))
    samples = {
        sample.name: sample.value for metric in wired.daemon.metrics.collect() for sample in metric.samples
    }
    assert (samples["policyd_exceptions_allow"], samples["policyd_exceptions_deny"]) == (0.0, 1.0)
    assert samples["policyd_journal_pending"] == 0.0


def test_limits_traps_and_memory_follow_a_reload(wired: Wired) -> None:
    def asked(**attributes: str) -> Any:
        stage = {"protocol_state": "RCPT", "client_address": "192.0.2.1", **attributes}
        return wired.daemon.engine.decide(request_of(stage)).reply  # type: ignore[union-attr]

    trap = {
        "recipient": "trap@domain.example",
        "client_name": "a.example",
        "reverse_client_name": "a.example",
    }
    wired.daemon.state.start()
    assert asked(**trap).startswith("DEFER_IF_PERMIT 4.2.0 ")
    wired.write(
        "domain.example",
        "flows: {inbound: {limits: {few: {per: client, of: messages, limit: 1, within: 1h}}}}\n"
        "spamtraps: {addresses: [trap@domain.example], remember: 5d}\n"
        "policyd: {greylist: {network_v4: 20}}",
    )
    wired.reload()
    assert wired.daemon.metrics.limits["inbound", "few", "refused"] == 0
    assert asked(**trap) == "DUNNO"
    assert asked(protocol_state="DATA", instance="i").startswith("PREPEND ")
    assert asked(protocol_state="DATA", instance="j").startswith("450 4.7.1 ")
    assert wired.daemon.metrics.limits["inbound", "few", "refused"] == 1
    assert (wired.daemon.reputation.remember, wired.daemon.reputation.prefixes) == (5 * 86400, (20, 64))
    wired.write("domain.example", "")
    wired.reload()
    assert asked(protocol_state="DATA", instance="k").startswith("PREPEND ")
    wired.daemon.state.close()


def test_the_watch_over_outgoing_mail_follows_a_reload(wired: Wired) -> None:
    daemon = wired.daemon
    terms = daemon.outgoing.watch.terms
    assert terms is not None
    wired.write("domain.example", "policyd: {outgoing: {factor: 5, suspend_reply: reject}}")
    wired.reload()
    assert daemon.outgoing.watch.terms is not None
    assert (daemon.outgoing.watch.terms.factor, daemon.outgoing.watch.terms.suspended) == (5.0, Action.REJECT)
    wired.write("domain.example", "policyd: {outgoing: {factor: many}}")
    wired.reload()
    assert daemon.outgoing.watch.terms.factor == 5.0
    wired.write("domain.example", "policyd: {outgoing: {enabled: false}}")
    wired.reload()
    assert daemon.outgoing.watch.terms is None
