"""The elements of HTML, as far as they matter to how a text is read, and those open at a place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contentfilter.letter.looks import Sight

MAX_DEPTH = 500
"""Elements around a place that are remembered; browsers have a bound like it."""
_WALK = 20
"""Elements that a paragraph left open may have in it, to be ended by what follows."""


@dataclass(frozen=True, slots=True)
class Element:
    """Arguments:
    name: lower case.
    mark: what it puts between the words before and after it: a line end, a tab, or nothing.
    void: whether it has no content and no end.
    ending: the end tag of one whose content is text, tags and all; None of others.
    ends: names of elements around it that it ends, since they need no end tag.
    link: the attribute that leads somewhere, and the kind of link.
    read: whether its attributes matter in any case.
    """

    name: str
    mark: str = ""
    void: bool = False
    ending: re.Pattern[str] | None = None
    ends: frozenset[str] = frozenset()
    link: tuple[str, str] | None = None
    read: bool = False


_VOID = frozenset(
    {
        "area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen",
        "link", "meta", "param", "source", "track", "wbr",
    }
)  # fmt: skip
_TEXT = frozenset({"iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp"})
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details",
        "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
        "h4", "h5", "h6", "head", "header", "hr", "html", "legend", "li", "main", "menu", "nav", "ol",
        "optgroup", "option", "p", "pre", "section", "select", "summary", "table", "tbody", "tfoot",
        "thead", "title", "tr", "ul",
    }
)  # fmt: skip
_CELLS = frozenset({"td", "th"})
_ENDS = {
    "li": frozenset({"li", "p"}),
    "dt": frozenset({"dt", "dd", "p"}),
    "dd": frozenset({"dt", "dd", "p"}),
    "option": frozenset({"option"}),
    "tr": frozenset({"tr", "td", "th", "p"}),
    "td": frozenset({"td", "th", "p"}),
    "th": frozenset({"td", "th", "p"}),
}
_PARAGRAPH = frozenset({"p"})
_LINKS = {
    "area": ("href", "link"),
    "audio": ("src", "media"),
    "body": ("background", "image"),
    "embed": ("src", "frame"),
    "form": ("action", "form"),
    "frame": ("src", "frame"),
    "iframe": ("src", "frame"),
    "img": ("src", "image"),
    "link": ("href", "style"),
    "object": ("data", "frame"),
    "script": ("src", "script"),
    "source": ("src", "media"),
    "table": ("background", "image"),
    "td": ("background", "image"),
    "track": ("src", "media"),
    "video": ("src", "media"),
}
_READ = frozenset({"a", "base", "button", "font", "img", "input", "meta"})
_BARRIERS = frozenset({"td", "th", "table", "caption", "button", "object", "marquee"})
"""A stray end tag in one of them ends nothing around it."""
_TABLE = frozenset({"table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption"})


def _element(name: str) -> Element:
    void = name in _VOID
    block = name in _BLOCKS
    return Element(
        name,
        "\n" if block else "\t" if name in _CELLS else "",
        void,
        re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) if name in _TEXT else None,
        _ENDS.get(name, _PARAGRAPH if block and not void else frozenset()),
        _LINKS.get(name),
        name in _READ or (name in _LINKS and _LINKS[name][0] != "background"),
    )


ELEMENTS = {name: _element(name) for name in {*_VOID, *_TEXT, *_BLOCKS, *_CELLS, *_LINKS, *_READ}}
"""Those that differ from all others, which cut no word and end nothing."""


class OpenElements:
    """The elements that are open at a place, innermost last, and how text is seen in each."""

    __slots__ = ("_barriers", "_places", "names", "sights")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sights = [Sight()]
        self._places: dict[str, list[int]] = {}
        self._barriers: list[int] = []

    def __contains__(self, name: str) -> bool:
        return bool(self._places.get(name))

    def push(self, name: str, sight: Sight) -> None:
        """A start tag; with too many open it is as if it stood there without an end."""
        place = len(self.names)
        if place >= MAX_DEPTH:
            return
        self.names.append(name)
        self.sights.append(sight)
        places = self._places.get(name)
        if places is None:
            self._places[name] = [place]
        else:
            places.append(place)
        if name in _BARRIERS:
            self._barriers.append(place)

    def end(self, name: str) -> None:
        """An end tag: it ends the element of that name, and what is open in it."""
        places = self._places.get(name)
        if not places:
            return
        place = places[-1]
        if self._barriers and self._barriers[-1] > place and name not in _TABLE:
            return
        self._cut(place)

    def end_implied(self, ends: frozenset[str]) -> None:
        """A start tag that ends what of ``ends`` is open just around it."""
        names = self.names
        while names and names[-1] in ends:
            self._cut(len(names) - 1)
        if "p" in ends and self._places.get("p"):
            # Nobody closes what is in a paragraph before he begins the next one.
            for place in range(len(names) - 1, max(-1, len(names) - _WALK), -1):
                if names[place] in ends:
                    self._cut(place)
                    return
                if names[place] in _BLOCKS or names[place] in _BARRIERS:
                    return

    def _cut(self, place: int) -> None:
        names, barriers = self.names, self._barriers
        while len(names) > place:
            name = names.pop()
            self._places[name].pop()
            if name in _BARRIERS:
                barriers.pop()
        del self.sights[place + 1 :]
