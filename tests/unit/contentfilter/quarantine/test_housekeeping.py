"""What happens to messages that nobody releases: digests once a day, deletion when their time is over."""

from __future__ import annotations

import io
import json
import os
import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock

from contentfilter.quarantine.digest import AHEAD, MAX_LISTED, Digest, Gateway, Kept, compose, readers
from contentfilter.quarantine.entry import MAGIC, came, locked, stamp
from contentfilter.quarantine.housekeeping import (
    FIRST,
    INTERVAL,
    SETTLED,
    STATE,
    Housekeeper,
    State,
    collect,
    due,
    expire,
)
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.session.envelope import Envelope
from mailbase.config import QuarantineSettings, Settings, loads
from mailbase.logs import Log
from mailbase.registry import load_registry
from mailbase.registry.model import Person

DAY = 86400.0
NOW = 1795312800.0  # 2026-11-22 02:00 UTC
KEEP = 30 * DAY
REGISTRY = """
servers:
  mail.inst.example:
    administrators: [{name: A, email: a@inst.example}, {name: B, email: b@else.example}]
    deputies: [{name: C, email: c@inst.example}]
    domains: {inst.example: , sub.inst.example: }
  mail.dep.example:
    deputies: [{name: D, email: d@dep.example}]
    domains: {dep.example: }
    systems: [printer.dep.example]
  mail.lonely.example:
    domains: {lonely.example: }
"""


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def put(folder: Path, moment: float, *recipients: str, name: str = "0" * 13, **about: object) -> Path:
    path = folder / f"{stamp(moment)}-{name}.mail"
    metadata = {"id": name, "sender": "s@x.example", "recipients": list(recipients), "size": 3000, **about}
    head = json.dumps(metadata).encode() + b"\n"
    path.write_bytes(MAGIC + b"%d\n" % len(head) + head + b"mail")
    return path


class Scene:
    def __init__(self, tmp_path: Path, text: str = "") -> None:
        (tmp_path / "registry.yaml").write_text(REGISTRY)
        self.folder = tmp_path / "q"
        self.folder.mkdir(mode=0o700)
        loaded = loads(
            f"identity: {{hostname: mx.gw.example, contact: 'https://help.example'}}\n"
            f"contentfilter: {{quarantine: {{folder: {self.folder}{text}}}}}"
        )
        self.settings: Settings = loaded.with_registry(load_registry(tmp_path / "registry.yaml"))
        self.quarantine = Quarantine(self.settings.contentfilter.quarantine, lambda job: maybeDeferred(job))
        self.now = NOW
        self.clock = Clock()
        self.output = io.StringIO()
        self.sent: list[tuple[list[str], bytes]] = []
        self.takes = True
        self.gone: list[int] = []
        self.told: list[bool] = []
        self.housekeeper = Housekeeper(
            self.clock,
            lambda job: maybeDeferred(job),
            lambda: self.now,
            lambda: (self.settings, self.quarantine),
            self.send,
            Log("test", stream=self.output),
            self,
        )

    def send(self, envelope: Envelope, message: bytes) -> Deferred[bool]:
        assert envelope.sender.line == b"<>"
        if self.takes:
            self.sent.append(([path.address for path in envelope.recipients], message))
        return succeed(self.takes)

    def expired(self, messages: int) -> None:
        self.gone.append(messages)

    def digested(self, sent: bool) -> None:
        self.told.append(sent)

    def round(self, now: float) -> None:
        self.now = now + SETTLED
        failures: list[object] = []
        Deferred.fromCoroutine(self.housekeeper.round()).addErrback(failures.append)
        assert failures == []

    @property
    def subjects(self) -> list[str]:
        return [message_from_bytes(data, policy=default)["Subject"] for _, data in self.sent]


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_what_was_kept_long_enough_is_deleted_and_nothing_else(tmp_path):
    old = put(tmp_path, NOW - KEEP - 1, "r@y.example")
    exact = put(tmp_path, NOW - KEEP, "r@y.example")
    young = put(tmp_path, NOW - KEEP + 2, "r@y.example")
    strange = tmp_path / "strange.mail"
    strange.write_bytes(b"")
    assert expire(tmp_path, KEEP, NOW) == [old, exact]
    assert sorted(tmp_path.iterdir()) == sorted([young, strange])


def test_what_is_just_being_released_is_not_deleted(tmp_path):
    old = put(tmp_path, NOW - KEEP - 1, "r@y.example")
    with locked(old):
        assert expire(tmp_path, KEEP, NOW) == []
    assert expire(tmp_path, KEEP, NOW) == [old]


@pytest.mark.parametrize("name", ["x.mail", "20269999T000000Z-x.mail", "20261122T020000-x.mail", ".mail"])
def test_a_name_that_tells_no_moment(name):
    assert came(Path(name)) is None


def test_the_moment_is_in_the_name():
    assert came(Path(f"{stamp(NOW + 0.5)}-x.mail")) == NOW + 0.5
    assert came(Path("20261122T020000Z-x.mail")) == NOW


@pytest.mark.parametrize(
    ("last", "hour", "expected"),
    [(NOW, 6, NOW + 4 * 3600), (NOW, 2, NOW + DAY), (NOW, 1, NOW + 23 * 3600), (NOW - 1, 2, NOW)],
)
def test_the_hour_of_the_day(last, hour, expected):
    assert due(last, hour) == expected


def test_a_day_of_another_length_has_its_hour_too(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    before = time.mktime((2026, 10, 24, 6, 0, 0, 0, 0, -1))
    assert due(before, 6) - before == 25 * 3600


def test_one_digest_a_day_and_domain_to_its_administrators(scene):
    put(scene.folder, NOW - DAY, "r@inst.example", name="1" * 13)
    scene.round(NOW)
    assert scene.sent == []  # made for the first time: nothing was promised of what is there
    put(scene.folder, NOW + 3600, "r@inst.example", "q@INST.example", "d@dep.example", name="2" * 13)
    put(scene.folder, NOW + 7200, "r@lonely.example", "x@not-ours.example", "broken", name="3" * 13)
    put(scene.folder, NOW + 7201, "r@inst.example", name="4" * 13)
    scene.round(NOW + 4 * 3600 - 1)
    assert scene.sent == []
    scene.round(NOW + 4 * 3600)
    assert [to for to, _ in scene.sent] == [["d@dep.example"], ["a@inst.example", "b@else.example"]]
    assert scene.subjects == [
        "Quarantine of mx.gw.example: 1 message for dep.example",
        "Quarantine of mx.gw.example: 2 messages for inst.example",
    ]
    text = scene.sent[1][1].decode()
    assert "r@inst.example, q@INST.example" in text
    # Who reads for one domain does not learn of another's.
    assert "dep.example" not in text
    for later in (5, 23, 27):
        scene.round(NOW + later * 3600)
    assert len(scene.sent) == 2
    scene.round(NOW + 28 * 3600)
    assert len(scene.sent) == 2  # nothing new
    assert scene.told == [True, True]
    assert "quarantine-digest domain=inst.example new=2 ending=0 readers=2" in scene.output.getvalue()


def test_a_message_is_named_once_more_before_its_end(scene):
    scene.round(NOW)
    put(scene.folder, NOW + 60, "r@inst.example")
    day = NOW + 4 * 3600
    while day < NOW + 31 * DAY:
        scene.round(day)
        day += DAY
    assert len(scene.sent) == 2
    assert b"New since the last digest: 1" in scene.sent[0][1]
    assert b"Deleted soon, and named before: 1" in scene.sent[1][1]
    assert not list(scene.folder.glob("*.mail"))
    assert sum(scene.gone) == 1


@pytest.mark.parametrize("keep", ["1h", "1d", "3d", "4d"])
def test_what_is_kept_for_a_short_time_is_named_at_least_once(tmp_path, keep):
    scene = Scene(tmp_path, f", keep: {keep}")
    scene.round(NOW)
    put(scene.folder, NOW + 4 * 3600 - 60, "r@inst.example")
    for day in range(6):
        scene.round(NOW + 4 * 3600 + day * DAY)
    assert 1 <= len(scene.sent) <= 2


def test_a_digest_that_postfix_does_not_take_is_tried_again(scene):
    scene.round(NOW)
    put(scene.folder, NOW + 60, "r@inst.example", "d@dep.example")
    scene.takes = False
    scene.round(NOW + 4 * 3600)
    scene.round(NOW + 4 * 3600 + 600)
    assert scene.told == [False] * 4
    scene.takes = True
    scene.round(NOW + 4 * 3600 + 1200)
    assert len(scene.sent) == 2
    scene.round(NOW + 4 * 3600 + 1800)
    assert len(scene.sent) == 2


def test_what_is_still_on_its_way_into_the_folder_is_told_the_next_day(scene):
    scene.round(NOW)
    scene.round(NOW + 4 * 3600)
    put(scene.folder, NOW + 4 * 3600 + 1, "r@inst.example")
    scene.round(NOW + 4 * 3600 + 600)
    assert scene.sent == []
    scene.round(NOW + 28 * 3600)
    assert len(scene.sent) == 1


def test_days_without_postfix_or_daemon_make_one_digest(scene):
    scene.round(NOW)
    put(scene.folder, NOW + 60, "r@inst.example")
    scene.takes = False
    scene.round(NOW + 4 * 3600)
    put(scene.folder, NOW + 2 * DAY, "r@inst.example")
    scene.takes = True
    scene.round(NOW + 5 * DAY)
    assert len(scene.sent) == 1
    assert b"New since the last digest: 2" in scene.sent[0][1]


def test_killed_in_between_nobody_is_forgotten_and_nobody_told_all_over(scene, monkeypatch):
    scene.round(NOW)
    put(scene.folder, NOW + 60, "r@inst.example", "d@dep.example")
    send, killed = scene.send, []

    def dies_at_the_second(envelope: Envelope, message: bytes) -> Deferred[bool]:
        if scene.sent:
            killed.append(True)
            raise SystemError
        return send(envelope, message)

    monkeypatch.setattr(scene.housekeeper, "_send", dies_at_the_second)
    scene.now = NOW + 4 * 3600 + SETTLED
    failures: list[object] = []
    Deferred.fromCoroutine(scene.housekeeper.round()).addErrback(failures.append)
    assert killed
    assert failures
    monkeypatch.setattr(scene.housekeeper, "_send", send)
    scene.round(NOW + 4 * 3600 + 600)
    assert [to[0] for to, _ in scene.sent] == ["d@dep.example", "a@inst.example"]


def test_digests_can_be_off(tmp_path):
    scene = Scene(tmp_path, ", digest: false")
    put(scene.folder, NOW - 60, "r@inst.example")
    put(scene.folder, NOW - KEEP - 60, "r@inst.example")
    for day in range(3):
        scene.round(NOW + day * DAY)
    assert scene.sent == []
    assert not (scene.folder / STATE).exists()
    assert scene.gone == [1, 0, 0]


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"until": "x", "late": {}}', '{"until": 1, "late": []}', "\xff"]
)
def test_a_damaged_state_is_none(scene, content):
    (scene.folder / STATE).write_text(content, "latin-1")
    assert State.read(scene.folder) == State()
    scene.round(NOW)
    assert State.read(scene.folder) == State(NOW)


def test_a_disk_in_trouble_is_said_and_ends_nothing(scene):
    scene.folder.rename(scene.folder.parent / "away")
    scene.housekeeper.start()
    scene.clock.advance(FIRST)
    assert "quarantine-housekeeping-failed" in scene.output.getvalue()
    (scene.folder.parent / "away").rename(scene.folder)
    put(scene.folder, NOW - KEEP - 1, "r@inst.example")
    scene.clock.advance(INTERVAL)
    assert scene.gone == [1]
    scene.housekeeper.stop()
    assert scene.clock.getDelayedCalls() == []


def test_a_damaged_file_is_left_out(scene):
    scene.round(NOW)
    path = put(scene.folder, NOW + 60, "r@inst.example")
    path.write_bytes(b"garbage")
    put(scene.folder, NOW + 61, "r@inst.example", recipients="no list", size="x", reason=None)
    put(scene.folder, NOW + 62, "r@inst.example")
    scene.round(NOW + 4 * 3600)
    assert scene.subjects == ["Quarantine of mx.gw.example: 1 message for inst.example"]


def test_the_measure_is_taken(scene):
    put(scene.folder, NOW, "r@inst.example")
    scene.round(NOW)
    assert scene.quarantine.usage.messages == 1


def kept(number: int = 0, **about: object) -> Kept:
    fields = {
        "id": f"{number:013}",
        "arrived": NOW,
        "expires": NOW + KEEP,
        "sender": "s@x.example",
        "recipients": ("r@inst.example",),
        "size": 34_000,
        "reason": 'The attachment "notes.txt" contains a macro (program code).',
        **about,
    }
    return Kept(**fields)  # type: ignore[arg-type]


PEOPLE = (Person("A", "a@inst.example"), Person("Ä", "b@inst.example"), Person("A", "a@inst.example"))
GATEWAY = Gateway("mx.gw.example", "postmaster@mx.gw.example", "https://help.example")


def test_the_digest_is_a_mail_that_starts_no_loop():
    envelope, data = compose("inst.example", Digest([kept()]), PEOPLE, GATEWAY, NOW)
    assert (envelope.sender.address, envelope.sender.line) == ("", b"<>")
    assert [path.line for path in envelope.recipients] == [b"<a@inst.example>", b"<b@inst.example>"]
    message = message_from_bytes(data, policy=default)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "Mail gateway <postmaster@mx.gw.example>"
    assert message["To"] == "a@inst.example, b@inst.example"
    assert message.get_content_type() == "text/plain"
    assert not message.defects
    text = message.get_content()
    for line in (
        "id        0000000000000",
        "came      2026-11-22 02:00 +0000, deleted 2026-12-22 02:00 +0000",
        "from      s@x.example",
        "to        r@inst.example",
        "size      33 KiB",
        "contentfilter quarantine release ID",
        "by its id (https://help.example):",
    ):
        assert line in text
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_nothing_from_outside_adds_a_line_or_an_octet_of_its_own():
    evil = "a\r\n.\r\nMAIL FROM:<x>\r\n\x1b[31m\udcff ä" + "x" * 5000
    digest = Digest([kept(sender=evil, recipients=(evil,) * 1000, reason=evil, id=evil)])
    _, data = compose("inst.example", digest, PEOPLE, GATEWAY, NOW)
    lines = data.split(b"\r\n")
    assert max(map(len, lines)) < 998
    assert len(lines) < 40
    assert b"." not in lines
    assert all(32 <= octet < 127 for line in lines for octet in line)


def test_a_thousand_messages_are_counted_and_some_listed():
    digest = Digest([kept(number) for number in range(1000)])
    _, data = compose("inst.example", digest, PEOPLE, GATEWAY, NOW)
    assert data.count(b"\r\nid ") == MAX_LISTED
    assert b"and 800 more." in data
    assert b"1000 messages" in data


def test_who_reads(scene):
    registry = scene.settings.registry
    assert [person.email for person in readers(registry, "sub.inst.example")] == [
        "a@inst.example",
        "b@else.example",
    ]
    assert [person.email for person in readers(registry, "dep.example")] == ["d@dep.example"]
    # A machine's own mail goes to its server.
    assert [person.email for person in readers(registry, "printer.dep.example")] == ["d@dep.example"]
    assert [person.email for person in readers(registry, "mail.dep.example")] == ["d@dep.example"]
    assert readers(registry, "lonely.example") == readers(registry, "not-ours.example") == ()


def test_collecting_ten_thousand_reads_only_what_is_told(tmp_path, monkeypatch):
    for number in range(300):
        put(tmp_path, NOW - 10 * DAY + number, "r@inst.example", name=f"{number:013}")
    put(tmp_path, NOW + 1, "r@inst.example")
    opened = []
    monkeypatch.setattr(
        "builtins.open", lambda *args, real=open, **more: opened.append(args) or real(*args, **more)
    )
    digests = collect(tmp_path, KEEP, NOW, NOW + DAY)
    assert len(digests["inst.example"].new) == 1
    assert len(opened) == 1
    assert AHEAD < KEEP
    assert os.listdir(tmp_path)


def test_settings_are_bounded():
    assert QuarantineSettings().keep == KEEP
