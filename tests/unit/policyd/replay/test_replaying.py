"""Recorded requests decided again: the same under the same configuration, otherwise under another."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policyd.evidence.facts import Effect, Evidence, Named
from policyd.exceptions.rule import rule_of
from policyd.replay import world as world_module
from policyd.replay.comparison import Comparison
from policyd.replay.past import Allowed, Answer, Line, Recorded, Ruled
from policyd.replay.recording import header
from policyd.replay.simulation import Simulation
from policyd.replay.world import World

START = 1_800_000_000.0
POINTS = "flows: {inbound: {checks: true, defer_at: 4, reject_at: 7}}"
BAD = {
    "client_address": "198.18.0.9",
    "client_name": "unknown",
    "reverse_client_name": "unknown",
    "helo_name": "friend",
    "sender": "a@gone.example",
}
"""No PTR (2), no full host name (1.5), no mail host (4): 7.5 points."""


def differences(lines: Any, before: World | None, after: World, **how: Any) -> Comparison:
    comparison = Comparison(reasons=True)
    Simulation(before, after, comparison, **how).run(lines)
    return comparison


def traffic(gateway: Any, requests: int, seed: int = 1) -> None:
    """Some senders, good and bad, that come again at all kinds of times."""
    chance = random.Random(seed)
    for _ in range(requests):
        gateway.wait(chance.choice((0.2, 1, 5, 20, 60, 300)))
        number = chance.randrange(10)
        who = {
            "client_address": f"198.18.{number}.{chance.randrange(2)}",
            "sender": f"s{'abcdefghij'[number % 10]}@s{number}.example",
            "recipient": chance.choice(("a@inst.example", "abuse@inst.example", "x@elsewhere.example")),
            "client_name": chance.choice(("unknown", f"m{number}.example")),
            "reverse_client_name": "unknown",
            "protocol_state": chance.choice(("RCPT", "RCPT", "RCPT", "DATA")),
            "policy_context": chance.choice(("", "", "relay", "recipient")),
            "helo_name": chance.choice(("friend", f"m{number}.example")),
            "sasl_username": "ada" if not chance.randrange(20) else "",
            "instance": f"{chance.randrange(5000)}",
        }
        gateway.request(**who)


@pytest.mark.parametrize("configuration", ["flows: {inbound: {checks: false}}", POINTS])
def test_the_same_configuration_decides_the_same(
    make_gateway: Any, make_world: Any, configuration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world_module, "HOUSEKEEPING", 50)
    gateway = make_gateway(configuration)
    traffic(gateway, 600)
    reasons = {row["reason"] for row in gateway.rows}
    assert {"greylist-new", "greylist-passed", "greylist-known", "ticket", "repeated"} <= reasons
    assert len(reasons) >= 10
    comparison = differences(gateway.lines(), None, make_world(gateway))
    assert comparison.compared > 400
    assert not comparison.changes


def test_two_worlds_with_the_same_configuration_decide_the_same(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway(POINTS)
    traffic(gateway, 300)
    comparison = differences(gateway.lines(), make_world(gateway), make_world(gateway))
    assert comparison.compared == comparison.requests - sum("repeated" in row for row in gateway.rows)
    assert not comparison.changes


def test_another_delay_changes_what_lies_between(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    assert gateway.request(sender="a@x.example") == "greylist-new"
    gateway.request(sender="b@x.example")
    gateway.wait(400)
    assert gateway.request(sender="a@x.example") == "greylist-passed"
    gateway.wait(400)
    gateway.request(sender="b@x.example")
    comparison = differences(gateway.lines(), None, make_world(gateway, "policyd.greylist.delay=10m"))
    ((change, count),) = comparison.changes.items()
    assert (change.before, change.after, count) == (
        ("accept", "greylist-passed"),
        ("defer", "greylist-early"),
        1,
    )
    assert comparison.examples[change][0].request.sender == "a@x.example"
    assert comparison.before.summary() == {
        "accepted": 2,
        "deferred": 2,
        "rejected": 0,
        "delayed": 2,
        "mean_delay": 600.0,
        "never_passed": 0,
    }
    assert comparison.after.summary()["never_passed"] == 1
    assert comparison.after.summary()["mean_delay"] == 800.0


def test_another_threshold_needs_no_dns(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway(POINTS)
    assert gateway.request(**BAD) == "sender_domain-no-mail-host"
    lower = make_world(gateway, "flows.inbound.reject_at=8")
    ((change, count),) = differences(gateway.lines(), None, lower).changes.items()
    assert (change.before[0], change.after[0], count) == ("reject", "defer", 1)
    pointless = make_world(
        gateway, "flows.inbound.checks={sender_domain: {points: {no-mail-host: 0}}, helo: true, fcrdns: true}"
    )
    ((change, _),) = differences(gateway.lines(), None, pointless).changes.items()
    assert change.after == ("defer", "greylist-new")


def test_what_was_not_recorded_has_no_opinion_unless_it_asks_nobody(
    make_gateway: Any, make_world: Any
) -> None:
    gateway = make_gateway()
    gateway.request(**BAD)
    world = make_world(
        gateway, "flows.inbound.checks=true", "flows.inbound.reject_at=1.5", "flows.inbound.defer_at=1"
    )
    ((change, _),) = differences(gateway.lines(), None, world).changes.items()
    # That "friend" is no host name is known without DNS; PTR and mail host are not.
    assert change.after == ("reject", "helo-not-fqdn")


def test_a_check_that_had_nothing_to_state_is_not_run_again(
    make_gateway: Any, make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(POINTS)
    gateway.request(**BAD)
    (line,) = gateway.lines()
    assert isinstance(line, Recorded)
    assert {"fcrdns", "helo", "sender_domain"} <= line.asked

    def run(self: object, subject: object) -> None:
        raise AssertionError("it is known that it stated nothing")

    line.evidence = tuple(one for one in line.evidence or () if one.check != "helo")
    worlds = make_world(gateway), make_world(gateway)
    monkeypatch.setattr("policyd.checks.helo.HeloCheck.inquire", run)
    # All that the world wants to know is recorded; then one check is not.
    for world, asked in zip(worlds, (line.asked, line.asked - {"spf"}), strict=True):
        line.asked = asked
        decision = world.decide(line)
        assert decision.weighed is not None
        assert decision.weighed.total == 6.0
        assert not world.watch.failures


def test_a_check_that_fails_is_counted(make_gateway: Any, make_world: Any, monkeypatch: Any) -> None:
    def fail(self: object, subject: object) -> Iterator[None]:
        raise RuntimeError
        yield

    gateway = make_gateway()
    gateway.request(**BAD)
    world = make_world(gateway, "flows.inbound.checks=true")
    monkeypatch.setattr("policyd.checks.helo.HeloCheck.inquire", fail)
    differences(gateway.lines(), None, world)
    assert world.watch.failures == {"helo": 1}


def test_requests_repeated_by_postfix_are_not_compared(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    gateway.request(instance="1")
    gateway.request(instance="1")
    comparison = differences(gateway.lines(), None, make_world(gateway))
    assert (comparison.requests, comparison.compared) == (2, 1)


def test_what_was_known_before_the_recording_is_known(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway("policyd: {greylist: {auto_allow_after: 2}}")
    late = {"sender": "late@y.example", "client_address": "198.18.9.1", "client_name": "mx.y.example"}
    for sender in ("a@x.example", "b@x.example", "waiting@y.example"):
        gateway.request(sender=sender, client_address="198.18.0.1")
    gateway.wait(200)
    gateway.request(**late)
    gateway.wait(200)
    gateway.request(sender="a@x.example", client_address="198.18.0.1")
    gateway.rows.clear()
    reasons = [
        gateway.request(sender="a@x.example", client_address="198.18.0.1"),
        gateway.request(sender="waiting@y.example", client_address="198.18.0.1"),
        gateway.request(sender="new@z.example", client_address="198.18.0.1"),
        gateway.request(**late),
    ]
    assert reasons == ["greylist-known", "greylist-passed", "greylist-client-earned", "greylist-early"]
    gateway.wait(100)
    assert gateway.request(**late) == "greylist-passed"
    assert not differences(gateway.lines(), None, make_world(gateway)).changes
    # Without the recorded answers all of them are strangers.
    forgetful = differences(gateway.lines(), None, make_world(gateway, seeded=False))
    assert forgetful.changed == 5


def test_answers_of_a_shadow_tell_of_what_was_before_too(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway("policyd: {greylist: {shadow: true}}\nflows: {inbound: {checks: false}}")
    gateway.request()
    gateway.wait(300)
    gateway.rows.clear()
    assert gateway.request() == "(greylist-passed)"
    assert not differences(gateway.lines(), None, make_world(gateway)).changes


def test_a_triplet_the_simulation_has_met_is_not_made_up(make_gateway: Any, make_world: Any) -> None:
    """Else no setting could make a known sender wait again."""
    gateway = make_gateway()
    gateway.request()
    gateway.wait(300)
    gateway.request()
    gateway.wait(2 * 86400)
    assert gateway.request() == "greylist-known"
    short = make_world(gateway, "policyd.greylist.lifetime=1d")
    ((change, _),) = differences(gateway.lines(), None, short).changes.items()
    assert change.after == ("defer", "greylist-new")


def test_known_triplets_earn_their_network_nothing_again(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway("policyd: {greylist: {auto_allow_after: 0}}")
    for letter in "abcdef":
        gateway.request(sender=f"{letter}@x.example")
    gateway.wait(300)
    for letter in "abcdef":
        gateway.request(sender=f"{letter}@x.example")
    gateway.rows.clear()
    for letter in "abcdef":
        assert gateway.request(sender=f"{letter}@x.example") == "greylist-known"
    assert gateway.request(sender="g@x.example") == "greylist-new"
    # Earned at some time, maybe: that is for the network's own answers to say.
    earning = make_world(gateway, "policyd.greylist.auto_allow_after=5")
    assert not differences(gateway.lines(), None, earning).changes


def test_what_was_set_by_command_is_in_force(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    gateway.request(client_address="198.18.0.1")
    gateway.request(client_address="198.18.1.1", sender="spam@bad.example")
    deny = rule_of("bad.example", Effect.DENY, Named.SENDER)
    lines: list[Line] = [Allowed("198.18.0.0/24", None), Ruled(deny), *gateway.lines()]
    changes = differences(lines, None, make_world(gateway)).changes
    assert sorted(change.after[0] for change in changes) == ["accept", "reject"]
    late: list[Line] = [Allowed("198.18.0.0/24", START - 1), *gateway.lines()]
    assert not differences(late, None, make_world(gateway)).changes


def test_the_first_days_may_go_uncounted(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.wait(300)
    gateway.request()
    comparison = differences(
        gateway.lines(), None, make_world(gateway, "policyd.greylist.delay=0s"), warm_up=300
    )
    assert comparison.requests == 1
    # Decided it was all the same: the triplet is known.
    ((change, _),) = comparison.changes.items()
    assert change.after == ("accept", "greylist-known")


def test_only_actions_count_unless_reasons_are_asked_for(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.wait(300)
    gateway.request()
    comparison = Comparison()
    Simulation(None, make_world(gateway, "policyd.greylist.delay=0s"), comparison).run(gateway.lines())
    assert sum(comparison.changes.values()) == 1


def test_a_clock_that_was_set_back_does_not_set_the_simulation_back(
    make_gateway: Any, make_world: Any
) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.request(sender="b@x.example")
    first, second = gateway.lines()
    assert isinstance(first, Recorded)
    assert isinstance(second, Recorded)
    second.time = first.time - 1000
    world = make_world(gateway)
    differences([first, second], None, world)
    assert world.clock.seconds() == first.time


def test_evidence_survives_a_hostile_recording(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway(POINTS)
    request = gateway.bench.request(**BAD)
    facts = tuple(Evidence(name, "x" * 500, "\ud800") for name in ("helo", "nonsense", "fcrdns") * 30)
    recorded = Recorded(START, request, Answer(request_action(), "x"), facts)
    assert make_world(gateway).decide(recorded).reply


def request_action() -> Any:
    from mailbase.vocabulary import Action

    return Action.ACCEPT


# ---- the command ---------------------------------------------------------------------------------------


def test_the_command_says_0_when_nothing_changes(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    traffic(gateway, 50)
    status, out, _ = run(gateway, "replay", str(gateway.write(tmp_path / "r.jsonl.gz")))
    assert status == 0
    (line,) = out.splitlines()
    assert json.loads(line)["summary"]["changed"] == 0


def test_the_command_prints_each_change(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.request(sender="b@x.example")
    path = str(gateway.write(tmp_path / "r"))
    status, out, _ = run(gateway, "replay", "--against-set", "policyd.greylist.delay=0s", path)
    assert status == 1
    first, second, summary = map(json.loads, out.splitlines())
    assert first["before"]["reason"] == "greylist-new"
    assert first["after"] == {"action": "accept", "reason": "greylist-passed"}
    assert first["client"] == "192.0.2.1"
    assert second["sender"] == "b@x.example"
    assert summary["summary"]["after"]["accepted"] == 2


def test_the_command_compares_with_another_file(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    gateway.request()
    other = gateway.bench.folder / "other.yaml"
    other.write_text(gateway.configuration + "\npolicyd: {greylist: {delay: 0s}}\n")
    path = str(gateway.write(tmp_path / "r"))
    assert run(gateway, "replay", "--against", str(other), path)[0] == 1
    assert (
        run(gateway, "replay", "--against", str(other), "--against-set", "policyd.greylist.delay=5m", path)[0]
        == 0
    )


def test_on_a_terminal_there_is_a_table(
    make_gateway: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway()
    gateway.request()
    path = str(gateway.write(tmp_path / "r"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, out, _ = run(gateway, "replay", "--against-set", "policyd.greylist.delay=0s", path)
    head, line, *_ = out.splitlines()
    assert head.split() == ["CHANGED", "BEFORE", "AFTER", "TIME", "CLIENT", "SENDER", "RECIPIENT"]
    assert "1" in line
    assert "defer greylist-new  ->  accept greylist-passed" in line
    assert "1 requests, 1 compared, 1 decisions change (100.0 %)" in out
    assert "ACCEPTED" in out


def test_bad_configurations_and_files_have_their_status(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    path = str(gateway.write(tmp_path / "empty"))
    status, _, err = run(gateway, "replay", path)
    assert (status, "no requests" in err) == (2, True)
    assert run(gateway, "replay", str(tmp_path / "nowhere"))[0] == 2
    assert run(gateway, "replay", "--set", "policyd.greylist.delay=soon", path)[0] == 78
    assert run(gateway, "replay", "--against-set", "policyd.greylist.delay=soon", path)[0] == 78
    other = tmp_path / "version2"
    other.write_text(json.dumps({**header(1.0, "mx"), "version": 2}) + "\n")
    status, _, err = run(gateway, "replay", str(other))
    assert (status, "version 2" in err) == (2, True)


def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(
    make_gateway: Any, run: Any, tmp_path: Path
) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.request(sender="b@x.example")
    for name in ("r", "r.gz"):
        path = gateway.write(tmp_path / name)
        path.write_bytes(path.read_bytes()[:-30])
        status, out, err = run(gateway, "replay", str(path))
        assert status in {0, 2}
    path = gateway.write(tmp_path / "r")
    path.write_bytes(path.read_bytes()[:-30] + b"\n\xff\xfe\n[]\n" + b"x" * 2_000_000 + b"\n")
    status, out, err = run(gateway, "replay", str(path))
    assert status == 0
    assert json.loads(out)["summary"]["requests"] == 1
    assert "4 lines could not be read" in err


def test_no_simulation_is_left_behind(
    make_gateway: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gateway = make_gateway()
    gateway.request()
    path = str(gateway.write(tmp_path / "r"))
    run(gateway, "replay", path)
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith("policyd-replay")]


def test_a_warm_up_that_leaves_nothing_is_told_as_that(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    gateway.request()
    path = str(gateway.write(tmp_path / "r"))
    for command in ("replay", "tune greylist", "tune thresholds"):
        status, _, told = run(gateway, command, "--warm-up", "2d", path)
        assert (status, told) == (2, "policyd: no requests in these files behind the first 2d (--warm-up)\n")
