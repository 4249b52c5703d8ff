"""``postwarden registry check``: does the world outside agree with the registry?

``mx``, ``names`` and ``server`` say what an answer is worth, ``certificate`` looks at what a server shows in
TLS, ``checking`` asks everybody, and ``command`` prints what is to be changed.
"""
