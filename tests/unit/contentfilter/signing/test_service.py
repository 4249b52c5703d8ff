"""Signing in the daemon: other keys, other settings, processes that come and go."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from contentfilter.content.results import ScanFailed
from contentfilter.pool.frames import Done, Ready
from contentfilter.signing import keys
from contentfilter.signing.messages import Signed, SignTask
from contentfilter.signing.public import KeyProblem, PublicKey
from contentfilter.signing.service import RESCAN, Signing, read_keys
from contentfilter.signing.signers import HANDOVER
from mailbase.config import Settings, load
from mailbase.dns import TableResolver
from mailbase.logs import Log
from tests.samples.dkim_keys import records

NOW = 1_790_000_000.0
LINES = b"DKIM-Signature: v=1; d=a.example; s=one\r\n"


class Worker:
    """A signer whose words are the test's."""

    pid = 1

    def __init__(self, clock: Clock, events: Any, selectors: Sequence[str]) -> None:
        self.clock = clock
        self.events = events
        self.selectors = selectors
        self.tasks: list[SignTask] = []
        self.over = False

    def give(self, task: Any, descriptor: int) -> None:
        os.fstat(descriptor)
        self.tasks.append(task)

    def retire(self) -> None:
        self.over = True
        self.clock.callLater(0.0, self.events.ended, "exit 0")

    def kill(self) -> None:
        self.over = True
        self.clock.callLater(0.0, self.events.ended, "SIGKILL")

    def ready(self) -> None:
        self.events.answered(Ready())

    def sign(self) -> None:
        self.events.answered(Done(Signed(LINES)))


class Bench:
    """The service, with Ed25519 keys, which are quick to make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.output = io.StringIO()
        self.workers: list[Worker] = []
        self.resolver = TableResolver({}, clock=self.clock)
        self.registry = CollectorRegistry()
        self.disk: Callable[[Callable[[], Any]], Deferred[Any]] = self.at_once
        (folder / "registry.yaml").write_text(
            "servers: {mail.a.example: {domains: {a.example: }, systems: [192.0.2.0/24]}}\n"
        )
        self.write()
        self.service = Signing(
            self.clock,
            self.resolver,
            Log("test", stream=self.output),
            self.registry,
            lambda work: self.disk(work),
            lambda: NOW + self.clock.seconds(),
            self.launcher,
        )

    def at_once(self, work: Callable[[], Any]) -> Deferred[Any]:
        try:
            return succeed(work())
        except (OSError, KeyProblem) as error:
            return fail(error)

    def launcher(self, reactor: object, signing: object, its: Sequence[PublicKey], log: object) -> Any:
        bench, selectors = self, [key.selector for key in its]

        class Launcher:
            def launch(self, events: object) -> Worker:
                bench.workers.append(Worker(bench.clock, events, selectors))
                return bench.workers[-1]

        return Launcher()

    def write(self, signing: str = "{}", more: str = "") -> None:
        signing = signing.replace("{}", "{settle: 0s, check_every: 10m}")
        text = f"""
identity: {{hostname: mx.gate.example, dkim_selectors: unused, dkim_ed25519_selectors: [one, two]}}
registry: registry.yaml
contentfilter:
  signing: {signing}
{more}
"""
        text = text.replace("settle:", "keys: dkim, state: seen.json, settle:")
        (self.folder / "postwarden.yaml").write_text(text)

    def settings(self) -> Settings:
        return load(self.folder / "postwarden.yaml", [])

    def make(self, selector: str) -> PublicKey:
        # No two of one age.
        self.clock.advance(1.0)
        key = keys.make(self.folder / "dkim", selector, "ed25519-sha256", NOW + self.clock.seconds())
        for name, text in records("a.example", key).items():
            self.resolver.set(name, "TXT", text)
        return key

    def configure(self) -> None:
        settings = self.settings()
        self.service.configure(settings, read_keys(settings))

    def start(self) -> None:
        self.make("one")
        self.configure()
        self.service.start()
        self.workers[-1].ready()

    def submit(self, selector: str = "one") -> list[object]:
        answers: list[object] = []
        descriptor = os.memfd_create("message")
        task = SignTask(0, "a.example", (selector,), 1)
        self.service._signers.submit(task, descriptor).addCallback(answers.append)
        return answers

    def chosen(self) -> list[str]:
        (stamper,) = self.service.stampers
        found: list[Any] = []
        Deferred.fromCoroutine(stamper._choice.choose("a.example")).addCallback(found.append)  # type: ignore[attr-defined]
        return [key.selector for key in found[0]]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_without_the_section_nothing_is_signed(bench: Bench) -> None:
    bench.write("")
    bench.configure()
    bench.service.start()
    assert (bench.service.stampers, bench.workers, bench.service.problem()) == ((), [], "")
    assert isinstance(bench.submit()[0], ScanFailed)
    bench.clock.advance(10 * RESCAN)
    assert bench.resolver.asked == []


def test_without_keys_the_daemon_says_what_to_do(bench: Bench) -> None:
    with pytest.raises(KeyProblem, match="cannot be used for DKIM keys: No such file"):
        bench.configure()
    bench.make("other")
    with pytest.raises(
        KeyProblem, match=r"no key for any of unused, one, two: 'postwarden dkim new' makes one"
    ):
        bench.configure()


def test_a_mail_is_signed(bench: Bench) -> None:
    bench.make("one")
    bench.configure()
    bench.service.start()
    assert bench.service.problem() == "no signer is ready"
    answers = bench.submit()
    bench.workers[0].ready()
    assert bench.service.problem() == ""
    bench.workers[0].sign()
    assert answers == [Signed(LINES)]
    assert bench.chosen() == ["one"]
    assert bench.sample("contentfilter_signing_key_domains", selector="one") == 1
    bench.clock.advance(59.0)
    assert bench.sample("contentfilter_signing_key_age_seconds", selector="one") == 59
    assert bench.sample("contentfilter_signing_changes_total", change="gained") == 1


def test_a_new_key_is_noticed_and_signs_once_signers_have_it(bench: Bench) -> None:
    bench.start()
    old = bench.workers[0]
    bench.make("two")
    bench.clock.advance(RESCAN)
    running = bench.submit()
    assert [worker.selectors for worker in bench.workers] == [["one"], ["two", "one"]]
    # Not before they are ready: the old ones don't have it.
    assert bench.chosen() == ["one"]
    meanwhile = bench.submit()
    bench.workers[1].ready()
    bench.clock.advance(1.0)
    assert bench.chosen() == ["two"]
    later = bench.submit("two")
    assert [task.selectors for task in bench.workers[1].tasks] == [("two",)]
    bench.workers[1].sign()
    assert later == [Signed(LINES)]
    # What the old ones had in hand they finish.
    assert not old.over
    old.sign()
    old.sign()
    assert running == meanwhile == [Signed(LINES)]
    assert old.over
    bench.clock.advance(0.0)
    assert bench.sample("contentfilter_signers_ended_total", fate="recycled") == 1


def test_signers_that_do_not_get_ready_change_nothing(bench: Bench) -> None:
    bench.start()
    bench.make("two")
    bench.clock.advance(RESCAN)
    for _ in range(int(HANDOVER / 0.05) + 2):
        bench.clock.advance(0.05)
    assert bench.chosen() == ["one"]
    assert "signers-not-replaced" in bench.output.getvalue()
    bench.submit()
    assert len(bench.workers[0].tasks) == 1
    # It is tried again.
    started = len(bench.workers)
    bench.clock.advance(RESCAN)
    assert len(bench.workers) > started
    bench.workers[-1].ready()
    bench.clock.advance(1.0)
    assert bench.chosen() == ["two"]


def test_a_key_that_cannot_be_read_changes_nothing(bench: Bench) -> None:
    bench.start()
    bench.make("two")
    (bench.folder / "dkim" / "two.pem").chmod(0o644)
    for _ in range(3):
        bench.clock.advance(RESCAN)
    assert bench.chosen() == ["one"]
    assert bench.output.getvalue().count("signing-keys-unusable") == 1
    (bench.folder / "dkim" / "two.pem").chmod(0o600)
    bench.clock.advance(RESCAN)
    bench.workers[-1].ready()
    bench.clock.advance(1.0)
    assert bench.chosen() == ["two"]


def test_a_key_that_is_gone_signs_no_more(bench: Bench) -> None:
    bench.make("one")
    bench.clock.advance(5.0)
    bench.make("two")
    bench.configure()
    bench.service.start()
    bench.workers[-1].ready()
    assert bench.chosen() == ["two"]
    (bench.folder / "dkim" / "two.pem").unlink()
    bench.clock.advance(RESCAN)
    bench.workers[-1].ready()
    bench.clock.advance(1.0)
    assert bench.chosen() == ["one"]


def test_a_reload_changes_what_can_be_changed(bench: Bench) -> None:
    bench.start()
    bench.write("{settle: 0s, check_every: 10m, line_length: 998}")
    bench.configure()
    assert len(bench.workers) == 2
    bench.workers[1].ready()
    bench.clock.advance(1.0)
    assert bench.workers[0].over
    bench.write("{settle: 1h, check_every: 20m, line_length: 998}")
    bench.configure()
    assert len(bench.workers) == 2
    assert bench.chosen() == []
    bench.write("")
    bench.configure()
    assert bench.service.stampers == ()
    assert bench.workers[1].over
    bench.write()
    bench.configure()
    bench.workers[2].ready()
    assert bench.chosen() == ["one"]


def test_another_reload_before_signers_are_ready(bench: Bench) -> None:
    bench.start()
    bench.write("{settle: 0s, line_length: 998}")
    bench.configure()
    bench.write("{settle: 0s, line_length: 990}")
    bench.configure()
    assert [worker.over for worker in bench.workers] == [False, True, False]
    bench.workers[2].ready()
    bench.clock.advance(1.0)
    assert [worker.over for worker in bench.workers] == [True, True, False]


def test_what_was_seen_is_remembered(bench: Bench, tmp_path: Path) -> None:
    bench.start()
    kept = json.loads((tmp_path / "seen.json").read_text())
    assert list(kept["seen"]) == ["a.example"]
    done: list[object] = []
    Deferred.fromCoroutine(bench.service.stop()).addCallback(done.append)
    bench.clock.advance(0.0)
    assert done == [None]
    assert not bench.clock.getDelayedCalls()
    # Without DNS another start knows what this one saw.
    again = Bench(tmp_path)
    again.clock.advance(100.0)
    again.configure()
    again.service.start()
    assert again.chosen() == ["one"]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b'{"version": 9}'], ids=range(4))
def test_a_broken_memory_is_none(bench: Bench, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seen.json").write_bytes(content)
    bench.start()
    assert "signing-state-unreadable" in bench.output.getvalue()
    assert bench.chosen() == ["one"]


def test_a_memory_that_cannot_be_written_is_told(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "seen.json").mkdir()
    bench.start()
    assert "signing-state-not-written" in bench.output.getvalue()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert bench.chosen() == ["one"]
