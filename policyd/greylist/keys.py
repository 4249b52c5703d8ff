"""What a triplet is: who calls, sender without what changes from mail to mail, recipient."""

from __future__ import annotations

import re
from hashlib import blake2b

from mailbase.addresses import unpack

KEY_SIZE = 16
"""Octets of a triplet's key. Two triplets that share one by accident would only spare each other a wait."""

_DIGITS = re.compile(r"[0-9]+")
_PLAIN = re.compile(r"[^0-9=+@]*+@[^@]*+").fullmatch
"""A sender in which nothing is to be taken out."""
_BATV_TAG = re.compile(r"[0-9a-z]{10}")
"""prvs tag: key number, day, 6 hexadecimal digits (draft-levine-smtp-batv, section 5)."""
_SRS0 = re.compile(r"srs0[=+-][^=]+=[^=]+=([^=]+)=(.*)", re.DOTALL)
_SRS1 = re.compile(r"srs1[=+-][^=]+=([^=]+)=[=+-][^=]+=[^=]+=([^=]+)=(.*)", re.DOTALL)

NULL_SENDER = "<>"
_NEW_HASH = blake2b(digest_size=KEY_SIZE).copy
"""Half the price of making one by its arguments."""
_OCTETS = [str(octet) for octet in range(256)]


def normal_sender(sender: str) -> str:
    """The envelope sender without what differs from mail to mail of the same correspondent.

    Lower case; BATV tags, SRS hashes and time stamps, ``+extension`` and digits of the local part (VERP,
    numbered bounces) are taken out. The null sender is ``<>``.
    """
    if not sender:
        return NULL_SENDER
    lower = sender.lower()
    if _PLAIN(lower):
        # What most senders are.
        return lower
    local, at, domain = lower.rpartition("@")
    if not at:
        return domain
    if "=" in local:
        local = _without_tags(local)
    if "+" in local[1:]:
        local = local[: local.index("+", 1)]
    return f"{_DIGITS.sub('#', local)}@{domain}"


def _without_tags(local: str) -> str:
    if local.startswith("prvs="):
        first, _, second = local[5:].partition("=")
        # The draft puts the tag first; some implementations put it last.
        if _BATV_TAG.fullmatch(second) and not _BATV_TAG.fullmatch(first):
            return first
        return second or first
    if local.startswith("btv1=="):
        return local.rpartition("==")[2]
    if local.startswith("srs0"):
        return _SRS0.sub(r"srs=\1=\2", local)
    if local.startswith("srs1"):
        return _SRS1.sub(r"srs=\1=\2=\3", local)
    return local


def normal_recipient(recipient: str) -> str:
    """The recipient as it stands in a key."""
    return recipient.lower()


def client_network(packed: bytes, prefix_v4: int, prefix_v6: int, *, exact: bool) -> str:
    """The client's network, as ``192.0.2.0/24``; without the length if it is a single address.

    Arguments:
        packed: address, 4 or 16 octets.
        prefix_v4: prefix length for IPv4.
        prefix_v6: prefix length for IPv6.
        exact: the address alone: hosts without PTR are dial-up more often than a farm of mail servers, and
            must not benefit from their neighbours.
    """
    if prefix_v4 == 24 and not exact and len(packed) == 4:
        # What most clients are, at a fifth of the price.
        return f"{_OCTETS[packed[0]]}.{_OCTETS[packed[1]]}.{_OCTETS[packed[2]]}.0/24"
    bits = len(packed) * 8
    prefix = bits if exact else min(bits, prefix_v4 if bits == 32 else prefix_v6)
    if prefix == bits:
        return unpack(packed)
    whole, rest = divmod(prefix, 8)
    if not rest:
        cut = packed[:whole] + bytes(len(packed) - whole)
        return f"{unpack(cut)}/{prefix}"
    number = int.from_bytes(packed) >> (bits - prefix) << (bits - prefix)
    return f"{unpack(number.to_bytes(len(packed)))}/{prefix}"


def pair_text(sender: str, recipient: str) -> bytes:
    """What the keys of a sender and a recipient are made of.

    Arguments:
        sender: of :func:`normal_sender`.
        recipient: of :func:`normal_recipient`.
    """
    return f"{sender}\0{recipient}".encode("utf-8", "replace")


def pair_key(pair: bytes) -> bytes:
    """The key of the caller who was the first to bring mail of this pair, :data:`KEY_SIZE` octets.

    Arguments:
        pair: of :func:`pair_text`.
    """
    digest = _NEW_HASH()
    digest.update(pair)
    return digest.digest()


def own_key(identity: str, pair: bytes) -> bytes:
    """The key of another caller who brings mail of the same pair.

    Arguments:
        identity: one that is the caller's.
        pair: of :func:`pair_text`.
    """
    # Two NULs in a row: no pair has them.
    return pair_key(f"{identity}\0\0".encode("ascii", "replace") + pair)
