"""What the watch over outgoing mail tells Prometheus. No label names anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from policyd.outgoing.judging import Against
from policyd.outgoing.measures import JUDGED, Kind, Measure

Way = Literal["mail", "webhook"]
WAYS: tuple[Way, ...] = get_args(Way)
Result = Literal["sent", "failed"]
RESULTS: tuple[Result, ...] = get_args(Result)
_JUMPS = (Against.USUAL, Against.QUOTA, Against.LIMIT)


class Counts:
    """Everything that is counted, from zero."""

    def __init__(self) -> None:
        self.mails = dict.fromkeys(Kind, 0)
        self.recipients = dict.fromkeys(Kind, 0)
        self.jumps: dict[tuple[Kind, Measure, Against], int] = {
            (kind, measure, against): 0 for kind in Kind for measure in JUDGED for against in _JUMPS
        }
        self.suspended = dict.fromkeys(Kind, 0)
        self.held_back = 0
        """Notices that were not given, since there was one on the same a short time ago."""
        self.notices: dict[tuple[Way, Result], int] = {(way, result): 0 for way in WAYS for result in RESULTS}

    def noticed(self, way: Way, result: Result) -> None:
        """A notice was sent, or could not be."""
        self.notices[way, result] += 1

    def collect(self, suspended: Mapping[Kind, int], lost: int, held: int) -> Iterator[Metric]:
        """The metrics.

        Arguments:
            suspended: how many are at the moment.
            lost: events that could not be counted.
            held: records in memory.
        """
        mails = CounterMetricFamily("policyd_outgoing_mails", "Mails of our own.", labels=("kind",))
        recipients = CounterMetricFamily("policyd_outgoing_recipients", "Their recipients.", labels=("kind",))
        ends = CounterMetricFamily(
            "policyd_outgoing_suspended", "Users and systems that were suspended.", labels=("kind",)
        )
        now = GaugeMetricFamily("policyd_outgoing_suspensions", "Suspended now.", labels=("kind",))
        for kind in Kind:
            mails.add_metric((kind.value,), self.mails[kind])
            recipients.add_metric((kind.value,), self.recipients[kind])
            ends.add_metric((kind.value,), self.suspended[kind])
            now.add_metric((kind.value,), suspended[kind])
        jumps = CounterMetricFamily(
            "policyd_outgoing_jumps",
            "Times that somebody sent more than he should.",
            labels=("kind", "measure", "against"),
        )
        for labels, count in self.jumps.items():
            jumps.add_metric(tuple(label.value for label in labels), count)
        notices = CounterMetricFamily(
            "policyd_outgoing_notices", "Notices to administrators.", labels=("way", "result")
        )
        for (way, result), count in self.notices.items():
            notices.add_metric((way, result), count)
        yield from (mails, recipients, jumps, ends, now, notices)
        yield CounterMetricFamily(
            "policyd_outgoing_notices_held",
            "Notices not given: there was one on the same lately.",
            value=self.held_back,
        )
        yield CounterMetricFamily("policyd_outgoing_lost", "Mails that could not be counted.", value=lost)
        yield GaugeMetricFamily("policyd_outgoing_held", "Users and systems held in memory.", value=held)
