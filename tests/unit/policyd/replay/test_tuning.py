"""What other settings would have done: who waits how long, and who is caught by thresholds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailbase.config import Settings, loads
from mailbase.vocabulary import Action, Flow
from policyd.engine.decision import Decision
from policyd.evidence.facts import Evidence, Grey, GreylistFact
from policyd.evidence.weights import Weights
from policyd.replay import greylisting, thresholds
from policyd.replay.comparison import Delays
from policyd.replay.greylisting import PATIENCE, Effect, quantile, variants
from policyd.replay.past import Answer, Fate, Outcome, Recorded, past_request
from policyd.replay.recording import past_row
from policyd.replay.thresholds import Points

POINTS = "flows: {inbound: {checks: true, defer_at: 4, reject_at: 8}}"


def attempt(time: float, sender: str = "a@x.example", then: str | None = "defer", **more: Any) -> Recorded:
    answer = None if then is None else Answer(Action(then), "then")
    attributes = {"protocol_state": "RCPT", "sender": sender, "recipient": "b@inst.example", **more}
    return Recorded(time, past_request(attributes), answer)


def decided(action: str, grey: Grey = Grey.NEW, total: float | None = None) -> Decision:
    decision = Decision("x", Flow.INBOUND, Action(action), "", "r", (GreylistFact(grey),))
    if total is not None:
        evidence = (Evidence("helo", "not-fqdn"),)
        decision.weighed = Weights({"helo": {"not-fqdn": total}}).weigh(evidence)
    return decision


# ---- delays ---------------------------------------------------------------------------------------------


def test_a_mail_waits_from_its_first_attempt_until_it_passes() -> None:
    effect = Effect(300.0)
    for time, action in ((0.0, "defer"), (60.0, "defer"), (400.0, "accept"), (500.0, "accept")):
        effect.note(attempt(time, then=action), decided(action))
    effect.end(10 * PATIENCE)
    assert effect.summary() == {
        "mails": 2,
        "delayed": 1,
        "estimated": 0,
        "median_delay": 400.0,
        "p95_delay": 400.0,
        "blocked": 0,
        "open": 0,
    }


def test_who_never_comes_back_is_blocked_unless_there_was_no_time() -> None:
    effect = Effect(300.0)
    effect.note(attempt(0.0, "old@x.example"), decided("defer"))
    effect.note(attempt(100.0, "new@x.example"), decided("defer"))
    effect.end(PATIENCE)
    assert (effect.blocked, effect.open, effect.mails) == (1, 1, 2)


def test_who_passed_then_and_has_no_further_attempt_counts_by_what_he_needs_at_least() -> None:
    effect = Effect(1800.0)
    effect.note(attempt(0.0), decided("defer"))
    effect.note(attempt(400.0, then="accept"), decided("defer"))
    # The next mail, days later, is another one.
    effect.note(attempt(90_000.0, then="accept"), decided("accept"))
    effect.note(attempt(100_000.0, "c@x.example", then="accept"), decided("defer"))
    # Who took longer then than he must now takes as long.
    effect.note(attempt(110_000.0, "d@x.example"), decided("defer"))
    effect.note(attempt(112_500.0, "d@x.example", then="accept"), decided("defer"))
    effect.end(200_000.0)
    assert sorted(effect.delays) == [1800.0, 1800.0, 2500.0]
    assert (effect.estimated, effect.blocked, effect.passed) == (3, 0, 4)


def test_bounces_of_two_servers_are_two_mails() -> None:
    effect = Effect(300.0)
    for client in ("192.0.2.1", "192.0.2.2"):
        effect.note(attempt(0.0, "", client_address=client), decided("defer"))
    effect.end(PATIENCE)
    assert effect.blocked == 2


def test_mails_waited_for_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greylisting, "MAX_WAITING", 10)
    effect = Effect(300.0)
    for number in range(30):
        effect.note(attempt(0.0, f"{number}@x"), decided("defer"))
    assert effect.blocked == 20
    monkeypatch.setattr("policyd.replay.comparison.MAX_WAITING", 10)
    delays = Delays()
    for number in range(30):
        delays.note(f"{number}@x", 0.0, Action.DEFER)
    assert (delays.given_up, delays.never_passed) == (20, 30)


def test_a_mail_refused_after_waiting_has_not_passed() -> None:
    delays = Delays()
    delays.note("a@x", 0.0, Action.DEFER)
    delays.note("a@x", 10.0, Action.REJECT)
    assert (delays.delayed, delays.never_passed, delays.mean) == (0, 1, 0.0)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 10.0), (0.95, 19.0), (0.951, 20.0), (1.0, 20.0)]
)
def test_quantiles(share: float, expected: float) -> None:
    assert quantile([float(n) for n in range(1, 21)], share) == expected
    assert quantile([7.0], share) == 7.0
    assert quantile([], share) is None


# ---- what is tried --------------------------------------------------------------------------------------


def test_every_setting_is_tried_beside_the_one_in_force() -> None:
    found = variants(Settings(), ["policyd.greylist.delay=2m policyd.greylist.network_v4=32"])
    current = [(one.setting, one.value) for one in found if one.current]
    assert current == [
        ("delay", "5m"),
        ("lifetime", "35d"),
        ("network", "/24 /64"),
        ("identities", "network spf ptr"),
        ("auto_allow_after", "5"),
    ]
    assert found[-1].overrides == ("policyd.greylist.delay=2m", "policyd.greylist.network_v4=32")
    for one in found:
        loads("", one.overrides)


def test_unusual_settings_in_force_are_among_them() -> None:
    text = (
        "policyd: {greylist: {delay: 7m, lifetime: 10d, network_v4: 28, auto_allow_after: 3,"
        " identities: [ptr, network], retry_window: 20m}}"
    )
    found = variants(loads(text))
    assert {(one.setting, one.value) for one in found if one.current} == {
        ("delay", "7m"),
        ("lifetime", "10d"),
        ("network", "/28 /64"),
        ("identities", "network ptr"),
        ("auto_allow_after", "3"),
    }
    for one in found:
        loads(text, one.overrides)


# ---- thresholds -----------------------------------------------------------------------------------------


def test_thresholds_catch_what_is_at_or_above_them() -> None:
    points = Points(4.0)
    for number, total in enumerate((0.0, 3.999, 4.0, 7.5)):
        points.note(attempt(0.0, f"{number}@x"), decided("accept", Grey.OFF, total))
    assert points.thresholds([4.0, 2.5]) == [1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0]
    row = points.at(4.0)
    assert (row["mails"], row["recipients"], row["share"], row["unknown"]) == (2, 2, 0.5, 2)
    assert points.at(8.0)["mails"] == 0
    assert points.distribution() == [
        {"points": 0, "mails": 1},
        {"points": 3, "mails": 1},
        {"points": 4, "mails": 1},
        {"points": 7, "mails": 1},
    ]


def test_a_mail_to_many_is_one_mail() -> None:
    points = Points(4.0)
    for recipient in "abc":
        points.note(
            attempt(0.0, recipient=f"{recipient}@inst.example", instance="1"),
            decided("accept", Grey.OFF, 5.0),
        )
    assert (points.at(4.0)["mails"], points.at(4.0)["recipients"]) == (1, 3)
    ((fact,),) = [points.ranked_facts()]
    assert (fact["mails"], fact["above"], fact["sum"]) == (1, 1, 5.0)


def test_shadows_are_told_apart() -> None:
    points = Points(4.0)
    decision = decided("accept", Grey.OFF)
    weights = Weights({"helo": {"a": 5.0}, "fcrdns": {"b": 1.0}}, {}, frozenset({"helo"}))
    decision.weighed = weights.weigh((Evidence("helo", "a"), Evidence("fcrdns", "b")))
    points.note(attempt(0.0), decision)
    row = points.at(4.0)
    assert (row["mails"], row["with_shadows"]) == (0, 1)
    assert [fact["shadow"] for fact in points.ranked_facts()] == [True, False]


def test_what_became_of_them() -> None:
    points = Points(4.0)
    points.note(attempt(0.0, "known@x"), decided("accept", Grey.KNOWN, 5.0))
    points.note(attempt(0.0, "back@x"), decided("defer", Grey.NEW, 5.0))
    points.note(attempt(0.0, "gone@x"), decided("defer", Grey.NEW, 5.0))
    points.note(attempt(0.0, "refused@x", then="reject"), decided("defer", Grey.NEW, 5.0))
    points.note(attempt(400.0, "back@x"), decided("accept", Grey.PASSED, 5.0))
    refused = attempt(0.0, "virus@x")
    refused.fate = Fate.REFUSED
    points.note(refused, decided("accept", Grey.OFF, 5.0))
    points.end()
    row = points.at(4.0)
    assert (row["good"], row["gave_up"], row["refused"], row["unknown"]) == (3, 1, 1, 1)


def test_nobody_is_waited_for_who_waits_for_a_shadow_alone() -> None:
    points = Points(4.0)
    decision = decided("accept", Grey.NEW, 5.0)
    decision.facts = (GreylistFact(Grey.NEW, 300, True),)
    points.note(attempt(0.0, then="accept"), decision)
    points.end()
    assert (points.at(4.0)["gave_up"], points.at(4.0)["unknown"]) == (0, 1)


def test_contentfilters_word_outweighs_good_history() -> None:
    points = Points(4.0)
    points.note(attempt(0.0, "Known@x.example"), decided("accept", Grey.KNOWN, 5.0))
    points.note(attempt(0.0, "fine@x.example"), decided("accept", Grey.KNOWN, 5.0))
    for sender, action in (("known@x.example", Action.REJECT), ("fine@x.example", Action.ACCEPT)):
        points.note_outcome(Outcome("t", "192.0.2.1", sender, ("b@inst.example",), action))
    row = points.at(4.0)
    assert (row["good"], row["refused"]) == (1, 1)
    # Told twice it is no other mail.
    points.note_outcome(Outcome("t", "192.0.2.1", "known@x.example", ("b@inst.example",), Action.REJECT))
    assert points.at(4.0)["refused"] == 1


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_OPEN", "MAX_SEEN"):
        monkeypatch.setattr(thresholds, name, 10)
    points = Points(4.0)
    for number in range(50):
        points.note(attempt(0.0, f"{number}@x", instance=str(number)), decided("defer", Grey.NEW, 5.0))
        points.note(attempt(0.0, f"{number}@y", instance=str(number)), decided("accept", Grey.OFF, 5.0))
    assert max(len(points._seen), len(points._open), len(points._passed)) <= 10
    points.end()
    assert (points.at(4.0)["gave_up"], points.at(4.0)["unknown"]) == (10, 90)


# ---- the commands ---------------------------------------------------------------------------------------


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_tuning_greylisting(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    for sender in ("a@x.example", "b@x.example", "spam@y.example"):
        gateway.request(sender=sender)
    gateway.wait(90)
    gateway.request(sender="a@x.example")
    gateway.wait(400)
    gateway.request(sender="a@x.example")
    gateway.request(sender="b@x.example")
    gateway.request(recipient="abuse@inst.example")
    gateway.wait(6 * 3600)
    gateway.request(recipient="last@quiet.example")
    path = str(gateway.write(tmp_path / "r"))
    status, out, err = run(gateway, "tune greylist", "--json", path)
    assert (status, err) == (0, "")
    found = {(row["setting"], row["value"]): row for row in rows(out)}
    now = found["delay", "5m"]
    assert now["current"]
    assert (now["mails"], now["delayed"], now["median_delay"], now["blocked"]) == (3, 2, 490.0, 1)
    assert found["delay", "1m"]["median_delay"] == 90.0
    assert found["delay", "1m"]["p95_delay"] == 490.0
    long = found["delay", "30m"]
    assert (long["delayed"], long["estimated"], long["median_delay"], long["blocked"]) == (2, 2, 1800.0, 1)
    assert found["auto_allow_after", "5"] == {**now, "setting": "auto_allow_after", "value": "5"}


def test_tuning_greylisting_with_settings_of_ones_own(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    gateway.request()
    path = str(gateway.write(tmp_path / "r"))
    status, out, _ = run(gateway, "tune greylist", "--try", "policyd.greylist.delay=0s", path)
    assert status == 0
    assert rows(out)[-1]["delayed"] == 0
    status, _, told = run(gateway, "tune greylist", "--try", "policyd.greylist.delay=soon", path)
    assert (status, told.startswith("--try: policyd.greylist.delay: expected a duration")) == (78, True)


def test_tuning_a_shadow_tells_what_it_would_do(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway("policyd: {greylist: {shadow: true}}\nflows: {inbound: {checks: false}}")
    assert gateway.request() == "(greylist-new)"
    gateway.wait(6 * 3600)
    gateway.request(recipient="last@quiet.example")
    _, out, _ = run(gateway, "tune greylist", "--json", str(gateway.write(tmp_path / "r")))
    now = next(row for row in rows(out) if row["current"])
    assert (now["mails"], now["delayed"], now["median_delay"]) == (1, 1, 300.0)


def test_a_mistake_in_the_file_is_not_said_to_be_of_a_setting(
    make_gateway: Any, run: Any, tmp_path: Path
) -> None:
    gateway = make_gateway()
    path = str(gateway.write(tmp_path / "r"))
    gateway.configuration = "- policyd\n"
    status, _, errors = run(gateway, "tune greylist", path)
    assert status == 78
    assert "c.yaml" in errors
    assert "--set" not in errors


def test_tuning_on_a_terminal(
    make_gateway: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(POINTS)
    gateway.request(
        client_name="unknown", reverse_client_name="unknown", helo_name="x", sender="a@gone.example"
    )
    path = str(gateway.write(tmp_path / "r"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, out, _ = run(gateway, "tune greylist", path)
    assert out.split()[:4] == ["SETTING", "VALUE", "MAILS", "DELAYED"]
    assert [line.split()[1] for line in out.splitlines() if "<- now" in line][:2] == ["5m", "35d"]
    _, out, _ = run(gateway, "tune thresholds", path)
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["THRESHOLD", "MAILS", "RECIPIENTS"]
    assert [line.split()[0] for line in lines if "<- now" in line] == ["4", "8"]
    assert any("no-ptr" in line for line in lines)
    assert any("#####" in line for line in lines)


def test_tuning_thresholds_refuses_nothing_for_points(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway(POINTS)
    bad = {"client_name": "unknown", "reverse_client_name": "unknown", "helo_name": "x"}
    assert gateway.request(**bad, sender="a@gone.example").startswith("sender_domain")
    gateway.request(**bad, sender="b@gone.example")
    gateway.wait(400)
    gateway.request(**bad, sender="b@gone.example")
    gateway.rows.append(
        past_row(Outcome("t", "192.0.2.1", "b@gone.example", ("person@inst.example",), Action.REJECT))
    )
    path = str(gateway.write(tmp_path / "r"))
    status, out, _ = run(gateway, "tune thresholds", path)
    assert status == 0
    table = {row["threshold"]: row for row in rows(out) if "threshold" in row}
    assert table[4.0]["recipients"] == 3
    assert table[4.0]["refused"] == 1
    assert table[4.0]["current"]
    assert table[8.0]["recipients"] == 0


def test_what_a_threshold_would_refuse_has_a_fate_all_the_same(
    make_gateway: Any, run: Any, tmp_path: Path
) -> None:
    gateway = make_gateway("flows: {inbound: {checks: true}}")
    bad = {"client_name": "unknown", "reverse_client_name": "unknown", "helo_name": "x"}
    gateway.request(**bad, sender="a@gone.example")
    gateway.wait(400)
    assert gateway.request(**bad, sender="a@gone.example") == "greylist-passed"
    path = str(gateway.write(tmp_path / "r"))
    _, out, _ = run(gateway, "tune thresholds", "--set", "flows.inbound.reject_at=5", path)
    (row,) = [row for row in rows(out) if row.get("threshold") == 5.0]
    assert (row["current"], row["good"], row["unknown"]) == (True, 2, 0)


def test_what_has_no_evidence_is_told(
    make_gateway: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway()
    gateway.request(helo_name="friend")
    gateway.configuration = gateway.configuration.replace("checks: false", "checks: true")
    path = str(gateway.write(tmp_path / "r"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, out, _ = run(gateway, "tune thresholds", path)
    assert "1 of 1 recipients have no recorded evidence" in out


def test_files_that_cannot_be_used(make_gateway: Any, run: Any, tmp_path: Path) -> None:
    gateway = make_gateway()
    empty = str(gateway.write(tmp_path / "empty"))
    for command in ("tune greylist", "tune thresholds"):
        assert run(gateway, command, empty)[0] == 2
        assert run(gateway, command, str(tmp_path / "nowhere"))[0] == 2
