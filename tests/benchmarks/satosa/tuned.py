"""SATOSA with one change: what `xmlsec1 --version` says is asked once and not before every signature.

Runs in SATOSA's environment. The two environment variables of the tuned variant are set by who starts it.
"""

from functools import cached_property

from saml2.sigver import CryptoBackendXmlSec1

_version = cached_property(CryptoBackendXmlSec1.version.fget)
_version.__set_name__(CryptoBackendXmlSec1, "version")
CryptoBackendXmlSec1.version = _version

from satosa.wsgi import app  # noqa: E402, F401 - gunicorn's entry
