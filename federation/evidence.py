"""How an ID system came to know an attribute, and what the attribute is worth because of it.

A sign-in has one identity level; an attribute may be worth less. What is read from the face of a card can in
principle be spoofed, what stands in a signing certificate cannot; what the person typed in is nobody's word. The
frameworks are those under which a service may be told that it is verified (OpenID Identity Assurance,
`trust_framework`). Nobody's register has names for them, so the region mints its own.

No guideline says these levels in so many words: operators may lower them (`evidence:` in gateway.yaml), and never raise
them.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

FRAMEWORK = "urn:kakehashi:trust-framework:"
DS_511 = f"{FRAMEWORK}ds-511"
"""The Digital Agency's guideline on identity proofing and authentication."""
JPKI = f"{FRAMEWORK}jpki"
"""The Act on public personal authentication: the certificates on My Number Cards."""
ELECTRONIC_SIGNATURES = f"{FRAMEWORK}electronic-signatures-act"
"""The Act on Electronic Signatures and Certification Business: certificates of accredited authorities."""

FRAMEWORKS = (DS_511, JPKI, ELECTRONIC_SIGNATURES)
HIGHEST = 3


class Evidence(NamedTuple):
    """What an attribute is worth at most, and the framework under which it was verified; "" for none."""

    most: int
    framework: str


EVIDENCE: Mapping[str, Evidence] = {
    "signing-certificate": Evidence(3, JPKI),
    "accredited-certificate": Evidence(3, ELECTRONIC_SIGNATURES),
    "register": Evidence(3, DS_511),  # the municipality's resident register
    "card-face": Evidence(2, DS_511),  # the application for the text on a card's face
    "document": Evidence(2, DS_511),  # a document that was looked at
    "clerk": Evidence(2, DS_511),  # entered at a counter
    "self-asserted": Evidence(0, ""),
}
"""The closed vocabulary of `federation.attributes.Value.evidence`."""

AS_THE_LOGIN = Evidence(HIGHEST, DS_511)
"""What nothing more is known of is worth what the sign-in is."""

Lowered = Mapping[str, int]
"""Evidence → the level that operators count it for at most; what is not named counts for what stands above."""

NOTHING_LOWERED: Lowered = MappingProxyType({})

_UNKNOWN = Evidence(0, "")


def of(name: str, lowered: Lowered = NOTHING_LOWERED) -> Evidence:
    """The evidence of that name; a name outside the vocabulary is worth nothing."""
    if not name:
        return AS_THE_LOGIN
    found = EVIDENCE.get(name, _UNKNOWN)
    return found if name not in lowered else Evidence(min(found.most, lowered[name]), found.framework)


def attribute_level(login: int, evidence: str, lowered: Lowered = NOTHING_LOWERED) -> int:
    """The identity level of an attribute: that of the sign-in, but no more than its evidence is worth."""
    return min(login, of(evidence, lowered).most)


def weakest(names: Iterable[str], lowered: Lowered = NOTHING_LOWERED) -> Evidence:
    """What is worth saying of a value that was made of several: the least, under one framework or none but DS-511."""
    found = [of(name, lowered) for name in names]
    if not found:
        return _UNKNOWN
    frameworks = {each.framework for each in found}
    most = min(each.most for each in found)
    if "" in frameworks:
        return Evidence(most, "")
    return Evidence(most, frameworks.pop() if len(frameworks) == 1 else DS_511)


IDA_EVIDENCE: Mapping[str, str] = {
    "document": "document",
    "electronic_record": "register",
    "electronic_signature": "signing-certificate",
    "vouch": "clerk",
}
"""Types of evidence of OpenID Identity Assurance (OpenID Identity Assurance Schema Definition §5.4.4) and ours."""
