"""What clues, findings and evidence add up to."""

from __future__ import annotations

import itertools
import math

import pytest

from contentfilter.content.clues import Clue
from contentfilter.disposition.total import BESIDE_STATISTICS, REST, Item, Total, add_up
from mailbase.config.points import FINDING_POINTS
from mailbase.evidence import Evidence
from mailbase.vocabulary import Finding

LISTED = Clue("url.listed", "bad.example", 2.5)
SPAM = Clue("statistics.spam", "p=0.99", 3.5)
HAM = Clue("statistics.ham", "", -2.0)
SHADOW = Clue("rule.trial", "", 4.0, shadow=True)
EVIDENCE = Evidence(3.5, ("fcrdns.no-ptr:2", "helo.not-fqdn:1.5", "(spf.fail:2.5)"))


def names(total: Total) -> list[str]:
    return [str(item) for item in total.items]


def test_nothing_comes_to_nothing():
    assert add_up((), (), None) == Total(0.0, ())
    assert add_up((), (), Evidence()) == Total(0.0, ())


def test_everything_is_added_up_and_told_the_strongest_first():
    total = add_up((LISTED, SPAM), (Finding("name-mismatch", "2/a.pdf"),), EVIDENCE)
    assert total.points == 2.5 + 3.5 + FINDING_POINTS["name-mismatch"] + 3.5
    assert names(total) == [
        "statistics.spam:3.5",
        "(spf.fail:2.5)",
        "url.listed:2.5",
        "fcrdns.no-ptr:2",
        "helo.not-fqdn:1.5",
        "name-mismatch:1.5",
    ]
    assert total.items[0].detail == "p=0.99"
    assert total.items[-1].detail == "2/a.pdf"


def test_the_order_in_which_things_come_changes_nothing():
    clues = (LISTED, SPAM, HAM, SHADOW, Clue("url.listed", "other.example", 1.0), Clue("rule.trial", "", 1.0))
    expected = add_up(clues, (), EVIDENCE)
    for order in itertools.permutations(clues):
        assert add_up(order, (), EVIDENCE) == expected


def test_a_name_counts_once_with_the_most_points():
    clues = [Clue("url.listed", f"{number}.example", float(number)) for number in range(5)] * 100
    assert add_up(clues, [Finding("html-smuggling", str(part)) for part in range(9)], None).points == 6.0


def test_what_counts_comes_before_a_shadow_of_the_same_name():
    shadow = Clue("rule.x", "", 9.0, shadow=True)
    for order in ((shadow, Clue("rule.x", "", 1.0)), (Clue("rule.x", "", 1.0), shadow)):
        assert names(add_up(order, (), None)) == ["rule.x:1"]


def test_what_policyd_has_stated_does_not_count_a_second_time():
    assert add_up((Clue("helo.not-fqdn", "", 9.0),), (), EVIDENCE) == add_up((), (), EVIDENCE)


def test_shadows_are_told_and_not_added():
    total = add_up((LISTED, SHADOW), (), EVIDENCE)
    assert total.points == 6.0
    assert total.with_shadows == 6.0 + 4.0 + 2.5
    assert [item.name for item in total.counted] == ["url.listed", "fcrdns.no-ptr", "helo.not-fqdn"]


def test_what_speaks_against_spam_is_taken_off():
    total = add_up((SPAM, HAM), (), None)
    assert (total.points, names(total)) == (1.5, ["statistics.spam:3.5", "statistics.ham:-2"])


def test_the_flows_points_come_before_the_clues_and_these_before_the_built_in_ones():
    office = Finding("office-dde", "1")
    assert add_up((LISTED,), (office,), None, {"url.listed": 1.0, "office-dde": 0.25}).points == 1.25
    assert add_up((Clue("name.of-nobody"),), (Finding("executable"),), None).points == 0.0
    assert add_up((), (Finding("executable"),), None, {"executable": 4.0}).points == 4.0
    assert add_up((SPAM,), (office,), None, {"statistics.spam": 0.0, "office-dde": 0.0}).points == 0.0


def test_a_finding_without_points_is_no_item_and_a_clue_without_any_is():
    assert names(add_up((Clue("dkim.pass"),), (Finding("executable", "1"),), None)) == ["dkim.pass:0"]


@pytest.mark.parametrize("points", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_counts_nothing(points):
    assert add_up((Clue("rule.x", "", points),), (), None).points == 0.0


def test_one_clue_is_bounded():
    assert add_up((Clue("rule.x", "", 1e300), Clue("rule.y", "", -1e300)), (), None).points == 0.0


def test_tenths_reach_their_threshold():
    assert add_up([Clue(f"rule.{name}", "", 0.1) for name in "abc"], (), None).points == 0.3


def test_policyds_sum_is_believed_and_what_it_did_not_list_is_told():
    total = add_up((), (), Evidence(5.0, ("helo.not-fqdn:1.5", "old.fact")))
    assert total.points == 5.0
    assert total.items == (Item(REST, 3.5), Item("helo.not-fqdn", 1.5), Item("old.fact", 0.0))
    assert names(add_up((), (), Evidence(1.0, ("x:y", ":1", "")))) == [":1:1", ":0", "x:y:0"]


def test_rules_and_odd_links_are_worth_less_where_statistics_speak_of_the_same_words():
    clues = (Clue("rule.a", "", 2.0), Clue("url.mismatch"), LISTED, Clue("dkim.fail"))
    alone = {item.name: item.points for item in add_up(clues, (), None).items}
    for statistics in (SPAM, HAM):
        beside = {item.name: item.points for item in add_up((*clues, statistics), (), None).items}
        assert beside["rule.a"] == 1.5
        assert beside["url.mismatch"] == round(alone["url.mismatch"] * BESIDE_STATISTICS, 2)
        assert beside["url.listed"] == 2.5
        assert beside["dkim.fail"] == alone["dkim.fail"]


def test_points_of_the_flow_stand_as_they_are_beside_statistics():
    total = add_up((Clue("rule.a", "", 2.0), SPAM), (), None, {"rule.a": 4.0})
    assert total.points == 7.5
