"""Hosts that look like another to the eye: letters of several scripts in one word, or of one that resembles
Latin (UTS #39 is the long form of this)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from contentfilter.links.common import well_known_names
from contentfilter.links.hosts import unicode_labels

_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
"""Scripts that one word may be written in (UTS #39 5.2, "highly restrictive")."""
_LATIN_LIKE = str.maketrans(
    # Cyrillic, Greek, Armenian, Latin beyond what takes an accent
    "авсԁеёһіїјкӏмнорԛгѕтцѵԝхуҽαβεηικνορστυχωγօսհոցզքյıɩɡɢłđðħøŧɑƅƚɫʀʏᴏꜱᴀᴄᴇʟᴘ",
    "abcdeehiijklmhopqrstuvwxyeabenikvopotuxwyouhngqpjiigglddhotabllryosacelp",
)
_CYRILLIC_TOP_LEVELS = frozenset(
    {"ru", "su", "by", "ua", "bg", "rs", "mk", "kz", "kg", "uz", "tj", "mn", "eu"}
)


@lru_cache(maxsize=1024)
def lookalike(host: str) -> str:
    """What a host is made to look like; empty if it is not.

    Arguments:
        host: lower case, in A-labels.
    """
    if "xn--" not in host:
        return ""
    labels = unicode_labels(host)
    top = labels[-1]
    for label in labels[:-1]:
        if not label.isascii() and (said := _imitated(label, top)):
            return said
    return ""


def _imitated(label: str, top: str) -> str:
    plain = skeleton(label)
    if plain in well_known_names():
        return plain
    scripts = _scripts(label)
    if len(scripts) > 1:
        return "" if any(scripts <= allowed for allowed in _TOGETHER) else f"{plain} in {_listed(scripts)}"
    if (
        scripts <= {"CYRILLIC", "GREEK", "ARMENIAN"}
        and plain.isascii()
        and top.isascii()
        and not (top in _CYRILLIC_TOP_LEVELS and scripts == {"CYRILLIC"})
    ):
        return f"{plain} in {_listed(scripts)}"
    return ""


def skeleton(label: str) -> str:
    """A label in the Latin letters that it looks like, as far as there are such."""
    decomposed = unicodedata.normalize("NFD", label)
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return bare.translate(_LATIN_LIKE)


def _scripts(label: str) -> frozenset[str]:
    return frozenset(
        unicodedata.name(letter, "UNKNOWN").partition(" ")[0] for letter in label if letter.isalpha()
    )


def _listed(scripts: frozenset[str]) -> str:
    return " and ".join(name.capitalize() for name in sorted(scripts))
