"""Forged SAML messages by construction: what an attacker makes of a message that was validly signed.

A forgery says how it is made and which reasons for refusing it are right; nothing is made before `document` is
asked. Sources: Somorovsky and others, "On Breaking SAML" (2012), and SAML Raider's XSW1 to XSW8.
"""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from lxml import etree

from trust_lists.xmlgate import Element

NAMESPACES = {
    "s": "urn:oasis:names:tc:SAML:2.0:assertion",
    "p": "urn:oasis:names:tc:SAML:2.0:protocol",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "shadow": "urn:shadow",
}
EVIL = "evil"
SIGNATURE = f"{{{NAMESPACES['ds']}}}Signature"
ISSUER = f"{{{NAMESPACES['s']}}}Issuer"
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"

Make = Callable[[Element], Element | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One way to forge: `make` turns the root of a signed message into the forged one.

    `codes` are the reasons that are right for refusing it. `shows` is what the forged message must hold.
    """

    name: str
    codes: frozenset[str]
    make: Make
    shows: bytes = EVIL.encode()

    def document(self, signed: bytes) -> bytes:
        """The forged message."""
        made = self.make(etree.fromstring(signed))
        return made if isinstance(made, bytes) else etree.tostring(made, encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind of signed message. `signed` is the path of the signed element from the root, empty for the root.

    `forge` is what an attacker would change in it; `twice` are the reasons to refuse a message in which it stands
    twice; `homes` are the paths, from the root, of elements beside and in
    which the signed element can be hidden; `inner` are such paths from the signed element; `values` are paths of
    elements with a text that is believed. What stands at no path is made.
    """

    name: str
    signed: str
    forge: Callable[[Element], object]
    twice: frozenset[str]
    homes: tuple[str, ...]
    inner: tuple[str, ...]
    values: tuple[str, ...]

    def element(self, root: Element) -> Element:
        """The signed element."""
        return reach(root, self.signed)

    def path(self, inner: str) -> str:
        """The path from the root of what is at a path from the signed element."""
        return "/".join(filter(None, (self.signed, inner)))


# --- tools


def tag(step: str) -> str:
    """The name in Clark notation of one step of a path."""
    prefix, _, local = step.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def reach(root: Element, path: str) -> Element:
    """The element at a path of child steps; what is missing is made, Extensions where they belong."""
    here = root
    for step in filter(None, path.split("/")):
        found = here.find(tag(step))
        if found is None:
            found = etree.Element(tag(step))
            here.insert(2 if step.endswith("Extensions") else len(here), found)
        here = found
    return here


def parsed(xml: str) -> Element:
    """The element of a fragment with the prefixes of `NAMESPACES`."""
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return etree.fromstring(f"<x {declared}>{xml}</x>")[0]


def without_signatures(element: Element) -> Element:
    """A copy without any signature."""
    found = copy.deepcopy(element)
    found.tail = None
    for signature in list(found.iterdescendants(SIGNATURE)):
        signature.getparent().remove(signature)
    return found


def evil(target: Target, element: Element, *, identified: str = "new") -> Element:
    """A forged copy without signatures, its IDs `new`, the `same`, or `none`."""
    forged = without_signatures(element)
    target.forge(forged)
    for part in forged.iter(etree.Element):
        own = part.get("ID")
        if own and identified == "none":
            del part.attrib["ID"]
        elif own and identified == "new":
            part.set("ID", f"{own}-{EVIL}")
    return forged


def take(signature: Element) -> Element:
    """Take the signature out of its parent, its tail with it."""
    signature.getparent().remove(signature)
    return signature


def give(element: Element, signature: Element) -> None:
    """Put the signature where the schemas want it: after the Issuer, or first."""
    element.insert(1 if len(element) and element[0].tag == ISSUER else 0, signature)


def own_signature(target: Target, root: Element) -> Element:
    """The signature of the target's signed element, or else the nearest one around it."""
    signed = target.element(root)
    found = signed.find(SIGNATURE)
    return next(root.iter(SIGNATURE)) if found is None else found


def instead(root: Element, old: Element, new: Element) -> Element:
    """Put `new` where `old` stands; the root of the outcome."""
    if old is root:
        return new
    new.tail, old.tail = old.tail, None
    old.getparent().replace(old, new)
    return root


def put(relation: str, home: Element, guest: Element) -> None:
    """Put the guest `before`, `after` or `inside` the home, or at its `end`."""
    {
        "before": home.addprevious,
        "after": home.addnext,
        "inside": partial(home.insert, 0),
        "end": home.append,
    }[relation](guest)


def changed(document: bytes, *changes: tuple[str, str]) -> bytes:
    """The document with texts replaced, each exactly where it stands first."""
    text = document.decode()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


def octets(root: Element) -> bytes:
    """The document."""
    return etree.tostring(root, encoding="utf-8")


# --- the reasons that are right, by class

PLACES = frozenset({"signature-place", "two-signatures", "assertion-misplaced"})
SHAPES = frozenset({"signature-shape", "signed-info-shape", "reference-shape", "transforms-shape"})
SHAPES |= {"canonicalization", "transforms", "signature-parameters", "key-info", "digest-algorithm"}
REFERENCES = frozenset({"reference-uri", "signed-element-without-id"})
DOUBLED = PLACES | SHAPES | REFERENCES
TWICE = frozenset({"id-not-unique"})
NOBODY = frozenset({"unsigned"})
BROKEN = frozenset({"signature", "digest"})
LOST = frozenset({"malformed", "root", "issuer", "namespace", "relative-namespace", "no-assertion"})


# --- carrying the signed element along, somewhere


PARTS = ("SignedInfo", "SignedInfo/ds:CanonicalizationMethod", "SignedInfo/ds:SignatureMethod")
PARTS += ("SignedInfo/ds:Reference", "SignedInfo/ds:Reference/ds:Transforms")
PARTS += ("SignedInfo/ds:Reference/ds:Transforms/ds:Transform", "SignedInfo/ds:Reference/ds:DigestMethod")
PARTS += ("SignedInfo/ds:Reference/ds:DigestValue", "SignatureValue", "KeyInfo", "KeyInfo/ds:X509Data")
PARTS += ("KeyInfo/ds:X509Data/ds:X509Certificate", "Object")
SIGNATURE_PATHS = ("ds:Signature", *(f"ds:Signature/ds:{part}" for part in PARTS))
"""Paths from a signed element into its signature."""


def places(target: Target) -> Iterator[tuple[str, str]]:
    """Every relation to every home; before an element is after the one before it, or inside its parent."""
    if target.homes[0] == "s:Issuer":
        yield "before", "s:Issuer"
    for path in (*target.homes, *map(target.path, (*target.inner, *SIGNATURE_PATHS))):
        yield "inside", path
        yield "after", path


def carried(
    target: Target, root: Element, *, relation: str, path: str, signature: str, identified: str = "new"
) -> Element:
    """A forged element where the signed one stood, and the signed one put elsewhere.

    The signature stays with the signed element (`kept`), goes over to the forged one (`taken`), or is in both
    (`copied`).
    """
    signed = target.element(root)
    own = own_signature(target, root)
    forged = evil(target, signed, identified=identified)
    root = instead(root, signed, forged)
    if signature != "kept":
        give(forged, copy.deepcopy(own))
    if signature == "taken":
        take(own)
    put(relation, reach(root, path), signed)
    return root


def short(path: str) -> str:
    """A path as it stands in a test's name."""
    steps = [step.partition(":")[2] for step in path.split("/")]
    return ".".join(steps[-2:])


def carrying(target: Target) -> Iterator[Forgery]:
    """The signed element at every place, its signature here, there, or twice."""
    for relation, path in places(target):
        for signature in ("kept", "taken", "copied"):
            if signature == "kept" and "ds:Signature" in path:
                continue
            yield Forgery(
                name=f"carried-{relation}-{short(path)}-signature-{signature}",
                codes=target.twice | (NOBODY if signature == "kept" else frozenset()),
                make=partial(carried, target, relation=relation, path=path, signature=signature),
            )


def carrying_ids(target: Target) -> Iterator[Forgery]:
    """The same with the forged element under the very ID of the signed one, or under none."""
    for path in (*target.homes, *map(target.path, ("ds:Signature", "ds:Signature/ds:Object", *target.inner))):
        for identified in ("same", "none"):
            yield Forgery(
                name=f"carried-in-{short(path)}-{identified}-id",
                codes=target.twice | (TWICE if identified == "same" else frozenset()),
                make=partial(carried, target, relation="end", path=path, signature="taken", identified=identified),
            )


# --- a forged element brought in beside the signed one


def brought(target: Target, root: Element, *, relation: str, path: str, identified: str) -> Element:
    """A forged copy somewhere, the signed element left where it is."""
    put(relation, reach(root, path), evil(target, target.element(root), identified=identified))
    return root


def bringing(target: Target) -> Iterator[Forgery]:
    """A forged copy at every place, for readers that take the first, the last or the deepest one."""
    for path in (*target.homes, *map(target.path, (*target.inner, *SIGNATURE_PATHS))):
        for relation, identified in (("before", "new"), ("inside", "same"), ("after", "none")):
            yield Forgery(
                name=f"brought-{relation}-{short(path)}-{identified}-id",
                codes=target.twice | TWICE | BROKEN,
                make=partial(brought, target, relation=relation, path=path, identified=identified),
            )


# --- signatures twice, elsewhere, of other elements


def altered_beside(target: Target, root: Element, *, relation: str, path: str, moved: bool) -> Element:
    """The signed element altered, its signature copied or moved to a place."""
    own = own_signature(target, root)
    extra = copy.deepcopy(own)
    extra.tail = None
    target.forge(target.element(root))
    home = reach(root, path)
    put(relation, home, extra)
    if moved:
        take(own)
    return root


def doubling(target: Target) -> Iterator[Forgery]:
    """A second signature beside, around and inside the first, and on every other element; or the only one there."""
    codes = DOUBLED | BROKEN
    for relation, path in places(target):
        if (relation, path) == ("after", target.path("ds:Signature")) and (target.inner or target.homes)[
            0
        ] == "s:Issuer":
            continue  # the same as after the Issuer: the two are equal
        yield Forgery(
            name=f"second-signature-{relation}-{short(path)}",
            codes=codes,
            make=partial(altered_beside, target, relation=relation, path=path, moved=False),
        )
        if relation == "inside" and "ds:Signature" not in path:
            yield Forgery(
                name=f"signature-moved-into-{short(path)}",
                codes=codes | NOBODY,
                make=partial(altered_beside, target, relation="inside", path=path, moved=True),
            )


# --- identifiers

ID_NAMES = {"ID": "ID", "Id": "Id", "id": "id", "iD": "iD", "xml-id": XML_ID, "AssertionID": "AssertionID"}
ID_NAMES |= {"prefixed": "{urn:x}ID", "wsu-Id": "{http://docs.oasis-open.org/wss/2004/01/wsu}Id"}


def same_id(target: Target, root: Element, *, path: str, attribute: str) -> Element:
    """Another element under the ID of the signed one; the signed one is altered as well."""
    own = target.element(root).get("ID")
    target.forge(target.element(root))
    shadow = etree.SubElement(reach(root, path), "{urn:shadow}Shadow")
    shadow.set(attribute, own)
    return root


def renamed_id(target: Target, root: Element, *, attribute: str) -> Element:
    """The signed element's ID under another name, and the forged element under its real one."""
    signed = target.element(root)
    own = signed.get("ID")
    forged = evil(target, signed)
    forged.set("ID", own)
    give(forged, copy.deepcopy(own_signature(target, root)))
    del signed.attrib["ID"]
    signed.set(attribute, own)
    root = instead(root, signed, forged)
    forged.append(signed)
    return root


def default_id(target: Target, root: Element) -> bytes:
    """The ID of the signed element supplied by a DTD, as a default attribute, to a forged one."""
    signed = target.element(root)
    forged = evil(target, signed, identified="none")
    document = octets(instead(root, signed, forged))
    kind = f"{signed.prefix}:{etree.QName(signed).localname}"
    return f'<!DOCTYPE x [<!ATTLIST {kind} ID ID "{signed.get("ID")}">]>'.encode() + document


def identifying(target: Target) -> Iterator[Forgery]:
    """The same identifier twice, under every name that some library takes for an identifier."""
    everywhere = (*target.homes, *map(target.path, target.inner))
    for name, attribute in ID_NAMES.items():
        for path in everywhere if attribute == "ID" else everywhere[:3]:
            yield Forgery(
                name=f"same-{name}-in-{short(path)}",
                codes=TWICE | PLACES,
                make=partial(same_id, target, path=path, attribute=attribute),
            )
        if attribute != "ID":
            yield Forgery(
                name=f"signed-element-known-by-{name}",
                codes=TWICE | PLACES,
                make=partial(renamed_id, target, attribute=attribute),
            )
    yield Forgery(name="id-by-default-attribute", codes=frozenset({"declaration"}), make=partial(default_id, target))


# --- comments, processing instructions, entities

SPLICES = {
    "comment": ("<!-- x -->", frozenset({"comment-in-value"})),
    "empty-comment": ("<!---->", frozenset({"comment-in-value"})),
    "instruction": ("<?x y?>", frozenset({"processing-instruction"})),
    "hidden-by-instruction": (f"<?p {EVIL} ?>", frozenset({"processing-instruction"})),
    "entity": ("&x;", frozenset({"declaration", "malformed"})),
    "element": ("<x xmlns=''/>", BROKEN | {"issuer"}),
}
DECLARATIONS = {
    "none": "",
    "internal": '<!DOCTYPE x [<!ENTITY x "evil">]>',
    "empty": '<!DOCTYPE x [<!ENTITY x "">]>',
    "external": '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    "parameter": '<!DOCTYPE x [<!ENTITY % y SYSTEM "file:///dev/null"> %y; <!ENTITY x "evil">]>',
    "external-subset": '<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">',
    "hidden-in-comment": "<!-- --><!DOCTYPE x [<!-- ]><x> --><!ENTITY x ''>]>",
    "cdata-look-alike": "<!DOCTYPE x [<!ENTITY x '<![CDATA['>]>",
}


def spliced(target: Target, root: Element, *, path: str, where: str, splice: str, declared: str) -> bytes:
    """Something put into a value, so that a reader may take only a part of it or more than was signed."""
    value = reach(target.element(root), path)
    text = value.text or ""
    cut = {"start": 0, "middle": len(text) // 2, "end": len(text)}[where]
    value.text = f"{text[:cut]}SPLICE{text[cut:]}"
    return DECLARATIONS[declared].encode() + octets(root).replace(b"SPLICE", splice.encode())


def splicing(target: Target) -> Iterator[Forgery]:
    """Comments, instructions, entities and elements in every value that is believed, also of the signature."""
    signature = tuple(
        f"ds:Signature/ds:{part}" for part in ("SignedInfo/ds:Reference/ds:DigestValue", "SignatureValue")
    )
    for path in (*target.values, *signature):
        for name, (splice, codes) in SPLICES.items():
            for where in ("start", "middle", "end"):
                yield Forgery(
                    name=f"{name}-at-{where}-of-{short(path)}",
                    codes=codes | (SHAPES if path in signature else frozenset()),
                    make=partial(spliced, target, path=path, where=where, splice=splice, declared="none"),
                    shows=splice.encode(),
                )
        for declared, text in list(DECLARATIONS.items())[1:]:
            yield Forgery(
                name=f"{declared}-entity-in-{short(path)}",
                codes=frozenset({"declaration", "malformed"}),
                make=partial(spliced, target, path=path, where="middle", splice="&x;", declared=declared),
                shows=text.encode(),
            )


# --- namespaces

LOOKALIKES = {
    "older": lambda uri: uri.replace("2.0", "1.0").replace("2000/09", "2000/08"),
    "slash": lambda uri: uri + "/",
    "space": lambda uri: uri + " ",
    "upper": lambda uri: uri.upper(),
    "fragment": lambda uri: uri.rstrip("#") + "%23",
    "homoglyph": lambda uri: uri.replace("a", "а").replace("x", "х"),  # Cyrillic
    "zero-width": lambda uri: uri + "\u200b",
    "empty": lambda _: "",
}


def lookalike(target: Target, root: Element, *, change: Callable[[str], str], what: str) -> bytes:
    """A part moved into a namespace that only looks like its own, the forged one in the real namespace."""
    signed = target.element(root)
    name = etree.QName(signed)
    if what == "signature":
        forged = evil(target, signed)
        fake = copy.deepcopy(own_signature(target, root))
        for part in list(fake.iter(etree.Element)):
            uri = change(NAMESPACES["ds"])
            part.tag = f"{{{uri}}}{etree.QName(part).localname}" if uri else etree.QName(part).localname
        give(forged, fake)
        root = instead(root, signed, forged)
        reach(root, "shadow:Shadow").append(take(own_signature(target, signed)) if signed is not root else signed)
        return octets(root)
    uri = change(str(name.namespace))
    forged = evil(target, signed)
    hidden = f"{{{uri}}}{name.localname}" if uri else name.localname
    if signed is root:
        signed.tag = hidden
        forged.append(signed)
        return octets(forged)
    signed.addprevious(forged)
    signed.tag = hidden
    return octets(root)


def rebound(target: Target, root: Element, *, prefix: str, uri: str) -> bytes:
    """A prefix bound to something else: on the root, or on its first child if the root binds it itself."""
    signed = target.element(root)
    forged = evil(target, signed)
    give(forged, copy.deepcopy(own_signature(target, root)))
    text = octets(instead(root, signed, forged)).decode()
    declaration = f'xmlns:{prefix}="' if prefix else 'xmlns="'
    bound = declaration in text[: text.index(">")]
    place = re.compile(r"[\s/>]").search(text, text.index("<", 1) if bound else 0)
    assert place is not None
    return f'{text[: place.start()]} {declaration}{uri}"{text[place.start() :]}'.encode()


def namespacing(target: Target) -> Iterator[Forgery]:
    """Lookalike namespaces for the signed element and its signature; prefixes bound anew."""
    everything = PLACES | SHAPES | REFERENCES | BROKEN | NOBODY | LOST
    for name, change in LOOKALIKES.items():
        for what in ("element", "signature"):
            yield Forgery(
                name=f"{what}-in-namespace-{name}",
                codes=everything,
                make=partial(lookalike, target, change=change, what=what),
            )
    for prefix in ("ds", "saml", "samlp", "md", "", "xml", "xmlns"):
        for name, uri in (("own", "urn:evil"), ("assertion", NAMESPACES["s"]), ("relative", "1")):
            yield Forgery(
                name=f"prefix-{prefix or 'default'}-bound-to-{name}",
                codes=everything,
                make=partial(rebound, target, prefix=prefix, uri=uri),
            )


# --- all of them

WRAPPINGS = (carrying, carrying_ids, bringing, doubling, identifying, splicing, namespacing)
