"""Whoever signs attribute certificates: few, and the same for everybody, so the paths of those believed are remembered.

Remembered is a path that held, under everything that it rests on: the certificates that came along, the anchors that
the lists name now, and what was wanted. Of the rules of `paths.py` only a certificate's own time asks what time it is,
so it holds again while every certificate of it is valid. Revocation is asked about at each sign-in, elsewhere. Nobody
is remembered who has no certificate of a listed authority under a policy for this; a person's never is.
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from federation.certificate import subject
from federation.certificate.model import CertificateRefusedError, Path, Wanted
from federation.certificate.paths import path as find_path

MOST = 64

_Key = tuple[bytes, tuple[bytes, ...], tuple[x509.Certificate, ...], Wanted]
_PATHS: "OrderedDict[_Key, Path]" = OrderedDict()


def path(
    leaf: bytes, others: Sequence[bytes], anchors: Sequence[x509.Certificate], policies: frozenset[str], at: datetime
) -> Path:
    """The path of a signer's certificate (DER, as the `others` that came with it) that states one of the policies.

    Raises `CertificateRefusedError`, as `paths.path`, and policy.
    """
    wanted = Wanted(policies=policies, key_usages=frozenset({"digital_signature"}))
    key = (leaf, tuple(others), tuple(anchors), wanted)
    known = _PATHS.get(key)
    if known is not None and _valid(known, at.replace(microsecond=0)):
        return known
    found = find_path(leaf, others, anchors, wanted, at)
    # Its own word, since anyPolicy (RFC 5280 §4.2.1.4) would make a signer of whoever has it.
    if policies.isdisjoint(subject.stated_policies(found.leaf)):
        raise CertificateRefusedError("policy")
    _PATHS[key] = found
    while len(_PATHS) > MOST:
        _PATHS.popitem(last=False)
    return found


def _valid(path: Path, at: datetime) -> bool:
    return all(each.not_valid_before_utc <= at <= each.not_valid_after_utc for each in path.certificates)
