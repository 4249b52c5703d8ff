"""Whether mail can be taken: what is asked, in which order, and which engine's absence lets mail wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from contentfilter.readiness import Readiness
from mailbase.config import loads

CLAMD = "the virus engine clamd does not answer, or misses the test virus"
RSPAMD = "the spam engine rspamd does not answer"


class Rig:
    """A filter that can take mail."""

    def __init__(self) -> None:
        self.pool: Any = SimpleNamespace(able=True)
        self.signing: Any = SimpleNamespace(problem=lambda: "")
        self.engines: Any = SimpleNamespace(active=(engine("clamd"),), spam=(engine("rspamd"),))
        self.ports: list[Any] = [SimpleNamespace(ready=True, address="127.0.0.1:10025")]
        self.configure("engine-failed: defer, spam-engine-failed: defer")

    def configure(self, unscanned: str, flows: tuple[str, ...] = ()) -> None:
        every = ("inbound", "outbound", "submission", "upstream")
        tables = ", ".join(f"{flow}: {{unscanned: {{{unscanned}}}}}" for flow in flows or every)
        self.settings = loads(f"flows: {{{tables}}}")

    @property
    def problem(self) -> str:
        readiness = Readiness(self.pool, self.signing, self.engines, self.ports, lambda: self.settings)
        return readiness.problem()


def engine(name: str, *seats: bool) -> Any:
    """One at which these can be used."""
    return SimpleNamespace(name=name, seats=[SimpleNamespace(usable=usable) for usable in seats or (True,)])


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_mail_can_be_taken(rig: Rig) -> None:
    assert rig.problem == ""


def test_the_first_thing_that_is_missing_is_told(rig: Rig) -> None:
    rig.engines.spam = (engine("rspamd", False),)
    assert rig.problem == RSPAMD
    rig.engines.active = (engine("clamd", False),)
    assert rig.problem == CLAMD
    rig.ports.append(SimpleNamespace(ready=False, address="127.0.0.1:10028"))
    assert rig.problem == "the reinjection port 127.0.0.1:10028 has not answered yet"
    rig.signing.problem = lambda: "no signer is ready"
    assert rig.problem == "no signer is ready"
    rig.pool.able = False
    assert rig.problem == "no scan worker is ready"


def test_of_several_seats_one_is_enough(rig: Rig) -> None:
    rig.engines.active = (engine("clamd", False, True),)
    assert rig.problem == ""


def test_an_engine_is_missed_only_where_no_mail_goes_on_without_it(rig: Rig) -> None:
    rig.engines = SimpleNamespace(active=(engine("clamd", False),), spam=(engine("rspamd", False),))
    rig.configure("engine-failed: tag, spam-engine-failed: tag")
    assert rig.problem == ""
    rig.configure("engine-failed: defer, spam-engine-failed: tag")
    assert rig.problem == CLAMD
    rig.configure("engine-failed: tag, spam-engine-failed: defer")
    assert rig.problem == RSPAMD
    # In the other flows it waits: some mail goes on.
    rig.configure("engine-failed: tag", ("outbound",))
    assert rig.problem == ""
