"""What ``make fuzz`` can run: a name, and the module with ``SEEDS`` to begin from and ``target`` to try."""

from __future__ import annotations

TARGETS = {
    "excel": "tests.fuzz.guided.excel",
    "html": "tests.fuzz.guided.html_page",
    "links": "tests.fuzz.guided.links",
    "locks": "tests.fuzz.guided.locks",
    "message": "tests.fuzz.guided.message",
    "office-xml": "tests.fuzz.guided.office_xml",
    "ole": "tests.fuzz.guided.ole",
    "passwords": "tests.fuzz.guided.password_words",
    "openpgp": "tests.fuzz.guided.openpgp",
    "pdf": "tests.fuzz.guided.pdf_document",
    "rar": "tests.fuzz.guided.rar_archive",
    "rtf": "tests.fuzz.guided.rtf",
    "sevenzip": "tests.fuzz.guided.sevenzip_archive",
    "signatures": "tests.fuzz.guided.signatures",
    "small-archives": "tests.fuzz.guided.small_archives",
    "smime": "tests.fuzz.guided.smime",
    "spam-answers": "tests.fuzz.guided.spam_answers",
    "tar": "tests.fuzz.guided.tar_archive",
    "winmail": "tests.fuzz.guided.winmail",
    "zip": "tests.fuzz.guided.zip_archive",
}
