"""Suffixes of the scripts that a double click runs: which are found, and which an operator may let pass.

docs/findings.md has the reason for each.
"""

from __future__ import annotations

SUFFIXES = {
    "js": "Windows Script Host",
    "jse": "Windows Script Host",
    "vbs": "Windows Script Host",
    "vbe": "Windows Script Host",
    "wsf": "Windows Script Host",
    "wsh": "Windows Script Host",
    "wsc": "script component",
    "sct": "script component",
    "hta": "HTML application",
    "bat": "command interpreter",
    "cmd": "command interpreter",
    "ps1": "PowerShell",
    "psc1": "PowerShell",
    "pyz": "Python",
    "pyzw": "Python",
    "reg": "registry entries",
    "msc": "management console",
    "scf": "Explorer command",
    "jnlp": "Java Web Start",
    "application": "ClickOnce",
    "appref-ms": "ClickOnce",
    "vsto": "ClickOnce",
    "xbap": "ClickOnce",
    "appinstaller": "app installer",
    "settingcontent-ms": "settings shortcut",
    "library-ms": "Windows library",
    "searchconnector-ms": "search connector",
    "search-ms": "saved search",
    "diagcab": "troubleshooting wizard",
    "diagcfg": "troubleshooting wizard",
    "diagpkg": "troubleshooting wizard",
    "ppkg": "provisioning package",
    "wsb": "Windows Sandbox",
    "rdp": "remote desktop",
    "command": "macOS Terminal",
    "terminal": "macOS Terminal",
    "tool": "macOS Terminal",
    "applescript": "Script Editor",
    "scpt": "Script Editor",
}
"""What opens a file of that name with a double click."""
BY_CONTENT = frozenset({"rdp"})
"""Those of them that people send each other for good reasons: their content must be of the dangerous kind."""

_BEGIN, _END = "script .", ": "


def detail(suffix: str) -> str:
    """The detail of a finding that rests on the suffix of a script alone."""
    return f"{_BEGIN}{suffix}{_END}{SUFFIXES[suffix]}"


def suffix_of(detail: str) -> str:
    """The suffix that such a detail tells; empty for any other."""
    return detail[len(_BEGIN) :].partition(_END)[0] if detail.startswith(_BEGIN) else ""
