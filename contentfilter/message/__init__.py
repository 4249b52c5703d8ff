"""Reading Internet messages: a bounded MIME reader over bytes (RFC 5322, 2045 to 2047, 2231).

It reads as mail clients do, all of them: where two would read a message differently, both readings are
handed out and the message is found ``mime-ambiguous``.
"""

from contentfilter.message.reader import MessageReader
from contentfilter.message.wire import BytesWire, FileWire, Wire, open_wire, unstuff

__all__ = ["BytesWire", "FileWire", "MessageReader", "Wire", "open_wire", "unstuff"]
