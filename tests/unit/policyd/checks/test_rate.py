"""Limits, asked as Postfix asks: where each is counted, what a client hears, and what never counts twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.config import ConfigError, loads
from mailbase.store import StoreError
from policyd.engine.decision import Decision
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import rule_of
from policyd.limits.seen import Seen

USER = {"sasl_username": "anna", "recipient": "b@elsewhere.example"}
FREE = "person@quiet.example"
"""Not greylisted."""


def limits(flow: str = "submission", **named: str) -> str:
    inside = ", ".join(f"{name.replace('_', '-')}: {{{text}}}" for name, text in named.items())
    return f"flows: {{{flow}: {{limits: {{{inside}}}}}}}"


class Postfix:
    """Asks at each stage of a mail, as a real one does."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.numbers = itertools.count(1)

    def mail(self, recipients: Any = (USER["recipient"],), size: int = 1000, **who: str) -> str:
        """The first answer that keeps the mail out; empty if none does."""
        number = next(self.numbers)
        common = {"client_port": str(40000 + number), **USER, **who, "instance": f"mail{number}"}
        accepted = []
        for recipient in recipients:
            reply = self.bench.reply(**{**common, "recipient": recipient})
            if reply in ("OK", "DUNNO"):
                accepted.append(recipient)
        if not accepted:
            return str(reply)
        common |= {
            "recipient": accepted[0] if len(accepted) == 1 else "",
            "recipient_count": str(len(accepted)),
        }
        reply = self.bench.reply(**common, protocol_state="DATA")
        if not reply.startswith("PREPEND"):
            return str(reply)
        self.ticket = reply.rpartition(" ")[2]
        reply = self.bench.reply(**common, protocol_state="END-OF-MESSAGE", size=str(size))
        return "" if reply == "DUNNO" else str(reply)

    def pass_(self, times: int, **who: Any) -> None:
        for _ in range(times):
            assert self.mail(**who) == ""

    def used(self) -> dict[str, float]:
        """Units in use by limit and subject."""
        now = self.bench.clock.seconds()

        async def collect() -> dict[str, float]:
            rates = {limit.label: limit.rate for limit in self.bench.engine.policy.limits}
            return {
                f"{name} {subject}": round((full_at - now) / rates[name].interval, 3)
                async for page in self.bench.limits.pages(now)
                for _key, (full_at, name, subject, _expires) in page
            }

        found: list[Any] = []
        Deferred.fromCoroutine(collect()).addCallback(found.append)
        return dict(found[0])

    def counted(self, name: str, flow: str = "submission") -> dict[str, int]:
        return {
            outcome: count
            for (its_flow, its_name, outcome), count in self.bench.metrics.limits.items()
            if (its_flow, its_name) == (flow, name) and count
        }


@pytest.fixture
def postfix(make_bench: Callable[..., Any]) -> Callable[..., Postfix]:
    return lambda configuration: Postfix(make_bench(configuration))


def test_messages_of_a_user(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 2, within: 1h"))
    world.pass_(2)
    reply = world.mail()
    assert reply.startswith(
        "450 4.7.1 Not now: too many messages from your account (limit few); free again in 30 min ["
    )
    world.pass_(1, sasl_username="bert")
    world.bench.clock.advance(1800)
    world.pass_(1)
    assert world.mail() != ""
    assert world.counted("few") == {"passed": 4, "warned": 2, "refused": 2}


def test_a_user_is_one_however_the_name_is_written(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 2, within: 1h"))
    world.pass_(1)
    world.pass_(1, sasl_username="ANNA")
    assert world.mail(sasl_username="Anna")


def test_recipients_beyond_the_limit_are_deferred_and_the_others_get_their_mail(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: recipients, limit: 3, within: 1h"))
    replies = [
        world.bench.reply(**{**USER, "recipient": f"{name}@elsewhere.example"}, instance="m")
        for name in "abcde"
    ]
    assert [reply[:3] for reply in replies] == ["OK", "OK", "OK", "450", "450"]
    assert "free again in 20 min [" in replies[3]
    data = {**USER, "recipient": "", "recipient_count": "3", "protocol_state": "DATA"}
    assert world.bench.action(**data, instance="m") == "PREPEND"
    assert world.used() == {"submission.few anna": 3}
    assert world.counted("few")["refused"] == 2


def test_recipients_are_counted_at_data_even_if_rcpt_was_not_seen(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: recipients, limit: 3, within: 1h"))
    data = {**USER, "recipient": "", "protocol_state": "DATA"}
    assert world.bench.action(**data, recipient_count="3") == "PREPEND"
    assert world.bench.action(**data, recipient_count="1") == "450"


def test_what_can_never_pass_is_refused_for_good(postfix: Any) -> None:
    world = postfix(limits(big="per: user, of: bytes, limit: 1KiB, within: 1h"))
    reply = world.mail(size=2000)
    assert reply.startswith("554 5.7.1 Refused: too much mail from your account (limit big), with this one")
    assert world.used() == {}


def test_bytes_are_counted_at_their_real_size(postfix: Any) -> None:
    world = postfix(limits(big="per: user, of: bytes, limit: 10000, within: 1h"))
    world.pass_(1, size=9000)
    assert world.used() == {"submission.big anna": 9000}
    reply = world.mail(size=2000)
    assert reply.startswith(
        "450 4.7.1 Not now: too much mail from your account (limit big); free again in 6 min"
    )
    world.pass_(1, size=1000)
    # Nothing is left, so nothing gets as far as DATA.
    world.bench.decide(**USER, instance="x")
    assert world.bench.action(**USER, instance="y") == "450"


def test_a_size_that_the_client_announces_is_refused_early(postfix: Any) -> None:
    world = postfix(limits(big="per: user, of: bytes, limit: 10000, within: 1h"))
    assert world.bench.action(**USER, size="10001") == "554"
    assert world.bench.action(**USER, size="10000") == "OK"
    assert world.used() == {}


def test_a_mail_that_ends_at_its_size_gets_back_what_it_took_before(postfix: Any) -> None:
    world = postfix(
        limits(
            big="per: user, of: bytes, limit: 10000, within: 1h",
            few="per: user, of: messages, limit: 5, within: 1h",
        )
    )
    assert world.mail(size=20000).startswith("554 ")
    assert world.used() == {}
    assert world.counted("few") == {"passed": 1, "refunded": 1}


def test_connections_are_counted_by_address_and_port(postfix: Any) -> None:
    world = postfix(limits("inbound", conn="per: client, of: connections, limit: 2, within: 1h"))
    who = {"recipient": FREE, "client_address": "192.0.2.1"}
    for port in ("1001", "1001", "1002", "1001"):
        assert world.bench.reply(**who, client_port=port) == "DUNNO"
    reply = world.bench.reply(**who, client_port="1003")
    assert reply.startswith("421 4.7.0 Not now: too many connections from your address (limit conn)")
    assert world.bench.reply(**who, client_port="1002") == "DUNNO"
    assert world.bench.reply(**{**who, "client_address": "192.0.2.2"}, client_port="1003") == "DUNNO"
    assert world.counted("conn", "inbound") == {"passed": 3, "warned": 1, "refused": 1}


def test_a_connection_counts_at_whatever_it_asks_first(postfix: Any) -> None:
    world = postfix(limits("inbound", conn="per: client, of: connections, limit: 1, within: 1h"))
    assert world.bench.reply(protocol_state="CONNECT", client_port="1", recipient="", instance="") == "DUNNO"
    assert world.bench.reply(client_port="1", recipient=FREE) == "DUNNO"
    refused = world.bench.reply(protocol_state="CONNECT", client_port="2", recipient="", instance="")
    assert refused.startswith("421 ")
    # Postfix before 3.0 does not tell the port.
    assert world.bench.reply(recipient=FREE) == "DUNNO"


@pytest.mark.parametrize(
    ("flow", "per", "mails", "subjects"),
    [
        (
            "inbound",
            "client",
            [{"client_address": "192.0.2.1"}, {"client_address": "2001:db8:9::1"}],
            ["192.0.2.1", "2001:db8:9::1"],
        ),
        (
            "inbound",
            "network",
            [{"client_address": "192.0.2.1"}, {"client_address": "2001:db8:9::1"}],
            ["192.0.2.0/24", "2001:db8:9::/64"],
        ),
        (
            "inbound",
            "sender_domain",
            [{"sender": "x@A.example"}, {"sender": ""}, {"sender": "nobody"}],
            ["a.example", "(no domain)"],
        ),
        (
            "outbound",
            "system",
            [{"client_address": "198.51.100.7"}, {"client_address": "203.0.114.9", "client_name": "x"}],
            ["198.51.100.0/24"],
        ),
        ("submission", "user", [{}], ["anna"]),
        ("submission", "recipient_domain", [{}], ["elsewhere.example"]),
    ],
)
def test_whose_use_is_counted(
    postfix: Any, flow: str, per: str, mails: list[dict[str, str]], subjects: list[str]
) -> None:
    world = postfix(limits(flow, few=f"per: {per}, of: messages, limit: 9, within: 1h"))
    who = {} if flow == "submission" else {"sasl_username": ""}
    for mail in mails:
        world.mail([FREE] if flow != "submission" else [USER["recipient"]], **who, **mail)
    assert world.used() == {f"{flow}.few {subject}": 1 for subject in subjects}


@pytest.mark.parametrize(
    ("of", "used"),
    [
        ("messages", {"a.example": 1, "b.example": 1}),
        ("recipients", {"a.example": 2, "b.example": 1}),
        ("bytes", {"a.example": 700, "b.example": 700}),
    ],
)
def test_recipient_domains_of_a_mail_to_several(postfix: Any, of: str, used: dict[str, int]) -> None:
    world = postfix(limits(few=f"per: recipient_domain, of: {of}, limit: 1000, within: 1h"))
    assert world.mail(["1@a.example", "2@A.example", "1@b.example"], size=700) == ""
    assert world.used() == {f"submission.few {domain}": units for domain, units in used.items()}


def test_a_full_domain_does_not_keep_the_other_from_its_mail(postfix: Any) -> None:
    world = postfix(limits(few="per: recipient_domain, of: recipients, limit: 1, within: 1h"))
    assert world.mail(["1@a.example", "2@a.example", "1@b.example"]) == ""
    assert world.used() == {"submission.few a.example": 1, "submission.few b.example": 1}


def test_all_limits_of_a_mail_are_taken_from_or_none(postfix: Any) -> None:
    world = postfix(
        limits(
            many="per: user, of: recipients, limit: 100, within: 1h",
            few="per: user, of: messages, limit: 1, within: 1h",
        )
    )
    data = {**USER, "protocol_state": "DATA", "recipient_count": "10"}
    assert world.bench.action(**data) == "PREPEND"
    assert world.bench.action(**data) == "450"
    assert world.used() == {"submission.many anna": 10, "submission.few anna": 1}


def test_repeated_requests_count_once(postfix: Any) -> None:
    world = postfix(
        limits(
            few="per: user, of: messages, limit: 9, within: 1h",
            big="per: user, of: bytes, limit: 9000, within: 1h",
        )
    )
    for stage in ("RCPT", "DATA", "END-OF-MESSAGE"):
        for context in ("", "", "other"):
            world.bench.decide(
                **USER, instance="i", protocol_state=stage, size="1000", policy_context=context
            )
    assert world.used() == {"submission.few anna": 1, "submission.big anna": 1000}
    # Outside of a transaction nothing is the same as anything.
    for _ in range(2):
        world.bench.decide(**USER, instance="", protocol_state="DATA")
    assert world.used()["submission.few anna"] == 3


def test_the_question_about_relaying_alone_counts_nothing(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 9, within: 1h"))
    world.bench.decide(**USER, protocol_state="DATA", policy_context="relay")
    assert world.used() == {}


def test_a_query_takes_nothing_and_tells_nobody(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    for _ in range(2):
        decision = world.bench.engine.query(world.bench.request(**USER, protocol_state="DATA"))
        assert decision.action == "accept"
    world.pass_(1)
    before = world.bench.stream.getvalue()
    assert world.bench.engine.query(world.bench.request(**USER)).action == "defer"
    assert (world.bench.stream.getvalue(), world.counted("few").get("refused", 0)) == (before, 0)


def test_a_limit_can_reject(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 2d, action: reject"))
    world.pass_(1)
    assert world.mail().startswith("554 5.7.1 Refused: too many messages from your account (limit few)")
    assert "free again in 48 h [" in world.mail()


def test_a_shadow_is_counted_and_stops_nobody(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h, shadow: true, warn_at: null"))
    world.pass_(3)
    assert world.counted("few") == {"passed": 1, "shadow": 2}
    assert (
        "event=limit-used-up limit=submission.few subject=anna of=messages used=1 allowed=1 shadow=true"
        in (world.bench.stream.getvalue())
    )


def test_the_log_warns_once_before_and_tells_once_that_it_is_used_up(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 10, within: 1h, warn_at: 70%"))
    world.pass_(6)
    assert "event=limit" not in world.bench.stream.getvalue()
    world.pass_(4)
    for _ in range(3):
        world.mail()
    world.bench.clock.advance(900)
    world.pass_(1)
    text = world.bench.stream.getvalue()
    assert text.count("event=limit-nearly-used-up limit=submission.few subject=anna of=messages used=7 ") == 1
    assert text.count("event=limit-nearly-used-up") == 1
    assert text.count("event=limit-used-up") == 1
    world.bench.clock.advance(3600)
    world.pass_(8)
    assert world.bench.stream.getvalue().count("event=limit-nearly-used-up") == 2


def test_a_burst_is_smaller_than_the_limit(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 60, within: 1h, burst: 2"))
    world.pass_(2)
    assert "free again in 60 s [" in world.mail()


def test_limits_survive_a_restart(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    world.pass_(1)
    world.bench.restart()
    assert world.mail()


@pytest.mark.parametrize(
    "who", [{"client_address": "203.0.113.5", "sasl_username": ""}, {"sasl_username": ""}]
)
def test_other_flows_are_not_limited(postfix: Any, who: dict[str, str]) -> None:
    world = postfix(limits(few="per: client, of: messages, limit: 1, within: 1h"))
    world.pass_(3, recipients=[FREE], **who)


def test_without_limits_nothing_is_asked(bench: Any) -> None:
    assert all(
        check.name != "rate" for course in bench.engine.policy.plan.values() for check in course.checks
    )


def test_a_store_that_cannot_tell_stops_nobody(postfix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    world.pass_(1)
    monkeypatch.setattr(world.bench.limits, "take", _fail)
    assert world.mail() == ""
    assert world.bench.metrics.limits_unavailable == 2


def _fail(*_arguments: object) -> None:
    raise StoreError("gone")


def test_a_shared_store_may_answer_later(postfix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    world.pass_(1)
    take, answers = world.bench.limits.take, []

    def later(asks: Any, now: float) -> Deferred[Any]:
        answers.append((Deferred(), lambda: take(asks, now)))
        return answers[-1][0]

    monkeypatch.setattr(world.bench.limits, "take", later)
    decisions: list[Decision] = []
    waiting = world.bench.engine.decide(world.bench.request(**USER))
    Deferred.fromCoroutine(waiting).addCallback(decisions.append)
    waiting = world.bench.engine.decide(world.bench.request(**USER))
    Deferred.fromCoroutine(waiting).addCallback(decisions.append)
    assert not decisions
    answers[0][0].callback(answers[0][1]())
    answers[1][0].errback(StoreError("gone"))
    assert [decision.reply[:3] for decision in decisions] == ["450", "OK"]


def test_what_was_counted_is_remembered_within_bounds() -> None:
    seen = Seen(10)
    for number in range(1000):
        seen.note_connection(f"192.0.2.1 {number}")
        assert seen.tell(b"key" + str(number).encode(), "warned", 10, 0)
    assert len(seen._connections) <= 20
    assert len(seen._told) <= 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (limits("upstream", a="per: client, of: messages, limit: 1, within: 1h"), "limits: expected none"),
        (
            limits("inbound", a="per: user, of: messages, limit: 1, within: 1h"),
            "limits.a.per: expected another: a user is known in submission only",
        ),
        (
            limits("inbound", a="per: system, of: messages, limit: 1, within: 1h"),
            "limits.a.per: expected another: a system is known in outbound or submission only",
        ),
        (
            limits(a="per: recipient_domain, of: connections, limit: 1, within: 1h"),
            "limits.a.of: expected another: connections can be counted per client, network, system, user",
        ),
        (limits(A="per: user, of: messages, limit: 1, within: 1h"), "limits.A: expected a name"),
        (limits(a="per: user, of: messages, limit: 0, within: 1h"), "limits.a.limit: expected 1 to "),
        (limits(a="per: user, of: messages, limit: 1, within: 0s"), "limits.a.within: expected 1s to 30d"),
        (
            limits(a="per: user, of: messages, limit: 1, within: 1h, warn_at: 100%"),
            "limits.a.warn_at: expected a share such as 80%",
        ),
        (
            limits(**{f"a{n}": "per: user, of: messages, limit: 1, within: 1h" for n in range(51)}),
            "limits: expected at most 50 limits",
        ),
    ],
)
def test_what_makes_no_sense_is_a_mistake(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        loads(text)


@pytest.mark.parametrize(
    ("what", "named", "spared"),
    [
        ("anna", Named.USER, True),
        ("192.0.2.0/24", Named.CLIENT, True),
        ("someone@sender.example", Named.SENDER, False),
        (USER["recipient"], Named.RECIPIENT, False),
    ],
)
def test_who_is_allowed_by_command_is_spared_unless_forged_easily(
    postfix: Any, what: str, named: Named, spared: bool
) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 2, within: 1h"))
    world.bench.book.rules.put(rule_of(what, Effect.ALLOW, named))
    world.pass_(2)
    assert (world.mail() == "") is spared
    assert (world.used() == {}) is spared
