"""What both daemons need: configuration, registry, store, control socket, metrics, logging, life cycle."""

__version__ = "0.1.0"
