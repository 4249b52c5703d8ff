"""Folding is by severity, never by order of arrival."""

import itertools

from mailbase.vocabulary import SEVERITY, Action, fold


def test_nothing_folds_to_accept():
    assert fold([]) is Action.ACCEPT


def test_the_most_severe_wins_in_any_order():
    actions = [Action.TAG, Action.REJECT, Action.DEFER, Action.ACCEPT]
    for order in itertools.permutations(actions):
        assert fold(order) is Action.REJECT


def test_deferring_outranks_quarantine_so_that_an_unfinished_scan_is_never_settled():
    assert fold([Action.QUARANTINE, Action.DEFER]) is Action.DEFER


def test_every_action_has_a_rank_of_its_own():
    assert sorted(SEVERITY.values()) == list(range(len(Action)))
