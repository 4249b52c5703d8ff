"""Spam engines that people already run: Rspamd and SpamAssassin's spamd.

Each is asked about a mail beside our own scan. Its score counts, with a factor, among the mail's points; what
it would do with the mail does not.
"""
