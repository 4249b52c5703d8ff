"""Programs by content: binaries, shortcuts, installers, packages. Scripts are in test_scripts.py."""

from __future__ import annotations

import struct

import pytest

from contentfilter.containers import shell_link
from contentfilter.content.scan import scan_document
from tests.samples.archives import plain_zip
from tests.samples.compound import compound_file
from tests.samples.office import docx
from tests.samples.programs import INSTALLER_CLASS, installer, jar, pe, shortcut, with_class, xar

from ..scanned import scan

MANIFEST = b"Manifest-Version: 1.0\r\n"


def found(data: bytes, name: str = "x") -> list[str]:
    """Details of what makes it executable."""
    result = scan(data, name=name)
    return [finding.detail for finding in result.findings if finding.name == "executable"]


@pytest.mark.parametrize("name", ["x", "invoice.pdf", "photo.jpg", "a.scr", "readme.txt"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pe(), "PE"),
        (pe(library=True), "PE, library"),
        (pe(managed=True), "PE, .NET"),
        (b"MZ" + bytes(58) + struct.pack("<I", 64) + b"NE" + bytes(100), "NE"),
        (b"MZ\x50\0\2\0\0\0\4\0\x0f\0\xff\xff" + bytes(50), "DOS"),
        (b"\x7fELF\2\1\1" + bytes(50), "ELF"),
        (b"\xcf\xfa\xed\xfe" + bytes(50), "Mach-O"),
        (b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(50), "Mach-O"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(50), "Java class"),
        (b"dex\n035\0" + bytes(50), "Android"),
        (b"ITSF\3\0\0\0" + bytes(90), "compiled HTML help"),
        (b"FasdUAS 1.101.10" + bytes(50), "AppleScript"),
        (bytes(0x171) + b"MICROSOFT PIFEX\0" + bytes(200), "program information file"),
        (installer(), "Windows Installer package"),
        (installer(clsid=b"\x86" + INSTALLER_CLASS[1:]), "Windows Installer patch"),
        (installer(clsid=bytes(16)), "Windows Installer package"),
        (plain_zip({"AppxManifest.xml": b"<x/>", "AppxBlockMap.xml": b"<x/>"}), "Windows app package"),
        (plain_zip({"AndroidManifest.xml": b"x", "resources.arsc": b"y"}), "Android package"),
        (xar(b"<xar><file><name>PackageInfo</name></file></xar>"), "macOS installer package"),
    ],
)
def test_programs_under_any_name(data: bytes, kind: str, name: str):
    assert found(data, name)[:1] == [kind]


def test_java_archive_and_the_classes_in_it():
    assert found(jar()) == ["Java archive", "Java class"]
    assert found(b"GIF89a" + bytes(500) + jar()) == ["Java archive", "Java class"]


def test_installer_with_a_java_archive_behind_it_is_both():
    assert found(installer() + jar())[:1] == ["Windows Installer package"]
    assert "Java class" in found(installer() + jar())


def test_cabinet_inside_an_installer_is_looked_into():
    result = scan_document("x.msi", installer({"data": pe() + bytes(100)}))
    assert [finding.detail for finding in result.findings] == ["Windows Installer package", "PE in data"]


def test_an_extension_of_libreoffice_brings_its_python():
    members = {
        "description.xml": b"<d/>",
        "META-INF/manifest.xml": b"<m/>",
        "pythonpath/main.py": b"import uno",
    }
    assert found(plain_zip(members)) == ["LibreOffice extension"]


# What is no program.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ",
        b"MZ is how this text begins, and it goes on for a while after that, with words.",
        b"Lots of text",
        b"L" + bytes(100),
        b"\xca\xfe",
        b"dex lex",
        b"ITSy bitsy",
        b"xar!" + bytes(100),
        xar(b"<xar><file><name>pictures</name></file></xar>"),
        b"#!/bin/sh\necho hello\n",
        b"#!/usr/bin/env python3\nprint(1)\n",
        b"#include <stdio.h>\nint main(void) { return 0; }\n",
        compound_file({"WordDocument": b"\xec\xa5" + bytes(100)}),
        with_class(compound_file({"a": b"b"}), bytes.fromhex("0609020000000000c000000000000046")),
        compound_file({"\u4840one": b"a single strange name"}),
        docx(),
        plain_zip({"META-INF/MANIFEST.MF": MANIFEST, "readme.txt": b"sources"}),
        plain_zip({"app/src/main/AndroidManifest.xml": b"<manifest/>", "app/build.gradle": b"x"}),
        plain_zip({"AndroidManifest.xml": b"<manifest/>"}),
        plain_zip({"description.xml": b"<d/>", "META-INF/manifest.xml": b"<m/>", "dict/de.dic": b"1"}),
        plain_zip({"description.xml": b"<d/>", "main.py": b"print(1)"}),
        plain_zip({"Main.java": b"class Main {}", "main.c": b"int main() {}", "main.py": b"print(1)"}),
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"\xff\xd8\xff\xe0" + bytes(500),
        b"GIF89a" + bytes(500),
        b"RIFF\0\0\0\0WAVE" + bytes(500),
        b"\0asm\1\0\0\0",
    ],
)
@pytest.mark.parametrize("name", ["x", "a.txt"])
def test_what_is_no_program(data: bytes, name: str):
    assert found(data, name) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xe9\x10\x00" + bytes(range(200)) + b"\xcd\x21", True),
        (b"From: somebody\r\n\r\nAn attached mail about example.com\r\n", False),
        (b"%PDF-1.4\n" + bytes(200), False),
        (b"PK\x03\x04" + bytes(200), False),
        (b"<html>a saved page</html>", False),
        (bytes(70_000), False),
    ],
)
def test_a_com_file_has_no_signature(data: bytes, code: bool):
    assert found(data, "www.example.com") == (["COM"] if code else [])
    assert found(data, "www.example.org") == []


# Shortcuts.


def test_shortcut_tells_target_and_arguments():
    assert found(shortcut()) == ["Windows shortcut to C:\\Windows\\System32\\cmd.exe /c calc"]
    hidden = shortcut(arguments=" " * 500 + "/c powershell -e QQ")
    assert found(hidden) == ["Windows shortcut to C:\\Windows\\System32\\cmd.exe /c powershell -e QQ"]


def test_shortcut_is_bounded():
    assert len(found(shortcut("a" * 5000, "b" * 30_000))[0]) <= 300


def test_shortcut_cut_anywhere_is_still_one():
    whole = shortcut()
    for size in range(8, len(whole)):
        assert found(whole[:size])[0].startswith("Windows shortcut"), size
    assert found(whole[:7]) == []


def test_shortcut_of_odd_numbers():
    for octet in (0x00, 0x7F, 0xFF):
        assert isinstance(shell_link.describe(shell_link.MAGIC + bytes([octet]) * 200), str)


def test_program_deep_in_archives():
    data = plain_zip({"b.zip": plain_zip({"invoice.pdf": pe()})})
    result = scan_document("a.zip", data)
    assert ("executable", "a.zip/b.zip/invoice.pdf") in [(item.name, item.part) for item in result.findings]
