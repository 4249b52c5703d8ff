"""The registry: which mail servers, domains and systems the gateway works for."""

from mailbase.registry.model import EMPTY, Domain, Person, Registry, Server, System
from mailbase.registry.reading import load_registry

__all__ = ["EMPTY", "Domain", "Person", "Registry", "Server", "System", "load_registry"]
