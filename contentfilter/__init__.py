"""The content filter: an SMTP proxy between Postfix's ports that looks into every part of a mail."""
