"""What a rule file may say, as typed models; see docs/rules.md.

A condition has exactly one test, or one combination of conditions. Where another rule is meant, its name
stands there.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from contentfilter.rules import condition
from contentfilter.rules.facts import FACTS
from contentfilter.rules.pattern import BadPattern, check
from contentfilter.rules.phrases import BadPhrase, read_phrase
from mailbase.documents import Count, FilledListing, FilledText, Flag, Listing, Section, Table, Text
from mailbase.documents.problems import nearest, shown

MAX_RULES = 5000
MAX_POINTS = 20.0
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FIELD = re.compile(r"[!-9;-~]{1,76}")
PARTS = ("value", "raw", "name", "address", "domain")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or len(value) > 60:
        raise ValueError(
            f"expected a name of at most 60 small letters, digits and single hyphens, got {shown(value)}"
        )
    return value


def _field(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise ValueError(f"expected the name of a header field, without the colon, got {shown(value)}")
    return value.lower()


def _checked(info: ValidationInfo) -> bool:
    """Whether the file is known to be right; compiling every expression takes longer than all the rest."""
    return bool(info.context and info.context.get("checked"))


def _expression(value: str, info: ValidationInfo) -> str:
    try:
        if _checked(info):
            return value
        check(value)
    except BadPattern as error:
        raise ValueError(str(error)) from None
    return value


def _fact(value: str) -> str:
    if value not in FACTS:
        raise ValueError(f"there is no fact {shown(value)}{nearest(value, FACTS)}")
    return value


def _points(value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not -MAX_POINTS <= value <= MAX_POINTS
    ):
        raise ValueError(
            f"expected points, a number from -{MAX_POINTS:g} to {MAX_POINTS:g}, got {shown(value)}"
        )
    return float(value)


def _positive(value: int) -> int:
    if not 1 <= value <= 100:
        raise ValueError(f"expected 1 to 100, got {value}")
    return value


def _phrase(value: str, info: ValidationInfo) -> str:
    try:
        if _checked(info):
            return value
        read_phrase(value)
    except BadPhrase as error:
        raise ValueError(str(error)) from None
    return value


Phrase = Annotated[FilledText, AfterValidator(_phrase)]
RuleName = Annotated[str, AfterValidator(_name)]
FieldName = Annotated[Text, AfterValidator(_field)]
Expression = Annotated[FilledText, AfterValidator(_expression)]
FactName = Annotated[Text, AfterValidator(_fact)]
Points = Annotated[float, BeforeValidator(_points)]
Times = Annotated[Count, AfterValidator(_positive)]


class HeaderTest(Section):
    """A field of the mail's header.

    Arguments:
        field: its name, or several of which one is enough.
        matches: an expression that fits somewhere in it.
        part: what of it is looked at: ``value`` decoded, ``raw`` as it came, unfolded; of the first address
            in it its display ``name``, its ``address`` or its ``domain``.
        absent: instead of ``matches``: none of the fields is there.
        at_least: so many such fields.
    """

    field: FilledListing[FieldName]
    matches: Expression | None = None
    part: str = "value"
    absent: Flag = False
    at_least: Times = 1

    @field_validator("part")
    @classmethod
    def _known_part(cls, value: str) -> str:
        if value not in PARTS:
            raise ValueError(f"expected one of {', '.join(PARTS)}, got {shown(value)}")
        return value

    @model_validator(mode="after")
    def _sense(self) -> HeaderTest:
        if self.absent and self.matches is not None:
            raise ValueError("a field that is absent matches nothing; give 'matches' or 'absent', not both")
        return self


class TextTest(Section):
    """Text of the mail: in ``body`` its subject and what is shown of its texts, in ``raw`` their source.

    Arguments:
        matches: an expression that fits somewhere in it. In ``body`` any white space is one space.
        at_least: in so many places.
    """

    matches: Expression
    at_least: Times = 1


def _lines(value: Any) -> Any:
    return [line for line in value.split("\n") if line.strip()] if isinstance(value, str) else value


class PhrasesTest(Section):
    """Phrases in subject and shown text.

    Arguments:
        of: the phrases, one a line or an entry; see :func:`contentfilter.rules.phrases.read_phrase`.
        at_least: so many different ones.
    """

    of: Annotated[FilledListing[Phrase], BeforeValidator(_lines)]
    at_least: Times = 1


class UrlTest(Section):
    """A link of the mail that fits all that is given.

    Arguments:
        matches: an expression for the whole of it.
        host: one for its host name as a browser would ask for it, in small letters.
        path: one for what follows the host: path, query and fragment.
        at_least: so many different links.
    """

    matches: Expression | None = None
    host: Expression | None = None
    path: Expression | None = None
    at_least: Times = 1

    @model_validator(mode="after")
    def _something(self) -> UrlTest:
        if self.matches is None and self.host is None and self.path is None:
            raise ValueError("expected at least one of matches, host, path")
        return self


class AttachmentTest(Section):
    """An attachment that fits all that is given.

    Arguments:
        name: an expression for its file name; empty where it has none.
        media: one for its declared type, such as ``^application/pdf$``.
        larger, smaller: octets, decoded.
        at_least: so many attachments.
    """

    name: Expression | None = None
    media: Expression | None = None
    larger: Count | None = None
    smaller: Count | None = None
    at_least: Times = 1

    @model_validator(mode="after")
    def _something(self) -> AttachmentTest:
        if all(value is None for value in (self.name, self.media, self.larger, self.smaller)):
            raise ValueError("expected at least one of name, media, larger, smaller")
        return self


class MimeTest(Section):
    """A text of the mail, or an attachment, that was declared so.

    Arguments:
        media: an expression for its type, such as ``^text/html$``.
        charset: one for the charset of a text.
        encoding: one for its transfer encoding: ``base64``, ``quoted-printable``, ``identity`` for none.
        at_least: so many of them.
    """

    media: Expression | None = None
    charset: Expression | None = None
    encoding: Expression | None = None
    at_least: Times = 1

    @model_validator(mode="after")
    def _something(self) -> MimeTest:
        if self.media is None and self.charset is None and self.encoding is None:
            raise ValueError("expected at least one of media, charset, encoding")
        return self


def _phrases(value: Any) -> Any:
    """Lines, or a list, as the test they abbreviate."""
    return {"of": value} if isinstance(value, str | list) else value


def _text(value: Any) -> Any:
    """A lone expression as the test it abbreviates."""
    return {"matches": value} if isinstance(value, str) else value


def _present(value: Any) -> Any:
    """A lone name of a field as the test whether it is there."""
    return {"field": value} if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """A lone name as the rule it names."""
    return {"rule": value} if isinstance(value, str) else value


class Condition(Section):
    """One test, or one combination of conditions.

    Arguments:
        header, phrases, body, raw, mime, url, attachment: tests; see there.
        fact: one of those that expressions cannot tell; see :mod:`contentfilter.rules.facts`.
        rule: another rule, by its name; in a combination the name alone says the same.
        all, any: conditions of which all, or one, must hold.
        negated: (in the file ``not``) a condition that must not hold.
        count: conditions of which so many must hold.
    """

    KINDS: ClassVar[tuple[str, ...]] = (
        "header", "phrases", "body", "raw", "mime", "url", "attachment", "fact", "rule", "all", "any", "not",
        "count",
    )  # fmt: skip

    header: Annotated[HeaderTest | None, BeforeValidator(_present)] = None
    phrases: Annotated[PhrasesTest | None, BeforeValidator(_phrases)] = None
    body: Annotated[TextTest | None, BeforeValidator(_text)] = None
    raw: Annotated[TextTest | None, BeforeValidator(_text)] = None
    mime: MimeTest | None = None
    url: UrlTest | None = None
    attachment: AttachmentTest | None = None
    fact: FactName | None = None
    rule: RuleName | None = None
    all: Listing[Member] | None = None
    any: Listing[Member] | None = None
    negated: Member | None = Field(None, alias="not")
    count: CountTest | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Condition:
        given = [kind for kind in self.KINDS if self.test(kind) is not None]
        if not given:
            raise ValueError(f"expected one of {', '.join(self.KINDS)}")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: one is enough; put several under 'all' or 'any'")
        for kind in ("all", "any"):
            if self.test(kind) == ():
                raise ValueError(f"{kind}: expected at least one condition")
        return self

    def test(self, kind: str) -> Any:
        return self.negated if kind == "not" else getattr(self, kind)

    def plain(self) -> condition.Condition:
        """As a matcher reads it."""
        said = self.model_dump(exclude_defaults=True, include=set(Condition.model_fields))
        return condition.Condition.from_dict(said)


class CountTest(Section):
    """Conditions of which at least so many hold."""

    of: FilledListing[Member]
    at_least: Times


class Sample(Section):
    """A small mail that a rule must, or must not, fire on.

    What is not said is as in an ordinary good mail.

    Arguments:
        fields: header fields that it has instead of, or besides, the ordinary ones; nothing for one that it
            lacks; a list for one that stands there several times.
        text: its plain text.
        html: its HTML text; with ``text`` both are there as alternatives.
        attachment: file names of attachments, each with a line of content.
        mail: instead of all that, the whole mail as it is sent.
        charset: in which octets the sample is sent: ``utf-8`` or ``latin-1``.
    """

    fields: Table[FieldName, Listing[Text] | None] = Field(default_factory=dict)
    text: Text | None = None
    html: Text | None = None
    attachment: Listing[Text] = ()
    mail: Text | None = None
    charset: Literal["utf-8", "latin-1"] = "utf-8"

    @model_validator(mode="after")
    def _sense(self) -> Sample:
        if self.mail is not None and (self.fields or self.text or self.html or self.attachment):
            raise ValueError("mail is the whole mail; nothing else can be said beside it")
        return self


class Rule(Condition):
    """A rule.

    Arguments:
        description: what it recognises, for the report that a postmaster reads.
        points: what it adds to the total; none for a rule that is there only to be named by others.
        shadow: it is evaluated and reported, but adds nothing.
        hits: mails that it must fire on.
        misses: mails that it must not fire on.
    """

    description: FilledText
    points: Points | None = None
    shadow: Flag = False
    hits: Listing[Sample] = ()
    misses: Listing[Sample] = ()


class RuleFile(Section):
    """A file of rules.

    Arguments:
        rules: by name. One that exists already, in a file read before, is replaced.
        points: other points for rules that exist.
        shadow: rules that are to add nothing, but be reported.
        off: rules that are left out; where other rules name one, it never holds.
        unless: for a rule, a condition under which it does not fire: an exception.
    """

    rules: Table[RuleName, Rule] = Field(default_factory=dict)
    points: Table[RuleName, Points] = Field(default_factory=dict)
    shadow: Listing[RuleName] = ()
    off: Listing[RuleName] = ()
    unless: Table[RuleName, Condition] = Field(default_factory=dict)


Member: TypeAlias = Annotated[Condition, BeforeValidator(_named)]
Condition.model_rebuild()
CountTest.model_rebuild()
Rule.model_rebuild()
