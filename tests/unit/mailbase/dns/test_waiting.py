"""How long who asks the resolver waits, and how many can."""

from __future__ import annotations

import gc

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailbase.config.dns import DnsSettings
from mailbase.dns import Answer, BadName, NxDomain, Record, RecordType, Temporary, TimedOut

from .scene import FOUND, ONE, TWO, A, Scene


def test_nobody_waits_longer_than_the_deadline_of_a_look_up() -> None:
    scene = Scene(timeout=1.0, deadline=5.0)
    scene.alive = True
    result = scene.ask()
    scene.pass_time(4.9)
    assert not result
    assert not scene.downs
    scene.pass_time(0.2)
    assert isinstance(result[0], TimedOut)
    assert all(one.closed for one in scene.questions)
    assert scene.metrics.answers["spf", "timeout"] == 1


def test_a_deadline_ends_the_waiting_and_not_the_look_up() -> None:
    scene = Scene()
    early = scene.ask(deadline=scene.clock.seconds() + 0.5)
    late = scene.ask(deadline=scene.clock.seconds() + 2)
    scene.clock.advance(0.5)
    assert isinstance(early[0], TimedOut)
    assert not late
    scene.sent[0].reply(A)
    assert late == [FOUND]
    assert scene.ask() == [FOUND]
    assert not scene.clock.getDelayedCalls()


@pytest.mark.parametrize("ahead", [-3600.0, 1_700_000_000.0])
def test_a_deadline_is_by_the_clock_of_who_asks(ahead: float) -> None:
    scene = Scene()
    scene.ahead = ahead
    result = scene.ask(deadline=scene.clock.seconds() + ahead + 0.5)
    scene.clock.advance(0.49)
    assert not result
    scene.clock.advance(0.01)
    assert isinstance(result[0], TimedOut)


def test_a_deadline_that_has_passed_still_warms_the_memory() -> None:
    scene = Scene()
    assert isinstance(scene.ask(deadline=scene.clock.seconds())[0], TimedOut)
    scene.sent[0].reply(A)
    assert scene.ask(deadline=0.0) == [FOUND]


def test_who_cancels_only_leaves() -> None:
    scene = Scene()
    answer = scene.resolver.ask("a.example", RecordType.A, consumer="spf", deadline=1001.0)
    other = scene.ask()
    assert isinstance(answer, Deferred)
    failures: list[object] = []
    answer.addErrback(lambda failure: failures.append(failure.trap(CancelledError)))
    answer.cancel()
    scene.sent[0].reply(A)
    assert failures == [CancelledError]
    assert other == [FOUND]
    assert not scene.clock.getDelayedCalls()


class Board:
    """Has places for answers; some of them are broken."""

    def __init__(self, scene: Scene, *broken: int) -> None:
        self.scene = scene
        self.broken = broken
        self.answers: dict[int, Answer[Record]] = {}

    def told(self, place: int, answer: Answer[Record]) -> None:
        if place in self.broken:
            raise RuntimeError("broken")
        assert place not in self.answers
        self.answers[place] = answer

    def ask(
        self, place: int, name: str = "a.example", deadline: float | None = None
    ) -> Answer[Record] | None:
        return self.scene.resolver.ask_for(self, place, (name, RecordType.A), "spf", deadline)


def test_who_has_a_place_for_the_answer_gets_the_same_as_who_waits_with_a_deferred() -> None:
    scene = Scene()
    board = Board(scene, 2)
    waiting = [scene.ask()]
    assert [board.ask(place) for place in (1, 2, 3)] == [None] * 3
    assert board.ask(4, "A.example.", deadline=1000.5) is None
    waiting.append(scene.ask())
    assert isinstance(board.ask(5, deadline=1000.0), TimedOut)
    assert isinstance(board.ask(6, "a..example"), BadName)
    assert len(scene.sent) == 1
    scene.clock.advance(0.5)
    assert board.answers == {4: TimedOut("no answer by the deadline")}
    scene.sent[0].reply(A)
    # One that fails keeps nobody else from his answer.
    assert waiting == [[FOUND]] * 2
    assert board.answers == {1: FOUND, 3: FOUND, 4: TimedOut("no answer by the deadline")}
    assert board.ask(7) == FOUND
    assert not scene.clock.getDelayedCalls()
    assert (scene.metrics.answers["spf", "found"], scene.metrics.answers["spf", "timeout"]) == (6, 2)
    assert scene.metrics.answers["spf", "bad-name"] == 1
    with pytest.raises(KeyError):
        scene.resolver.ask_for(board, 8, ("x.example", RecordType.A), "nobody")


def test_the_end_tells_who_has_a_place_for_the_answer() -> None:
    scene = Scene()
    board = Board(scene)
    board.ask(1, deadline=2000.0)
    scene.resolver.stop()
    assert isinstance(board.answers[1], Temporary)
    assert not scene.clock.getDelayedCalls()


def test_look_ups_under_way_and_waiting_are_bounded() -> None:
    scene = Scene(in_flight=2, backlog=3)
    results = [scene.ask(f"n{number}.example") for number in range(6)]
    assert len(scene.sent) == 2
    assert isinstance(results[5][0], Temporary)
    assert scene.metrics.overloads == 1
    assert (scene.metrics.now().in_flight, scene.metrics.now().waiting) == (2, 3)
    for number in range(5):
        scene.sent[number].reply(rcode=3)
    assert [type(result[0]) for result in results[:5]] == [NxDomain] * 5
    assert (scene.metrics.now().in_flight, scene.metrics.now().waiting) == (0, 0)


def test_who_waits_for_a_turn_waits_no_longer_than_the_deadline() -> None:
    scene = Scene(in_flight=1, backlog=5, timeout=2.0, deadline=2.0)
    scene.ask("slow.example")
    waiting = scene.ask("b.example")
    scene.clock.advance(1.0)
    behind = scene.ask("c.example")
    scene.clock.advance(1.0)
    assert isinstance(waiting[0], TimedOut)
    assert not behind
    scene.pass_time(1.1)
    assert isinstance(behind[0], TimedOut)


def test_a_shorter_deadline_holds_for_who_comes_after_the_reload() -> None:
    terms = {"in_flight": 1, "backlog": 5, "timeout": 2.0}
    scene = Scene(deadline=4.0, **terms)
    scene.ask("slow.example")
    before = scene.ask("b.example")
    scene.resolver.reconfigure([ONE], DnsSettings(deadline=2.0, **terms))
    after = scene.ask("c.example")
    scene.pass_time(2.1)
    assert isinstance(after[0], TimedOut)
    assert not before
    scene.pass_time(2.0)
    assert isinstance(before[0], TimedOut)


def test_who_is_told_that_his_turn_did_not_come_may_stop_the_resolver() -> None:
    terms = {"in_flight": 1, "backlog": 5, "timeout": 1.5}
    scene = Scene(deadline=4.0, **terms)
    scene.ask("slow.example")
    # Their time ends while it is still under way.
    scene.resolver.reconfigure([ONE], DnsSettings(deadline=2.0, **terms))
    first = scene.resolver.ask("b.example", RecordType.A, consumer="spf")
    assert isinstance(first, Deferred)
    first.addCallback(lambda answer: scene.resolver.stop())
    results = [scene.ask(f"n{number}.example") for number in range(3)]
    scene.pass_time(2.1)
    assert all(len(result) == 1 for result in results)
    assert not scene.clock.getDelayedCalls()


def test_a_long_queue_that_fails_at_once_is_no_recursion() -> None:
    scene = Scene(in_flight=1, backlog=5000)
    results = [scene.ask(f"n{number}.example") for number in range(5000)]
    scene.error = OSError(24, "Too many open files")
    scene.sent[0].reply(rcode=3)
    assert all(isinstance(result[0], Temporary) for result in results[1:])


def test_waiters_of_one_look_up_are_bounded() -> None:
    scene = Scene(backlog=3)
    results = [scene.ask() for _ in range(6)]
    assert isinstance(results[5][0], Temporary)
    assert scene.metrics.overloads >= 1


def test_the_end_tells_who_waits_and_leaves_nothing_behind() -> None:
    scene = Scene(in_flight=1)
    results = [scene.ask("a.example"), scene.ask("b.example", deadline=1002.0)]
    scene.pass_time(1.0)
    scene.resolver.stop()
    assert [type(result[0]) for result in results] == [Temporary, Temporary]
    assert isinstance(scene.ask("c.example")[0], Temporary)
    assert not scene.clock.getDelayedCalls()
    assert all(one.closed for one in scene.sent)


def test_other_settings_are_put_in_force_without_losing_what_is_under_way() -> None:
    scene = Scene()
    result = scene.ask()
    terms = DnsSettings(min_ttl=60.0)
    scene.resolver.reconfigure([TWO], terms)
    scene.sent[0].reply(A)
    assert result == [FOUND]
    scene.ask("b.example")
    assert scene.sent[-1].server == TWO
    before = scene.resolver.upstreams
    scene.resolver.reconfigure([TWO], terms)
    assert scene.resolver.upstreams is before


def test_what_is_over_needs_no_cycle_collector() -> None:
    scene = Scene()
    gc.collect()
    gc.disable()
    try:
        for number in range(50):
            scene.ask(f"n{number}.example")
            scene.sent.pop().reply(rcode=3)
            Board(scene).ask(1, f"b{number}.example")
            scene.sent.pop().reply(rcode=3)
            left = scene.resolver.ask(f"c{number}.example", RecordType.A, consumer="spf")
            assert isinstance(left, Deferred)
            left.addErrback(lambda failure: None)
            left.cancel()
            scene.sent.pop().reply(rcode=3)
        del left
        assert gc.collect() < 50
    finally:
        gc.enable()
