"""Verifying a signed list of many entities piece by piece, so that its tree never stands in memory as a whole.

The content of the root is cut behind the end tag of an entity, again and again, and every piece is parsed between
the root's start tag and end tag. If each piece is well-formed there, then the document is well-formed and its tree
is the pieces' trees side by side: where a parser stands between two children of the root depends on nothing but the
root's start tag. And as exclusive C14N of an element depends on its ancestors and its content alone, the canonical
document is the root's canonical start tag, the pieces' canonical content one after the other, and the end tag. If a
piece is not well-formed, as when a cut fell inside a group of entities or a comment, the document is one piece.

The rules of the gate hold for the document: those of the octets are asked of the whole, those of tree and
signatures of each piece, and what pieces could break only together is asked here. A tree of a few entities stays in
the processor's cache; that, canonicalising once, and looking at the next pieces in other threads meanwhile (libxml2
works without the interpreter's lock) is where the speed comes from.
"""

import hashlib
import hmac
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from lxml import etree

from trust_lists.model import VerifiedBytes
from trust_lists.xmldsig import SIGNATURE, canonical, inclusive, remove, signed_reference, stated_digest
from trust_lists.xmlgate import (
    LIST_LIMITS,
    RULES,
    SAML,
    Element,
    Limits,
    SignatureRefusedError,
    Tree,
    check_octets,
    check_signatures,
    identifiers,
    parser,
)

_PIECE_OCTETS = 128 * 1024

_ROOT = re.compile(
    rb"""(?:\xef\xbb\xbf)?(?:<\?xml\s[^<>]*\?>)?(?:\s|<!--(?:[^-]|-[^-])*+-->)*+"""
    rb"""<([A-Za-z_][\w.:-]*)(?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*+\s*>"""
)
"""A document up to and with its root's start tag."""

_ACROSS_PIECES = "id-not-unique"
_TREE_RULES = tuple(rule for rule in RULES if rule.stage == "tree" and rule.code != _ACROSS_PIECES)
"""The rules that are asked of each piece; the one left out is the dearest, and is asked of all pieces together."""

_ASSERTIONS = (f"{{{SAML}}}Assertion", f"{{{SAML}}}EncryptedAssertion")
_END_OF_ENTITY = re.compile(rb"</(?:[\w.-]+:)?EntityDescriptor\s*>")


def verify_list(
    document: bytes,
    *,
    certificates: Sequence[bytes],
    expected_root: str,
    limits: Limits = LIST_LIMITS,
    piece_octets: int = _PIECE_OCTETS,
) -> list[VerifiedBytes]:
    """Verify the signature of the root, as `xmldsig.verify` does and raises; its canonical form, in pieces.

    Each piece is a document: the root's start tag, some of its children, its end tag. One after the other, without
    the tags between, they are what `xmldsig.verify` answers, octet for octet. `piece_octets` is about how many octets
    of the document go into a piece.
    """
    comments = check_octets(document, limits=limits).comments
    cut = _cut(document, piece_octets, comments=comments)
    if cut is not None:
        try:
            return _verified(cut, certificates=certificates, expected_root=expected_root, limits=limits)
        except SignatureRefusedError as refused:
            if refused.code != "malformed":
                raise
    whole = _Cut(start=b"", end=b"", pieces=[memoryview(document)], comments=comments)
    return _verified(whole, certificates=certificates, expected_root=expected_root, limits=limits)


# --- cutting


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A document in pieces; all but the last one lack the root's end tag, all but the first its start tag."""

    start: bytes
    end: bytes
    pieces: Sequence[memoryview]
    comments: bool
    """Whether there may be comments."""

    def documents(self) -> Iterator[bytes]:
        """Give each piece as a document of its own."""
        last = len(self.pieces) - 1
        for number, piece in enumerate(self.pieces):
            yield b"".join((self.start if number else b"", piece, self.end if number < last else b""))


def _cut(document: bytes, piece_octets: int, *, comments: bool) -> _Cut | None:
    """Cut the document, or answer None if there is nothing to cut.

    Every piece holds an entity: what follows the last one stays with it.
    """
    root = _ROOT.match(document)
    if root is None:
        return None
    begins, search_from = [0], root.end()
    while (entity := _END_OF_ENTITY.search(document, search_from + piece_octets)) is not None:
        search_from = entity.end()
        begins.append(search_from)
    ends = [*begins[1:-1], len(document)]
    octets = memoryview(document)
    pieces = [octets[begin:end] for begin, end in zip(begins, ends, strict=False)]
    if len(pieces) == 1:
        return None
    return _Cut(start=root[0], end=b"</" + root[1] + b">", pieces=pieces, comments=comments)


# --- verifying


def _verified(cut: _Cut, *, certificates: Sequence[bytes], expected_root: str, limits: Limits) -> list[VerifiedBytes]:
    gate = _Gate(cut, expected_root=expected_root, limits=limits)
    documents = cut.documents()
    first, seen = gate.look(next(documents))
    gate.take(seen)
    signature = first.find(SIGNATURE)
    if signature is None:
        raise SignatureRefusedError("unsigned")
    reference = signed_reference(signature, certificates=certificates)
    algorithm, stated = stated_digest(reference)
    prefixes = inclusive(reference[0][1])
    remove(signature)
    found = [canonical(first, prefixes)]
    end = found[0][found[0].rfind(b"</") :]
    start = b"" if gate.root is None else canonical(gate.root, prefixes).removesuffix(end)
    digest = hashlib.new(algorithm, memoryview(found[0])[: -len(end)])

    def look(document: bytes) -> tuple[_Seen, bytes]:
        tree, seen = gate.look(document)
        return seen, canonical(tree, prefixes)

    for seen, octets in ahead(look, documents):
        gate.take(seen)
        found.append(octets)
        digest.update(memoryview(octets)[len(start) : -len(end)])
    digest.update(end)
    if not hmac.compare_digest(digest.digest(), stated):
        raise SignatureRefusedError("digest")
    return [VerifiedBytes(octets) for octets in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What of a piece can break a rule only together with other pieces."""

    identifiers: list[str]
    assertions: int
    signed: bool


def _seen_of(root: Element) -> _Seen:
    return _Seen(
        identifiers=[str(value) for value in identifiers(root)],
        assertions=sum(1 for _ in root.iterchildren(*_ASSERTIONS)),
        signed=root.find(SIGNATURE) is not None,
    )


class _Gate:
    """The rules of tree and signatures, piece after piece; `root` is the root without its content if it was cut."""

    def __init__(self, cut: _Cut, *, expected_root: str, limits: Limits) -> None:
        self._roots = (expected_root,)
        self._limits = limits
        self._comments = cut.comments
        self._assertions = 0
        self._is_first = True
        self.root = _parse(cut.start + cut.end) if cut.start else None
        self._own = 0 if self.root is None else len(identifiers(self.root))
        self._known: set[str] = set()

    def look(self, document: bytes) -> tuple[Element, _Seen]:
        """Let one piece through, in whichever thread. Raises `SignatureRefusedError`."""
        root = _parse(document)
        tree = Tree(root=root, limits=self._limits, roots=self._roots, comments=self._comments)
        for rule in _TREE_RULES:
            if not rule.kept(tree):
                raise SignatureRefusedError(rule.code)
        seen = _seen_of(root)
        if len(seen.identifiers) != len(set(seen.identifiers)):
            raise SignatureRefusedError(_ACROSS_PIECES)
        check_signatures(root, limits=self._limits)
        return root, seen

    def take(self, seen: _Seen) -> None:
        """Hold the next piece against all before it, in the document's order. Raises `SignatureRefusedError`.

        The root's own identifiers, the first ones, are in each piece.
        """
        if not self._known.isdisjoint(seen.identifiers):
            raise SignatureRefusedError(_ACROSS_PIECES)
        self._known.update(seen.identifiers[self._own :])
        if seen.signed and not self._is_first:
            raise SignatureRefusedError("signature-place")
        self._is_first = False
        self._assertions += seen.assertions
        if self._assertions > 1:
            raise SignatureRefusedError("assertion-misplaced")


def _parse(document: bytes) -> Element:
    try:
        return etree.fromstring(document, parser())
    except (etree.XMLSyntaxError, ValueError):
        raise SignatureRefusedError("malformed") from None


# --- two cores


A = TypeVar("A")
B = TypeVar("B")

_AHEAD = 4
"""Pieces that are looked at before their turn."""


def ahead(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Answer `work` of each item, in order, while a few of the next ones are worked on in other threads.

    What `work` raises for an item is raised in its turn.
    """
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(2, thread_name_prefix="kakehashi-list") as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
