"""Thresholds and points: what is built in, what the file may say, and how both go together."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mailbase.config import FINDING_NAMES, ConfigError, FlowSettings, loads
from mailbase.config.points import BUILT_IN, CLUE_NAMES, CLUE_POINTS, FINDING_POINTS
from mailbase.vocabulary import Flow

LISTS = "contentfilter: {urls: {lists: {uribl: {zone: uribl.example, codes: {black: 127.0.0.2}}}}}\n"


def thresholds(flow: FlowSettings) -> tuple[Any, ...]:
    return flow.tag_at, flow.defer_at, flow.reject_at, flow.quarantine_at


def test_the_built_in_thresholds() -> None:
    flows = loads("").flows
    assert thresholds(flows.inbound) == (5, 8, 15, None)
    assert thresholds(flows.upstream) == (5, None, None, None)
    assert thresholds(flows.outbound) == thresholds(flows.submission) == (None, None, 15, None)


@pytest.mark.parametrize(
    ("inbound", "expected"),
    [
        ("defer_at: 4", (4, 4, 15)),
        ("reject_at: 6", (5, None, 6)),
        ("reject_at: 3", (None, None, 3)),
        ("reject_at: 5", (None, None, 5)),
        ("reject_at: 20", (5, 8, 20)),
        ("tag_at: 9", (9, None, 15)),
        ("tag_at: 8", (8, 8, 15)),
        ("tag_at: 15", (15, None, None)),
        ("tag_at: null", (None, 8, 15)),
        ("defer_at: null", (5, None, 15)),
        ("reject_at: null", (5, 8, None)),
        ("defer_at: 20", (5, 20, None)),
        ("defer_at: 4, reject_at: 8", (4, 4, 8)),
        ("tag_at: null, defer_at: null, reject_at: null", (None, None, None)),
        ("tag_at: 6, defer_at: 6, reject_at: 7", (6, 6, 7)),
    ],
)
def test_built_in_thresholds_give_way_to_those_of_the_file(inbound: str, expected: tuple[Any, ...]) -> None:
    assert thresholds(loads(f"flows: {{inbound: {{{inbound}}}}}").flows.inbound)[:3] == expected


@pytest.mark.parametrize("written", ["high", "-5", "0"])
def test_a_threshold_that_is_none_is_told_as_such(written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(f"flows: {{inbound: {{defer_at: {written}}}}}")
    (problem,) = caught.value.problems
    assert ": flows.inbound.defer_at: expected points: a number above 0" in str(problem)


def test_points_of_clues_and_findings() -> None:
    points = loads(
        "flows: {inbound: {points: {html-smuggling: 1, rule.my-own: -0.5, executable: 3}}}"
    ).flows.inbound.points
    assert points == {"html-smuggling": 1.0, "rule.my-own": -0.5, "executable": 3.0}
    assert loads("flows: {inbound: {points: }}").flows.inbound.points == {}
    assert loads("").flows.inbound.points == {}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("html-smugling", "did you mean 'html-smuggling'"),
        ("rule.", ""),
        ("nonsense.of-mine", ""),
        ("rule", ""),
        ("url.mismach", "did you mean 'url.mismatch'"),
        ("url.uribl.blak", "did you mean 'url.uribl.black'"),
        ("rspamd.SYMBOL", "rspamd.score"),
    ],
)
def test_a_name_that_nobody_states_is_a_mistake(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=r"no clue (and no finding )?has this name") as caught:
        loads(f"flows:\n  inbound:\n    points:\n      {name}: 1\n{LISTS}", source="c.yaml")
    assert hint in str(caught.value)
    assert str(caught.value).startswith("c.yaml:4: flows.inbound.points")


def test_points_of_lists_of_links_go_by_the_names_of_the_lists() -> None:
    points = "flows: {inbound: {points: {url.uribl: 1, url.uribl.black: 4, url.mismatch: 0}}}\n"
    assert loads(points + LISTS).flows.inbound.points["url.uribl.black"] == 4.0


def test_points_are_numbers() -> None:
    with pytest.raises(ConfigError, match=r"expected points: a number, -1000 to 1000"):
        loads("flows: {inbound: {points: {html-smuggling: much}}}")


def test_the_built_in_table() -> None:
    assert FINDING_POINTS.keys() <= FINDING_NAMES
    assert set(BUILT_IN) == {*CLUE_NAMES, *FINDING_POINTS}
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{0,30}", source) for source in CLUE_POINTS)
    assert all(
        re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", fact) for facts in CLUE_POINTS.values() for fact in facts
    )
    # No name decides alone; only many together do.
    assert all(abs(points) <= 5 for points in BUILT_IN.values())
    for flow in Flow:
        reject_at = loads("").flows.of(flow).reject_at
        assert reject_at is None or max(BUILT_IN.values()) * 2 < reject_at
