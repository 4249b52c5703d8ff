"""Whether a macro looks malicious, with MacroRaptor as the reference."""

from __future__ import annotations

import importlib
import time
from typing import Any

import pytest

from contentfilter.containers.vba_source import lines_of
from contentfilter.scanners.macro_words import suspicious
from contentfilter.scanners.vba import load_olevba

load_olevba()  # which keeps its warnings for itself
mraptor: Any = importlib.import_module("oletools.mraptor")

STARTS = (
    "AutoExec", "AutoOpen", "Auto_Open", "AutoClose", "Auto_Close", "AutoExit", "AutoNew", "DocumentOpen",
    "Document_Open", "Document_Close", "DocumentBeforeClose", "Document_BeforeClose", "DocumentChange",
    "Document_New", "NewDocument", "Workbook_Open", "Workbook_Activate", "Workbook_Close",
    "Workbook_BeforeClose", "Ink1_Painted", "Ink1_Painting", "A_GotFocus", "A_LostFocus", "A_MouseHover",
    "A_Layout", "A_Click", "A_Change", "A_Resize", "A_BeforeNavigate2", "A_BeforeScriptExecute",
    "A_DocumentComplete", "A_DownloadBegin", "A_DownloadComplete", "A_FileDownload", "A_NavigateComplete2",
    "A_NavigateError", "A_ProgressChange", "A_PropertyChange", "A_SetSecureLockIcon", "A_StatusTextChange",
    "A_TitleChange", "A_MouseMove", "A_MouseEnter", "A_MouseLeave", "A_OnConnecting", "Auto_Ope",
)  # fmt: skip
ACTS = (
    "FileCopy a, b", "x.CopyFile a", "Kill a", "x.CreateTextFile(a)", "VirtualAlloc 1", "RtlMoveMemory 1",
    "URLDownloadToFile 1", "URLDownloadToFileA 1", "AltStartupPath", "WriteProcessMemory 1",
    'x = "ADODB.Stream"', "x.WriteText a", "x.SaveToFile a", "x.SaveAs a", "x.SaveAsRTF a", "FileSaveAs",
    "MkDir a", "RmDir a", "SaveSetting a", "SetAttr a", "Open a For Output As #1", "Open a For Binary As 1",
    "Open a For Append As 1", "Open a For Random As 1", "Open a For Input Access Write As 1", "Shell a",
    'CreateObject("a")', 'GetObject("a")', "SendKeys a", "Application.Run a", "Call a", "MacScript a",
    "x.FollowHyperlink a", "CreateThread 1", "ShellExecute a", "ShellExecuteA a", "ExecuteExcel4Macro a",
    "Exec a", "Register a", "SetTimer 1", 'Private Declare Function f Lib "x" ()', "She _\r\nll = 1: Shell a",
)  # fmt: skip


def both(code: str) -> tuple[bool, bool]:
    raptor = mraptor.MacroRaptor(code)
    raptor.scan()
    return bool(suspicious("\n".join(lines_of(code)))), bool(raptor.suspicious)


@pytest.mark.parametrize("start", STARTS)
def test_what_starts_by_itself(start: str):
    assert both(f"Sub {start}()\r\n  Shell x\r\nEnd Sub\r\n") == (True, True)
    assert both(f"Sub {start.upper()}()\r\n  x = 1\r\nEnd Sub\r\n") == (False, False)


@pytest.mark.parametrize("act", ACTS)
def test_what_writes_or_runs(act: str):
    assert both(f"Sub AutoOpen()\r\n  {act}\r\nEnd Sub\r\n") == (True, True)
    assert both(f"Sub Twice()\r\n  {act}\r\nEnd Sub\r\n") == (False, False)


@pytest.mark.parametrize(
    "code",
    [
        "Sub AutoOpen()\r\n Open a For Input As 1\r\nEnd Sub",
        "Sub AutoOpen()\r\n Open a\r\n x = Output\r\nEnd Sub",
        "Sub AutoOpen()\r\n Shelly x\r\nEnd Sub",
        "Sub AutoOpener()\r\n Shell x\r\nEnd Sub",
        "Sub MyAutoOpen()\r\n Shell x\r\nEnd Sub",
        "",
    ],
)
def test_agreement_on_the_rest(code: str):
    ours, theirs = both(code)
    assert ours == theirs


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("autoopener", True), ("xautoopen", False), ("1autoopen", True), ("auto_opex", False),
        ("_click", False), ("1_click", False), ("a1_click", True), ("\u00e9_click", True),
        ("a_clicked", True), ("a_b_click", True),
    ],
)  # fmt: skip
def test_which_names_start_by_themselves(name: str, starts: bool):
    assert bool(suspicious(f"sub {name}()\nkill x\nshell x")) is starts


def test_what_it_objects_to_is_named_in_order():
    assert suspicious("sub a_click()\nkill x\nshell y\nsub autoopen()") == ["a_click", "kill", "shell"]
    assert suspicious("sub autoopen()\nopen x for output as 1") == ["autoopen", "open x for output as 1"]


def test_long_lines_take_no_time():
    started = time.process_time()
    suspicious("autoopen " + "open x " * 500_000 + "declare " * 500_000)
    suspicious("autoopen " + "a_" * 2_000_000)
    assert time.process_time() - started < 5
