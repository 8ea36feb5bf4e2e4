"""What no single key of an attribute map can tell: rules whose parts do not fit, and maps that are like others.

Like `checks.py`, on the files' plain data.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from federation.transforms import TRANSFORMS
from gateway.config.checks import ANY, Documents, Findings, each, texts
from gateway.config.files import Document
from gateway.config.mistakes import shown
from gateway.config.types import nearest


def check(documents: Documents, findings: Findings) -> None:
    """Every map of every ID system and service."""
    for files, name in ((documents.id_systems, "id-systems"), (documents.services, "services")):
        known = {value: document for document in files for _, value in texts(document, "id")}
        for document in files:
            _rules(document, findings, "attributes", ANY)
            _likeness(document, known, name, findings)
    _rules(documents.routes, findings, "scopes", ANY, "attributes", ANY)
    _requires(documents.routes, findings)
    for document in documents.id_systems:
        if document.readable and "attributes" not in document.data and "attributes_like" not in document.data:
            findings.mistakes.append(document.mistake("attributes-absent", ()))


def _rules(document: Document, findings: Findings, *pattern: str | None) -> None:
    combining = ", ".join(name for name, transform in TRANSFORMS.items() if transform.combines)
    for trail, rule in each(document, *pattern):
        if not isinstance(rule, dict) or not isinstance(rule.get("from"), tuple):
            continue
        names = tuple(_named(rule.get("transforms", ())))
        several = len(rule["from"]) > 1
        if any(name not in TRANSFORMS for name in names):
            continue
        if several and not any(TRANSFORMS[name].combines for name in names):
            findings.mistakes.append(document.mistake("rule-combine", (*trail, "from"), combining=combining))
        ordered = next((name for name in names if TRANSFORMS[name].ordered), None)
        if ordered is not None and not several:
            findings.mistakes.append(document.mistake("rule-order", (*trail, "from"), name=ordered))


def _requires(routes: Document, findings: Findings) -> None:
    """What must be true of whoever calls must be a fact that the scope tells."""
    facts: dict[str, list[str]] = {}
    for _, scope in each(routes, "scopes", ANY):
        rules = scope.get("attributes", ()) if isinstance(scope, dict) else ()
        if isinstance(rules, tuple) and isinstance(scope.get("name"), str):
            facts[scope["name"]] = [
                rule["to"]
                for rule in rules
                if isinstance(rule, dict) and isinstance(rule.get("to"), str) and _is_fact(rule.get("transforms", ()))
            ]
    for trail, route in each(routes, "routes", ANY):
        scope = route.get("scope") if isinstance(route, dict) else None
        required = route.get("requires") if isinstance(route, dict) else None
        if not isinstance(scope, str) or scope not in facts or not isinstance(required, tuple):
            continue
        for n, name in enumerate(required):
            if name not in facts[scope]:
                at = (*trail, "requires", n)
                known = ", ".join(facts[scope]) or "–"
                findings.mistakes.append(
                    routes.mistake("requires-unknown", at, found=shown(name, at), scope=scope, known=known)
                )


def _is_fact(transforms: object) -> bool:
    """Whether the last of a rule's transforms answers yes or no."""
    names = tuple(_named(transforms))
    return bool(names) and names[-1] in TRANSFORMS and TRANSFORMS[names[-1]].truth


def _named(transforms: object) -> Iterator[str]:
    """The names of a rule's transforms, whether they have an argument or not."""
    for entry in transforms if isinstance(transforms, tuple) else ():
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            yield from (name for name in entry if isinstance(name, str))


def _likeness(document: Document, known: Mapping[str, Document], where: str, findings: Findings) -> None:
    """A map is like another of the same kind, never like itself in the end, and leaves out what the other has."""
    like = document.data.get("attributes_like")
    without = tuple(texts(document, "attributes_without", ANY))
    trail = ("attributes_like",)
    if not isinstance(like, str):
        if without:
            findings.mistakes.append(document.mistake("attributes-without-like", ("attributes_without",), at_key=True))
        return
    other = known.get(like)
    found = shown(like, trail)
    if other is None:
        kind = document.data.get("kind")
        others = tuple(name for name, each_ in known.items() if each_.data.get("kind") == kind and each_ != document)
        near = nearest(like, others)
        if near:
            mistake = document.mistake("unknown-reference-near", trail, found=found, near=near, where=where)
        elif others:
            mistake = document.mistake("unknown-reference", trail, found=found, known=", ".join(others), where=where)
        else:
            mistake = document.mistake("unknown-reference-none", trail, found=found, where=where)
        findings.mistakes.append(mistake)
        return
    if other.data.get("kind") != document.data.get("kind"):
        findings.mistakes.append(document.mistake("attributes-like-kind", trail, found=found))
        return
    made = _made(other, known, (document,))
    if made is None:
        findings.mistakes.append(document.mistake("attributes-like-itself", trail, found=found))
        return
    for place, name in without:
        if name not in made:
            said = shown(name, place)
            findings.mistakes.append(document.mistake("attributes-without-unknown", place, found=said, like=like))


def _made(document: Document, known: Mapping[str, Document], on_the_way: tuple[Document, ...]) -> set[str] | None:
    """The names that a map makes, those of the maps it is like included; None if they go in a circle."""
    if document in on_the_way:
        return None
    own = {name for _, name in texts(document, "attributes", ANY, "to")}
    like: Any = document.data.get("attributes_like")
    other = known.get(like) if isinstance(like, str) else None
    if other is None:
        return own
    inherited = _made(other, known, (*on_the_way, document))
    if inherited is None:
        return None
    return own | (inherited - {name for _, name in texts(document, "attributes_without", ANY)})
