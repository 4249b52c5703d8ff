"""SMTP and LMTP without sockets: bytes in, events out (RFC 5321, RFC 2033).

``server`` is what Postfix talks to, ``client`` what talks to the reinjection port; ``data`` finds the end of
a message, ``commands`` and ``xforward`` read command lines, ``offer`` knows the extensions.
"""
