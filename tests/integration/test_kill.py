"""kill -9 of contentfilter with 200 mails in flight: none is lost, only the last window's come twice.

Two taps hold the mails at chosen points: one between Postfix and contentfilter keeps back the end-of-data
(the mail is in DATA), the other, between contentfilter and the reinjection port, keeps back Postfix's 250 to
a mail that it has queued already. Of some mails the second tap keeps back contentfilter's own end-of-data, so
that nobody has them yet but the client and, in memory, contentfilter.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired
from postwarden.sandbox.tap import Tap
from postwarden.sandbox.waiting import wait_until

COUNT = 200
IN_DATA = 80
"""Mails whose end-of-data is held back before contentfilter."""
IN_HAND = 60
"""Mails whose end-of-data is held back behind it; of all others it is Postfix's 250."""
SETTINGS = {
    "contentfilter": {"workers": {"backlog": 1000}},
    # A user who sends as much at once is told of, by a mail of the gateway's own.
    "policyd": {"outgoing": {"enabled": False}},
}


class Scene:
    """A gateway with taps on both sides of contentfilter, for one wiring."""

    def __init__(self, folder: Path, after_queue: bool) -> None:
        many = str(COUNT)
        main = {
            "default_process_limit": str(COUNT + 50),
            # One mail to a connection, so that a tap's connections are mails.
            "lmtp_connection_cache_on_demand": "no",
            "filter-lmtp_destination_concurrency_limit": many,
            "filter-lmtp_initial_destination_concurrency": many,
            "initial_destination_concurrency": many,
            "default_destination_concurrency_negative_feedback": "0",
            "default_destination_concurrency_failed_cohort_limit": "0",
            "filter-lmtp_destination_concurrency_failed_cohort_limit": "0",
            "transport_retry_time": "1s",
            "smtp_destination_concurrency_limit": "20",
            "qmgr_message_active_limit": "20000",
        }
        self.gateway = Gateway(folder, settings=SETTINGS, postfix_main=main, concurrency=COUNT + 20)
        ports = self.gateway.ports
        target = ports.after_lmtp if after_queue else ports.before
        back = ports.reinject_after if after_queue else ports.reinject_before
        self.front = Tap(target, hold_end=lambda number: number < IN_DATA)
        self.back = Tap(
            back, hold_end=lambda number: number < IN_HAND, hold_reply=lambda number: number >= IN_HAND
        )
        if after_queue:
            rewired = Rewired(after_lmtp=self.front.port, reinject_after=self.back.port)
        else:
            rewired = Rewired(before=self.front.port, reinject_before=self.back.port)
        # The filter may ask the reinjection port about itself when it starts; let that pass.
        self.front.open_gate()
        self.back.open_gate()
        self.gateway.start(rewired)
        self.front.shut_gate()
        self.back.shut_gate()

    def close(self) -> None:
        self.front.close()
        self.back.close()
        self.gateway.close()


@pytest.fixture
def scene(real_postfix, tmp_path):
    made: list[Scene] = []

    def make(after_queue: bool) -> Scene:
        made.append(Scene(tmp_path, after_queue))
        return made[-1]

    yield make
    for each in made:
        each.close()


def submit(port: int, marks: list[str], **identity: str) -> None:
    """Hand all mails to a queueing Postfix, over a few connections."""

    def some(share: list[str]) -> None:
        with Dialogue(port, timeout=60.0) as dialogue:
            if identity:
                dialogue.xclient(**identity)
            dialogue.hello()
            for mark in share:
                outcome = dialogue.send(
                    f"ada@{registered.DOMAIN}", ["c@elsewhere.example"], samples.mail(mark)
                )
                assert outcome.code == 250, outcome

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, [marks[start::4] for start in range(4)]))


def kill_in_flight_and_restart(scene: Scene) -> int:
    """Wait until all mails are held, kill contentfilter, start it again; returns how many 10025 had taken."""
    front, back = scene.front, scene.back
    wait_until(
        lambda: front.ends_held + back.ends_held + back.replies_held >= COUNT,
        90.0,
        "all mails are in flight",
        lambda: (
            f"{front.ends_held} in DATA, {back.ends_held} in hand, {back.replies_held} after 250,"
            f" {front.connections} connections, {scene.gateway.contentfilter.tail(600)}"
        ),
    )
    assert front.ends_held == IN_DATA
    assert back.ends_held == IN_HAND
    window = scene.back.replies_held
    process = scene.gateway.contentfilter
    group = process.pid
    process.signal(signal.SIGKILL)
    wait_until(lambda: not members(group), 10.0, "the workers end with their daemon", lambda: members(group))
    process.kill()
    scene.front.open_gate()
    scene.back.open_gate()
    scene.gateway.start_contentfilter()
    return window


def members(group: int) -> list[str]:
    """Living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(path.parent.name)
    return found


def judge(scene: Scene, marks: list[str], window: int) -> None:
    sink = scene.gateway.sink
    arrived = Counter(mail.field("Message-ID").strip("<>").partition("@")[0] for mail in sink.deliveries())
    lost = [mark for mark in marks if not arrived[mark]]
    assert not lost, f"{len(lost)} of {len(marks)} mails are lost"
    extra = sum(arrived[mark] - 1 for mark in marks)
    assert extra <= window, f"{extra} duplicates, but only {window} mails were in the window"
    assert max(arrived[mark] for mark in marks) <= 2
    for mail in sink.deliveries():
        mark = mail.field("Message-ID").strip("<>").partition("@")[0]
        assert mail.data.endswith(samples.mail(mark))


def test_before_queue_with_a_queueing_client(scene, mark):
    stage = scene(after_queue=False)
    sender, port = stage.gateway.queueing_sender(
        "outside", stage.gateway.ports.mx, registered.QUEUEING_SYSTEM
    )
    marks = [f"{mark}-{number}-" for number in range(COUNT)]
    submit(port, marks)
    window = kill_in_flight_and_restart(stage)
    sender.wait_empty(60.0)
    stage.gateway.postfix.wait_empty(60.0)
    judge(stage, marks, window)


def test_after_queue(scene, mark):
    stage = scene(after_queue=True)
    marks = [f"{mark}-{number}-" for number in range(COUNT)]
    submit(stage.gateway.ports.submission, marks, addr=registered.SYSTEM, login="ada")
    window = kill_in_flight_and_restart(stage)
    stage.gateway.postfix.wait_empty(60.0)
    judge(stage, marks, window)


def test_policyd_killed_loses_at_most_its_last_moment(gateway, outside, mark):
    """A triplet that was deferred a second before the kill is known after the restart."""
    recipient = f"{mark}@{registered.DOMAIN}"
    assert outside.mx(samples.mail(mark), recipient, client="198.51.100.200").code == 450
    time.sleep(1.2)  # the delay must be over, and the group commit with it
    gateway.policyd.kill()
    gateway.start_policyd()
    assert outside.mx(samples.mail(mark), recipient, client="198.51.100.200").code == 250
