"""The letter: a mail as a person reads it, header fields decoded and texts shown.

Scanners look at every octet that a program may run; rules and statistics look at this.
"""

from contentfilter.letter.letter import Attachment, Field, Letter, Text

__all__ = ["Attachment", "Field", "Letter", "Text"]
