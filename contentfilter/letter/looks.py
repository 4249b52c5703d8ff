"""Whether the styles of an element let a reader see its text: the few properties of CSS that hide.

Only what counts everywhere is read: declarations in ``style`` attributes, old attributes such as ``bgcolor``,
and rules of a style sheet that name one class, identifier or element and depend on no medium. What is not
understood hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from contentfilter.letter.colours import BLACK, UNKNOWN, WHITE, alike, colour_of, is_rgb

MAX_STYLE = 2_000
"""Characters of one style attribute or rule that are read."""
MAX_SHEET = 128 * 1024
"""Characters of a page's style sheets that are read."""
MAX_RULES = 3_000

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LENGTH = re.compile(
    r"([+-]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}))(px|pt|pc|em|rem|ex|ch|mm|cm|in|vw|vh|%)?"
)
_SIMPLE = re.compile(r"[a-z0-9]{0,20}[.#][\w-]{1,80}|[a-z][a-z0-9]{0,20}")
_LAST = re.compile(r"[.#][\w-]{1,80}(?=[^.#]{0,80}\Z)")
_BRACE = re.compile(r"[{}]")


@dataclass(frozen=True, slots=True)
class Look:
    """What an element's styles say by themselves; None where they say nothing.

    Arguments:
        displayed: False where the element is not there at all, or has no room to be seen in.
        readable: False where its letters have no size.
        visible: False where they are left out, their room kept.
        colour: of the letters, as 0xRRGGBB, or ``UNKNOWN``.
        background: behind them, likewise.
    """

    displayed: bool | None = None
    readable: bool | None = None
    visible: bool | None = None
    colour: int | None = None
    background: int | None = None

    def under(self, other: Look) -> Look:
        """These styles with those of ``other``, which count more."""
        if other is PLAIN:
            return self
        return Look(
            self.displayed if other.displayed is None else other.displayed,
            self.readable if other.readable is None else other.readable,
            self.visible if other.visible is None else other.visible,
            self.colour if other.colour is None else other.colour,
            self.background if other.background is None else other.background,
        )


PLAIN = Look()


class Sight:
    """How text is seen at one place of a page, by all elements around it.

    Arguments: as in :class:`Look`, all known.

    Attributes:
        hidden: whether a reader sees nothing of a text here.
    """

    __slots__ = ("background", "colour", "displayed", "hidden", "readable", "visible")

    def __init__(
        self,
        displayed: bool = True,
        readable: bool = True,
        visible: bool = True,
        colour: int = BLACK,
        background: int = WHITE,
    ) -> None:
        self.displayed = displayed
        self.readable = readable
        self.visible = visible
        self.colour = colour
        self.background = background
        self.hidden = not (displayed and readable and visible) or alike(colour, background)

    def within(self, look: Look) -> Sight:
        """Inside an element that looks like that. What is not displayed stays so, whatever stands in it."""
        return Sight(
            self.displayed and look.displayed is not False,
            self.readable if look.readable is None else look.readable,
            self.visible if look.visible is None else look.visible,
            self.colour if look.colour is None else look.colour,
            self.background if look.background is None else look.background,
        )


def _without_comments(text: str) -> str:
    if "/*" not in text:
        return text
    # Those without an end are looked for an end but once.
    end = text.rfind("*/") + 2
    return _COMMENT.sub("", text[:end]) + text[end:]


@lru_cache(maxsize=1024)
def look_of(style: str) -> Look:
    """What declarations say (CSS 2.1 4.1.8).

    Arguments:
        style: at most ``MAX_STYLE`` characters.
    """
    style = style.lower()
    style = _without_comments(style)
    told: dict[str, str] = {}
    for declaration in style.split(";"):
        name, colon, value = declaration.partition(":")
        if colon and (name := name.strip()) in _PROPERTIES:
            told[name] = value.partition("!")[0].strip()
    return _judged(told) if told else PLAIN


_PROPERTIES = frozenset(
    {
        "background", "background-color", "background-image", "color", "display", "font", "font-size",
        "height", "left", "max-height", "max-width", "opacity", "overflow", "position", "text-indent",
        "top", "visibility", "width",
    }
)  # fmt: skip


def _judged(told: Mapping[str, str]) -> Look:
    displayed: bool | None = None
    if (display := told.get("display")) is not None:
        displayed = display != "none"
    if _without_room(told):
        displayed = False
    readable = _size(told["font-size"]) if "font-size" in told else _font(told.get("font", ""))
    visible = None
    if (visibility := told.get("visibility")) is not None:
        visible = {"hidden": False, "collapse": False, "visible": True}.get(visibility)
    colour = None
    if "color" in told and told["color"] != "inherit":
        colour = colour_of(told["color"])
        if colour is None:
            visible = False
    return Look(displayed, readable, visible, colour, _background(told))


def _without_room(told: Mapping[str, str]) -> bool:
    if (opacity := told.get("opacity")) is not None and not opacity.strip("0.%"):
        return bool(opacity)
    if told.get("overflow") == "hidden":
        for name in ("max-height", "height", "max-width", "width"):
            if (length := _pixels(told.get(name, ""))) is not None and length < 2:
                return True
    if (length := _pixels(told.get("text-indent", ""))) is not None and length < -500:
        return True
    if told.get("position") in ("absolute", "fixed"):
        for name in ("left", "top"):
            if (length := _pixels(told.get(name, ""))) is not None and length < -500:
                return True
    return False


def _pixels(value: str) -> float | None:
    """A length in pixels, near enough; None for what is none."""
    found = _LENGTH.fullmatch(value)
    return float(found[1]) * _PIXELS.get(found[2] or "px", 10.0) if found else None


_PIXELS = {
    "px": 1.0,
    "pt": 1.33,
    "pc": 16.0,
    "em": 16.0,
    "rem": 16.0,
    "ex": 8.0,
    "ch": 8.0,
    "%": 0.16,
    "mm": 3.8,
}


def _size(value: str) -> bool | None:
    """Whether letters of this size can be read; None where it depends on those around them."""
    found = _LENGTH.fullmatch(value)
    if found is None:
        return None if value in ("inherit", "smaller", "larger", "unset") or not value else True
    pixels = _pixels(value)
    assert pixels is not None
    if pixels < 2:
        return False
    return None if found[2] in ("em", "%", "ex", "ch") else True


def _font(value: str) -> bool | None:
    for word in value.replace("/", " ").split()[:12]:
        found = _LENGTH.fullmatch(word)
        # A number alone is a weight, but for the nought.
        if found and (found[2] or not found[1].strip("0.")):
            return _size(word)
    return None


def _background(told: Mapping[str, str]) -> int | None:
    colour: int | None = None
    image = told.get("background-image", "none")
    if (value := told.get("background")) is not None:
        if "(" in value and not is_rgb(value):
            return UNKNOWN
        for word in (value,) if "(" in value else value.split()[:12]:
            if (seen := colour_of(word)) is not None and seen != UNKNOWN:
                colour = seen
    if (value := told.get("background-color")) is not None and value != "inherit":
        colour = colour_of(value)
    return colour if image == "none" else UNKNOWN


class _Cascade:
    """The rules for one selector. Each is read once, however often they are asked for between others."""

    __slots__ = ("_look", "styles")

    def __init__(self) -> None:
        self.styles: list[str] = []
        self._look = PLAIN

    def look(self) -> Look:
        """What they say together."""
        for style in self.styles:
            self._look = self._look.under(look_of(style))
        self.styles.clear()
        return self._look


class Sheet:
    """The rules of a page's style sheets, by what they select."""

    def __init__(self) -> None:
        self._rules: dict[str, _Cascade] = {}
        self._doubtful: dict[str, _Cascade] = {}
        self._room = MAX_SHEET
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._rules or self._doubtful)

    def add(self, text: str) -> None:
        """Read the content of a ``style`` element."""
        text, self._room = text[: self._room], max(0, self._room - len(text))
        text = _without_comments(text.lower().replace("<!--", "").replace("-->", ""))
        depth = begun = 0
        selectors = ""
        for brace in _BRACE.finditer(text):
            at = brace.start()
            if text[at] == "{":
                depth += 1
                if depth == 1:
                    selectors = text[begun:at].rpartition(";")[2].strip()
            elif depth:
                depth -= 1
                # What stands in a rule for a medium (@media) is deeper.
                if not depth and not selectors.startswith("@"):
                    self._rule(selectors, text[begun:at][:MAX_STYLE])
                if self._count > MAX_RULES:
                    return
            begun = at + 1

    def look(self, selector: str) -> Look:
        """What the rules for one class (``.name``), identifier (``#name``) or element say."""
        look = PLAIN
        if (rules := self._rules.get(selector)) is not None:
            look = rules.look()
        if (doubtful := self._doubtful.get(selector)) is not None:
            look = look.under(_in_doubt(doubtful.look()))
        return look

    def _rule(self, selectors: str, style: str) -> None:
        for selector in selectors.split(",")[:50]:
            self._count += 1
            selector = selector.strip()[-200:]
            if _SIMPLE.fullmatch(selector):
                at = max(selector.find("."), selector.find("#"), 0)
                self._rules.setdefault(selector[at:], _Cascade()).styles.append(style)
            elif found := _LAST.search(selector):
                self._doubtful.setdefault(found[0], _Cascade()).styles.append(style)


def _in_doubt(look: Look) -> Look:
    """Of a rule that may or may not concern an element: only that its colours are not known then."""
    return Look(
        colour=None if look.colour is None else UNKNOWN,
        background=None if look.background is None else UNKNOWN,
    )
