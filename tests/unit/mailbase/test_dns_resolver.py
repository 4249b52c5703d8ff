"""The resolver without sockets: who is asked when, what is remembered, and what each trouble ends as."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field

import dns.message
import dns.rrset
import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from mailbase.config.dns import DnsSettings
from mailbase.dns import (
    Answer,
    BadName,
    CachingResolver,
    DnsMetrics,
    Found,
    Mx,
    NoData,
    NxDomain,
    Record,
    RecordType,
    Temporary,
    TimedOut,
)
from mailbase.dns.exchange import Address, Listener
from mailbase.dns.lookup import MAX_FOREIGN, MAX_TRIES
from mailbase.dns.upstreams import FIRST_PROBE, LAST_PROBE

ONE, TWO = Address("192.0.2.1"), Address("192.0.2.2")
ROOT = "."


@dataclass(eq=False)
class Sent:
    """A packet that went out, and what the test lets come back."""

    server: Address
    packet: bytes
    listener: Listener
    tcp: bool = False
    closed: bool = False
    message: dns.message.Message = field(init=False)

    def __post_init__(self) -> None:
        self.message = dns.message.from_wire(self.packet)

    @property
    def name(self) -> str:
        return self.message.question[0].name.to_text()

    def leave(self, number: bytes) -> None:
        assert number == self.packet[:2]
        self.closed = True

    def reply(self, *records: str, rcode: int = 0, soa: int | None = None, tc: bool = False, number=None):
        answer = dns.message.make_response(self.message)
        answer.set_rcode(rcode)
        for record in records:
            answer.answer.append(
                dns.rrset.from_text(*record.split(maxsplit=4)[:4], record.split(maxsplit=4)[4])
            )
        if soa is not None:
            text = f"ns.example. h.example. 1 2 3 4 {soa}"
            answer.authority.append(dns.rrset.from_text("example.", 3600, "IN", "SOA", text))
        if tc:
            answer.flags |= dns.flags.TC
        if number is not None:
            answer.id = number
        self.listener.heard(answer.to_wire())


class Scene:
    """A resolver, its clock, and the network as a list."""

    def __init__(self, *servers: Address, consumers=("spf", "dnsbl"), **settings: object) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.sent: list[Sent] = []
        self.error: OSError | None = None
        self.refusing = False
        self.alive = False
        """Whether probes are answered, so that only names are slow."""
        self.downs: list[tuple[Address, bool]] = []
        self.metrics = DnsMetrics(consumers)
        self.resolver = CachingResolver(
            self.clock,
            self,
            servers or (ONE,),
            DnsSettings(**settings),
            self.metrics,
            lambda server: self.downs.append((server.address, server.down)),
        )

    def datagram(self, server, packet, listener):
        if self.error:
            raise self.error
        one = Sent(server, packet, listener)
        self.sent.append(one)
        if self.alive and one.name == ROOT:
            self.clock.callLater(0.01, lambda: one.closed or one.reply())
        if self.refusing:
            self.clock.callLater(0.001, lambda: one.closed or listener.lost("Connection refused"))
        return one

    def stream(self, server, packet, listener, timeout):
        self.sent.append(Sent(server, packet, listener, tcp=True))
        return self.sent[-1]

    def ask(self, name="a.example", rdtype=RecordType.A, consumer="spf", deadline=None):
        answer = self.resolver.ask(name, rdtype, consumer=consumer, deadline=deadline)
        result: list[Answer[Record]] = []
        if isinstance(answer, Deferred):
            answer.addCallback(result.append)
        else:
            result.append(answer)
        return result

    @property
    def questions(self) -> list[Sent]:
        """What was asked for somebody, without the probes."""
        return [one for one in self.sent if one.name != ROOT]

    @property
    def probes(self) -> list[Sent]:
        return [one for one in self.sent if one.name == ROOT]

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))


A = "a.example. 300 IN A 192.0.2.9"
FOUND = Found((bytes([192, 0, 2, 9]),), 300, "a.example")


def test_the_second_time_it_is_in_memory_until_its_ttl_ends() -> None:
    scene = Scene()
    first = scene.ask()
    assert not first
    scene.sent[0].reply(A)
    assert first == [FOUND]
    assert scene.sent[0].closed
    scene.clock.advance(299)
    assert scene.ask() == [FOUND]
    assert scene.resolver.cached("a.example", RecordType.A) == FOUND
    assert scene.resolver.cached("A.Example.", RecordType.A) == FOUND
    scene.clock.advance(1)
    assert scene.resolver.cached("a.example", RecordType.A) is None
    assert scene.ask() == []
    assert len(scene.sent) == 2


def test_names_are_compared_without_case_and_last_dot() -> None:
    scene = Scene()
    scene.ask("A.EXAMPLE.")
    scene.ask("a.example")
    assert [one.name for one in scene.sent] == ["a.example."]


def test_many_who_ask_the_same_share_one_look_up() -> None:
    scene = Scene()
    results = [scene.ask() for _ in range(50)] + [scene.ask(consumer="dnsbl")]
    assert len(scene.sent) == 1
    scene.sent[0].reply(A)
    assert results == [[FOUND]] * 51
    assert scene.metrics.answers["spf", "found"] == 50
    assert scene.metrics.answers["dnsbl", "found"] == 1
    assert (scene.metrics.lookups, scene.metrics.joined) == (1, 50)


@pytest.mark.parametrize("rcode", [0, 3])
def test_a_no_is_kept_as_the_soa_says_within_our_limit(rcode: int) -> None:
    kind = NxDomain if rcode else NoData
    scene = Scene(negative_ttl=100.0)
    for name, soa, ttl in (("a.example", 60, 60), ("b.example", 9999, 100), ("c.example", 0, 5)):
        result = scene.ask(name)
        scene.sent[-1].reply(rcode=rcode, soa=soa)
        assert result == [kind(ttl)]
        scene.clock.advance(ttl - 0.1)
        assert scene.resolver.cached(name, RecordType.A) == kind(ttl)
        scene.clock.advance(0.2)
        assert scene.resolver.cached(name, RecordType.A) is None


def test_a_no_without_soa_is_kept_for_the_least_time() -> None:
    scene = Scene(min_ttl=7.0)
    result = scene.ask()
    scene.sent[0].reply(rcode=3)
    assert result == [NxDomain(7.0)]


def test_records_are_kept_within_our_limits() -> None:
    scene = Scene(min_ttl=10.0, max_ttl=60.0)
    for name, ttl, kept in (("a.example", 0, 10), ("b.example", 2**31 - 1, 60), ("c.example", 2**31, 10)):
        result = scene.ask(name)
        scene.sent[-1].reply(f"{name}. 30 IN A 192.0.2.9")
        scene.resolver.forget(name)
        result = scene.ask(name)
        query = scene.sent[-1]
        answer = dns.message.make_response(query.message)
        answer.answer.append(dns.rrset.from_text(f"{name}.", 30, "IN", "A", "192.0.2.9"))
        query.listener.heard(answer.to_wire().replace((30).to_bytes(4), ttl.to_bytes(4)))
        assert result[0].ttl == kept


@pytest.mark.parametrize("rcode", [2, 5, 9])
def test_a_server_that_cannot_tell_is_passed_over_at_once_and_not_asked_again(rcode: int) -> None:
    scene = Scene(ONE, TWO)
    result = scene.ask()
    scene.sent[0].reply(rcode=rcode)
    assert [one.server for one in scene.sent] == [ONE, TWO]
    assert not result
    scene.sent[1].reply(rcode=2)
    assert isinstance(result[0], Temporary)
    assert len(scene.sent) == 2
    assert scene.metrics.packets["failed"] == 2


def test_a_failure_is_kept_for_a_short_time() -> None:
    scene = Scene(failure_ttl=5.0)
    scene.ask()
    scene.sent[0].reply(rcode=2)
    scene.clock.advance(4.9)
    assert isinstance(scene.ask()[0], Temporary)
    scene.clock.advance(0.2)
    assert scene.ask() == []
    assert len(scene.sent) == 2


def test_silence_goes_to_the_next_server_and_a_late_answer_still_counts() -> None:
    scene = Scene(ONE, TWO, timeout=1.0)
    result = scene.ask()
    scene.clock.advance(1.0)
    assert [one.server for one in scene.questions] == [ONE, TWO]
    scene.questions[0].reply(A)
    assert result == [FOUND]
    assert all(one.closed for one in scene.questions)


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


def test_truncated_means_tcp_with_the_same_server() -> None:
    scene = Scene(ONE, TWO)
    result = scene.ask()
    scene.sent[0].reply(tc=True)
    assert (scene.sent[1].tcp, scene.sent[1].server) == (True, ONE)
    assert scene.sent[0].closed
    scene.sent[1].reply(A)
    assert result == [FOUND]


def test_a_connection_that_breaks_goes_to_the_next_server() -> None:
    scene = Scene(ONE, TWO)
    result = scene.ask()
    scene.sent[0].reply(tc=True)
    scene.sent[1].listener.lost("refused")
    assert scene.questions[2].server == TWO
    scene.questions[2].reply(A)
    assert result == [FOUND]


def test_truncated_over_tcp_is_a_failure() -> None:
    scene = Scene()
    result = scene.ask()
    scene.sent[0].reply(tc=True)
    scene.sent[1].reply(tc=True)
    assert isinstance(result[0], Temporary)


@pytest.mark.parametrize("rcode", [1, 4])
def test_a_server_without_edns_is_asked_without(rcode: int) -> None:
    scene = Scene()
    result = scene.ask()
    assert scene.sent[0].message.edns == 0
    assert scene.sent[0].message.payload == 1232
    scene.sent[0].reply(rcode=rcode)
    assert scene.sent[1].message.edns == -1
    scene.sent[1].reply(A)
    assert result == [FOUND]


def test_forged_answers_are_ignored_and_a_flood_of_them_moves_to_tcp() -> None:
    scene = Scene()
    result = scene.ask()
    right = scene.sent[0].message.id
    for guess in range(MAX_FOREIGN):
        assert not scene.questions[-1].tcp
        scene.sent[0].reply("a.example. 300 IN A 203.0.113.66", number=right ^ (guess + 1))
    assert not result
    assert scene.sent[1].tcp
    scene.sent[0].reply("a.example. 300 IN A 203.0.113.66")  # the closed socket
    scene.sent[1].reply(A)
    assert result == [FOUND]
    assert scene.metrics.packets["foreign"] == MAX_FOREIGN


def test_a_guess_at_another_question_from_the_same_port_is_nobodys_business() -> None:
    scene = Scene()
    result = scene.ask()
    other = dns.message.make_response(dns.message.make_query("b.example", "A"))
    other.id = scene.sent[0].message.id ^ 1
    for _ in range(2 * MAX_FOREIGN):
        scene.sent[0].listener.heard(other.to_wire())
        scene.sent[0].listener.heard(b"")
    assert scene.metrics.packets["foreign"] == 0
    assert len(scene.sent) == 1
    scene.sent[0].reply(A)
    assert result == [FOUND]


def test_ids_differ() -> None:
    scene = Scene()
    for number in range(200):
        scene.ask(f"n{number}.example")
    assert len({one.message.id for one in scene.sent}) > 190


def test_a_dead_first_server_is_passed_over_after_its_first_silence_and_comes_back() -> None:
    scene = Scene(ONE, TWO, timeout=1.0)
    scene.ask()
    scene.clock.advance(1.0)
    scene.questions[1].reply(A)
    scene.ask("b.example")
    assert scene.questions[-1].server == TWO
    scene.questions[-1].reply(rcode=3)
    scene.pass_time(1.1)
    assert scene.downs == [(ONE, True)]
    assert {probe.server for probe in scene.probes} == {ONE}
    scene.pass_time(0.6)
    scene.probes[-1].reply(rcode=2)
    assert scene.downs == [(ONE, True), (ONE, False)]
    scene.ask("c.example")
    assert scene.questions[-1].server == ONE


def test_with_every_server_dead_it_fails_at_once_and_probes_behind() -> None:
    scene = Scene(ONE, TWO, timeout=1.0, deadline=5.0)
    first = scene.ask()
    scene.pass_time(4.2)
    # Both were silent to the question and to their probes: nobody waits for the rest of the time.
    assert isinstance(first[0], TimedOut)
    assert len(scene.downs) == 2
    asked = len(scene.questions)
    assert isinstance(scene.ask("b.example")[0], Temporary)
    assert len(scene.questions) == asked
    probes = len(scene.probes)
    scene.pass_time(60)
    assert 6 <= len(scene.probes) - probes <= 2 * 60 / LAST_PROBE + 8
    assert sum(not probe.closed for probe in scene.probes) <= 2
    while scene.probes[-1].closed:
        scene.pass_time(0.5)
    assert isinstance(scene.ask("b.example")[0], Temporary)
    scene.probes[-1].reply()
    assert scene.downs[-1][1] is False
    # The failure was no word about the name, and is not remembered.
    result = scene.ask("b.example")
    scene.questions[-1].reply("b.example. 300 IN A 192.0.2.9")
    assert isinstance(result[0], Found)


def test_a_name_that_gets_no_answer_does_not_make_the_server_a_dead_one() -> None:
    scene = Scene(timeout=1.0, deadline=5.0)
    scene.ask("dead.example")
    for number in range(10):
        scene.clock.advance(0.45)
        scene.ask(f"n{number}.example")
        scene.questions[-1].reply(rcode=3)
    assert not scene.downs
    assert not scene.probes


def test_refused_connections_fail_fast() -> None:
    scene = Scene(ONE, TWO)
    scene.refusing = True
    result = scene.ask()
    scene.pass_time(0.1)
    assert isinstance(result[0], Temporary)
    scene.pass_time(0.1)
    assert "refused" in result[0].detail
    assert len(scene.downs) == 2


def test_trouble_of_our_own_says_nothing_about_the_servers() -> None:
    scene = Scene(ONE, TWO)
    scene.error = OSError(24, "Too many open files")
    result = scene.ask()
    assert isinstance(result[0], Temporary)
    assert "Too many open files" in result[0].detail
    assert scene.metrics.packets["unsent"] == 2
    assert not scene.downs


def test_what_could_not_be_sent_after_all_goes_to_the_next_server() -> None:
    scene = Scene(ONE, TWO)
    result = scene.ask()
    scene.sent[0].listener.unsent("no buffer")
    assert scene.sent[0].closed
    assert scene.sent[1].server == TWO
    scene.sent[1].listener.unsent("no route")
    assert isinstance(result[0], Temporary)
    assert "no route" in result[0].detail
    scene.sent[1].listener.unsent("no route")  # nobody waits any more
    assert scene.metrics.packets["unsent"] == 2
    assert not scene.downs


def test_a_probe_that_could_not_be_sent_is_sent_again() -> None:
    scene = Scene(ONE)
    scene.ask()
    scene.pass_time(DnsSettings().timeout + 0.1)
    (probe,) = scene.probes
    probe.listener.unsent("no buffer")
    assert probe.closed
    scene.pass_time(FIRST_PROBE + 0.1)
    assert len(scene.probes) == 2


def test_an_answer_that_cannot_be_read_goes_to_the_next_server() -> None:
    scene = Scene(ONE, TWO)
    result = scene.ask()
    answer = dns.message.make_response(scene.sent[0].message)
    answer.answer.append(dns.rrset.from_text("a.example.", 300, "IN", "A", "192.0.2.9"))
    answer.use_edns(False)
    scene.sent[0].listener.heard(answer.to_wire()[:-1])
    assert scene.metrics.packets["broken"] == 1
    scene.sent[1].reply(A)
    assert result == [FOUND]


def test_the_number_of_tries_is_bounded() -> None:
    scene = Scene(timeout=0.1, deadline=60.0)
    scene.alive = True
    result = scene.ask()
    scene.pass_time(10)
    assert len(scene.questions) == MAX_TRIES
    assert not result
    scene.pass_time(51)
    assert isinstance(result[0], TimedOut)


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


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", ".a", "a" * 64 + ".b", "a." * 127 + "ab", "ä.de", "a\\b", "\0"]
)
def test_a_name_that_cannot_be_asked_is_an_answer(name: str) -> None:
    scene = Scene()
    assert scene.ask(name) == [BadName()]
    assert scene.resolver.cached(name, RecordType.A) == BadName()
    assert not scene.sent
    assert scene.metrics.answers["spf", "bad-name"] == 1


def test_memory_is_bounded_and_what_is_used_stays() -> None:
    scene = Scene(cache_size=20_000, in_flight=20_000)
    for number in range(200):
        if number:
            assert isinstance(scene.resolver.cached("n0.example", RecordType.A), Found)
        scene.ask(f"n{number}.example")
        scene.sent[-1].reply(f"n{number}.example. 300 IN A 192.0.2.9")
    now = scene.metrics.now()
    assert now.cached_octets <= 20_000
    assert 15 < now.cached < 29
    assert now.evicted == 200 - now.cached
    assert scene.resolver.cached("n1.example", RecordType.A) is None


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


def test_an_unknown_consumer_is_a_mistake_at_once() -> None:
    scene = Scene()
    with pytest.raises(KeyError):
        scene.ask(consumer="nobody")


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


def test_helpers_ask_in_parallel_and_fold() -> None:
    scene = Scene()
    result: list[object] = []
    Deferred.fromCoroutine(scene.resolver.addresses("a.example", consumer="spf")).addCallback(result.append)
    assert [one.message.question[0].rdtype for one in scene.sent] == [1, 28]
    scene.sent[1].reply("a.example. 60 IN AAAA 2001:db8::1")
    scene.sent[0].reply(A)
    assert result == [
        Found((bytes([192, 0, 2, 9]), bytes.fromhex("20010db8" + "0" * 23 + "1")), 60, "a.example")
    ]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"rcode": 3}, {"rcode": 3}, NxDomain),
        ({"rcode": 0}, {"rcode": 3}, NoData),
        ({"rcode": 3}, {"rcode": 2}, Temporary),
        ({"rcode": 2}, {"rcode": 0}, Temporary),
    ],
)
def test_no_address_is_only_known_when_both_families_are(first, second, kind) -> None:
    scene = Scene()
    result: list[object] = []
    Deferred.fromCoroutine(scene.resolver.addresses("a.example", consumer="spf")).addCallback(result.append)
    scene.sent[0].reply(**first)
    scene.sent[1].reply(**second)
    assert isinstance(result[0], kind)


def test_mx_are_in_the_order_of_preference() -> None:
    scene = Scene()
    result: list[object] = []
    Deferred.fromCoroutine(scene.resolver.mx("example", consumer="spf")).addCallback(result.append)
    scene.sent[0].reply("example. 9 IN MX 20 B.example.", "example. 9 IN MX 0 .")
    assert result == [Found((Mx(0, ""), Mx(20, "b.example")), 9, "example")]


def test_ptr_asks_for_the_reverse_name() -> None:
    scene = Scene()
    Deferred.fromCoroutine(scene.resolver.ptr(bytes([192, 0, 2, 1]), consumer="spf"))
    Deferred.fromCoroutine(scene.resolver.ptr(bytes(15) + b"\x1f", consumer="spf"))
    assert scene.sent[0].name == "1.2.0.192.in-addr.arpa."
    assert scene.sent[1].name == "f.1." + "0." * 30 + "ip6.arpa."


def test_every_metric_is_there_from_the_start() -> None:
    scene = Scene()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in scene.metrics.collect("policyd")
        for sample in family.samples
    }
    assert samples["policyd_dns_answers_total", "dnsbl", "nxdomain"] == 0
    assert samples["policyd_dns_packets_total", "foreign"] == 0
    assert samples[("policyd_dns_servers",)] == 1
    assert samples["policyd_dns_lookup_seconds_bucket", "+Inf"] == 0
    assert not any(samples[key] for key in samples if key != ("policyd_dns_servers",))


def test_whoever_wants_to_know_is_told_of_each_look_up_once() -> None:
    scene = Scene()
    told: list[tuple[str, RecordType, Answer[Record], set[str]]] = []
    scene.resolver.looked_up = lambda name, rdtype, answer, who: told.append((name, rdtype, answer, {*who}))
    for consumer in ("spf", "dnsbl", "spf"):
        scene.ask("A.example", consumer=consumer)
    scene.sent[0].reply(A)
    assert told == [("a.example", RecordType.A, FOUND, {"spf", "dnsbl"})]
    scene.ask()  # out of memory
    assert len(told) == 1
    scene.ask("b.example", RecordType.TXT)
    scene.sent[-1].reply(rcode=3, soa=60)
    assert told[1][:2] == ("b.example", RecordType.TXT)
    assert isinstance(told[1][2], NxDomain)


def test_who_did_not_wait_for_the_end_is_named_all_the_same() -> None:
    scene = Scene()
    told: list[set[str]] = []
    scene.resolver.looked_up = lambda name, rdtype, answer, who: told.append({*who})
    assert scene.ask(consumer="dnsbl", deadline=scene.clock.seconds() + 0.5) == []
    scene.pass_time(0.6)
    scene.sent[0].reply(A)
    assert told == [{"dnsbl"}]


def test_nobody_is_told_that_a_name_failed_while_no_server_answers() -> None:
    scene = Scene()
    told: list[Answer[Record]] = []
    scene.resolver.looked_up = lambda name, rdtype, answer, who: told.append(answer)
    assert scene.resolver.usable()
    scene.ask()
    scene.pass_time(6.0)
    assert not scene.resolver.usable()
    assert told == []
    scene.alive = True
    scene.pass_time(15.0)
    assert scene.resolver.usable()
    scene.ask("b.example")
    scene.pass_time(6.0)
    assert [answer.result for answer in told] == ["timeout"]
