"""Signature wrapping: hundreds of forged messages, made from real signed ones, against every reader of signatures.

Each carries something validly signed along, and shows something else where a careless reader looks.
"""

import copy
from collections.abc import Callable, Iterable

import pytest
from lxml import etree

from tests.federation.saml.peers import at, signer
from tests.federation.saml.signed import ASSERTION, ENCRYPTED, MESSAGES, REFUSALS, RESPONSE, Signed, code_of, original
from tests.federation.saml.tampering import tampering
from tests.federation.saml.wrapping import (
    BROKEN,
    EVIL,
    NOBODY,
    PLACES,
    REFERENCES,
    SHAPES,
    SIGNATURE,
    TWICE,
    WRAPPINGS,
    Forgery,
    Target,
    evil,
    give,
    instead,
    octets,
    own_signature,
    parsed,
    take,
)
from trust_lists import xmlgate
from trust_lists.xmlgate import Element


def refusal(read: Callable[[bytes], object], document: bytes) -> str:
    """The code under which a reader refuses the document."""
    with pytest.raises(REFUSALS) as caught:
        read(document)
    return code_of(caught.value)


def verdict(read: Callable[[bytes], object], document: bytes) -> str:
    """The code under which a reader refuses the document, or that it believes it."""
    try:
        read(document)
    except REFUSALS as refused:
        return code_of(refused)
    return "believed"


EVERYTHING = (*MESSAGES, ENCRYPTED)
WAYS = (*WRAPPINGS, tampering)
CASES = [(signed, forgery) for signed in EVERYTHING for forge in WAYS for forgery in forge(signed.target)]


OCTETS = tuple(rule for rule in xmlgate.RULES if rule.stage == "octets")


@pytest.mark.parametrize("signed", EVERYTHING, ids=str)
def test_what_the_forgeries_are_made_of_is_believed(signed: Signed) -> None:
    """The message from which forgeries are made is accepted itself: it is not refused for another reason."""
    assert signed.read(original(signed))


@pytest.mark.parametrize("forge", WAYS, ids=lambda forge: forge.__name__)
@pytest.mark.parametrize("signed", EVERYTHING, ids=str)
def test_forgeries_are_refused(signed: Signed, forge: Callable[[Target], Iterable[Forgery]]) -> None:
    """Wherever the signed element, a signature or an identifier was put: refused, for the right reason."""
    wrong = {}
    for forgery in forge(signed.target):
        document = forgery.document(original(signed))
        assert forgery.shows in document, forgery.name
        found = verdict(signed.read, document)
        if found not in forgery.codes | signed.codes:
            wrong[forgery.name] = found
    assert wrong == {}


def test_the_forgeries_are_many_and_all_different() -> None:
    """Hundreds of documents, no two alike, each under a name of its own."""
    documents = {forgery.document(original(signed)) for signed, forgery in CASES}
    assert len(documents) == len(CASES) > 2000
    assert len({(str(signed), forgery.name) for signed, forgery in CASES}) == len(CASES)


@pytest.mark.parametrize("signed", EVERYTHING, ids=str)
def test_without_the_rules_of_the_gate_no_forgery_is_believed_either(
    signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate is one wall, reading only what was signed is the other: each holds alone (a test of internals)."""
    believed = signed.read(original(signed))
    monkeypatch.setattr(xmlgate, "_BY_STAGE", {**dict.fromkeys(xmlgate._BY_STAGE, ()), "octets": OCTETS})
    assert signed.read(original(signed)) == believed
    for forgery in (forgery for of, forgery in CASES if of is signed):
        try:
            found = signed.read(forgery.document(original(signed)))
        except Exception:  # noqa: BLE001 - without the gate, code behind it meets shapes that it never has to expect
            continue
        assert found == believed, forgery.name


# --- the eight classic forms, as SAML Raider makes them, and their nearest relatives


def xsw1(root: Element) -> Element:
    """A forged Response; the signed one, without the signature, lies in the signature that it took over."""
    forged, signature = evil(RESPONSE, root), own_signature(RESPONSE, root)
    give(forged, take(signature))
    signature.append(root)
    return forged


def xsw2(root: Element) -> Element:
    """A forged Response; the signed one, without the signature, before the signature that it took over."""
    forged, signature = evil(RESPONSE, root), own_signature(RESPONSE, root)
    give(forged, take(signature))
    signature.addprevious(root)
    return forged


def xsw3(root: Element) -> Element:
    """A forged assertion before the signed one."""
    assertion = ASSERTION.element(root)
    root.insert(0, evil(ASSERTION, assertion))
    return root


def xsw4(root: Element) -> Element:
    """A forged assertion around the signed one."""
    assertion = ASSERTION.element(root)
    forged = evil(ASSERTION, assertion)
    instead(root, assertion, forged)
    forged.append(assertion)
    return root


def xsw5(root: Element) -> Element:
    """The signed assertion altered, its signature inside; the original, without it, at the end."""
    assertion, signature = ASSERTION.element(root), own_signature(ASSERTION, root)
    whole = copy.deepcopy(assertion)
    for inside in list(whole.iter(SIGNATURE)):
        take(inside)
    forged = evil(ASSERTION, assertion)
    give(forged, take(signature))
    instead(root, assertion, forged)
    root.append(whole)
    return root


def xsw6(root: Element) -> Element:
    """A forged assertion with the signature, and the original, without it, inside that signature."""
    assertion, signature = ASSERTION.element(root), own_signature(ASSERTION, root)
    forged = evil(ASSERTION, assertion)
    give(forged, take(signature))
    instead(root, assertion, forged)
    signature.append(assertion)
    return root


def xsw7(root: Element) -> Element:
    """A forged assertion under the same ID in Extensions, before the signed one."""
    extensions = parsed("<p:Extensions/>")
    extensions.append(evil(ASSERTION, ASSERTION.element(root), identified="same"))
    root.insert(0, extensions)
    return root


def xsw8(root: Element) -> Element:
    """A forged assertion with the signature; the original in a ds:Object of it."""
    holder = parsed("<ds:Object/>")
    forged = xsw6(root)
    signature = next(forged.iter(SIGNATURE))
    holder.append(signature[-1])
    signature.append(holder)
    return forged


def stripped(root: Element) -> Element:
    """No signature at all."""
    return evil(RESPONSE, root, identified="same")


def two_subjects(root: Element) -> Element:
    """A forged Subject before the signed one."""
    subject = at(root, "//s:Subject")[0]
    subject.addprevious(evil(RESPONSE, subject))
    return root


def two_statements(root: Element) -> Element:
    """A forged AttributeStatement before the signed one."""
    statement = at(root, "//s:AttributeStatement")[0]
    statement.addprevious(evil(RESPONSE, statement))
    return root


def signature_of_the_response(root: Element) -> Element:
    """The forged assertion has no signature; the Response got the one of the signed assertion."""
    assertion, signature = ASSERTION.element(root), take(own_signature(ASSERTION, root))
    for other in list(root.iter(SIGNATURE)):
        take(other)
    instead(root, assertion, evil(ASSERTION, assertion))
    give(root, signature)
    return root


def stranger_beside(root: Element) -> Element:
    """A forged assertion that a stranger signed, beside the one that the identity provider signed."""
    own = ASSERTION.element(root)
    root.append(evil(ASSERTION, own))
    own.getparent().remove(own)
    document = signer("mallory").sign_element(octets(root), root[-1].get("ID"))
    root = etree.fromstring(document)
    root.append(own)
    return root


def stranger_twice(root: Element) -> Element:
    """A forged assertion with two signatures: a stranger's, and the identity provider's of another."""
    own = ASSERTION.element(root)
    signature = copy.deepcopy(own_signature(ASSERTION, root))
    for other in list(root.iter(SIGNATURE)):
        take(other)
    instead(root, own, evil(ASSERTION, own))
    identifier = ASSERTION.element(root).get("ID")
    root = etree.fromstring(signer("mallory").sign_element(octets(root), identifier))
    ASSERTION.element(root).find(SIGNATURE).addnext(signature)
    return root


def in_an_encrypted_assertion(root: Element) -> Element:
    """The signed assertion put into an EncryptedAssertion in plain, a forged one in its place."""
    assertion = ASSERTION.element(root)
    instead(root, assertion, evil(ASSERTION, assertion))
    holder = parsed("<s:EncryptedAssertion/>")
    holder.append(assertion)
    root.append(holder)
    return root


WRAPPED = PLACES | REFERENCES | SHAPES
CLASSIC: dict[Callable[[Element], Element], frozenset[str]] = {
    **dict.fromkeys((xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw8, in_an_encrypted_assertion), WRAPPED),
    xsw7: WRAPPED | TWICE,
    stripped: NOBODY,
    two_subjects: BROKEN | TWICE,
    two_statements: BROKEN,
    signature_of_the_response: REFERENCES | BROKEN,
    stranger_beside: WRAPPED,
    stranger_twice: frozenset({"two-signatures", "signature-place"}),
}


@pytest.mark.parametrize("signed", [s for s in MESSAGES if s.target in (ASSERTION, RESPONSE)], ids=str)
@pytest.mark.parametrize("form", CLASSIC, ids=lambda form: form.__name__)
def test_the_classic_forms_are_refused(form: Callable[[Element], Element], signed: Signed) -> None:
    """XSW1 to XSW8, whichever elements are signed, and what else has worked somewhere."""
    document = octets(form(etree.fromstring(original(signed))))
    assert EVIL.encode() in document
    assert refusal(signed.read, document) in CLASSIC[form]
