"""Signature wrapping against the service provider: the eight classic forms and their relatives.

Each carries a validly signed assertion of a real sign-in along, and shows another one where a careless reader
looks.
"""

import base64
import copy
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from federation.saml.service_provider import SamlAssertion, SamlResponseRefusedError, SamlStatusError
from tests.federation.saml.peers import SIGNATURE, answer, arrived, at, reissued, xml_of
from trust_lists.xmlgate import Element

OBJECT = "{http://www.w3.org/2000/09/xmldsig#}Object"
STYLES = {"assertion": ("Assertion",), "response": ("Response",), "both": ("Assertion", "Response")}


def evil_copy(element: Element) -> Element:
    """A copy that names another person, under another ID and without a signature of its own."""
    forged = copy.deepcopy(element)
    for signature in list(forged.iterdescendants(SIGNATURE)):
        signature.getparent().remove(signature)
    for identified in forged.iter():
        if identified.get("ID"):
            identified.set("ID", identified.get("ID") + "-evil")
    for name in at(forged, "descendant-or-self::*/s:NameID | .//s:NameID"):
        name.text = "evil"
    return forged


def into_object(signature: Element, element: Element) -> None:
    """Hide the element in a ds:Object of the signature."""
    etree.SubElement(signature, OBJECT).append(element)


def xsw1(root: Element) -> Element:
    """Forged Response around; the signed Response lies in its signature."""
    forged, signature = evil_copy(root), root.find(SIGNATURE)
    if signature is None:
        signature = at(root, "s:Assertion")[0].find(SIGNATURE)
    moved = copy.deepcopy(signature)
    forged.insert(1, moved)
    signature.getparent().remove(signature)
    into_object(moved, root)
    return forged


def xsw2(root: Element) -> Element:
    """Forged Response with the signature; the signed Response before it as a sibling."""
    forged, signature = evil_copy(root), root.find(SIGNATURE)
    if signature is None:
        signature = at(root, "s:Assertion")[0].find(SIGNATURE)
    signature.getparent().remove(signature)
    forged.insert(1, signature)
    forged.insert(1, root)
    return forged


def xsw3(root: Element) -> Element:
    """Forged assertion before the signed one."""
    assertion = at(root, "s:Assertion")[0]
    assertion.addprevious(evil_copy(assertion))
    return root


def xsw4(root: Element) -> Element:
    """Forged assertion around the signed one."""
    assertion = at(root, "s:Assertion")[0]
    forged = evil_copy(assertion)
    root.replace(assertion, forged)
    forged.append(assertion)
    return root


def xsw5(root: Element) -> Element:
    """The signed assertion altered, its signature inside, the original appended without it."""
    assertion = at(root, "s:Assertion")[0]
    original = copy.deepcopy(assertion)
    for signature in list(original.iter(SIGNATURE)):
        signature.getparent().remove(signature)
    assertion.set("ID", "_evil")
    at(assertion, ".//s:NameID")[0].text = "evil"
    root.append(original)
    return root


def xsw6(root: Element) -> Element:
    """Forged assertion with the signature, and the original inside that signature."""
    assertion = at(root, "s:Assertion")[0]
    signature = assertion.find(SIGNATURE)
    if signature is None:
        signature = root.find(SIGNATURE)
    forged, moved = evil_copy(assertion), copy.deepcopy(signature)
    signature.getparent().remove(signature)
    root.replace(assertion, forged)
    forged.insert(1, moved)
    moved.append(assertion)
    return root


def xsw7(root: Element) -> Element:
    """Forged assertion inside Extensions, before the signed one."""
    assertion = at(root, "s:Assertion")[0]
    extensions = etree.Element("{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
    extensions.append(evil_copy(assertion))
    root.insert(1, extensions)
    return root


def xsw8(root: Element) -> Element:
    """Forged assertion with the signature; the original in an Object of it."""
    assertion = at(root, "s:Assertion")[0]
    signature = assertion.find(SIGNATURE)
    if signature is None:
        signature = root.find(SIGNATURE)
    forged, moved = evil_copy(assertion), copy.deepcopy(signature)
    signature.getparent().remove(signature)
    root.replace(assertion, forged)
    forged.insert(1, moved)
    into_object(moved, assertion)
    return root


def advice(root: Element) -> Element:
    """The signed assertion in the Advice of a forged one."""
    assertion = at(root, "s:Assertion")[0]
    forged = evil_copy(assertion)
    root.replace(assertion, forged)
    etree.SubElement(forged, "{urn:oasis:names:tc:SAML:2.0:assertion}Advice").append(assertion)
    return root


def same_ids(root: Element) -> Element:
    """Forged assertion under the very ID of the signed one."""
    assertion = at(root, "s:Assertion")[0]
    forged = evil_copy(assertion)
    forged.set("ID", assertion.get("ID"))
    assertion.addprevious(forged)
    return root


def stripped(root: Element) -> Element:
    """No signature left, another name inside."""
    return evil_copy(root)


def signature_moved(root: Element) -> Element:
    """The assertion's signature as the Response's, the name changed."""
    assertion = at(root, "s:Assertion")[0]
    signature = assertion.find(SIGNATURE)
    signature = root.find(SIGNATURE) if signature is None else signature
    at(root, ".//s:NameID")[0].text = "evil"
    root.insert(1, signature)
    return root


def second_signature(root: Element) -> Element:
    """Two signatures side by side, the name changed."""
    signature = next(root.iter(SIGNATURE))
    signature.addnext(copy.deepcopy(signature))
    at(root, ".//s:NameID")[0].text = "evil"
    return root


def two_subjects(root: Element) -> Element:
    """A second Subject put beside the signed one."""
    subject = at(root, "//s:Subject")[0]
    subject.addnext(evil_copy(subject))
    return root


def other_namespace(root: Element) -> Element:
    """The signed assertion renamed into another namespace, a forged one in its place."""
    assertion = at(root, "s:Assertion")[0]
    forged = evil_copy(assertion)
    assertion.addprevious(forged)
    assertion.tag = "{urn:example}Assertion"
    return root


FORMS = [xsw1, xsw2, xsw3, xsw4, xsw5, xsw6, xsw7, xsw8]
FORMS += [advice, same_ids, stripped, signature_moved, second_signature, two_subjects, other_namespace]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_wrapping_is_refused(form: Callable[[Element], Element], style: str) -> None:
    """In every form, whichever elements are signed: refused."""
    document = etree.tostring(form(etree.fromstring(reissued(sign=STYLES[style]))))
    assert b"evil" in document
    with pytest.raises(SamlResponseRefusedError):
        arrived(document)


ORIGINAL = xml_of(answer())
IDENTITY = arrived(ORIGINAL)


def outcome(document: bytes) -> SamlAssertion | None:
    """What the service provider believes, or None."""
    try:
        return arrived(document)
    except (SamlResponseRefusedError, SamlStatusError):
        return None


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_changed_octet_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    """Octets of a signed response inserted, removed or replaced: refused, or the original identity."""
    start = data.draw(st.integers(0, len(ORIGINAL) - 1))
    length = data.draw(st.integers(0, 30))
    instead = data.draw(
        st.binary(max_size=8) | st.sampled_from([b"<!-- -->", b" ", b"&#65;", b"<a/>", b"<![CDATA[x]]>", b'Id="_x" '])
    )
    assert outcome(ORIGINAL[:start] + instead + ORIGINAL[start + length :]) in (None, IDENTITY)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_moved_element_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    """Elements of a signed response copied, moved or removed: refused, or the original identity."""
    root = etree.fromstring(reissued(sign=STYLES[data.draw(st.sampled_from(sorted(STYLES)))]))
    for _ in range(data.draw(st.integers(1, 3))):
        elements = list(root.iter(etree.Element))
        element = data.draw(st.sampled_from(elements[1:]))
        moved = copy.deepcopy(element) if data.draw(st.booleans()) else element
        if data.draw(st.booleans()):
            moved = evil_copy(moved)
        home = data.draw(st.sampled_from(elements))
        if home in element.iter() and moved is element:
            element.getparent().remove(element)
            continue
        home.insert(data.draw(st.integers(0, len(home))), moved)
    found = outcome(etree.tostring(root))
    assert found is None or (found.name_id, found.attributes) == (IDENTITY.name_id, IDENTITY.attributes)


@settings(max_examples=60, deadline=None)
@given(field=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f"<samlp:Response>{text}".encode()))
def test_nonsense_is_refused(field: bytes) -> None:
    """Anything at all in the field is refused by a code, never by another exception."""
    base64.b64encode(field)
    assert outcome(field) is None
