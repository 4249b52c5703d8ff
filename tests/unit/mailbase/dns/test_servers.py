"""Whom the resolver asks when, and what each trouble with a server ends as."""

from __future__ import annotations

import dns.message
import dns.rrset
import pytest

from mailbase.config.dns import DnsSettings
from mailbase.dns import Found, Temporary, TimedOut
from mailbase.dns.lookup import MAX_FOREIGN, MAX_TRIES
from mailbase.dns.upstreams import FIRST_PROBE, LAST_PROBE

from .scene import FOUND, ONE, TWO, A, Scene


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


def test_silence_goes_to_the_next_server_and_a_late_answer_still_counts() -> None:
    scene = Scene(ONE, TWO, timeout=1.0)
    result = scene.ask()
    scene.clock.advance(1.0)
    assert [one.server for one in scene.questions] == [ONE, TWO]
    scene.questions[0].reply(A)
    assert result == [FOUND]
    assert all(one.closed for one in scene.questions)


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
