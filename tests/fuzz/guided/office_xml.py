"""What is searched in Office's XML."""

from __future__ import annotations

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.active_mime import ActiveMime
from contentfilter.scanners.office_xml import OfficeXml
from contentfilter.scanners.open_document import OpenDocument

SEEDS = [
    b'<?xml version="1.0"?><!-- c --><w:d><w:fldChar w:fldCharType="begin"/><w:instrText><![CDATA[DDE]]>'
    b'</w:instrText><w:fldSimple w:instr="QUOTE 68"/><w:binData>QWN0aXZlTWltZQ==</w:binData>',
    b'<Relationships><Relationship Type="a/oleObject" Target="http://x.example/" TargetMode="External"/>',
    b'<script:module script:language="StarBasic">Sub Main&#10;Beep</script:module><a:b x:href="/"/>',
    b'<script:event-listener script:event-name="dom:load" xlink:href="vnd.sun.star.script:x"/>',
    '<?xml version="1.0"?><ddeLink ddeService="x"/>'.encode("utf-16"),
    b'<?xml version="1.0" encoding="utf-7"?>+ADw-ddeLink+AD4-',
]


def target(data: bytes) -> None:
    part = Part("1", data)
    for scanner in (OfficeXml(), OpenDocument(), ActiveMime()):
        for item in scanner.scan(part, Context(part, Budget(ScanOptions()))):
            assert not isinstance(item, Part) or len(item.data) <= len(data)
