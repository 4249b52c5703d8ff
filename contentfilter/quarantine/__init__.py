"""The quarantine: a folder with one file per message, each complete or not there.

``entry`` is the file's form, ``folder`` the folder and who may see it, ``storing`` how a message gets in,
``keeper`` the daemon's side with its bounds, ``release`` how one gets out, ``housekeeping`` and ``digest``
what happens to the others, ``commands`` the command line.
"""
