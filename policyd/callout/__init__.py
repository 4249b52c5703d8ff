"""Callouts: asking a recipient's registered server whether it knows it, before the mail is taken.

``conversation`` speaks SMTP (bytes in, actions out), ``result`` says what a reply means, ``results``
remembers it, ``servers`` and ``address`` say whom to call, ``lane`` and ``breaker`` protect who is called,
``dialling`` opens connections, and ``callouts`` puts it together. The check itself is
:mod:`policyd.checks.recipient`.
"""
