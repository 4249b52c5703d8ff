"""HTML as the reader of a mail sees it: the text that is shown, the text that is not, where links lead.

``read_page`` goes over the source once, tag by tag, as browsers do (HTML 5, 13.2): what they take for a tag
is one, what they drop is dropped. It builds no tree. Every step takes time in proportion to what it passes
over, whatever that is.

Scripts do not run in mail programs, so their text is nothing; what stands in ``noscript`` is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from contentfilter.content.references import unescaped
from contentfilter.letter.colours import UNKNOWN, colour_of
from contentfilter.letter.elements import ELEMENTS, Element, OpenElements
from contentfilter.letter.looks import MAX_STYLE, PLAIN, Look, Sheet, Sight, look_of
from contentfilter.links.link import FETCHED, MAX_LINK_TEXT, MAX_TARGET, Link

MAX_LINKS = 2_000
"""Links of a page that are opened; of more, the first."""
MAX_OTHERS = 1_000
"""Likewise those that nobody sees, and what is only fetched to be shown."""
MAX_TITLE = 500
MAX_ATTRIBUTES = 16_384
"""Characters of a tag that are searched for attributes."""
MAX_CLASSES = 20

_TOKEN = re.compile(
    r"<(?:(/?)([a-zA-Z][^\s/>]*+)"
    # Only behind a = do quotes hide a >.
    r"((?>(?>(?:[^=>]++|=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+)?){1,64})*))>"
    r"|(!--)|[!?/][^>]*+>|(?=[a-zA-Z/!?]))"
)
"""A tag: end, name, attributes; a comment's begin; something to skip; a tag that has no end."""
_ATTRIBUTE = re.compile(r"([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>]*+)))?")
_COMMENT_END = re.compile(r"--!?>")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)
"""Characters without a shape: soft hyphens, joiners, marks of direction."""
_BLANK = "".join(map(chr, range(33)))
_REFRESH = re.compile(r"\s*[0-9.]*\s*[;,\s]\s*(?:url\s*=\s*)?[\"']?([^\"']*)", re.IGNORECASE)
_CSS_URL = re.compile(r"url\(\s*([\"']?)([^\"'()]{1,2000})\1\s*\)", re.IGNORECASE)

_TELLING = re.compile(r"style|class|id|color|hidden|background", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is read.

    Arguments:
        shown: the text that a reader sees, a line for each line or block there, spaces collapsed.
        hidden: the text that he doesn't: not displayed, without size, in the colour of the ground.
        title: what its ``title`` element says.
        links: in their order.
        base: what relative links begin with; empty if the page does not say.
        inputs: the types of its fields, such as ``password``.
        images: pictures with room to be seen.
        pixels: pictures of one dot or without room.
        invisible: characters without a shape that stood in words, and are left out.
        tags: start tags.
        cut: whether a tag, comment or script without an end swallows the rest, which no reader sees.
    """

    shown: str = ""
    hidden: str = ""
    title: str = ""
    links: tuple[Link, ...] = ()
    base: str = ""
    inputs: frozenset[str] = frozenset()
    images: int = 0
    pixels: int = 0
    invisible: int = 0
    tags: int = 0
    cut: bool = False


def read_page(source: str) -> Page:
    """Read HTML; anything is a page to browsers.

    Arguments:
        source: decoded. The caller bounds it.
    """
    return _Reading(source).page()


def collapsed(text: str) -> str:
    """``text`` with single spaces and without empty lines."""
    return "\n".join(line for line in (" ".join(line.split()) for line in text.split("\n")) if line)


@dataclass(slots=True)
class _Anchor:
    """A link whose text is being read: where that begins among the pieces of the page."""

    target: str
    shown_from: int
    hidden_from: int


class _Reading:
    """One page while it is read."""

    def __init__(self, source: str) -> None:
        self._source = source.replace("\0", "") if "\0" in source else source
        self._open = OpenElements()
        self._sheet = Sheet()
        self._looks: dict[str, tuple[Look, Mapping[str, str]]] = {}
        self._shown: list[str] = []
        self._hidden: list[str] = []
        self._links: list[Link] = []
        self._anchor: _Anchor | None = None
        self._title = self._base = ""
        self._inputs: set[str] = set()
        self._images = self._pixels = self._invisible = self._tags = self._pre = self._others = 0
        self._cut = False

    def page(self) -> Page:
        """Read all of it."""
        source, at, end = self._source, 0, len(self._source)
        search = _TOKEN.search
        while at < end:
            token = search(source, at)
            if token is None:
                self._text(source[at:])
                break
            if token.start() > at:
                self._text(source[at : token.start()])
            at = token.end()
            closing, name, attributes, comment = token.groups()
            if name is not None:
                name = name.lower()
                element = ELEMENTS.get(name)
                if closing:
                    self._end(name, element)
                else:
                    self._begin(name, element, attributes)
                    if element is not None and element.ending is not None:
                        at = self._raw(name, element.ending, at)
            elif comment is not None:
                at = self._comment(at)
            elif at == token.start() + 1:
                self._drop(at)
                break
        self._close_anchor()
        return Page(
            collapsed("".join(self._shown)),
            collapsed("".join(self._hidden)),
            self._title,
            tuple(self._links),
            self._base,
            frozenset(self._inputs),
            self._images,
            self._pixels,
            self._invisible,
            self._tags,
            self._cut,
        )

    def _text(self, text: str) -> None:
        text = unescaped(text)
        if not text.isascii():
            text, count = _INVISIBLE.subn("", text)
            self._invisible += count
        if not self._pre and "\n" in text:
            text = text.replace("\n", " ")
        (self._hidden if self._open.sights[-1].hidden else self._shown).append(text)

    def _drop(self, at: int) -> int:
        """Nothing from here on is shown, in any program."""
        self._cut = True
        self._hidden.append("\n" + self._source[at:])
        return len(self._source)

    def _comment(self, at: int) -> int:
        # <!--> and <!---> are complete.
        if self._source.startswith(">", at):
            return at + 1
        if self._source.startswith("->", at):
            return at + 2
        found = _COMMENT_END.search(self._source, at)
        return found.end() if found else self._drop(at)

    def _begin(self, name: str, element: Element | None, raw: str) -> None:
        """A start tag."""
        self._tags += 1
        look, attributes = self._styles(name, element, raw)
        opened = self._open
        if element is None:
            opened.push(name, opened.sights[-1] if look is PLAIN else opened.sights[-1].within(look))
            return
        if element.ends and opened.names:
            opened.end_implied(element.ends)
        if element.mark:
            self._break(element.mark)
        sight = opened.sights[-1]
        if look is not PLAIN:
            sight = sight.within(look)
        if element.read:
            self._note(name, attributes, sight)
        if element.link is not None:
            attribute, kind = element.link
            if target := attributes.get(attribute):
                self._add(target, kind, sight.hidden)
        if not element.void:
            opened.push(name, sight)
            self._pre += name == "pre"

    def _end(self, name: str, element: Element | None) -> None:
        if name == "a":
            self._close_anchor()
        elif name == "pre":
            self._pre = max(0, self._pre - 1)
        self._open.end(name)
        if element is not None and element.mark:
            self._break(element.mark)

    def _break(self, mark: str) -> None:
        self._shown.append(mark)
        if self._hidden:
            self._hidden.append(mark)

    def _raw(self, name: str, ending: re.Pattern[str], at: int) -> int:
        """An element whose content is not markup; returns where to go on."""
        found = ending.search(self._source, at)
        end = found.start() if found else len(self._source)
        text = self._source[at:end]
        if name == "style":
            self._sheet.add(text)
            self._looks.clear()
        elif name == "title":
            self._title = self._title or collapsed(unescaped(text))[:MAX_TITLE]
        elif name in ("textarea", "xmp"):
            (self._hidden if self._open.sights[-1].hidden else self._shown).append(unescaped(text))
        self._cut = self._cut or found is None
        return end

    def _styles(self, name: str, element: Element | None, raw: str) -> tuple[Look, Mapping[str, str]]:
        """How an element looks by itself, and its attributes if they are of interest."""
        key = name + raw
        known = self._looks.get(key)
        if known is None:
            wanted = raw and ((element is not None and element.read) or _TELLING.search(raw) is not None)
            attributes = attributes_of(raw) if wanted else _NONE
            known = self._looks[key] = self._look(name, attributes), attributes
        return known

    def _look(self, name: str, attributes: Mapping[str, str]) -> Look:
        look = PLAIN
        if not attributes and not self._sheet:
            return _GONE if name == "template" else look
        if self._sheet:
            look = look.under(self._sheet.look(name))
            for one in attributes.get("class", "").lower().split()[:MAX_CLASSES]:
                look = look.under(self._sheet.look("." + one))
            if (own := attributes.get("id")) is not None:
                look = look.under(self._sheet.look("#" + own.strip().lower()))
        if "hidden" in attributes or name == "template":
            look = look.under(_GONE)
        if name == "font" and (value := attributes.get("color")) is not None:
            look = look.under(Look(colour=colour_of(value.strip().lower())))
        if name == "body" and (value := attributes.get("text")) is not None:
            look = look.under(Look(colour=colour_of(value.strip().lower())))
        if (value := attributes.get("bgcolor")) is not None:
            look = look.under(Look(background=colour_of(value.strip().lower())))
        if attributes.get("background"):
            look = look.under(Look(background=UNKNOWN))
        if style := attributes.get("style"):
            look = look.under(look_of(style[:MAX_STYLE]))
        return look

    def _note(self, name: str, attributes: Mapping[str, str], sight: Sight) -> None:
        """What an element is beside its looks."""
        if name == "a":
            self._close_anchor()
            if (target := attributes.get("href")) is not None:
                self._anchor = _Anchor(target, len(self._shown), len(self._hidden))
            return
        if name in ("input", "button"):
            self._inputs.add(
                attributes.get("type", "text" if name == "input" else "submit").strip().lower()[:20]
            )
        elif name == "base":
            self._base = self._base or trimmed(attributes.get("href", ""))
        elif name == "meta":
            if attributes.get("http-equiv", "").strip().lower() == "refresh":
                found = _REFRESH.match(attributes.get("content", "")[:MAX_TARGET])
                self._add(found[1] if found else "", "refresh", False)
        elif name == "img":
            self._image(attributes, sight)

    def _image(self, attributes: Mapping[str, str], sight: Sight) -> None:
        sizes = [attributes.get(side, "").strip().removesuffix("px") for side in ("width", "height")]
        if not sight.displayed or any(size in ("0", "1") for size in sizes):
            self._pixels += 1
            return
        self._images += 1
        said = attributes.get("alt") or attributes.get("title") or ""
        if said:
            (self._hidden if sight.hidden else self._shown).append(f" {said[:MAX_LINK_TEXT]} ")

    def _add(self, target: str, kind: str, hidden: bool, shown: str = "") -> None:
        other = hidden or kind in FETCHED
        if self._others >= MAX_OTHERS if other else len(self._links) - self._others >= MAX_LINKS:
            return
        if target := trimmed(target):
            self._links.append(Link(target, shown, kind, hidden))
            self._others += other

    def _close_anchor(self) -> None:
        anchor, self._anchor = self._anchor, None
        if anchor is None:
            return
        shown = _words(self._shown, anchor.shown_from)
        unseen = "" if shown else _words(self._hidden, anchor.hidden_from)
        self._add(anchor.target, "link", bool(unseen) or self._open.sights[-1].hidden, shown or unseen)


_NONE: Mapping[str, str] = {}
_GONE = Look(displayed=False)


def _words(pieces: list[str], begin: int) -> str:
    return " ".join("".join(pieces[begin:])[: 4 * MAX_LINK_TEXT].split())[:MAX_LINK_TEXT]


def attributes_of(raw: str) -> dict[str, str]:
    """The attributes of a tag by name in lower case, values decoded; of those of one name the first."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(raw[:MAX_ATTRIBUTES]):
        found.setdefault(name.lower(), unescaped(double or single or bare))
    return found


def trimmed(target: str) -> str:
    """A target without the blanks around it, as browsers read it."""
    return target[: 2 * MAX_TARGET].strip(_BLANK)[:MAX_TARGET]
