"""Whose registration a mail comes from, and so which domains it may be signed for. Pure.

The one place that keeps a customer from getting a signature in the name of another.
"""

from __future__ import annotations

from mailbase.addresses import is_host_name, pack
from mailbase.registry import Registry
from mailbase.vocabulary import Flow

SIGNED_FLOWS = frozenset({Flow.OUTBOUND, Flow.SUBMISSION})
"""Mail of the gateway's own customers; what comes from elsewhere is never signed."""


def registration_of(registry: Registry, flow: Flow, user: str, address: str, name: str) -> str:
    """Name of the server in whose registration the sender is; empty for none.

    A user who is registered counts before the system that he or she writes from: somebody of one customer may
    sit in the network of another. Systems of nobody's relay area are in no registration.

    Arguments:
        user: SASL login name; empty without.
        address: of the client, in presentation form.
        name: of the client, verified.
    """
    if flow not in SIGNED_FLOWS:
        return ""
    if user and (server := registry.server_of_user(user)):
        return server
    packed = pack(address)
    # As policyd does: a name alone makes nobody a system.
    system = registry.system_of(packed, name) if packed is not None else None
    return system.server if system is not None and system.assigned else ""


def owner(registry: Registry, domain: str) -> str:
    """Name of the server in whose registration a domain or host name is; empty for none.

    Arguments:
        domain: normalised; its parent domains are not looked at.
    """
    found = registry.domain(domain)
    if found is not None:
        return found.server
    system = registry.host_system(domain)
    return system.server if system is not None and system.assigned else ""


def may_sign(registry: Registry, registration: str, domain: str) -> bool:
    """Whether mail of ``registration`` may be signed in the name of ``domain``."""
    return registration != "" and owner(registry, domain) == registration


def signing_domains(registry: Registry) -> list[str]:
    """The names that mail may be signed for, each once: registered domains, and host names of assigned
    systems."""
    names: dict[str, None] = {}
    for server in registry.servers.values():
        names |= dict.fromkeys(domain.name for domain in server.domains)
        hosts = (system.text for system in server.systems if system.assigned)
        names |= dict.fromkeys(text for text in hosts if is_host_name(text))
    return list(names)
