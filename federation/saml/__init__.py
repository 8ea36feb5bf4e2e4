"""SAML 2.0 Web Browser SSO in both roles; the only place that knows pysaml2.

pysaml2 gives the message classes. Signatures, bindings and every check are ours, since pysaml2's own go
through the `xmlsec1` program and read clocks. Its loggers write whole messages: they are switched off here,
whatever the root logger's level is.
"""

import logging

logging.getLogger("saml2").setLevel(logging.CRITICAL + 1)
