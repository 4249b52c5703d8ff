"""The HTTP site: metrics, alive, ready."""

import io

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyRequest

from mailbase.metrics import new_registry, site


def get(http, path):
    request = DummyRequest([path])
    resource = http.getResourceFor(request)
    body = resource.render(request)
    return request.responseCode or 200, body if isinstance(body, bytes) else b"".join(request.written)


def test_metrics_are_exposed_in_prometheus_form():
    http = site(new_registry("policyd"), lambda: "")
    code, body = get(http, b"metrics")
    assert code == 200
    assert b"policyd_info{" in body
    assert b"process_resident_memory_bytes" in body


def test_ready_says_why_not_and_alive_stays_alive():
    problem = "store: disk full"
    http = site(new_registry("policyd"), lambda: problem)
    assert get(http, b"readyz") == (503, b"store: disk full\n")
    assert get(http, b"healthz") == (200, b"ok\n")
    problem = ""
    assert get(http, b"readyz") == (200, b"ok\n")


def test_nothing_else_is_served():
    http = site(new_registry("policyd"), lambda: "")
    assert get(http, b"admin")[0] == 404


@pytest.mark.parametrize(
    ("head", "chunk", "end"),
    [
        (b"Content-Length: 2000001", b"x" * 200_000, b"x"),
        (b"Transfer-Encoding: chunked", b"30d40\r\n" + b"x" * 200_000 + b"\r\n", b"0\r\n\r\n"),
    ],
)
def test_a_body_is_kept_nowhere(head: bytes, chunk: bytes, end: bytes):
    channel = site(new_registry("policyd"), lambda: "").buildProtocol(None)
    transport = StringTransport()
    channel.makeConnection(transport)
    channel.dataReceived(b"POST /metrics HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
    (request,) = channel._channel.requests
    for _ in range(10):
        channel.dataReceived(chunk)
        assert isinstance(request.content, io.BytesIO)
        assert request.content.getvalue() == b""
    channel.dataReceived(end)
    assert transport.value().startswith(b"HTTP/1.1 405 ")
    channel.connectionLost(Failure(ConnectionDone()))
