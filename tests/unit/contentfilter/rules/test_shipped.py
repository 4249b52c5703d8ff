"""The rules that come with the program: each on its own mails, and none of weight on honest ones."""

from __future__ import annotations

import pytest

from contentfilter.content.scan import read_letter
from contentfilter.rules.matcher import Matcher
from contentfilter.rules.own import OwnRules
from contentfilter.rules.reading import Reading
from contentfilter.rules.ruling import RuleSet
from contentfilter.rules.samples import check
from tests.samples.everyday_letters import EVERYDAY, FRAUD
from tests.samples.honest_letters import HONEST as KNOWN_HONEST
from tests.samples.letters_of_today import FRAUD_TODAY, HONEST_TODAY
from tests.samples.spam_letters import SPAM as KNOWN_SPAM

HONEST = {**KNOWN_HONEST, **EVERYDAY, **HONEST_TODAY}
SPAM = {**KNOWN_SPAM, **FRAUD, **FRAUD_TODAY}


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return OwnRules().ruleset()


@pytest.fixture(scope="module")
def matcher(shipped: RuleSet) -> Matcher:
    return Matcher(shipped)


def test_every_rule_does_as_its_mails_say(shipped: RuleSet) -> None:
    assert [str(failure) for failure in check(shipped, read_letter)] == []


def test_every_rule_with_points_has_a_mail_it_must_fire_on(shipped: RuleSet) -> None:
    assert [
        ruling.name for ruling in shipped.rulings.values() if ruling.points is not None and not ruling.hits
    ] == []


def test_no_rule_alone_is_enough_to_tag(shipped: RuleSet) -> None:
    assert {name: points for name, points in shipped.points().items() if not 0 < points <= 3.0} == {}


def test_rules_that_nothing_wakes_would_not_fire(shipped: RuleSet, matcher: Matcher) -> None:
    """What a rule waits for is what it cannot do without."""
    sleepless = Matcher(shipped)
    sleepless._asleep = bytearray(b"\1" * len(shipped.rulings))
    for content in (*HONEST.values(), *SPAM.values()):
        letter = read_letter(content)
        assert matcher.hits(Reading(letter)) == sleepless.hits(Reading(letter))


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_letter_is_not_tagged(matcher: Matcher, name: str) -> None:
    hits = matcher.hits(Reading(read_letter(HONEST[name])))
    points = {hit.ruling.name: hit.ruling.points or 0.0 for hit in hits}
    # Well below 5, since clues of others come on top.
    assert sum(points.values()) <= 3.0, points


@pytest.mark.parametrize("name", SPAM)
def test_a_spam_letter_is_tagged_by_rules_alone(matcher: Matcher, name: str) -> None:
    hits = matcher.hits(Reading(read_letter(SPAM[name])))
    points = {hit.ruling.name: hit.ruling.points or 0.0 for hit in hits}
    assert sum(points.values()) >= 5, points
