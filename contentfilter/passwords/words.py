"""Finds in a text the words that may be passwords, the likeliest first.

People write it the same way everywhere: the word "password" in their language, and the password behind it.
So what stands behind such a word comes first, then what stands before it, what is quoted, what has digits,
and the rest in the order of the text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

MAX_LENGTH = 64
"""Characters of a candidate; the formats allow more, people do not."""
_MAX_PLAIN = 32
"""Characters of one that nothing speaks for: longer words are lines of something encoded."""
_MAX_KEYWORDS = 50
_BEHIND, _BEFORE = 16, 6
"""Words that are looked at behind and before one that means password."""
_NEAR = 400
"""Characters around it."""

_KEYWORD = re.compile(
    "|".join(
        (
            r"pass[ -]?(?:words?|wor[dt]e?|codes?|phrases?|ord)?", r"\bp/?w[ds]?\b", r"kenn?w(?:or|ö)r?t",
            r"losung", r"schlüssel", r"mots? de passe", r"\bmdp\b", r"contrase[nñ]a", r"\bclave\b",
            r"\bsenha\b", r"palavra[ -]passe", r"has[lł]o", r"hesl[oa]", r"jelsz[oó]", r"parol[aeă]?",
            r"salasana", r"l[oö]senord", r"adgangskode", r"wachtwoord", r"\bgeslo\b", r"lozinka",
            r"[sşš]ifr[ea]", r"parool", r"slapta[zž]od", r"парол", r"κωδικ", r"סיסמ",
            r"كلمة (?:المرور|السر)", r"密[码碼]", r"口令", r"パスワード", r"暗証", r"암호", r"비밀번호",
            r"mật khẩu",
            r"\bpin\b", r"\bcodes?\b", r"\bc[oó]d(?:ice|igo)\b", r"\bkey\b", r"\bcl[eé]\b", r"chiave",
        )
    ),
    re.IGNORECASE,
)  # fmt: skip
_WORD = re.compile(r"\S+")
_QUOTED = re.compile(r"[\"“”„«»‘’'`<\[(]([^\s\"“”„«»`<>\[\]()][^\"“”„«»`<>\[\]()\r\n]{0,63})[\"“”„«»’'`>\])]")
_ASCII = re.compile(r"[!-~]+")
_AROUND = " \t.,;:!?\"'`´“”„‚‘’«»‹›()[]{}<>*_=-–—…|。、，：；！？「」『』（）"
_BEHIND_SIGN = re.compile(r"[:=：＝→>]+")
_LINK = re.compile(
    r"[:=：＝\-–—>→*_ \t\r\n]*(?:(?:is|ist|lautet|est|es|é|è|to|jest|je|er|är|on)\b)?[:=：＝\-–—>→*_ \t]*",
    re.I,
)
_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x180E))
_SPACES = dict.fromkeys((0xA0, 0x2007, 0x202F, 0x3000), " ")


def candidates(texts: Iterable[str], names: Iterable[str] = ()) -> Iterator[str]:
    """Words of ``texts`` and of file names that may be passwords, the likeliest first, each once.

    Arguments:
        texts: subject and text parts; a caller bounds their size.
        names: file names.
    """
    clean = [text.translate(_INVISIBLE).translate(_SPACES) for text in texts]
    seen: set[str] = set()
    ranks = (_behind(clean), _quoted(clean), _before(clean), _of_names(names), _digits(clean), _rest(clean))
    for word in itertools.chain.from_iterable(ranks):
        if word and len(word) <= MAX_LENGTH and word not in seen:
            seen.add(word)
            yield word


def _behind(texts: list[str]) -> Iterator[str]:
    # The first word behind each comes before the second behind any.
    following = []
    for text in texts:
        for match in itertools.islice(_KEYWORD.finditer(text), _MAX_KEYWORDS):
            link = _LINK.match(text, match.end())
            start = link.end() if link else match.end()
            near = text[start : start + _NEAR]
            words = [word[0] for word in itertools.islice(_WORD.finditer(near), _BEHIND)]
            line = near.partition("\n")[0].strip()
            first = [form for word in words[:1] for form in _forms(word)]
            rest = [form for word in words[1:] for form in _forms(word)]
            following.append([*first, line, line.strip(_AROUND), *_joined(words), *rest])
    for step in itertools.zip_longest(*following, fillvalue=""):
        yield from step


def _joined(words: list[str]) -> Iterator[str]:
    """Digits in groups: ``12 34 56``."""
    groups = list(itertools.takewhile(str.isdigit, (word.strip(_AROUND) for word in words)))
    if len(groups) > 1:
        yield "".join(groups)


def _before(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for match in itertools.islice(_KEYWORD.finditer(text), _MAX_KEYWORDS):
            words = text[max(0, match.start() - _NEAR) : match.start()].split()
            for word in reversed(words[-_BEFORE:]):
                yield from _forms(word)


def _quoted(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for match in _QUOTED.finditer(text):
            yield match[1]
            yield match[1].strip(_AROUND)


def _of_names(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        stem = name.rpartition(".")[0] or name
        yield from (stem, name)
        yield from re.split(r"[\W_]+", stem)


def _digits(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for match in _WORD.finditer(text):
            if any(map(str.isdecimal, match[0])):
                yield from _plain_forms(match[0])


def _rest(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for match in _WORD.finditer(text):
            yield from _plain_forms(match[0])


def _plain_forms(word: str) -> Iterator[str]:
    return (form for form in _forms(word) if len(form) <= _MAX_PLAIN)


def _forms(word: str) -> Iterator[str]:
    """How a word may be meant: without the punctuation around it, behind its colon, as it stands."""
    if len(word) > 4 * MAX_LENGTH:
        return
    bare = word.strip(_AROUND)
    yield bare
    if _BEHIND_SIGN.search(bare):
        yield _BEHIND_SIGN.split(bare, maxsplit=1)[1].strip(_AROUND)
    if not bare.isascii():
        yield from _ASCII.findall(bare)
    yield word.rstrip(".,;:")
    yield word
