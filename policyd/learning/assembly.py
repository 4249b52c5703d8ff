"""Learning, wired: lessons, training, verbs and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from mailbase.config.statistics import StatisticsSettings
from mailbase.logs import Log
from policyd.learning.bulk import BULK, Bulk
from policyd.learning.lessons import SOURCES, TOKENS, Lessons
from policyd.learning.school import School
from policyd.learning.verbs import LearningVerbs

if TYPE_CHECKING:
    from policyd.state.state import State


class Learning:
    """Arguments:
    settings: in force at the start; ``enabled`` and ``model`` stay what they are then.
    state: where lessons are kept.
    reactor: Twisted's.
    log: for all of it.

    Attributes:
        verbs: of the control socket.
        bulk: counts mails of nearly the same text.
    """

    def __init__(self, settings: StatisticsSettings, state: State, reactor: Any, log: Log) -> None:
        self._seconds = reactor.seconds
        self._learned = {(source, spam): 0 for source in SOURCES for spam in (True, False)}
        self._lessons: Lessons | None = None
        self._school: School | None = None
        if settings.enabled:
            self._school = school = School(reactor, settings.model, log)
            self._lessons = school.lessons = Lessons(
                state.lessons, state.memory(TOKENS.name), reactor.seconds, school.changed
            )
            state.lessons.watch(school.reload)
        self.bulk = Bulk(state.memory(BULK.name), reactor.seconds)
        self.configure(settings)
        self.verbs = LearningVerbs(self._lessons, self._school, log, self._count)

    def configure(self, settings: StatisticsSettings) -> None:
        """Take other bounds."""
        self.bulk.keep = settings.bulk_keep
        if self._lessons is not None:
            self._lessons.most, self._lessons.keep = settings.mails, settings.keep

    def start(self) -> None:
        """Read the lessons, and train where the model does not know them; after the store is opened."""
        if self._school is not None:
            self._school.start()

    def stop(self) -> None:
        """End a training that goes on."""
        if self._school is not None:
            self._school.stop()

    def _count(self, source: str, spam: bool, number: int) -> None:
        self._learned[source, spam] += number

    def collect(self, prefix: str) -> Iterable[Metric]:
        """Metrics, their names beginning with ``prefix``."""
        learned = CounterMetricFamily(
            f"{prefix}_statistics_learned",
            "Mails learned, by kind and by who said so.",
            labels=["kind", "source"],
        )
        for (source, is_spam), number in self._learned.items():
            learned.add_metric(["spam" if is_spam else "ham", source], number)
        yield learned
        known = list(self._lessons.all.values()) if self._lessons is not None else []
        kinds = GaugeMetricFamily(
            f"{prefix}_statistics_lessons", "Mails that are remembered, by kind.", labels=["kind"]
        )
        spam = sum(one.spam for one in known)
        kinds.add_metric(["spam"], spam)
        kinds.add_metric(["ham"], len(known) - spam)
        yield kinds
        summary: dict[str, Any] = self._school.summary if self._school is not None else {}
        now = self._seconds()
        trained = summary.get("trained", 0)
        oldest = min((one.learned for one in known), default=now)
        for name, text, value in (
            ("model_age_seconds", "Since the model was trained; 0: never.", now - trained if trained else 0),
            ("oldest_lesson_seconds", "Since the oldest mail that is remembered was learned.", now - oldest),
            ("tokens", "Different things that were seen in what is remembered.", summary.get("tokens", 0)),
            ("judges", "Whether enough was learned to judge mail.", int(bool(summary.get("judges")))),
        ):
            yield GaugeMetricFamily(f"{prefix}_statistics_{name}", text, value)
        bulk = CounterMetricFamily(
            f"{prefix}_bulk_mails",
            "Texts counted, and those like a spamtrap's.",
            labels=["what"],
        )
        for what, number in self.bulk.counted.items():
            bulk.add_metric([what], number)
        yield bulk
        yield CounterMetricFamily(
            f"{prefix}_statistics_training_failures",
            "Trainings that failed.",
            self._school.failures if self._school is not None else 0,
        )
