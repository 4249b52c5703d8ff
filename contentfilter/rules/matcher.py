"""Decides which rules fire on a letter.

All expressions that look at one thing (the text, the subject, the hosts of links) are searched for at once.
What matched wakes the rules that wait for it, and only these are decided, in an order in which each rule
comes after those it names: of some hundred rules a mail wakes a handful.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.rules.condition import Condition, HeaderTest, PhrasesTest, members
from contentfilter.rules.facts import FACTS, NEEDS, Fact
from contentfilter.rules.pattern import PatternSet
from contentfilter.rules.phrases import PhraseSet, plain, read_phrase, spans_of, words_of
from contentfilter.rules.reading import Reading
from contentfilter.rules.ruling import RuleSet, Ruling
from contentfilter.rules.views import Search, View, searches

MAX_PLACES = 3
"""Places that are told of one test."""
_AROUND = 30
"""Octets around a place that are told with it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that fired.

    Arguments:
        ruling: which.
        detail: what its fact saw: a host, a date, a number.
    """

    ruling: Ruling
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test held.

    Arguments:
        where: ``subject``, ``text``, ``link``, or a fact's name.
        text: what matched, with a little around it, or what the fact saw.
    """

    where: str
    text: str


Sign: TypeAlias = tuple[str, "str | int"]
"""What can be found in a letter: the name of a view with the number of an expression, or one of these with a
name or number."""
Signs: TypeAlias = "frozenset[Sign] | None"
"""None: nothing need be found."""
Need: TypeAlias = "Callable[[Reading], bool]"
RULE, FACT, PHRASE = "rule", "fact", "phrase"


class Matcher:
    """Arguments:
    rules: those in force.
    """

    def __init__(self, rules: RuleSet) -> None:
        self._expressions: dict[str, dict[str, int]] = {}
        self._views: dict[str, View] = {}
        self._phrases: dict[str, int] = {}
        self._order = [(ruling, self._decision(ruling)) for ruling in rules.rulings.values()]
        self._asleep = bytearray(len(self._order))
        self._waiting: dict[Sign, list[int]] = {}
        for index, (ruling, _decide) in enumerate(self._order):
            if not ruling.off:
                self._await(index, self._signs(ruling.condition))
        self._facts: dict[Need | None, list[tuple[str, Fact]]] = {}
        for kind, name in self._waiting:
            if kind == FACT:
                fact = FACTS[str(name)]
                self._facts.setdefault(NEEDS.get(fact), []).append((str(name), fact))
        self._of_fields: dict[str, list[View]] = {}
        """Views of a header field, by its name, and under no name all others."""
        for view in self._views.values():
            self._of_fields.setdefault(view.field, []).append(view)
        self._searched = Searched(
            {
                name: PatternSet(table, rare=self._views[name].rare)
                for name, table in self._expressions.items()
            },
            PhraseSet(map(read_phrase, self._phrases)),
        )

    def hits(self, reading: Reading) -> list[Hit]:
        """The rules with points that fire, in an order in which each comes after those it names."""
        sight = Sight(reading, self._searched)
        found = []
        for ruling in self._firing(sight):
            if ruling.points is not None:
                fact = ruling.condition.fact
                found.append(Hit(ruling, sight.fact(fact) or "" if fact else ""))
        return found

    def fires(self, name: str, reading: Reading) -> bool:
        """Whether the rule called ``name`` fires, with or without points."""
        return any(ruling.name == name for ruling in self._firing(Sight(reading, self._searched)))

    def places(self, reading: Reading, rulings: Iterable[Ruling]) -> Iterator[tuple[Ruling, list[Place]]]:
        """Where rules that fire do so: the places of each of their tests that hold."""
        sight = Sight(reading, self._searched)
        fired = {ruling.name: ruling for ruling in self._firing(sight)}
        for ruling in rulings:
            yield ruling, list(dict.fromkeys(self._seen(sight, ruling.condition, fired)))

    def _firing(self, sight: Sight) -> Iterator[Ruling]:
        """The rules that fire, with or without points, each after those it names."""
        awake = bytearray(self._asleep)
        waiting = self._waiting
        for sign in self._signs_in(sight):
            for index in waiting.get(sign, ()):
                awake[index] = 1
        index = awake.find(1)
        while index >= 0:
            ruling, decide = self._order[index]
            if decide(sight):
                sight.fired.add(ruling.name)
                # Those that name it come after it.
                for later in waiting.get((RULE, ruling.name), ()):
                    awake[later] = 1
                yield ruling
            index = awake.find(1, index + 1)

    def _signs_in(self, sight: Sight) -> Iterator[Sign]:
        """All that was found in the letter, without the rules that fire."""
        letter = sight.reading.letter
        for needed, facts in self._facts.items():
            if needed is None or needed(sight.reading):
                for name in sight.holding(facts):
                    yield FACT, name
        # A mail has few of the fields that rules look at.
        for field in ("", *letter.names):
            for view in self._of_fields.get(field, ()):
                for number in sight.anywhere(view):
                    yield view.name, number
        # The text is taken apart for them alone.
        for number in sight.phrases if self._phrases else ():
            yield PHRASE, number

    def _await(self, index: int, signs: Signs) -> None:
        """Let the rule at ``index`` wait for ``signs``."""
        if signs is None:
            self._asleep[index] = 1
        for sign in signs or ():
            self._waiting.setdefault(sign, []).append(index)

    def _signs(self, condition: Condition) -> Signs:
        """What ``condition`` cannot hold without: one of these."""
        if condition.rule is not None:
            return frozenset({(RULE, condition.rule)})
        if condition.fact is not None:
            return frozenset({(FACT, condition.fact)})
        if condition.phrases is not None:
            return frozenset((PHRASE, self._phrases[phrase]) for phrase in condition.phrases.of)
        inside = [self._signs(member) for member in members(condition)]
        if condition.all is not None:
            # The rarest of what it needs is that of which there are the fewest kinds.
            return min((signs for signs in inside if signs is not None), key=len, default=None)
        present = condition.header is not None and condition.header.matches is None
        if condition.negated is not None or present:
            return None
        if condition.any is None and condition.count is None:
            for search in searches(condition):
                view, pattern = search.columns[0]
                inside.append(frozenset({(view.name, self._expressions[view.name][pattern])}))
        alternatives = [signs for signs in inside if signs is not None]
        if not alternatives or len(alternatives) < len(inside):
            return None
        return frozenset().union(*alternatives)

    def _decision(self, ruling: Ruling) -> Decide:
        if ruling.off:
            return _never
        decide = self._condition(ruling.condition)
        if ruling.unless is None:
            return decide
        exception = self._condition(ruling.unless)
        return lambda sight: decide(sight) and not exception(sight)

    def _condition(self, condition: Condition) -> Decide:
        """``condition`` as a function that says whether it holds."""
        if (name := condition.rule) is not None:
            return lambda sight: name in sight.fired
        if (fact := condition.fact) is not None:
            return lambda sight: sight.fact(fact) is not None
        if condition.header is not None and condition.header.matches is None:
            return _absence(condition.header) if condition.header.absent else _presence(condition.header)
        inside = [self._condition(member) for member in members(condition)]
        if condition.negated is not None:
            return lambda sight: not inside[0](sight)
        if condition.count is not None:
            return _counting(inside, condition.count.at_least)
        if condition.all is not None:
            return _every(inside)
        if condition.any is not None:
            return _some(inside)
        if condition.phrases is not None:
            return self._phrased(condition.phrases)
        return _some([self._search(search) for search in searches(condition)])

    def _phrased(self, test: PhrasesTest) -> Decide:
        numbers = frozenset(self._phrases.setdefault(phrase, len(self._phrases)) for phrase in test.of)
        if test.at_least == 1:
            return lambda sight: not numbers.isdisjoint(sight.phrases)
        return lambda sight: len(numbers & sight.phrases.keys()) >= test.at_least

    def _search(self, search: Search) -> Decide:
        columns = [(view, self._number(view, pattern)) for view, pattern in search.columns]
        view, number = columns[0]
        if len(columns) == 1 and search.at_least == 1 and search.row is None:
            return lambda sight: number in sight.anywhere(view)
        if view.flowing:
            at_least = search.at_least
            return lambda sight: sight.times(view, number, at_least) >= at_least
        return _rows(columns, search)

    def _number(self, view: View, pattern: str) -> int:
        self._views[view.name] = view
        table = self._expressions.setdefault(view.name, {})
        return table.setdefault(pattern, len(table))

    def _seen(self, sight: Sight, condition: Condition, fired: dict[str, Ruling]) -> Iterator[Place]:
        if not self._condition_again(condition)(sight):
            return
        if condition.rule is not None:
            yield from self._seen(sight, fired[condition.rule].condition, fired)
        elif condition.fact is not None:
            yield Place(condition.fact, sight.fact(condition.fact) or "")
        elif (header := condition.header) is not None and header.matches is None:
            letter = sight.reading.letter
            for name in header.field:
                if (name in letter) != header.absent:
                    yield Place(name, "not there" if header.absent else letter.first(name)[:200])
        elif condition.phrases is not None:
            yield from self._spoken(sight, condition.phrases)
        elif condition.negated is None:
            for member in members(condition):
                yield from self._seen(sight, member, fired)
            for search in searches(condition):
                yield from self._found(sight, search)

    def _spoken(self, sight: Sight, test: PhrasesTest) -> Iterator[Place]:
        text = plain(sight.reading.text)
        spans = spans_of(text)
        numbers = [self._phrases[phrase] for phrase in test.of]
        for number in [number for number in numbers if number in sight.phrases][:MAX_PLACES]:
            first, behind = sight.phrases[number]
            yield Place("text", f"[{text[spans[first][0] : spans[behind - 1][1]][:200]}]")

    def _found(self, sight: Sight, search: Search) -> Iterator[Place]:
        left = MAX_PLACES
        for view, pattern in search.columns:
            number = self._expressions[view.name][pattern]
            for cell, matched in zip(view.cells(sight.reading), sight.cells(view), strict=True):
                if number not in matched:
                    continue
                for start, end in self._searched.sets[view.name].spans(number, cell, left) or [
                    (0, len(cell))
                ]:
                    left -= 1
                    before, after = cell[max(0, start - _AROUND) : start], cell[end : end + _AROUND]
                    text = f"{_text(before)}[{_text(cell[start:end][:200])}]{_text(after)}"
                    yield Place(view.title, text)
                if left <= 0:
                    return

    def _condition_again(self, condition: Condition) -> Decide:
        """As :meth:`_condition`, for conditions whose expressions are all known."""
        return self._condition(condition)


@dataclass(frozen=True, slots=True)
class Searched:
    """What is searched for.

    Arguments:
        sets: the expressions for each view, by its name.
        phrases: all phrases.
    """

    sets: dict[str, PatternSet]
    phrases: PhraseSet


class Sight:
    """What is known of one letter so far.

    Arguments:
        reading: the letter.
        searched: what rules search for.
    """

    __slots__ = ("_anywhere", "_cells", "_facts", "_phrases", "_searched", "_sets", "fired", "reading")

    def __init__(self, reading: Reading, searched: Searched) -> None:
        self.reading = reading
        self.fired: set[str] = set()
        self._searched = searched
        self._sets = searched.sets
        self._phrases: dict[int, tuple[int, int]] | None = None
        self._facts: dict[str, str | None] = {}
        self._anywhere: dict[str, frozenset[int]] = {}
        self._cells: dict[str, list[Sequence[int]]] = {}

    def fact(self, name: str) -> str | None:
        """What the fact saw; None where it does not hold."""
        if name not in self._facts:
            self._facts[name] = FACTS[name](self.reading)
        return self._facts[name]

    def holding(self, facts: Iterable[tuple[str, Fact]]) -> list[str]:
        """The names of those that hold."""
        known, reading = self._facts, self.reading
        found = []
        for name, fact in facts:
            seen = known[name] = fact(reading)
            if seen is not None:
                found.append(name)
        return found

    @property
    def phrases(self) -> dict[int, tuple[int, int]]:
        """The phrases that are there; see :meth:`PhraseSet.search`."""
        if self._phrases is None:
            self._phrases = self._searched.phrases.search(words_of(self.reading.text))
        return self._phrases

    def anywhere(self, view: View) -> frozenset[int]:
        """The numbers of the expressions that match in some text of ``view``."""
        seen = self._anywhere.get(view.name)
        if seen is None:
            cells = self.cells(view)
            # Most have one text, or none.
            seen = frozenset(cells[0]) if len(cells) == 1 else frozenset().union(*cells) if cells else _NONE
            self._anywhere[view.name] = seen
        return seen

    def cells(self, view: View) -> list[Sequence[int]]:
        """The numbers of the expressions that match, for each text of ``view``."""
        found = self._cells.get(view.name)
        if found is None:
            match, cells = self._sets[view.name].match, view.cells(self.reading)
            if len(cells) < 2:
                found = [match(cell) for cell in cells]
            else:
                known = {cell: match(cell) for cell in set(cells)}
                found = [known[cell] for cell in cells]
            self._cells[view.name] = found
        return found

    def times(self, view: View, number: int, limit: int) -> int:
        """In how many places of a flowing ``view`` an expression matches; counted up to ``limit``."""
        if number not in self.anywhere(view):
            return 0
        (cell,) = view.cells(self.reading)
        return len(self._searched.sets[view.name].spans(number, cell, limit))


_NONE: frozenset[int] = frozenset()
Decide: TypeAlias = Callable[[Sight], bool]


def _never(_sight: Sight) -> bool:
    return False


def _absence(header: HeaderTest) -> Decide:
    names = header.field
    return lambda sight: not any(name in sight.reading.letter for name in names)


def _presence(header: HeaderTest) -> Decide:
    names, at_least = header.field, header.at_least
    if at_least == 1 and len(names) == 1:
        return lambda sight: names[0] in sight.reading.letter

    def decide(sight: Sight) -> bool:
        letter = sight.reading.letter
        return sum(sum(1 for _field in letter.all(name)) for name in names if name in letter) >= at_least

    return decide


def _every(inside: Sequence[Decide]) -> Decide:
    def decide(sight: Sight) -> bool:
        for one in inside:  # noqa: SIM110 - a generator here costs more than what it decides
            if not one(sight):
                return False
        return True

    return decide


def _some(inside: Sequence[Decide]) -> Decide:
    if len(inside) == 1:
        return inside[0]

    def decide(sight: Sight) -> bool:
        for one in inside:  # noqa: SIM110 - likewise
            if one(sight):
                return True
        return False

    return decide


def _counting(inside: Sequence[Decide], at_least: int) -> Decide:
    def decide(sight: Sight) -> bool:
        left = at_least
        for one in inside:
            if one(sight):
                left -= 1
                if not left:
                    return True
        return False

    return decide


def _rows(columns: Sequence[tuple[View, int]], search: Search) -> Decide:
    """Rows of which each column fits, and which are right otherwise."""

    def decide(sight: Sight) -> bool:
        if not all(number in sight.anywhere(view) for view, number in columns):
            return False
        left = search.at_least
        table = [(sight.cells(view), number) for view, number in columns]
        for row in range(len(table[0][0])):
            fits = all(number in cells[row] for cells, number in table)
            if fits and (search.row is None or search.row(sight.reading, row)):
                left -= 1
                if not left:
                    return True
        return False

    return decide


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "ignore")
