"""Prometheus metrics and health over HTTP: ``/metrics``, ``/healthz`` (alive), ``/readyz`` (can decide)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import choose_encoder
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from mailbase import __version__


def new_registry(component: str) -> CollectorRegistry:
    """A registry of its own for one daemon, with the process's memory, processor time and descriptors."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Gauge(f"{component}_info", "The running version.", ["version"], registry=registry).labels(
        __version__
    ).set(1)
    return registry


def site(registry: CollectorRegistry, ready: Callable[[], str]) -> Site:
    """The HTTP site of one daemon.

    Arguments:
        registry: what ``/metrics`` shows.
        ready: an empty text when the daemon can decide, else the reason why not.
    """
    root = Resource()
    root.putChild(b"metrics", _Metrics(registry))
    root.putChild(b"healthz", _Health(lambda: ""))
    root.putChild(b"readyz", _Health(ready))
    http = Site(root, requestFactory=_Bodiless, timeout=30)
    # The access log would name the monitoring host once every few seconds, and nothing else.
    http.displayTracebacks = False
    http.noisy = False
    http.log = lambda request: None  # type: ignore[method-assign]
    return http


class _Bodiless(Request):
    """A request whose body is read and forgotten: nothing here has a use for one, and Twisted would keep it,
    in a temporary file, whatever its size."""

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        pass


class _Metrics(Resource):
    # prometheus-client's own Twisted resource answers from a thread pool of the global reactor; rendering
    # takes a millisecond, and the daemons keep to one thread.
    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def render_GET(self, request: Any) -> bytes:
        encode, content_type = choose_encoder(request.getHeader("accept") or "")
        request.setHeader(b"content-type", content_type.encode())
        return encode(self._registry)


class _Health(Resource):
    isLeaf = True

    def __init__(self, problem: Callable[[], str]) -> None:
        super().__init__()
        self._problem = problem

    def render_GET(self, request: Any) -> bytes:
        problem = self._problem()
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setResponseCode(503 if problem else 200)
        return (problem or "ok").encode("utf-8", "replace") + b"\n"
