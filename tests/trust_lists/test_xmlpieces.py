"""Verifying a list in pieces: the same octets, and the same refusals, as of the whole document."""

import re
from functools import cache

import pytest
import xmlsec
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.trust_lists.aggregates import large
from tests.trust_lists.builders import MD, Authority, aggregate, authority
from trust_lists import xmldsig
from trust_lists.xmldsig import SignatureRefusedError
from trust_lists.xmlgate import LIST_LIMITS, Limits
from trust_lists.xmlpieces import verify_list

ROOT = f"{{{MD}}}EntitiesDescriptor"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"


def entity(number, *, inside="", prefix="md"):
    """Give an entity of a few octets."""
    return f'<{prefix}:EntityDescriptor entityID="urn:{number}">{inside}</{prefix}:EntityDescriptor>'


def unsigned(*children, before="", attributes="", after=""):
    """Give a list of whatever children, with namespaces that only some of them use."""
    return (
        f'{before}<md:EntitiesDescriptor xmlns:md="{MD}" xmlns:used="urn:used" xmlns:unused="urn:unused"\n'
        f' xmlns:other="{MD}" ID="_list" Name="a &gt; b > c"{attributes}>{"".join(children)}'
        f"</md:EntitiesDescriptor>{after}"
    ).encode()


@cache
def _signer():
    return authority().signer


def signed(*children, **kept):
    """Sign such a list."""
    return _signer().sign_element(unsigned(*children, **kept), "_list")


def in_pieces(document, piece_octets=1, *, by=None, **kept):
    """Verify in pieces that hold one entity each, unless told otherwise."""
    anchors = kept.pop("certificates", [(by or authority()).der])
    return verify_list(document, certificates=anchors, expected_root=ROOT, piece_octets=piece_octets, **kept)


def as_a_whole(document, **kept):
    """Verify as one message."""
    return xmldsig.verify(document, certificates=[authority().der], expected_root=ROOT, limits=LIST_LIMITS, **kept)


def together(pieces):
    """Lay the pieces side by side, without the tags between them."""
    end = pieces[0][pieces[0].rindex(b"</") :]
    root = etree.fromstring(pieces[0])
    del root[:]
    root.text = None
    start = etree.tostring(root, method="c14n").removesuffix(end)
    assert all(piece.startswith(start) and piece.endswith(end) for piece in pieces)
    return start + b"".join(piece[len(start) : -len(end)] for piece in pieces) + end


def outcome(verify, document):
    """Tell what a verification makes of a document: octets, or that it is refused."""
    try:
        found = verify(document)
    except SignatureRefusedError:
        return "refused"
    return together(found) if isinstance(found, list) else found


def refusal(document, **kept):
    """Tell the code under which a document is refused."""
    with pytest.raises(SignatureRefusedError) as refused:
        in_pieces(document, **kept)
    return refused.value.code


# --- the same octets as of the whole

children = st.lists(
    st.sampled_from(
        [
            entity(1),
            entity(2, inside='<used:A xmlns:own="urn:own" own:b="1" a="2"/>'),
            entity(3, inside="<![CDATA[</md:EntityDescriptor>]]>"),
            entity(4, inside="<!-- </md:EntityDescriptor> --><md:A/>"),
            entity(5, inside="大村 &amp; &lt; &#13; &#x9AD9;", prefix="other"),
            f"<md:EntitiesDescriptor>{entity(6)} {entity(7)}</md:EntitiesDescriptor>",
            f'<EntityDescriptor xmlns="{MD}" entityID="urn:8"><A xmlns=""/></EntityDescriptor >',
            '<used:Odd a="EntityDescriptor>"/>',
            "<md:Extensions/>",
            "<!-- between -->",
            " text ",
            "\r\n\t",
        ]
    ),
    min_size=1,
    max_size=12,
).filter(lambda found: any(child.startswith("<") and not child.startswith("<!") for child in found))


@settings(max_examples=150)
@given(children, st.integers(0, 700), st.sampled_from(["", "<?xml version='1.0' encoding='UTF-8'?>\n<!-- a > b -->\n"]))
def test_pieces_are_the_canonical_document(listed, piece_octets, before):
    """However large the pieces, and whatever stands in and between the entities: octet for octet the same."""
    if " text " in listed and any("<!--" in child for child in listed):
        listed = [child for child in listed if child != " text "]  # the gate refuses both together
    document = signed(*listed, before=before, after="<!-- after -->\n")
    assert together(in_pieces(document, piece_octets)) == as_a_whole(document)


def test_each_piece_is_a_document_with_the_roots_attributes():
    """A reader sees validUntil in every piece; namespaces stay as canonical form has them."""
    first, second = in_pieces(signed(entity(1), " ", entity(2, inside="<used:A/>"), "\n"))
    start = f'<md:EntitiesDescriptor xmlns:md="{MD}" ID="_list" Name="a &gt; b &gt; c">'.replace("&gt;", ">").encode()
    end = b"</md:EntitiesDescriptor>"
    assert first == start + entity(1).encode() + end
    assert second == start + b" " + entity(2, inside='<used:A xmlns:used="urn:used"></used:A>').encode() + b"\n" + end


@pytest.mark.parametrize("prefixes", [[], ["used"], ["used", "unused", "other", "absent"]])
@pytest.mark.parametrize("digest", [xmlsec.constants.TransformSha256, xmlsec.constants.TransformSha512])
def test_what_other_software_signs(prefixes, digest):
    """Inclusive prefixes and longer digests are what the signer says; xmlsec signed this one."""
    root = etree.fromstring(unsigned(*(entity(n, inside="<used:A unused:b='1'/>") for n in range(5))))
    xmlsec.tree.add_ids(root, ["ID"])
    signature = xmlsec.template.create(
        root, xmlsec.constants.TransformExclC14N, xmlsec.constants.TransformRsaSha256, ns="ds"
    )
    root.insert(0, signature)
    reference = xmlsec.template.add_reference(signature, digest, uri="#_list")
    xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
    exclusive = xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
    if prefixes:
        xmlsec.template.transform_add_c14n_inclusive_namespaces(exclusive, prefixes)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(authority().key_pem, xmlsec.constants.KeyDataFormatPem)
    context.sign(signature)
    document = etree.tostring(root)
    pieces = in_pieces(document)
    assert len(pieces) == 5
    assert together(pieces) == as_a_whole(document)
    assert (b"xmlns:unused" in pieces[-1].partition(b" ID=")[0]) == ("unused" in prefixes)


def test_a_large_aggregate():
    """A list as federations publish them is cut where it should be, and is the same."""
    document = large(60)
    pieces = in_pieces(document, 32 * 1024)
    assert 10 <= len(pieces) <= 20
    assert together(pieces) == as_a_whole(document)


def test_every_key_that_fits_is_tried():
    """While an authority changes keys both are anchors; a list signed by a stranger is refused."""
    document = signed(entity(1), entity(2))
    anchors = [authority("old").der, authority("curve", "ec").der, authority().der]
    assert in_pieces(document, certificates=anchors) == in_pieces(document)
    assert refusal(document, by=authority("stranger")) == "signature"
    assert refusal(document, certificates=[]) == "no-key"


# --- hostile documents


def spoiled(document, old, new, *, last=False):
    """Put `new` in the place of the first or last `old`, behind the signer's back."""
    old, new = (text.encode() if isinstance(text, str) else text for text in (old, new))
    assert old in document
    if last:
        head, _, tail = document.rpartition(old)
        return head + new + tail
    return document.replace(old, new, 1)


GOOD = signed(entity(1), "\n", entity(2), "\n", entity(3))
SIGNATURE = re.search(rb"<ds:Signature .*</ds:Signature>", GOOD, re.DOTALL)[0]
UNSIGNED = GOOD.replace(SIGNATURE, b"")
END = "</md:EntitiesDescriptor>"
ASSERTION = f'<saml:Assertion xmlns:saml="{SAML}"/>'


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (UNSIGNED, "unsigned"),
        (spoiled(GOOD, "urn:1", "urn:x"), "digest"),
        (spoiled(GOOD, "urn:3", "urn:x"), "digest"),
        (spoiled(GOOD, entity(2), ""), "digest"),
        (spoiled(GOOD, entity(2), entity(2) * 2), "digest"),
        (spoiled(GOOD, END, " " + END), "digest"),
        (spoiled(GOOD, "ID=", 'validUntil="2099-01-01T00:00:00Z" ID='), "digest"),
        (spoiled(spoiled(GOOD, entity(1), ""), entity(2), entity(2) + entity(1)), "digest"),
        (spoiled(GOOD, "<ds:SignatureValue>", "<ds:SignatureValue>AAAA"), "signature"),
        (spoiled(GOOD, "<ds:DigestValue>", "<ds:DigestValue>AAAA"), "signature"),
        (spoiled(UNSIGNED, entity(2), SIGNATURE + entity(2).encode()), "unsigned"),
        (spoiled(GOOD, entity(2), SIGNATURE + entity(2).encode()), "signature-place"),
        (spoiled(GOOD, END, SIGNATURE + END.encode()), "signature-place"),
        (spoiled(GOOD, SIGNATURE, SIGNATURE * 2), "two-signatures"),
        (spoiled(GOOD, entity(3), entity(3, inside=SIGNATURE.decode())), "signed-element-without-id"),
        (spoiled(GOOD, 'entityID="urn:3"', 'entityID="urn:3" ID="_list"'), "id-not-unique"),
        (spoiled(GOOD, 'entityID="urn:1"', 'entityID="urn:1" Id="_list"'), "id-not-unique"),
        (
            spoiled(spoiled(GOOD, 'ID="urn:1"', 'ID="urn:1" id="_a"'), 'ID="urn:3"', 'ID="urn:3" iD="_a"'),
            "id-not-unique",
        ),
        (spoiled(GOOD, 'entityID="urn:3"', 'entityID="urn:3" xml:id="_list"'), "id-not-unique"),
        (spoiled(spoiled(GOOD, entity(1), ASSERTION + entity(1)), END, ASSERTION + END), "assertion-misplaced"),
        (spoiled(GOOD, entity(3), entity(3, inside=ASSERTION)), "assertion-misplaced"),
        (spoiled(GOOD, entity(3), entity(3, inside="<md:A>1<!-- -->2</md:A>")), "comment-in-value"),
        (spoiled(GOOD, entity(3), entity(3, inside="<a>" * 40 + "</a>" * 40)), "too-deep"),
        (spoiled(GOOD, entity(3), entity(3, inside="<?p?>")), "processing-instruction"),
        (spoiled(GOOD, "<md:Entities", "<!DOCTYPE a><md:Entities"), "declaration"),
        (GOOD + entity(4).encode(), "malformed"),
        (GOOD[: -len(END)], "malformed"),
        (GOOD[: GOOD.index(b"urn:3")], "malformed"),
        (spoiled(GOOD, entity(2), entity(2) + END), "malformed"),
        (spoiled(GOOD, entity(2), END + unsigned(entity(2)).decode().removesuffix(END)), "malformed"),
        (spoiled(GOOD, entity(2), END + "<!--" + entity(2)), "malformed"),
        (spoiled(GOOD, entity(2), f"<![CDATA[{entity(2)}"), "malformed"),
        (spoiled(GOOD, entity(2), f'<md:A b="{entity(2)}"/>'), "malformed"),
        (spoiled(GOOD, entity(2), "<stranger:A/>" + entity(2)), "malformed"),
        (spoiled(GOOD, entity(2), "\x01" + entity(2)), "malformed"),
        (b"", "malformed"),
        (b"<md:EntitiesDescriptor", "malformed"),
        (GOOD.replace(b"md:EntitiesDescriptor", b"md:EntityDescriptor"), "root"),
        (GOOD.replace(b"EntitiesDescriptor", b"Entities"), "root"),
    ],
)
def test_refused(document, code):
    """What was added, taken away, moved or altered in any piece, or breaks a rule only across pieces."""
    assert refusal(document) == code
    assert outcome(as_a_whole, document) == "refused"


def test_a_cut_in_a_wrong_place_is_no_refusal():
    """A group of entities, or an end tag in a comment or CDATA, is good XML: it is one piece then."""
    for child in (
        f"<md:EntitiesDescriptor>{entity(2)}{entity(3)}</md:EntitiesDescriptor>",
        entity(2, inside="<md:A/><!-- </md:EntityDescriptor> -->"),
        entity(2, inside="<md:A><![CDATA[</md:EntityDescriptor>]]></md:A>"),
    ):
        document = signed(entity(1), child, entity(4))
        assert len(in_pieces(document)) == 1
        assert in_pieces(document) == [as_a_whole(document)]


def test_limits_are_the_documents():
    """Octets, elements and namespaces are counted in all, not piece by piece."""
    for limit, code in (("octets", "too-large"), ("nodes", "too-many-nodes"), ("namespaces", "too-many-namespaces")):
        bounds = {"octets": 10**6, "nodes": 1000, "namespaces": 100, "depth": 32, limit: 3}
        assert refusal(GOOD, limits=Limits(**bounds)) == code


positions = st.floats(0, 1, exclude_max=True)
fragments = st.sampled_from(
    [
        *(entity(1), entity(9), ASSERTION, SIGNATURE.decode(), "<ds:Signature/>", ' ID="_list"', END),
        *("<md:EntityDescriptor>", "</md:EntityDescriptor>", "<!--", "-->", "<![CDATA[", "]]>"),
        *("<", ">", '"', "/", " ", "\0", "x", "&amp;"),
    ]
)
mutations = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), positions, fragments),
        st.tuples(st.just("delete"), positions, st.integers(1, 60)),
        st.tuples(st.just("repeat"), positions, st.integers(1, 200)),
        st.tuples(st.just("octet"), positions, st.integers(0, 255)),
    ),
    min_size=1,
    max_size=3,
)


def mutated(document, changes):
    """Apply changes at relative positions."""
    for kind, position, what in changes:
        at = int(position * len(document))
        if kind == "insert":
            document = document[:at] + what.encode() + document[at:]
        elif kind == "delete":
            document = document[:at] + document[at + what :]
        elif kind == "repeat":
            document = document[:at] + document[at : at + what] * 2 + document[at + what :]
        else:
            document = document[:at] + bytes([what]) + document[at + 1 :]
    return document


@settings(max_examples=400)
@given(mutations, st.integers(0, 300))
def test_a_mutation_is_refused_or_changes_nothing(changes, piece_octets):
    """Whatever is done to a signed list: it is refused, or what is read is octet for octet what was signed."""
    document = mutated(GOOD, changes)
    found = outcome(lambda octets: in_pieces(octets, piece_octets), document)
    assert found in ("refused", as_a_whole(GOOD))
    assert found == outcome(as_a_whole, document)


def test_a_list_signed_with_an_elliptic_curve():
    """ECDSA lists are verified alike."""
    by: Authority = authority("curve", "ec")
    pieces = in_pieces(aggregate(entity(1), entity(2), by=by), by=by)
    assert len(pieces) == 2
