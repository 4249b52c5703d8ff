"""By what greylisting knows a caller again: network, the domain that SPF lets it send for, organisation.

An identity is a text without spaces: a network or an address (``192.0.2.0/24``), ``spf:`` and a domain for
which the client passed SPF, or ``ptr:`` and the registrable domain of the client's confirmed name. Whoever
shares one with an earlier caller is taken for the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

BY_SPF, BY_NAME = "spf:", "ptr:"
MAX_TOGETHER = 8
"""Identities noted of one triplet; who passes by more of them is still known by these."""


class Caller:
    """Who brings a mail.

    Arguments:
        address: the client's, 4 or 16 octets.
        identities: at least one; first the network, or the address.
        name: its confirmed name, for ``ptr:``.
        names_organisation: whether that name, of that address, says who runs the machine. Asked only when the
            caller would be known again by it: most callers are new, and what they claim is just noted.
    """

    __slots__ = ("_names_organisation", "_proven", "address", "identities", "keys", "main", "name", "noted")

    def __init__(
        self,
        address: bytes,
        identities: tuple[str, ...],
        name: str = "",
        names_organisation: Callable[[str, bytes], bool] = lambda name, address: True,
    ) -> None:
        self.address = address
        self.identities = identities
        self.name = name
        self._names_organisation = names_organisation
        self._proven: bool | None = None
        # One text and one encoding for all: every new client pays for them, and mostly needs them.
        text = " ".join(identities)
        self.noted = f" {text} "
        """Its identities as :func:`together` has them."""
        self.keys = client_key(text).split(b" ")
        """The key of each in the table of clients."""
        self.main = 1 if name and text.startswith(BY_NAME, len(identities[0]) + 1) else 0
        """The number of the identity that says most of who it is: its organisation, else its network."""

    def proves(self, identity: str) -> bool:
        """Whether the caller may be known again by ``identity``, which is one of its own."""
        return not identity.startswith(BY_NAME) or self._is_named()

    def _is_named(self) -> bool:
        if self._proven is None:
            self._proven = self._names_organisation(self.name, self.address)
        return self._proven

    @property
    def proven(self) -> tuple[str, ...]:
        """The identities by which the caller may be known again."""
        return tuple(identity for identity in self.identities if self.proves(identity))

    @property
    def counted_keys(self) -> list[bytes]:
        """The keys under which its good retries are counted: those of :attr:`proven`, but for the network
        where an organisation is proven. Of a network with many owners one must not earn for all."""
        if not self.name:
            return self.keys
        if not self._is_named():
            return [client_key(identity) for identity in self.proven]
        return self.keys[self.main :]

    def is_one_of(self, noted: str) -> bool:
        """Whether the caller is known by an identity in a text of :func:`together`."""
        for identity in self.identities:  # noqa: SIM110 - half the price of any(), for every mail that is known
            if f" {identity} " in noted and self.proves(identity):
                return True
        return False

    def and_by_spf(self, domain: str) -> Caller:
        """The same caller, for which the client passed SPF as well."""
        identities = (*self.identities, BY_SPF + domain)
        return Caller(self.address, identities, self.name, self._names_organisation)


def client_key(identity: str) -> bytes:
    """The key of an identity in the table of clients."""
    return identity.encode("ascii", "replace")


def together(identities: Iterable[str]) -> str:
    """Identities in one text, each between spaces."""
    return f" {' '.join(identities)} "


def extended(noted: str, identities: Iterable[str]) -> str:
    """A text of :func:`together` with those of ``identities`` that it lacks, up to :data:`MAX_TOGETHER`."""
    for identity in identities:
        if f" {identity} " not in noted and noted.count(" ") <= MAX_TOGETHER:
            noted += f"{identity} "
    return noted
