"""Whatever is changed in a validly signed message, what is believed of it is what was signed, or nothing.

The examples are the same in every run.
"""

import base64
import copy
import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from federation.saml.service_provider import SamlAssertion
from tests.federation.saml.peers import NOW, accepted, answer, listed_idp, service_provider, signer, xml_of
from tests.federation.saml.signed import (
    AGGREGATE,
    ASSERTION,
    ENCRYPTED,
    MESSAGES,
    REFUSALS,
    RESPONSE,
    Signed,
    answered,
    forge_person,
    original,
    reader,
)
from tests.federation.saml.wrapping import EVIL, SIGNATURE, XML_ID, octets
from tests.trust_lists.builders import MD, authority
from trust_lists.xmldsig import SignatureRefusedError, verify
from trust_lists.xmlgate import Element
from trust_lists.xmlpieces import verify_list

SAME_IN_EVERY_RUN = settings(
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
SIGNED = tuple(
    Signed(
        name=f"{kind}-{'-'.join(target.name for target in targets)}",
        target=targets[-1],
        make=partial(answered, kind, *targets),
        read=reader(kind),
    )
    for kind, *targets in (
        *(("rsa", *targets) for targets in ((ASSERTION,), (RESPONSE,), (ASSERTION, RESPONSE))),
        *(("p256", *targets) for targets in ((ASSERTION,), (RESPONSE,), (ASSERTION, RESPONSE))),
        ("p384", ASSERTION, RESPONSE),
    )
)


@cache
def believed(message: Signed) -> object:
    """What is believed of the message as it was signed."""
    return message.read(original(message))


@cache
def of_another(kind: str) -> bytes:
    """Another person's answer to another request, signed in both places by the same key."""
    document = xml_of(answer(request=accepted(request_id="_other"), name_id="person-2"))
    return answered(kind, ASSERTION, RESPONSE, document=document)


def holds(message: Signed, document: bytes) -> bool:
    """Refused, or exactly what was signed."""
    try:
        found = message.read(document)
    except REFUSALS:
        return True
    return found == believed(message)


# --- structural changes: each gets the root, two elements of the document, a word, and a foreign signed document

Change = Callable[[Element, Element, Element, str, Element], object]


def _into(home: Element, guest: Element) -> None:
    if home not in guest.iter():
        home.insert(len(home) // 2, guest)


def _beside(home: Element, guest: Element) -> None:
    if home.getparent() is not None and home not in guest.iter():
        home.addprevious(guest)


def _forged(element: Element) -> Element:
    copied = copy.deepcopy(element)
    forge_person(copied)
    return copied


def _delete(_: Element, a: Element, __: Element, ___: str, ____: Element) -> None:
    if a.getparent() is not None:
        a.getparent().remove(a)


def _wrap(_: Element, a: Element, b: Element, __: str, ___: Element) -> None:
    if a.getparent() is not None:
        holder = etree.Element(b.tag, dict(b.attrib))
        a.getparent().replace(a, holder)
        holder.append(a)


def _unwrap(_: Element, a: Element, __: Element, ___: str, ____: Element) -> None:
    parent = a.getparent()
    if parent is not None:
        for child in reversed(a):
            parent.insert(parent.index(a) + 1, child)
        parent.remove(a)


def _swap_signatures(root: Element, _: Element, __: Element, ___: str, foreign: Element) -> None:
    for own, other in zip(list(root.iter(SIGNATURE)), list(foreign.iter(SIGNATURE)), strict=False):
        own.getparent().replace(own, copy.deepcopy(other))


def _graft(_: Element, a: Element, b: Element, __: str, foreign: Element) -> None:
    same = list(foreign.iter(a.tag))
    if same:
        _into(b, copy.deepcopy(same[0]))


def _instead(_: Element, a: Element, __: Element, ___: str, foreign: Element) -> None:
    same = list(foreign.iter(a.tag))
    if same and a.getparent() is not None:
        a.getparent().replace(a, copy.deepcopy(same[0]))


def _set(_: Element, a: Element, b: Element, word: str, __: Element) -> None:
    names = [*b.attrib, "ID", "Id", XML_ID]
    a.set(names[len(word) % len(names)], word)


def _drop_attribute(_: Element, a: Element, __: Element, word: str, ___: Element) -> None:
    names = list(a.attrib)
    if names:
        del a.attrib[names[len(word) % len(names)]]


def _same_id(_: Element, a: Element, b: Element, word: str, __: Element) -> None:
    identifiers = [element.get("ID") for element in b.iterancestors() if element.get("ID")]
    if identifiers:
        a.set(("ID", "Id", "id", XML_ID, "AssertionID", "{urn:x}ID")[len(word) % 6], identifiers[0])


def _rename(_: Element, a: Element, b: Element, __: str, ___: Element) -> None:
    a.tag = b.tag


def _move_namespace(_: Element, a: Element, b: Element, __: str, ___: Element) -> None:
    a.tag = f"{{{etree.QName(b).namespace}}}{etree.QName(a).localname}"


def _text(_: Element, a: Element, __: Element, word: str, ___: Element) -> None:
    a.text = word


def _longer_text(_: Element, a: Element, __: Element, word: str, ___: Element) -> None:
    a.text = (a.text or "") + word


def _tail(_: Element, a: Element, __: Element, word: str, ___: Element) -> None:
    if a.getparent() is not None:
        a.tail = word


def _comment(_: Element, a: Element, __: Element, word: str, ___: Element) -> None:
    text, a.text = a.text or "", None
    a.insert(0, etree.Comment(word.replace("-", "")))
    a.text, a[0].tail = text[: len(text) // 2], text[len(text) // 2 :]


def _instruction(_: Element, a: Element, b: Element, word: str, ____: Element) -> None:
    a.insert(len(b), etree.ProcessingInstruction("x", word.replace("?>", "")))


CHANGES: dict[str, Change] = {
    "move-into": lambda _, a, b, __, ___: _into(b, a),
    "move-beside": lambda _, a, b, __, ___: _beside(b, a),
    "copy-into": lambda _, a, b, __, ___: _into(b, copy.deepcopy(a)),
    "copy-beside": lambda _, a, b, __, ___: _beside(b, copy.deepcopy(a)),
    "forged-into": lambda _, a, b, __, ___: _into(b, _forged(a)),
    "forged-beside": lambda _, a, b, __, ___: _beside(b, _forged(a)),
    "forge": lambda _, a, __, ___, ____: forge_person(a),
    "delete": _delete,
    "wrap": _wrap,
    "unwrap": _unwrap,
    "swap-signatures": _swap_signatures,
    "graft": _graft,
    "instead": _instead,
    "set-attribute": _set,
    "drop-attribute": _drop_attribute,
    "same-id": _same_id,
    "rename": _rename,
    "move-namespace": _move_namespace,
    "text": _text,
    "longer-text": _longer_text,
    "tail": _tail,
    "comment": _comment,
    "instruction": _instruction,
}
WORDS = ("", " ", EVIL, "person-2", "2.0", "true", "https://portal.example/acs", "_asked", "_other", "\n", "髙橋", "--")
NAMES = ("Response", "Assertion", "Signature", "SignedInfo", "Reference", "DigestValue", "SignatureValue", "KeyInfo")
NAMES += ("X509Data", "Issuer", "Status", "StatusCode", "Subject", "NameID", "SubjectConfirmationData", "Conditions")
NAMES += ("AuthnStatement", "AttributeStatement", "Attribute", "AttributeValue")
CHOICE = st.sampled_from(NAMES) | st.integers(0, 80)
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(CHANGES)), CHOICE, CHOICE, st.sampled_from(WORDS)), min_size=1, max_size=4
)
Step = tuple[str, str | int, str | int, str]


def chosen(elements: list[Element], choice: str | int) -> Element:
    """The last element of that name, or the one at that place."""
    if isinstance(choice, int):
        return elements[choice % len(elements)]
    return next(
        (e for e in reversed(elements) if etree.QName(e).localname == choice), elements[len(choice) % len(elements)]
    )


def restructured(document: bytes, foreign: bytes, steps: list[Step]) -> bytes:
    """The document after these changes."""
    root, other = etree.fromstring(document), etree.fromstring(foreign)
    for name, first, second, word in steps:
        elements = list(root.iter(etree.Element))
        CHANGES[name](root, chosen(elements, first), chosen(elements, second), word, other)
    return octets(root)


# --- changes of octets

TOKENS = (
    *(b"", b" ", b"<", b">", b'"', b"&", b"/", b"\0", b"\r", b"\xff", b"\xef\xbb\xbf", b"evil", b"ID", b"="),
    *(b"<!-- -->", b"<!---->", b"<?x?>", b"<![CDATA[x]]>", b"<![CDATA[", b"]]>", b"&#65;", b"&amp;", b"&x;", b"<x/>"),
    *(
        b"<!DOCTYPE x>",
        b'<!DOCTYPE x [<!ENTITY x "evil">]>',
        b"</samlp:Response>",
        b"</saml:Assertion>",
        b"<saml:Assertion>",
    ),
    *(b' ID="_x"', b' Id="_x"', b' xml:id="_x"', b' xmlns="urn:x"', b' xmlns:saml="urn:x"', b' xmlns:ds="urn:x"'),
    *(
        b' xmlns:x="1"',
        b' xmlns=""',
        b' xml:base="x"',
        b' xml:space="preserve"',
        b' x:y="z"',
        b"<saml:NameID>evil</saml:NameID>",
    ),
    *(
        "<Ĳ/>".encode(),
        "\u2028".encode(),
        "е".encode(),
        b"<?xml version='1.0'?>",
        b"<?xml version='1.1' encoding='utf-7'?>",
    ),
)
SPLICES = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 24), st.sampled_from(TOKENS), st.booleans()), min_size=1, max_size=3
)


MARKUP = re.compile(rb"[<>\" ]")


def respliced(document: bytes, splices: list[tuple[int, int, bytes, bool]]) -> bytes:
    """The document with octets replaced: anywhere, or where markup begins and ends."""
    for position, length, token, at_markup in splices:
        places = [found.start() for found in MARKUP.finditer(document)] if at_markup else range(len(document) + 1)
        start = places[position % len(places)] if places else 0
        document = document[:start] + token + document[start + (0 if at_markup else length) :]
    return document


# --- the laws


@pytest.mark.parametrize("message", SIGNED, ids=lambda message: message.name)
def test_any_structural_change_is_refused_or_changes_nothing(message: Signed) -> None:
    """Elements moved, copied, forged, wrapped, renamed, grafted from another sign-in, signatures swapped."""
    kind = message.name.partition("-")[0]

    @settings(SAME_IN_EVERY_RUN, max_examples=200)
    @given(steps=STEPS)
    def law(steps: list[Step]) -> None:
        assert holds(message, restructured(original(message), of_another(kind), steps))

    law()


@pytest.mark.parametrize("message", SIGNED, ids=lambda message: message.name)
def test_any_change_of_octets_is_refused_or_changes_nothing(message: Signed) -> None:
    """Octets inserted, removed and replaced anywhere: markup, entities, namespaces, encodings, nonsense."""

    @settings(SAME_IN_EVERY_RUN, max_examples=200)
    @given(splices=SPLICES)
    def law(splices: list[tuple[int, int, bytes, bool]]) -> None:
        assert holds(message, respliced(original(message), splices))

    law()


@pytest.mark.parametrize("message", SIGNED[:3], ids=lambda message: message.name)
def test_structure_and_octets_changed_together_are_refused_or_change_nothing(message: Signed) -> None:
    """Both kinds of changes, one after the other."""

    @settings(SAME_IN_EVERY_RUN, max_examples=150)
    @given(steps=STEPS, splices=SPLICES)
    def law(steps: list[Step], splices: list[tuple[int, int, bytes, bool]]) -> None:
        changed = restructured(original(message), of_another("rsa"), steps)
        assert holds(message, respliced(changed, splices))

    law()


@pytest.mark.parametrize(
    "message", [*(m for m in MESSAGES if m.target not in (ASSERTION, RESPONSE)), ENCRYPTED], ids=str
)
def test_other_messages_obey_the_same_law(message: Signed) -> None:
    """AuthnRequests, logouts, lists, and assertions before they are encrypted: what was signed, or refused."""

    @settings(SAME_IN_EVERY_RUN, max_examples=150)
    @given(steps=STEPS, splices=st.just([]) | SPLICES)
    def law(steps: list[Step], splices: list[tuple[int, int, bytes, bool]]) -> None:
        changed = restructured(original(message), original(message), steps)
        assert holds(message, respliced(changed, splices))
        assert holds(message, respliced(original(message), splices))

    law()


@settings(SAME_IN_EVERY_RUN, max_examples=250)
@given(steps=st.just([]) | STEPS, splices=st.just([]) | SPLICES, piece=st.sampled_from([0, 1, 700, 3000]))
def test_a_list_in_pieces_is_the_list_as_a_whole(
    steps: list[Step], splices: list[tuple[int, int, bytes, bool]], piece: int
) -> None:
    """Wherever a list is cut for reading: refused, or exactly the octets that were signed."""
    (message,) = [m for m in MESSAGES if m.target is AGGREGATE]
    changed = restructured(original(message), original(message), steps) if steps else original(message)
    changed = respliced(changed, splices)
    options = {"certificates": (authority().der,), "expected_root": f"{{{MD}}}EntitiesDescriptor"}
    try:
        found = verify_list(changed, piece_octets=piece, **options)
    except SignatureRefusedError:
        return
    signed = verify(original(message), **options)
    head, end = signed[: signed.index(b">") + 1], b"</md:EntitiesDescriptor>"
    assert head + b"".join(part.removeprefix(head).removesuffix(end) for part in found) + end == signed


@settings(SAME_IN_EVERY_RUN, max_examples=200)
@given(splices=SPLICES)
def test_any_change_of_the_encoded_field_is_refused_or_changes_nothing(
    splices: list[tuple[int, int, bytes, bool]],
) -> None:
    """The base64 of a POST, changed: no decoding that is more lenient than the one whose outcome is verified."""
    message = SIGNED[2]
    field = respliced(base64.b64encode(original(message)), splices).decode("utf-8", "replace")
    try:
        found = service_provider().response(field, idp=listed_idp(), request_id="_asked", now=NOW)
    except REFUSALS:
        return
    assert found == believed(message)


# --- the laws are not empty: what may be changed, and what an answer in time is worth


HARMLESS: dict[str, tuple[bytes, bytes]] = {
    "white-space-in-tags": (b"<saml:Subject>", b"<saml:Subject\n  >"),
    "quotes": (b'Version="2.0"', b"Version='2.0'"),
    "cdata": (b">person-1<", b"><![CDATA[person]]>-1<"),
    "character-references": (b">person-1<", b">&#112;erson&#x2d;1<"),
    "unused-prefix": (b"<saml:Subject>", b'<saml:Subject xmlns:unused="urn:unused">'),
    "comment-between-elements": (b"<saml:Subject>", b"<saml:Subject><!-- x -->"),
    "white-space-in-base64": (b"<ds:SignatureValue>", b"<ds:SignatureValue>\n  "),
    "key-info-of-a-stranger": (b"<ds:X509Certificate>MII", b"<ds:X509Certificate>AAA"),
}


@pytest.mark.parametrize("message", SIGNED, ids=lambda message: message.name)
@pytest.mark.parametrize("change", HARMLESS)
def test_what_is_not_signed_or_means_the_same_changes_nothing(change: str, message: Signed) -> None:
    """Forms of writing, comments between elements, unused prefixes, KeyInfo: exactly the same identity."""
    old, new = HARMLESS[change]
    inner = original(message).rindex(b"<saml:Assertion")
    if change == "white-space-in-base64" or (change.startswith("key") and message.target is RESPONSE):
        inner = 0
    head, tail = original(message)[:inner], original(message)[inner:]
    changed = head + tail.replace(old, new, 1)
    if message.target is RESPONSE and inner == 0 and "assertion" in message.name:
        # The outer signature covers the inner one, not itself.
        assert original(message).index(b"<ds:Signature") < original(message).index(b"<saml:Assertion")
    assert changed != original(message)
    assert message.read(changed) == believed(message)


def test_another_sign_in_is_not_an_answer_to_this_request() -> None:
    """What is grafted above is itself valid, of another person, for another request."""
    certificates = (signer("idp", "rsa").certificate_der,)
    field = base64.b64encode(of_another("rsa")).decode()
    other = service_provider().response(
        field, idp=listed_idp(signing_certificates=certificates), request_id="_other", now=NOW + timedelta(seconds=1)
    )
    assert isinstance(other, SamlAssertion)
    assert other != believed(SIGNED[2])
    assert holds(SIGNED[2], of_another("rsa"))
