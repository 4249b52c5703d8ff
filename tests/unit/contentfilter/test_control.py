"""The verbs of contentfilter's control socket."""

from __future__ import annotations

import io
from typing import Any

import pytest

from contentfilter.control import Verbs
from contentfilter.quarantine.commands import VERB
from mailbase.control import ControlError
from mailbase.counting import Counter
from mailbase.logs import Log
from mailbase.metrics import new_registry
from mailbase.report import TAKEN_OUT
from mailbase.store.recent import Recent

ID = "0g8p2k4x6c1zq"


class Bench:
    def __init__(self) -> None:
        self.measured = 0
        self.told: list[tuple[str, str, str]] = []
        self.output = io.StringIO()
        self.registry = new_registry("contentfilter")
        removed = Counter("removed", "Mails.", ["how"], registry=self.registry)
        log = Log("contentfilter", stream=self.output)
        pool: Any = None
        verbs = Verbs(pool, lambda: "", Recent(1), log, removed, self.measure, self.tell)
        self.take_out: Any = verbs.table()[VERB]

    def measure(self) -> None:
        self.measured += 1

    def tell(self, *told: str) -> None:
        self.told.append(told)  # type: ignore[arg-type]


@pytest.mark.parametrize("event", TAKEN_OUT)
def test_what_a_command_takes_out_is_counted_and_the_quarantine_measured_again(event: str) -> None:
    bench = Bench()
    assert bench.take_out({"event": event, "id": "x", "by": "ada"}) == {}
    assert bench.registry.get_sample_value("removed_total", {"how": event}) == 1
    assert bench.measured == 1
    assert f"event=quarantine-{event}" in bench.output.getvalue()


def test_an_event_that_nobody_knows_changes_nothing() -> None:
    bench = Bench()
    with pytest.raises(ControlError, match="expected an event"):
        bench.take_out({"event": "stolen"})
    assert (bench.measured, bench.output.getvalue()) == (0, "")


def test_what_became_of_it_is_told_to_policyd_unless_it_has_no_id() -> None:
    bench = Bench()
    reply = "250 2.0.0 Ok: queued as 4XyzAB12cd"
    bench.take_out({"event": "released", "id": ID, "reply": reply})
    bench.take_out({"event": "deleted", "id": ID})
    bench.take_out({"event": "deleted", "id": "None"})
    assert bench.told == [(ID, "released", reply), (ID, "deleted", "")]
    assert f'reply="{reply}"' in bench.output.getvalue()
