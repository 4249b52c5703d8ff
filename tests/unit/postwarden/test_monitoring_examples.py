"""The dashboard and the alert rules ask for what the daemons export: their metrics, labels and values."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

import contentfilter.app
from mailbase.config import load
from mailbase.logs import Log
from mailbase.metrics import new_registry
from policyd.app import Daemon

EXAMPLES = Path(__file__).parents[3] / "examples"
DASHBOARD = json.loads((EXAMPLES / "grafana" / "postwarden.json").read_text())
ALERTS = yaml.safe_load((EXAMPLES / "prometheus" / "alerts.yml").read_text())
SCRAPES = yaml.safe_load((EXAMPLES / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]

CONFIGURATION = """
policyd:
  lists: {some: {kind: dnsbl, zone: list.example}}
flows:
  inbound:
    checks: {dnsbl: {points: {some: 1}}}
    limits: {some: {per: client, of: messages, limit: 10, within: 1h}}
contentfilter:
  clamd: {}
  command: {run: /bin/true}
  rspamd: {}
  spamassassin: {}
  urls: {lists: {some: {zone: links.example}}}
"""
"""Turns on what has series only where it is configured."""

Series = dict[str, list[dict[str, str]]]
"""The labels of every series, by the name of its metric."""


class Reactor(Clock):
    def getThreadPool(self) -> None:
        return None


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """What Prometheus gets from both daemons, with the labels that it adds itself."""
    folder = tmp_path_factory.mktemp("monitoring")
    on_disk = _policyd(folder, f"sqlite:{folder / 's'}")
    on_redis = _policyd(folder, "redis://127.0.0.1:1/0")
    theirs = _contentfilter(folder)
    series: Series = {}
    for job, registry in (("policyd", on_disk), ("policyd", on_redis), ("contentfilter", theirs)):
        added = {"job": job, **_static_labels(job)}
        series.setdefault("up", []).append(added)
        for name, labels in _samples(registry):
            series.setdefault(name, []).append(labels | added)
    return series


def _policyd(folder: Path, store: str) -> CollectorRegistry:
    path = folder / "c.yaml"
    path.write_text(CONFIGURATION)
    overrides = (f"store.url={store}", f"policyd.journal.path={folder / 'journal'}")
    settings = load(path, overrides)
    daemon = Daemon(Reactor(), path, overrides, settings, Log("policyd", stream=io.StringIO()))
    daemon.lists.adopt(daemon.engine.policy.dns_lists, settings.policyd.list_health)
    daemon.outgoing.start()
    registry = new_registry("policyd")
    registry.register(daemon.metrics)
    return registry


def _contentfilter(folder: Path) -> CollectorRegistry:
    path = folder / "c.yaml"
    overrides = tuple(f"contentfilter.{name}.folder={folder / name}" for name in ("spool", "quarantine"))
    log = Log("contentfilter", stream=io.StringIO())
    daemon = contentfilter.app.Daemon(Reactor(), path, overrides, load(path, overrides), log)
    daemon.urls.configure(daemon.settings)
    return daemon.registry


def _static_labels(job: str) -> dict[str, str]:
    (found,) = [scrape for scrape in SCRAPES if scrape["job_name"] == job]
    labels = found["static_configs"][0]["labels"]
    assert isinstance(labels, dict)
    return {**labels, "instance": ""}


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, dict[str, str]]]:
    for family in registry.collect():
        for sample in family.samples:
            yield sample.name, {name: str(value) for name, value in sample.labels.items()}
        if not family.samples:
            yield family.name + ("_total" if family.type == "counter" else ""), {}


def expressions() -> Iterator[tuple[str, str]]:
    """Every query of dashboard and alerts, by what it is for."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']} {target['refId']}", target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]
    for rule in rules():
        yield f"alert {rule['alert']}", rule["expr"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


QUERIES = dict(expressions())
NAME = re.compile(r"\b(?:policyd|contentfilter|process)_\w+\b|\bup\b(?=\{)")
SELECTOR = re.compile(r"\b([a-z]\w+)\{([^}]*)\}")
MATCHER = re.compile(r'\s*(\w+)(=~|!~|!=|=)"([^"]*)"\s*(?:,|$)')
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def test_there_is_something_to_compare(exported: Series) -> None:
    assert len(QUERIES) > 80
    assert len(exported) > 100
    assert len({rule["alert"] for rule in rules()}) == len(rules())


@pytest.mark.parametrize("what", QUERIES)
def test_every_metric_is_exported(exported: Series, what: str) -> None:
    expression = re.sub(r'"[^"]*"', "", QUERIES[what])
    names = set(NAME.findall(expression))
    assert names, f"{what}: no metric in {expression}"
    assert names <= exported.keys(), f"{what}: {names - exported.keys()} are exported by nobody"


@pytest.mark.parametrize("what", QUERIES)
def test_every_label_and_every_value_is_one_of_theirs(exported: Series, what: str) -> None:
    for name, inside in SELECTOR.findall(QUERIES[what]):
        found = MATCHER.findall(inside)
        assert ",".join(f'{label}{operator}"{value}"' for label, operator, value in found) == re.sub(
            r",\s+", ",", inside
        )
        for label, _, value in found:
            values = {labels[label] for labels in exported[name] if label in labels}
            assert values, f"{what}: {name} has no label {label}"
            if "$" not in value:
                unknown = set(value.split("|")) - values
                assert not unknown, f"{what}: {label} of {name} is never {unknown}"


@pytest.mark.parametrize("what", QUERIES)
def test_what_is_grouped_by_is_a_label_of_every_metric(exported: Series, what: str) -> None:
    names = set(NAME.findall(re.sub(r'"[^"]*"', "", QUERIES[what])))
    for group in GROUPED.findall(QUERIES[what]):
        for label in (part.strip() for part in group.split(",")):
            there = [name for name in names if any(label in labels for labels in exported[name])]
            assert there, f"{what}: {label} is a label of none of {names}"


def test_every_metric_of_contentfilter_is_on_the_dashboard(exported: Series) -> None:
    shown = {
        name
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
        for name in NAME.findall(target["expr"])
    }
    parts = re.compile(r"_(bucket|count|sum)$")
    there = {parts.sub("_bucket", name) for name in exported if name.startswith("contentfilter_")}
    assert there - shown == {"contentfilter_info"}


def test_alerts_say_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert "$labels.gateway" in rule["annotations"]["summary"], rule["alert"]


def test_panels_are_complete_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["targets"]


def test_every_metric_is_documented_with_its_labels(exported: Series) -> None:
    page = (EXAMPLES.parent / "docs" / "metrics.md").read_text()
    both = page[page.index("## Both") :]
    rows = [
        (daemon + name, set(re.findall(r"`(\w+)`", labels)))
        for part, daemons in ((page[: -len(both)], ("",)), (both, ("policyd_", "contentfilter_")))
        for name, labels in re.findall(r"^\| `(\w+)` \| ([^|]*)\|", part, re.M)
        for daemon in daemons
    ]
    documented = dict(rows)
    assert len(documented) == len(rows)
    added = {"le", "job", "instance", *_static_labels("policyd")}
    expected: dict[str, set[str]] = {}
    for name, series in exported.items():
        base = re.sub("_(bucket|sum|count)$", "", name)
        base = base if f"{base}_bucket" in exported else name
        if base.startswith(("policyd_", "contentfilter_")) and not base.endswith("_created"):
            expected.setdefault(base, set()).update(
                label for one in series for label in one if label not in added
            )
    assert documented == expected
