"""Colours of CSS and HTML, as far as it must be told whether letters stand out from their ground."""

from __future__ import annotations

import re

UNKNOWN = -1
"""A colour that is there and cannot be told: a picture, a gradient, a variable."""
WHITE, BLACK = 0xFFFFFF, 0
NEAR = 16
"""Two colours whose red, green and blue each differ by no more look like one."""

_RGB = re.compile(
    r"rgba?\(\s*([0-9]{1,3})\s*[\s,]\s*([0-9]{1,3})\s*[\s,]\s*([0-9]{1,3})\s*(?:[,/]\s*([0-9.]{1,8})(%?)\s*)?\)"
)
_HEX = re.compile(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_NAMED = {
    "aliceblue": 0xF0F8FF, "aqua": 0x00FFFF, "azure": 0xF0FFFF, "beige": 0xF5F5DC, "black": 0x000000,
    "blue": 0x0000FF, "cornsilk": 0xFFF8DC, "cyan": 0x00FFFF, "darkblue": 0x00008B,
    "darkgray": 0xA9A9A9, "darkgreen": 0x006400, "darkgrey": 0xA9A9A9, "darkred": 0x8B0000,
    "dimgray": 0x696969, "dimgrey": 0x696969, "floralwhite": 0xFFFAF0, "fuchsia": 0xFF00FF,
    "gainsboro": 0xDCDCDC, "ghostwhite": 0xF8F8FF, "gold": 0xFFD700, "gray": 0x808080,
    "green": 0x008000, "grey": 0x808080, "honeydew": 0xF0FFF0, "ivory": 0xFFFFF0, "lavender": 0xE6E6FA,
    "lavenderblush": 0xFFF0F5, "lightgray": 0xD3D3D3, "lightgrey": 0xD3D3D3, "lightyellow": 0xFFFFE0,
    "lime": 0x00FF00, "linen": 0xFAF0E6, "magenta": 0xFF00FF, "maroon": 0x800000, "mintcream": 0xF5FFFA,
    "navy": 0x000080, "oldlace": 0xFDF5E6, "olive": 0x808000, "orange": 0xFFA500, "pink": 0xFFC0CB,
    "purple": 0x800080, "red": 0xFF0000, "seashell": 0xFFF5EE, "silver": 0xC0C0C0, "snow": 0xFFFAFA,
    "teal": 0x008080, "white": 0xFFFFFF, "whitesmoke": 0xF5F5F5, "yellow": 0xFFFF00,
}  # fmt: skip


def alike(one: int, other: int) -> bool:
    """Whether two colours cannot be told apart."""
    if one == other:
        return one != UNKNOWN
    if UNKNOWN in (one, other):
        return False
    return (
        -NEAR <= (one >> 16) - (other >> 16) <= NEAR
        and -NEAR <= (one >> 8 & 255) - (other >> 8 & 255) <= NEAR
        and -NEAR <= (one & 255) - (other & 255) <= NEAR
    )


def colour_of(value: str) -> int | None:
    """A colour as 0xRRGGBB; None for none at all (transparent), ``UNKNOWN`` for one that is not understood.

    Arguments:
        value: lower case.
    """
    if (named := _NAMED.get(value)) is not None:
        return named
    if found := _HEX.fullmatch(value):
        digits = found[1]
        if len(digits) in (4, 8) and not digits[len(digits) // 4 * 3 :].strip("0"):
            return None
        if len(digits) < 6:
            digits = "".join(digit * 2 for digit in digits[:3])
        return int(digits[:6], 16)
    if found := _RGB.fullmatch(value):
        if found[4] is not None and not found[4].strip("0."):
            return None
        red, green, blue = (min(int(part), 255) for part in found.group(1, 2, 3))
        return red << 16 | green << 8 | blue
    return None if value == "transparent" else UNKNOWN


def is_rgb(value: str) -> bool:
    """Whether a value is a colour written as a function."""
    return _RGB.fullmatch(value) is not None
