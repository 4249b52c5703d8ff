"""The scanners. A new one is a file of its own and a line in this table."""

from __future__ import annotations

from contentfilter.content.part import Scanner
from contentfilter.scanners.active_mime import ActiveMime
from contentfilter.scanners.appended import Appended
from contentfilter.scanners.archive_zip import Zip
from contentfilter.scanners.archives import Archives
from contentfilter.scanners.cards import Cards
from contentfilter.scanners.compressed import Compressed
from contentfilter.scanners.displaced import Displaced
from contentfilter.scanners.email import Email
from contentfilter.scanners.embedded import Embedded
from contentfilter.scanners.encrypted_file import EncryptedFile
from contentfilter.scanners.encrypted_office import EncryptedOffice
from contentfilter.scanners.executable import Executable
from contentfilter.scanners.hangul import Hangul
from contentfilter.scanners.html_smuggling import HtmlSmuggling
from contentfilter.scanners.legacy_office import LegacyOffice
from contentfilter.scanners.macintosh import Macintosh
from contentfilter.scanners.misnamed import Misnamed
from contentfilter.scanners.office_xml import OfficeXml
from contentfilter.scanners.old_files import OldFiles
from contentfilter.scanners.ole_links import OleLinks
from contentfilter.scanners.ole_objects import OleObjects
from contentfilter.scanners.onenote import OneNote
from contentfilter.scanners.open_document import OpenDocument
from contentfilter.scanners.openpgp import OpenPgp
from contentfilter.scanners.outlook import Outlook
from contentfilter.scanners.pdf import Pdf
from contentfilter.scanners.private_mail import PrivateMail
from contentfilter.scanners.rtf import Rtf
from contentfilter.scanners.scripts import Scripts
from contentfilter.scanners.share_links import ShareLinks
from contentfilter.scanners.sheet_text import SheetText
from contentfilter.scanners.tar import Tar
from contentfilter.scanners.tnef import Tnef
from contentfilter.scanners.unsupported import Unsupported
from contentfilter.scanners.vba import Vba
from contentfilter.scanners.visio import Visio
from contentfilter.scanners.wide_text import WideText
from contentfilter.scanners.xdp import Xdp

SCANNERS: dict[str, Scanner] = {
    scanner.name: scanner
    for scanner in (
        Executable(),
        Scripts(),
        ShareLinks(),
        Misnamed(),
        HtmlSmuggling(),
        Appended(),
        EncryptedOffice(),
        EncryptedFile(),
        Vba(),
        LegacyOffice(),
        OleLinks(),
        OfficeXml(),
        OpenDocument(),
        Rtf(),
        ActiveMime(),
        SheetText(),
        Pdf(),
        Xdp(),
        WideText(),
        Email(),
        PrivateMail(),
        OpenPgp(),
        Tnef(),
        Macintosh(),
        OldFiles(),
        Zip(),
        OleObjects(),
        Visio(),
        Displaced(),
        Hangul(),
        Outlook(),
        OneNote(),
        Cards(),
        Compressed(),
        Tar(),
        Archives(),
        Embedded(),
        Unsupported(),
    )
}
"""By name, in the order in which they look at a part: what only looks before what hands out members."""
