"""promtool reads what examples/prometheus has for it, and each alert fires when it should and not before."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
RULES = EXAMPLES / "prometheus" / "alerts.yml"
GATEWAY = 'gateway="mx"'
HOURS = 3
"""How long every series goes on."""
DAYS = 5
"""Likewise, where a case is about days: with a sample each hour."""


@dataclass(frozen=True)
class Case:
    """An alert, and series with which it fires at ``at`` and with which it does not.

    Series are in Prometheus' own notation, ``1+2x3``: 1, then 3 times 2 more, a sample each minute; a missing
    repetition is put there, so that they last.
    """

    alert: str
    fires: dict[str, str]
    quiet: dict[str, str]
    at: str = "2h"
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def takes_days(self) -> bool:
        return self.at.endswith("d")


def up(job: str, value: int) -> dict[str, str]:
    return {f'up{{{GATEWAY}, job="{job}"}}': f"{value}+0"}


def grows(name: str, labels: str = "", by: float = 1) -> dict[str, str]:
    return {f"{name}{{{GATEWAY}{', ' if labels else ''}{labels}}}": f"0+{by}"}


def stays(name: str, labels: str = "", at: float = 0) -> dict[str, str]:
    return {f"{name}{{{GATEWAY}{', ' if labels else ''}{labels}}}": f"{at}+0"}


def takes(name: str, slow: float, all_: float, bound: str, labels: str = "") -> dict[str, str]:
    """A histogram in which ``slow`` of ``all_`` a minute take longer than ``bound``."""
    more = f", {labels}" if labels else ""
    return {
        f'{name}_bucket{{{GATEWAY}, le="{bound}"{more}}}': f"0+{all_ - slow}",
        f'{name}_bucket{{{GATEWAY}, le="60"{more}}}': f"0+{all_}",
        f'{name}_bucket{{{GATEWAY}, le="+Inf"{more}}}': f"0+{all_}",
    }


INBOUND = 'action="{}", flow="inbound"'
CASES = [
    Case(
        "PolicydDown",
        up("policyd", 0),
        up("policyd", 1) | up("contentfilter", 0),
        labels={"job": "policyd"},
    ),
    Case(
        "PolicydFailing",
        grows("policyd_engine_failures_total"),
        stays("policyd_engine_failures_total", at=7),
    ),
    Case(
        "PolicydCheckFailing",
        grows("policyd_check_failures_total", 'check="helo"'),
        stays("policyd_check_failures_total", 'check="helo"', 5),
        labels={"check": "helo"},
    ),
    Case(
        "PolicydSlow",
        takes("policyd_request_seconds", 2, 100, "2.5"),
        takes("policyd_request_seconds", 0.5, 100, "2.5"),
    ),
    Case(
        "PolicydDeadlines",
        grows("policyd_late_total", by=6) | grows("policyd_requests_total", 'stage="RCPT"', 100),
        grows("policyd_late_total", by=4) | grows("policyd_requests_total", 'stage="RCPT"', 100),
    ),
    Case(
        "PolicydRefusesNearlyAll",
        grows("policyd_decisions_total", INBOUND.format("reject"), 97)
        | grows("policyd_decisions_total", INBOUND.format("accept"), 3),
        # Nobody is interested in all of four mails an hour.
        grows("policyd_decisions_total", INBOUND.format("reject"), 4 / 60)
        | grows("policyd_decisions_total", INBOUND.format("accept"), 0),
    ),
    Case(
        "PolicydAskedNothing",
        stays("policyd_requests_total", 'stage="RCPT"', 1000),
        stays("policyd_requests_total", 'stage="RCPT"', 10) | grows("policyd_requests_total", 'stage="DATA"'),
        at="3h",
    ),
    Case(
        "PolicydReloadFailed",
        grows("policyd_reloads_total", 'result="refused"'),
        stays("policyd_reloads_total", 'result="refused"', 3) | grows("policyd_reloads_total", 'result="ok"'),
        labels={"result": "refused"},
    ),
    Case(
        "PolicydFewDescriptors",
        stays("process_open_fds", 'job="policyd"', 81) | stays("process_max_fds", 'job="policyd"', 100),
        stays("process_open_fds", 'job="policyd"', 79) | stays("process_max_fds", 'job="policyd"', 100),
        labels={"job": "policyd"},
    ),
    Case("PolicydStoreBroken", stays("policyd_store_broken", at=1), stays("policyd_store_broken", at=0)),
    Case(
        "PolicydStoreLoses",
        grows("policyd_store_lost_total", 'reason="full"'),
        stays("policyd_store_lost_total", 'reason="full"', 9),
    ),
    Case(
        "PolicydStoreDamaged",
        grows("policyd_store_damaged_total"),
        stays("policyd_store_damaged_total", at=1),
    ),
    Case("PolicydRedisAway", stays("policyd_redis_up", at=0), stays("policyd_redis_up", at=1)),
    Case(
        "PolicydRedisFails",
        grows("policyd_redis_commands_total", 'result="timeout"'),
        grows("policyd_redis_commands_total", 'result="ok"', 1000),
        labels={"result": "timeout"},
    ),
    Case("PolicydJournalBroken", stays("policyd_journal_broken", at=1), stays("policyd_journal_broken")),
    Case(
        "PolicydJournalDrops",
        grows("policyd_journal_lost_total", 'reason="flood"'),
        stays("policyd_journal_lost_total", 'reason="flood"', 100),
        labels={"reason": "flood"},
    ),
    Case(
        "PolicydRegistryLookupsFail",
        grows("policyd_socketmap_lookups_total", 'map="relay_domains", result="temp"'),
        grows("policyd_socketmap_lookups_total", 'map="relay_domains", result="notfound"'),
    ),
    Case(
        "PolicydDnsDown",
        stays("policyd_dns_servers", at=2) | stays("policyd_dns_servers_down", at=2),
        stays("policyd_dns_servers", at=2) | stays("policyd_dns_servers_down", at=1),
    ),
    Case("PolicydDnsServerDown", stays("policyd_dns_servers_down", at=1), stays("policyd_dns_servers_down")),
    Case(
        "PolicydDnsOverloaded",
        grows("policyd_dns_overloads_total"),
        stays("policyd_dns_overloads_total", at=4),
    ),
    Case(
        "PolicydListOff",
        stays("policyd_list_on", 'list="zen"', 0),
        stays("policyd_list_on", 'list="zen"', 1),
        labels={"list": "zen"},
    ),
    Case(
        "PolicydCalloutServerDown",
        stays("policyd_callout_servers_down", at=1),
        stays("policyd_callout_servers_down"),
    ),
    Case(
        "PolicydCalloutExistingRefused",
        grows("policyd_callout_existing_refused_total"),
        stays("policyd_callout_existing_refused_total", at=3),
    ),
    Case(
        "PolicydLimitReached",
        grows("policyd_limits_total", 'flow="submission", limit="hour", outcome="refused"'),
        grows("policyd_limits_total", 'flow="submission", limit="hour", outcome="warned"'),
        labels={"flow": "submission", "limit": "hour"},
    ),
    Case(
        "PolicydLimitsUnavailable",
        grows("policyd_limits_unavailable_total"),
        stays("policyd_limits_unavailable_total", at=2),
    ),
    Case(
        "OwnUsersWriteToSpamtraps",
        grows("policyd_spamtrap_total", 'flow="submission"', 0.1),
        grows("policyd_spamtrap_total", 'flow="inbound"'),
        labels={"flow": "submission"},
    ),
    Case(
        "OwnUsersSendUnusually",
        grows("policyd_outgoing_jumps_total", 'kind="user", measure="messages"', 0.1),
        stays("policyd_outgoing_jumps_total", 'kind="user", measure="messages"', 5)
        | grows("policyd_outgoing_mails_total", 'kind="user"', 100),
        labels={"kind": "user"},
    ),
    Case(
        "OwnUsersSuspended",
        grows("policyd_outgoing_suspended_total", 'kind="system"', 0.1),
        stays("policyd_outgoing_suspended_total", 'kind="system"', 5),
        labels={"kind": "system"},
    ),
    Case(
        "PolicydOwnAddressListed",
        stays("policyd_own_addresses_listed", 'list="some"', 1),
        stays("policyd_own_addresses_listed", 'list="some"') | stays("policyd_own_addresses", at=4),
        labels={"list": "some"},
    ),
    Case(
        "PolicydNoticesFail",
        grows("policyd_outgoing_notices_total", 'way="mail", result="failed"', 0.1),
        grows("policyd_outgoing_notices_total", 'way="mail", result="sent"'),
        labels={"way": "mail"},
    ),
    Case(
        "ContentfilterDown",
        up("contentfilter", 0),
        up("contentfilter", 1) | up("policyd", 0),
        labels={"job": "contentfilter"},
    ),
    Case(
        "ContentfilterBodyMismatch",
        grows("contentfilter_body_mismatches_total"),
        stays("contentfilter_body_mismatches_total"),
    ),
    Case(
        "ContentfilterReinjectionFails",
        grows("contentfilter_reinjection_probes_total", 'result="failed"'),
        grows("contentfilter_reinjection_probes_total", 'result="answered"'),
        labels={"result": "failed"},
    ),
    Case(
        "ContentfilterQuarantineFails",
        grows("contentfilter_quarantine_failures_total"),
        stays("contentfilter_quarantine_failures_total", at=1),
    ),
    Case(
        "ContentfilterQuarantineFills",
        stays("contentfilter_quarantine_filled", at=0.81),
        stays("contentfilter_quarantine_filled", at=0.8),
    ),
    Case(
        "ContentfilterScannerFails",
        grows("contentfilter_scanner_failures_total", 'reason="unavailable", scanner="clamd"'),
        stays("contentfilter_scanner_failures_total", 'reason="unavailable", scanner="clamd"', 3),
        labels={"reason": "unavailable", "scanner": "clamd"},
    ),
    Case(
        "ContentfilterEngineDown",
        stays("contentfilter_engine_up", 'engine="clamd", seat="2"', 0)
        | stays("contentfilter_engine_up", 'engine="clamd", seat="1"', 1),
        stays("contentfilter_engine_up", 'engine="clamd", seat="2"', 1),
        labels={"engine": "clamd", "seat": "2"},
    ),
    Case(
        "ContentfilterSpamEngineDown",
        stays("contentfilter_engine_up", 'engine="rspamd", seat="1"', 0),
        stays("contentfilter_engine_up", 'engine="rspamd", seat="1"', 1)
        | stays("contentfilter_engine_up", 'engine="clamd", seat="1"', 0),
        labels={"engine": "rspamd", "seat": "1"},
    ),
    Case(
        "ContentfilterListOff",
        stays("contentfilter_list_on", 'list="dbl"', 0),
        stays("contentfilter_list_on", 'list="dbl"', 1),
        labels={"list": "dbl"},
    ),
    Case(
        "ContentfilterDnsDown",
        stays("contentfilter_dns_servers", at=2) | stays("contentfilter_dns_servers_down", at=2),
        stays("contentfilter_dns_servers", at=2) | stays("contentfilter_dns_servers_down", at=1),
    ),
    Case(
        "ContentfilterEngineBlind",
        grows("contentfilter_engine_self_tests_total", 'engine="clamd", result="missed"'),
        stays("contentfilter_engine_self_tests_total", 'engine="clamd", result="missed"', 3)
        | grows("contentfilter_engine_self_tests_total", 'engine="clamd", result="passed"'),
        labels={"engine": "clamd", "result": "missed"},
    ),
    Case(
        "ContentfilterEngineStumbles",
        grows("contentfilter_engine_moved_total", 'engine="clamd"', 6)
        | grows("contentfilter_engine_scans_total", 'engine="clamd", result="clean"', 100),
        grows("contentfilter_engine_moved_total", 'engine="clamd"', 4)
        | grows("contentfilter_engine_scans_total", 'engine="clamd", result="clean"', 100),
        labels={"engine": "clamd"},
    ),
    Case(
        "ContentfilterEngineBusy",
        stays("contentfilter_engine_waiting", 'engine="clamd"', 6),
        stays("contentfilter_engine_waiting", 'engine="clamd"', 5),
        labels={"engine": "clamd"},
    ),
    Case(
        "ContentfilterSignaturesOld",
        # Time begins at the epoch here.
        stays("contentfilter_engine_signatures_timestamp_seconds", 'engine="clamd", seat="1"', 1),
        stays("contentfilter_engine_signatures_timestamp_seconds", 'engine="clamd", seat="1"', 4 * 86400)
        | stays("contentfilter_engine_signatures_timestamp_seconds", 'engine="command", seat="1"', 0),
        at="4d",
        labels={"engine": "clamd", "seat": "1"},
    ),
    Case(
        "ContentfilterWorkersDie",
        grows("contentfilter_workers_ended_total", 'fate="crashed"'),
        grows("contentfilter_workers_ended_total", 'fate="killed"', 0.1)
        | grows("contentfilter_workers_ended_total", 'fate="recycled"', 10),
    ),
    Case(
        "ContentfilterQueues",
        stays("contentfilter_workers_queue", at=21),
        stays("contentfilter_workers_queue", at=20),
    ),
    Case(
        "ContentfilterTurnsAway",
        grows("contentfilter_connections_refused_total", 'protocol="smtp"'),
        stays("contentfilter_connections_refused_total", 'protocol="smtp"', 8),
    ),
    Case(
        "ContentfilterKeepsOut",
        grows("contentfilter_messages_kept_out_total", 'shortage="backlog"'),
        stays("contentfilter_messages_kept_out_total", 'shortage="backlog"', 8),
    ),
    Case(
        "ContentfilterSlow",
        takes("contentfilter_scan_seconds", 10, 100, "20", 'stage="total"'),
        takes("contentfilter_scan_seconds", 4, 100, "20", 'stage="total"'),
    ),
    Case(
        "ContentfilterDefersMuch",
        grows("contentfilter_messages_total", INBOUND.format("defer"), 6)
        | grows("contentfilter_messages_total", INBOUND.format("accept"), 94)
        | grows("contentfilter_by_points_total", INBOUND.format("defer"), 0),
        grows("contentfilter_messages_total", INBOUND.format("defer"), 50)
        | grows("contentfilter_messages_total", INBOUND.format("accept"), 50)
        | grows("contentfilter_by_points_total", INBOUND.format("defer"), 46),
    ),
    Case(
        "ContentfilterWithoutPolicyd",
        grows("contentfilter_tickets_total", 'result="unavailable"'),
        grows("contentfilter_tickets_total", 'result="unknown"'),
        labels={"result": "unavailable"},
    ),
    Case(
        "ContentfilterDoesNotSign",
        grows("contentfilter_panel_total", 'name="signing", result="failed"'),
        grows("contentfilter_panel_total", 'name="signing", result="answered"')
        | stays("contentfilter_panel_total", 'name="signing", result="failed"', 3),
        labels={"name": "signing", "result": "failed"},
    ),
    Case(
        "ContentfilterDomainSignsNoMore",
        grows("contentfilter_signing_changes_total", 'change="lost"', 0.1),
        grows("contentfilter_signing_changes_total", 'change="gained"'),
        labels={"change": "lost"},
    ),
    Case(
        "ContentfilterKeyOld",
        stays("contentfilter_signing_key_age_seconds", 'selector="dkim001"', 401 * 86400)
        | stays("contentfilter_signing_key_domains", 'selector="dkim001"', 1),
        # An old key that nobody signs with any more only waits to be taken away.
        stays("contentfilter_signing_key_age_seconds", 'selector="dkim001"', 401 * 86400)
        | stays("contentfilter_signing_key_domains", 'selector="dkim001"', 0),
        labels={"selector": "dkim001"},
    ),
    Case(
        "ContentfilterSigningBlind",
        grows("contentfilter_signing_looks_total", 'result="unknown"', 6)
        | grows("contentfilter_signing_looks_total", 'result="seen"', 4),
        grows("contentfilter_signing_looks_total", 'result="unknown"', 4)
        | grows("contentfilter_signing_looks_total", 'result="seen"', 6),
    ),
    Case(
        "ContentfilterReloadFailed",
        grows("contentfilter_reloads_total", 'result="refused"'),
        grows("contentfilter_reloads_total", 'result="ok"'),
        labels={"result": "refused"},
    ),
    Case(
        "OwnUsersSendMalware",
        grows("contentfilter_messages_total", 'action="reject", flow="submission"', 0.1),
        grows("contentfilter_messages_total", 'action="reject", flow="submission"', 0.04)
        | grows("contentfilter_messages_total", 'action="reject", flow="inbound"', 100),
        labels={"flow": "submission"},
    ),
]


@pytest.fixture(scope="module")
def promtool():
    """Runs promtool; returns what it says, if it complains."""
    program = shutil.which("promtool")
    if program is None:
        pytest.fail("promtool is not installed: apt-get install prometheus", pytrace=False)

    def run(*arguments: object) -> str:
        command = [program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr if done.returncode else ""

    return run


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_the_rules_are_rules(promtool):
    assert promtool("check", "rules", RULES) == ""


def test_the_configuration_is_one(promtool):
    assert promtool("check", "config", EXAMPLES / "prometheus" / "prometheus.yml") == ""


def test_every_query_of_the_dashboard_is_one(promtool, tmp_path):
    dashboard = json.loads((EXAMPLES / "grafana" / "postwarden.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    queries += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    recorded = [
        {
            "record": f"query:{number}",
            "expr": query.replace("$__rate_interval", "5m").replace("$gateway", ".*"),
        }
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert promtool("check", "rules", path) == ""


def test_every_alert_has_its_case():
    assert [case.alert for case in CASES] == [rule["alert"] for rule in rules()]


@pytest.mark.parametrize(("days", "interval", "steps"), [(False, "1m", HOURS * 60), (True, "1h", DAYS * 24)])
def test_each_alert_fires_when_it_should_and_not_before(promtool, tmp_path, days, interval, steps):
    """Every case is a gateway of its own, once in trouble and once at its best."""
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in rules()}
    series: dict[str, str] = {}
    expected = []
    for case in CASES:
        if case.takes_days is not days:
            continue
        for state, given in (("trouble", case.fires), ("best", case.quiet)):
            gateway = f"{case.alert}-{state}"
            series |= {
                name.replace(GATEWAY, f'gateway="{gateway}"'): values for name, values in given.items()
            }
            labels = {
                "alertname": case.alert,
                "alertstate": "firing",
                "severity": severities[case.alert],
                "gateway": gateway,
                **case.labels,
            }
            text = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
            expected.append(
                {
                    "expr": f'ALERTS{{alertname="{case.alert}", alertstate="firing", gateway="{gateway}"}}',
                    "eval_time": case.at,
                    "exp_samples": [{"labels": f"ALERTS{{{text}}}", "value": 1}]
                    if state == "trouble"
                    else [],
                }
            )
    test = {
        "interval": interval,
        "input_series": [{"series": name, "values": f"{values}x{steps}"} for name, values in series.items()],
        "promql_expr_test": expected,
    }
    path = tmp_path / "alerts_test.yml"
    path.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": interval, "tests": [test]})
    )
    assert promtool("test", "rules", path) == ""
