"""nulltwisted.py PORT: a Twisted policy server that parses each request and answers DUNNO.

On the default reactor, without any decision: the ceiling that a Twisted policy daemon has on this machine.
"""

import sys

from twisted.internet import protocol, reactor


class Null(protocol.Protocol):
    """Parses into a dict, as every policy server must, and answers."""

    buffer = b""

    def connectionMade(self):
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\n\n")) >= 0:
            request, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            attributes = dict(
                line.split("=", 1) for line in request.decode("utf-8", "surrogateescape").split("\n")
            )
            _ = attributes["client_address"], attributes["sender"], attributes["recipient"]
            self.transport.write(b"action=DUNNO\n\n")


reactor.listenTCP(int(sys.argv[1]), protocol.Factory.forProtocol(Null), interface="127.0.0.1", backlog=1000)
reactor.run()
