"""The HTTP site: metrics, alive, ready."""

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
