"""``postwarden doctor``: whether the gateway itself is in order: names, Postfix's settings, daemons."""
