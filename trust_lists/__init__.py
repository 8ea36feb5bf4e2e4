"""Whom we trust, for what, on whose word, until when: formats, signatures, the trusted set, publishing.

No sockets, no clocks (time is a parameter), no logins.
"""
