"""Names that phishers borrow, and to whom they belong."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import re2

from contentfilter.rules.pattern import options

if TYPE_CHECKING:
    from contentfilter.rules.reading import Reading

_FILE = "borrowed_names"


def _read() -> dict[str, frozenset[str]]:
    """Expressions for a name, and the registrable domains, without their suffix, that may use it."""
    text = resources.files("contentfilter.rules").joinpath("data", _FILE).read_text("utf-8")
    lines = (line.partition(" = ") for line in text.split("\n") if line and not line.startswith("#"))
    return {name: frozenset(owners.split()) for name, _equals, owners in lines}


_OWNERS = _read()
_NAMES = tuple(f"\\b(?:{name})\\b" for name in _OWNERS)
_BRANDS = re2.Filter()
for _name in _NAMES:
    _BRANDS.Add(f"(?i){_name}", options())
_BRANDS.Compile()


_LURES_LIST = """
security secure sicherheit verify verified verification verifizierung login signin logon konto konten
kontodienst kunden kundenservice kundendienst kundenkonto account accounts accountsecurity accsecurity
update updates abo abonnement zahlung zahlungen erstattung rueckerstattung refund refunds remboursement
bonus paket pakete zustellung sendung livraison colis zoll gewinn gewinner reward rewards treue claim
wallet alert alerts secalert auth authentication billing steuer steuern inkasso push pushtan phototan tan
freigabe verwaltung portal notify notification notifications info nachzahlung auszahlung renouvellement
suspendu resolution withdrawal withdrawals redeliver redelivery toll tolls dienst service services support
app online access confirm pay payment payments mail mailbox webmail quota office sso id center help
helpdesk recovery resolve renewal storage cloud
"""
_LURES = frozenset(_LURES_LIST.split())
_WEAK_LIST = """
info service services support app online mail id center help office cloud portal
"""
_WEAK = frozenset(_WEAK_LIST.split())
"""Those of them that honest domains have together."""
_PLACES_LIST = """
spk vr pp uni bank cb dkb elster bafoeg rundfunk finanzamt familienkasse dgfip impot impots vitale ezpass
post hmrc prime lidl adac lib university ub sparkasse volksbank apple microsoft
"""
_INSTITUTIONS = frozenset(_PLACES_LIST.split()).union(*_OWNERS.values())


def _strangers(text: str, organisation: str) -> list[int]:
    """Brands that are named in ``text`` and do not belong to ``organisation``."""
    if not text:
        return []
    label = organisation.partition(".")[0]
    owners = list(_OWNERS.values())
    return [index for index in _BRANDS.Match(text) or () if not _owns(label, owners[index])]


def _owns(label: str, owners: frozenset[str]) -> bool:
    if label in owners:
        return True
    # Savings banks have a domain each: sparkasse-musterstadt.de, volksbank-ulm.de, and ksk, spk.
    family = {"sparkasse", "volksbank"} & set(owners)
    return bool(family) and any(
        part in label
        for part in ("sparkasse", "volksbank", "vrbank", "vr-", "spk", "ksk", "raiffeisen", "-bank")
    )


def have_one_owner(one: str, other: str) -> bool:
    """Whether two registrable domains are of one owner of borrowed names: live.com and microsoft.com."""
    labels = {one.partition(".")[0], other.partition(".")[0]}
    return any(labels <= owners for owners in _OWNERS.values())


def from_domain_of_lures(reading: Reading) -> str | None:
    """From's domain is put together of words that lure, or of one and a name: bank-verify.example."""
    label = reading.organisation.partition(".")[0]
    if "-" not in label or any(label in owners for owners in _OWNERS.values()):
        return None
    words = [word.strip("0123456789") for word in label.split("-")]
    lures = [word for word in words if word in _LURES]
    if _WEAK.issuperset(lures):
        return None
    named = any(word in _INSTITUTIONS and word not in _LURES for word in words)
    return label[:60] if len(lures) > 1 or named else None


def from_name_is_brand(reading: Reading) -> str | None:
    """The display name of From is a name that phishers borrow, and the address is not its owner's."""
    name = reading.sender.name[:200]
    if not reading.organisation or " via " in name.lower():
        return None
    strangers = _strangers(name, reading.organisation)
    return f"from {reading.organisation}"[:100] if strangers else None


def text_claims_brand(reading: Reading) -> str | None:
    """Subject, or the text twice, names somebody whom phishers borrow from, and From is not theirs."""
    if not reading.organisation:
        return None
    if _strangers(reading.subject[:300], reading.organisation):
        return f"from {reading.organisation}"[:100]
    text = reading.shown[:6000]
    for index in _strangers(text, reading.organisation):
        places = re2.finditer(f"(?i){_NAMES[index]}", text.encode("utf-8", "replace"))
        if next(places, None) is not None and next(places, None) is not None:
            return f"from {reading.organisation}"[:100]
    return None


FACTS = (from_domain_of_lures, from_name_is_brand, text_claims_brand)
