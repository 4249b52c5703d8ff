"""Phrases: sequences of words, searched for in a text by the hundred.

Language is where most rules look, and expressions are bad at it: alternatives of words with gaps between them
are what automata are largest and slowest for. Here a text is cut into words once, each phrase waits for the
rarest of its words, and only where that stands its neighbours are compared. Time is linear in the text, and
bounded for each phrase.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import re2

from contentfilter.rules.pattern import options

MAX_ELEMENTS = 16
MAX_GAP = 15
"""Words that a gap may span."""
MAX_TRIES = 20
"""Places of its rarest word at which a phrase is tried."""
MAX_WORDS = 32_768
"""Words of a text that are looked at."""

_WORD = re.compile(r"[^\W_]+|[$€£%!]")
_SIGNS = "$%!"
"""Of the signs that are words, those in ASCII."""
_SPACED = bytes(
    octet if octet >= 128 or chr(octet).isalnum() or chr(octet) in _SIGNS else 32 for octet in range(256)
)
"""What divides words in UTF-8, as far as it is ASCII, made a blank."""
_ALTERNATIVE = re.compile(r"\*?[^\W_]+\*?|[$€£%!#]")
_GAP = re.compile(r"\.\.(\d{1,2})")
_PREFIX = 4
"""Letters by which words that are given by their beginning are found."""

_COMMON_LIST = """
a about account after all also am an and any are as at back be because been before but by can click come
could day days did do does email even first for free from get give go good had has have help here her hi him
his how i if in into is it its just know like look mail make me message money more most my name need new no
not now of on one only or other our out over people please receive see send service she site so some take
than that the their them then there these they this time to today two up us use want was way we web well
were what when which who will with work would year you your der die das und ist nicht ein eine einen einer
sie ihr ihre ihren ihrem ihrer wir uns es im in den dem des zu zur zum auf mit von für bei sich auch wird
wurde werden haben hat sind oder als wie nur noch $ % ! € £ #
"""
_COMMON = frozenset(_COMMON_LIST.split())


class BadPhrase(ValueError):
    """A phrase that cannot be read; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Element:
    """One place of a phrase.

    Arguments:
        words: any of these.
        starts, ends, inner: or one that begins so, ends so, or holds it.
        number: or a number.
        optional: the place may be empty.
        gap: instead of all that, any words, so many at most; -1 where it is none.
    """

    words: frozenset[str] = frozenset()
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    number: bool = False
    optional: bool = False
    gap: int = -1

    def fits(self, word: str) -> bool:
        """Whether ``word``, in small letters, may stand here."""
        return (
            word in self.words
            or (bool(self.starts) and word.startswith(self.starts))
            or (bool(self.ends) and word.endswith(self.ends))
            or (bool(self.inner) and any(part in word for part in self.inner))
            or (self.number and word.isdecimal())
        )

    @property
    def commonness(self) -> float:
        """How often it is met in any text; what a phrase waits for should be rare."""
        if self.gap >= 0 or self.optional or self.number:
            return 1e9
        short = sum(30.0 for start in self.starts if len(start) < _PREFIX)
        return (
            len(self.words)
            + 40.0 * len(self.words & _COMMON)
            + 2.0 * len(self.starts)
            + short
            + 5.0 * (len(self.ends) + len(self.inner))
        )


def read_phrase(text: str) -> tuple[Element, ...]:
    """A phrase as it is written: ``transfer* ..4 fund|sum your? account``.

    ``|`` divides words of which one stands there, ``*`` stands for the rest of a word, before or behind,
    ``?`` behind a word means that it may be missing, ``#`` is a number, and ``..4`` are up to four words.

    Raises:
        BadPhrase: it is written otherwise.
    """
    pieces = text.split()
    if not pieces:
        raise BadPhrase("expected words")
    if len(pieces) > MAX_ELEMENTS:
        raise BadPhrase(f"'{text}': {len(pieces)} words; at most {MAX_ELEMENTS} make a phrase")
    elements = tuple(map(_element, pieces))
    if all(element.commonness >= 1e9 for element in elements):
        raise BadPhrase(
            f"'{text}': expected a word that must be there, besides gaps, numbers and what may be missing"
        )
    if elements[0].gap >= 0 or elements[-1].gap >= 0:
        raise BadPhrase(f"'{text}': a gap stands between words, not at an end")
    return elements


def _element(piece: str) -> Element:
    if found := _GAP.fullmatch(piece):
        size = int(found[1])
        if not 1 <= size <= MAX_GAP:
            raise BadPhrase(f"'{piece}': a gap has 1 to {MAX_GAP} words")
        return Element(gap=size)
    optional = piece.endswith("?")
    words: list[str] = []
    starts: list[str] = []
    ends: list[str] = []
    inner: list[str] = []
    number = False
    for one in piece.removesuffix("?").split("|"):
        if not _ALTERNATIVE.fullmatch(one):
            hint = (
                "; write what a hyphen or point divides as two words, and leave out apostrophes"
                if one
                else ""
            )
            raise BadPhrase(f"'{piece}': expected words, as in 'verify your|the account*', got '{one}'{hint}")
        word = one.strip("*").lower()
        number = number or one == "#"
        if one.startswith("*"):
            (inner if one.endswith("*") else ends).append(word)
        else:
            (starts if one.endswith("*") else words).append(word)
    return Element(frozenset(words) - {"#"}, tuple(starts), tuple(ends), tuple(inner), number, optional)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A phrase, divided at the element it waits for.

    Arguments:
        number: of the phrase.
        before: what stands before the element, from it backwards.
        after: what stands behind it.
        left, right: the only words that may stand next to it; None: others may, or none need.
        needs: words of the other places, of each of which the text must have one.
    """

    number: int
    before: tuple[Element, ...]
    anchor: Element
    after: tuple[Element, ...]
    left: frozenset[str] | None
    right: frozenset[str] | None
    needs: tuple[frozenset[str], ...]


class PhraseSet:
    """Many phrases searched for at once.

    Arguments:
        phrases: as :func:`read_phrase` gives them.
    """

    def __init__(self, phrases: Iterable[Sequence[Element]]) -> None:
        self._words: dict[str, list[_Waiting]] = {}
        self._starts: dict[str, list[_Waiting]] = {}
        self._parts: dict[str, list[_Waiting]] = {}
        for number, elements in enumerate(phrases):
            place = min(range(len(elements)), key=lambda index: elements[index].commonness)
            anchor = elements[place]
            before, after = tuple(reversed(elements[:place])), tuple(elements[place + 1 :])
            others = (_only((element,)) for element in (*before, *after))
            needs = tuple(words for words in others if words is not None)
            waiting = _Waiting(number, before, anchor, after, _only(before), _only(after), needs)
            for word in anchor.words:
                self._words.setdefault(word, []).append(waiting)
            for start in anchor.starts:
                table = self._starts if len(start) >= _PREFIX else self._parts
                table.setdefault(start[:_PREFIX], []).append(waiting)
            for part in (*anchor.ends, *anchor.inner):
                self._parts.setdefault(part, []).append(waiting)
        self._known = frozenset(self._words)
        self._pieces = None
        if pieces := sorted([*self._parts, *(f" {start}" for start in self._starts)]):
            self._pieces = re2.compile("|".join(map(re2.escape, pieces)), options())

    def search(self, words: Sequence[str]) -> dict[int, tuple[int, int]]:
        """The numbers of the phrases that stand in ``words``, each with its first word and the one behind.

        Arguments:
            words: in small letters, in their order.
        """
        found: dict[int, tuple[int, int]] = {}
        count, distinct = len(words), frozenset(words)
        candidates = list(self._candidates(distinct))
        places: dict[str, list[int]] | None = None
        for word, waiting in candidates:
            for one in waiting:
                if one.number in found or not one.anchor.fits(word):
                    continue
                # Most often one of its other words is nowhere in the text.
                if any(map(distinct.isdisjoint, one.needs)):
                    continue
                if places is None:
                    places = _places(words, {candidate for candidate, _waiting in candidates})
                left, right = one.left, one.right
                for index in places[word]:
                    if right is not None and (index + 1 >= count or words[index + 1] not in right):
                        continue
                    if left is not None and (index < 1 or words[index - 1] not in left):
                        continue
                    ends = _reach(words, index + 1, one.after, 1)
                    if ends and (begins := _reach(words, index - 1, one.before, -1)):
                        found[one.number] = max(begins) + 1, min(ends)
                        break
        return found

    def _candidates(self, distinct: frozenset[str]) -> Iterator[tuple[str, list[_Waiting]]]:
        """Words of the text for which phrases may wait."""
        for word in distinct & self._known:
            yield word, self._words[word]
        if self._pieces is None:
            return
        # All words at once; only what begins a word has a blank in it, so none is found across two.
        joined = f" {' '.join(distinct)} ".encode("utf-8", "replace")
        pieced: set[bytes] = set()
        for match in self._pieces.finditer(joined):
            begin = joined.rfind(b" ", 0, match.start() + 1) + 1
            pieced.add(joined[begin : joined.index(b" ", match.end())])
        for octets in pieced:
            word = octets.decode("utf-8", "replace")
            if (waiting := self._starts.get(word[:_PREFIX])) is not None:
                yield word, waiting
            for part, waiting in self._parts.items():
                if part in word and word in distinct:
                    yield word, waiting


def _places(words: Sequence[str], wanted: Collection[str]) -> dict[str, list[int]]:
    """Where each of ``wanted`` stands, the first :data:`MAX_TRIES` times."""
    places: dict[str, list[int]] = {word: [] for word in wanted}
    for index, word in enumerate(words):
        if word in places and len(places[word]) < MAX_TRIES:
            places[word].append(index)
    return places


def _only(elements: Sequence[Element]) -> frozenset[str] | None:
    """The words of which the first of ``elements`` must be one; None if it may be others, or be missing."""
    if not elements:
        return None
    first = elements[0]
    wild = first.starts or first.ends or first.inner or first.number or first.optional or first.gap >= 0
    return None if wild else first.words


def words_of(text: str) -> list[str]:
    """The words of a text, small letters; signs of money, ``%`` and ``!`` are words too.

    Apostrophes are left out (``dont``), and e-mail is one word.
    """
    text = plain(text)
    for sign in _SIGNS:
        if sign in text:
            text = text.replace(sign, f" {sign} ")
    # As _WORD finds them, which takes four times as long and is kept for words beyond ASCII.
    pieces = text.encode("utf-8", "surrogatepass").translate(_SPACED).decode("utf-8", "surrogatepass").split()
    if text.isascii():
        return pieces[:MAX_WORDS]
    words: list[str] = []
    for piece in pieces[:MAX_WORDS]:
        if piece.isascii():
            words.append(piece)
        else:
            words += _WORD.findall(piece)
    return words[:MAX_WORDS]


def spans_of(text: str) -> list[tuple[int, int]]:
    """Where the words stand that :func:`words_of` tells, in a text that :func:`plain` gave."""
    return [match.span() for match in _WORD.finditer(text)][:MAX_WORDS]


def plain(text: str) -> str:
    """``text`` as its words are taken out of it."""
    return text.lower().replace("'", "").replace("\u2019", "").replace("e-mail", "email")


def _reach(words: Sequence[str], start: int, elements: Sequence[Element], step: int) -> set[int]:
    """Where one may be behind ``elements``, from ``start`` in direction ``step``; empty if nowhere."""
    reached = {start}
    for element in elements:
        if element.gap >= 0:
            reached = {at + step * more for at in reached for more in range(element.gap + 1)}
            continue
        behind = {at + step for at in reached if 0 <= at < len(words) and element.fits(words[at])}
        reached = behind | reached if element.optional else behind
        if not reached:
            break
    return reached
