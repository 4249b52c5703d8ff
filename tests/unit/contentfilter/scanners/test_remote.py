"""Which links lead to another machine."""

from __future__ import annotations

import pytest

from contentfilter.scanners.remote import is_active, is_remote


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/t", "HTTPS://evil.example", " https://evil.example", "ht\ntp://evil.example/",
        "url:http://evil.example/", "ftp://evil.example/", "mhtml:http://evil.example/x!y", "ms-msdt:/id x",
        "script:http://evil.example/", "web+https://evil.example/", "\\\\evil.example\\share\\t.dotm",
        "\\\\192.0.2.1\\s\\t", "//evil.example/share/t", "\\\\evil@SSL\\DavWWWRoot\\t", "\\\\a\\share\\t",
        "file://evil.example/share/t", "file:////evil/share/t", "file:///\\\\evil\\share\\t",
        "file:\\\\evil\\s\\t", "\\\\?\\UNC\\evil\\share\\t", "file://\\\\.\\UNC\\evil\\share\\t",
    ],
)  # fmt: skip
def test_elsewhere(target: str):
    assert is_remote(target)


@pytest.mark.parametrize(
    "target",
    [
        "", "Normal.dotm", "C:\\Templates\\Normal.dotm", "file:///C:\\Templates\\t.dotm",
        "file:///C:/t/x.dotm", "file:///C|/t/x.dotm", "file://localhost/c/t.dot", "file:///usr/share/templates/t.ott",
        "/usr/share/t/x", "\\\\?\\C:\\t\\x.dot", "\\\\.\\COM1\\x", "//", "\\\\", "\\\\host", "../up/t.dotx",
        "mailto:a@b.example", "media/image1.png", "#bookmark", "httpx://x",
    ],
)  # fmt: skip
def test_here(target: str):
    assert not is_remote(target)


def test_what_starts_something():
    assert is_active("ms-msdt:/id PCWDiagnostic")
    assert is_active(" MHTML:http://evil.example/")
    assert not is_active("https://fine.example/ms-msdt:")
