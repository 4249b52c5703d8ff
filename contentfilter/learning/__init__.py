"""Learning from mail: files by command, spamtraps' mail and extreme totals by itself; nothing is kept here.

Confined workers read the mails; what is seen in them goes to policyd, which is also asked how often mail of
nearly the same text has come.
"""
