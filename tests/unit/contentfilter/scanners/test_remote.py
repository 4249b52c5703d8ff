"""Which links lead to another machine."""

from __future__ import annotations

import pytest

from contentfilter.scanners.remote import is_active, is_remote, is_share, starts_program


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


@pytest.mark.parametrize(
    "target",
    [
        "ms-msdt:/id PCWDiagnostic", " MS-Officecmd:{}", "search-ms:query=x&crumb=location:\\\\192.0.2.1\\a",
        "search:query=x&crumb=location:\\\\evil@80\\a", "ms-appinstaller:?source=https://evil.example/a.msix",
        "script:http://evil.example/a.sct", "mhtml:http://evil.example/a!x-usc:http://evil.example/a",
    ],
)  # fmt: skip
def test_what_nobody_writes_but_to_run_something(target: str):
    assert starts_program(target)


@pytest.mark.parametrize(
    "target",
    [
        "https://fine.example/search-ms:", "search:trees", "mhtml:mid://00000028/", "ms-word:ofe|u|https://a.example/x",
        "file://server/share/x.docx", "mailto:search-ms:@a.example", "https://a.example/?q=search:crumb",
    ],
)  # fmt: skip
def test_what_is_written_for_other_ends(target: str):
    assert not starts_program(target)


@pytest.mark.parametrize("target", ["\\\\192.0.2.1\\a\\b", "file://evil@80/a/b", "FILE:////evil/a"])
def test_shares(target: str):
    assert is_share(target)


@pytest.mark.parametrize("target", ["https://a.example/", "file:///C:/a", "ftp://a/b"])
def test_no_shares(target: str):
    assert not is_share(target)
