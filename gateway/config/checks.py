"""What no single key can tell: references between files, names given twice, missing texts, open listeners.

Each check reads the files' plain data and not their models, so that one mistake in a file does not hide the
next.
"""

import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from federation.terms import JAPAN
from gateway.config.files import Document
from gateway.config.mistakes import Mistake, Trail, shown, trail_text
from gateway.config.models import Admin, Limits, Listen, Store, Weaker, WeakerIdSystem, WeakerService
from gateway.config.types import RESERVED_SCOPES, is_loopback, nearest

ANY = None
"""In a pattern: every position of a list."""

FEDERATION = "openid-federation"
"""The one format whose lists have no address of their own."""

POINTING = ("etsi-119612", "etsi-119602")
"""The formats whose lists point to other lists."""

TABLE = "assurance-table"
"""The format of signed tables of assurance."""

LANGUAGES = ("ja", "en")
WEAKER = frozenset(typing.get_args(Weaker) + typing.get_args(WeakerIdSystem) + typing.get_args(WeakerService))


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The files of one configuration directory."""

    gateway: Document
    trust: Document
    recognition: Document
    id_systems: tuple[Document, ...]
    services: tuple[Document, ...]
    routes: Document
    systems: Document


@dataclass(slots=True)
class Findings:
    """Mistakes and notes, gathered."""

    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[Mistake] = field(default_factory=list)


def each(document: Document, *pattern: str | None) -> Iterator[tuple[Trail, Any]]:
    """Every value that `pattern` leads to, with its trail; `ANY` stands for each position of a list."""
    found: list[tuple[Trail, Any]] = [((), document.data)]
    for step in pattern:
        following: list[tuple[Trail, Any]] = []
        for trail, value in found:
            if step is ANY and isinstance(value, tuple):
                following += [((*trail, n), item) for n, item in enumerate(value)]
            elif step is not ANY and isinstance(value, dict) and step in value:
                following.append(((*trail, step), value[step]))
        found = following
    yield from found


def texts(document: Document, *pattern: str | None) -> Iterator[tuple[Trail, str]]:
    """The same, text values only."""
    return ((trail, value) for trail, value in each(document, *pattern) if isinstance(value, str))


def _value(document: Document, *pattern: str, default: Any) -> Any:
    """The value there, or `default`."""
    return next((value for _, value in each(document, *pattern)), default)


def check(documents: Documents) -> Findings:
    """Everything between keys and between files."""
    findings = Findings()
    for one in CHECKS:
        one(documents, findings)
    return findings


# --- names given twice


def _duplicates(documents: Documents, findings: Findings) -> None:
    for files in (documents.id_systems, documents.services):
        _once(((d, t, v) for d in files for t, v in texts(d, "id")), findings)
        _once(((d, t, v) for d in files for t, v in texts(d, "entity_id")), findings)
        for document in files:
            _once(((document, t, v) for t, v in texts(document, "attributes", ANY, "to")), findings)
    told = texts(documents.routes, "scopes", ANY, "attributes", ANY, "to")
    for _, names in groupby(told, key=lambda found: found[0][1]):  # those of one scope
        _once(((documents.routes, t, v) for t, v in names), findings)
    for document, section, name in (
        (documents.trust, "sources", "name"),
        (documents.recognition, "recognitions", "id"),
        (documents.routes, "services", "id"),
        (documents.routes, "services", "audience"),
        (documents.routes, "scopes", "name"),
        (documents.systems, "systems", "id"),
    ):
        _once(((document, t, v) for t, v in texts(document, section, ANY, name)), findings)
    # one name at the token endpoint, one client
    services = [(d, t, v) for d in documents.services for t, v in texts(d, "entity_id")]
    own = [(documents.routes, t, v) for t, v in texts(documents.routes, "services", ANY, "entity_id")]
    own += [(documents.systems, t, v) for t, v in texts(documents.systems, "systems", ANY, "entity_id")]
    if own:
        _once(services + own, findings, since=len(services))


def _once(found: Iterable[tuple[Document, Trail, str]], findings: Findings, since: int = 0) -> None:
    """Each value stands once; of the first `since` places it is known already."""
    first: dict[str, str] = {}
    for position, (document, trail, value) in enumerate(found):
        if value in first and position >= since:
            findings.mistakes.append(
                document.mistake("duplicate", trail, found=shown(value, trail), other=first[value])
            )
        first.setdefault(value, whereabouts(document, trail))


def whereabouts(document: Document, trail: Trail) -> str:
    """`file:line (path)` for another mistake's text."""
    return f"{document.file}:{document.place(trail).line} ({trail_text(trail)})"


# --- references


def _references(documents: Documents, findings: Findings) -> None:
    id_systems = _names(documents.id_systems, "id")
    api_services = _names((documents.routes,), "services", ANY, "id")
    scopes = _names((documents.routes,), "scopes", ANY, "name")
    for document in documents.services:
        _refer(document, texts(document, "id_systems", ANY), id_systems, "id-systems", findings)
        _refer(document, texts(document, "scopes", ANY), scopes, "routes.yaml (scopes)", findings)
        for trail, value in texts(document, "attributes", ANY, "to"):
            if document.data.get("kind") == "oidc" and value in (scopes or ()):
                # asking for the claim by its name would grant the scope, of which the consent page says nothing
                findings.mistakes.append(document.mistake("claim-is-scope", trail, found=shown(value, trail)))
    own = texts(documents.systems, "systems", ANY, "scopes", ANY)
    _refer(documents.systems, own, scopes, "routes.yaml (scopes)", findings)
    routes = documents.routes
    acting = texts(routes, "scopes", ANY, "acting", "scopes", ANY)
    _refer(routes, acting, scopes, "routes.yaml (scopes)", findings)
    clients = _names(documents.services, "entity_id")
    shared = tuple(name for _, name in texts(routes, "services", ANY, "entity_id"))
    named = None if clients is None else (*shared, *clients)
    _refer(routes, texts(routes, "scopes", ANY, "acting", "by"), named, "routes.yaml (services), services", findings)
    _refer(routes, texts(routes, "routes", ANY, "service"), api_services, "services", findings)
    _refer(routes, texts(routes, "routes", ANY, "scope"), scopes, "scopes", findings)
    signing = {name for name, said in _signatures(routes) if said == "required"}
    for trail, route in each(routes, "routes", ANY):
        if isinstance(route, dict):
            _terms(routes, trail, route, findings)
            if route.get("websocket") is True and (route.get("guard") is not None or route.get("service") in signing):
                findings.mistakes.append(routes.mistake("websocket-unseen", (*trail, "websocket"), at_key=True))
    recognised = texts(documents.recognition, "recognitions", ANY, "list")
    sources = _names((documents.trust,), "sources", ANY, "name")
    _refer(documents.recognition, recognised, sources, "trust.yaml (sources)", findings)


def _signatures(routes: Document) -> Iterator[tuple[str, object]]:
    """Services by their ids, with what is asked of their answers' signatures."""
    for _, service in each(routes, "services", ANY):
        signatures = service.get("signatures") if isinstance(service, dict) else None
        if isinstance(signatures, dict):
            yield str(service.get("id")), signatures.get("responses")


def _terms(document: Document, trail: Trail, route: dict[str, Any], findings: Findings) -> None:
    """What a route asks of calls must be something that calls can have."""
    since, until = str(route.get("since", "")), str(route.get("until", ""))  # 2026-10-01 is earlier as a text, too
    if since and until and until < since:
        findings.mistakes.append(document.mistake("days-reversed", (*trail, "until"), found=shown(until, ())))
    callers, quotas = route.get("callers", ("people",)), route.get("quotas", {})
    if isinstance(callers, tuple) and "people" not in callers and isinstance(quotas, dict) and "person" in quotas:
        findings.mistakes.append(document.mistake("quota-person", (*trail, "quotas", "person"), at_key=True))


def _names(files: Sequence[Document], *pattern: str | None) -> tuple[str, ...] | None:
    """Every name given there; None if a file or an entry has no usable name, so that nobody can know."""
    if not all(document.readable or not document.present for document in files):
        return None
    entries = [entry for document in files for _, entry in each(document, *pattern[:-1])]
    names = [value for document in files for _, value in texts(document, *pattern)]
    return tuple(names) if len(names) == len(entries) else None


def _refer(
    document: Document,
    found: Iterable[tuple[Trail, str]],
    known: tuple[str, ...] | None,
    where: str,
    findings: Findings,
) -> None:
    if known is None:
        return
    for trail, value in found:
        if value in known or value in RESERVED_SCOPES:  # those have a mistake of their own
            continue
        near = nearest(value, known)
        said = shown(value, trail)
        if near:
            mistake = document.mistake("unknown-reference-near", trail, found=said, near=near, where=where)
        elif known:
            listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")  # noqa: PLR2004 - enough to choose from
            mistake = document.mistake("unknown-reference", trail, found=said, known=listed, where=where)
        else:
            mistake = document.mistake("unknown-reference-none", trail, found=said, where=where)
        findings.mistakes.append(mistake)


def _members(documents: Documents, findings: Findings) -> None:
    if documents.gateway.readable and not documents.id_systems:
        findings.notes.append(documents.gateway.mistake("no-id-systems", ()))
    if documents.gateway.readable and not documents.services:
        findings.notes.append(documents.gateway.mistake("no-services", ()))


def _recognitions(documents: Documents, findings: Findings) -> None:
    """Each recognition is about one thing; and what limits by use needs services that say their use."""
    document = documents.recognition
    if not document.present:
        if documents.trust.readable:
            findings.notes.append(documents.trust.mistake("recognition-absent", ()))
        return
    limited = False
    for trail, entry in each(document, "recognitions", ANY):
        if not isinstance(entry, dict):
            continue
        if ("list" in entry) == ("municipality" in entry):
            findings.mistakes.append(document.mistake("recognition-target", trail))
        elif entry.get("municipality") is not None and entry["municipality"] == entry.get("by"):
            findings.mistakes.append(document.mistake("recognition-self", (*trail, "municipality"), at_key=True))
        limited = limited or isinstance(entry.get("uses"), tuple)
    for service in documents.services:
        if limited and service.readable and "use" not in service.data:
            findings.notes.append(service.mistake("service-use-absent", ()))


def _over(documents: Documents, findings: Findings) -> None:
    """What counts until a day that is past is likely forgotten; whoever wonders why it is refused looks here first."""
    today = datetime.now(JAPAN).date().isoformat()
    for document, section in ((documents.recognition, "recognitions"), (documents.routes, "routes")):
        for trail, until in texts(document, section, ANY, "until"):
            if _DAY.fullmatch(until) and until < today:
                findings.notes.append(document.mistake("day-over", trail, found=shown(until, trail)))


_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


# --- texts


def _languages(documents: Documents, findings: Findings) -> None:
    gateway = documents.gateway
    listed = tuple(value for _, value in texts(gateway, "languages", ANY) if value in LANGUAGES) or LANGUAGES
    default = _value(gateway, "default_language", default=LANGUAGES[0])
    if default in LANGUAGES and default not in listed:
        trail: Trail = ("default_language",) if "default_language" in gateway.data else ("languages",)
        findings.mistakes.append(
            gateway.mistake("default-language", trail, found=shown(default, trail), languages=", ".join(listed))
        )
    languages = tuple(sorted(listed, key=lambda language: language != default))
    for document, patterns in (
        (documents.gateway, (("region", "name"), ("region", "contact"))),
        *((d, (("name",), ("description",))) for d in documents.id_systems),
        *((d, (("name",), ("purpose",), ("attributes", ANY, "label"))) for d in documents.services),
        (documents.routes, (("services", ANY, "name"), ("scopes", ANY, "label"))),
        (documents.routes, (("scopes", ANY, "attributes", ANY, "label"),)),
        (documents.systems, (("systems", ANY, "name"),)),
    ):
        for pattern in patterns:
            for trail, value in each(document, *pattern):
                if isinstance(value, dict):
                    _translated(document, trail, value, languages, findings)


def _translated(
    document: Document, trail: Trail, value: dict[str, Any], languages: tuple[str, ...], findings: Findings
) -> None:
    """`languages`: those of the region, the default one first."""
    for language in value:
        if language not in LANGUAGES:
            findings.mistakes.append(
                document.mistake(
                    "text-language-unknown", (*trail, language), at_key=True, languages=", ".join(LANGUAGES)
                )
            )
    for language in languages:
        if language not in value and language == languages[0]:
            findings.mistakes.append(document.mistake("text-language", trail, at_key=True, language=language))
        elif language not in value:
            findings.notes.append(document.mistake("text-language-absent", trail, at_key=True, language=language))


# --- one file, several keys


def _clients(documents: Documents, findings: Findings) -> None:
    for document in documents.id_systems:
        client = next((value for _, value in each(document, "client") if isinstance(value, dict)), None)
        if document.data.get("kind") != "oidc" or client is None:
            continue
        basic = client.get("authentication") == "client_secret_basic"
        file = client.get("client_secret_file")
        if basic and file is None:
            findings.mistakes.append(document.mistake("client-secret", ("client",), at_key=True))
        if client.get("authentication", "private_key_jwt") == "private_key_jwt" and file is not None:
            findings.mistakes.append(
                document.mistake("client-secret-unused", ("client", "client_secret_file"), at_key=True)
            )
        scopes = client.get("scopes")
        if isinstance(scopes, tuple) and "openid" not in scopes:
            findings.mistakes.append(document.mistake("openid-scope", ("client", "scopes")))


def _listeners(documents: Documents, findings: Findings) -> None:
    """Plain HTTP only on loopback, or behind proxies that are named; the admin listener on loopback only."""
    document = documents.gateway
    if not document.readable:
        return
    public = str(_value(document, "public_url", default="https://"))
    host = str(_value(document, "listen", "host", default=Listen().host))
    port = _value(document, "listen", "port", default=Listen().port)
    tls = _value(document, "tls", default=None) is not None
    proxies = bool(_value(document, "trusted_proxies", default=()))
    https, local = public.lower().startswith("https:"), is_loopback(host)
    if not tls and not local and not (proxies and https):
        findings.mistakes.append(document.mistake("listen-plain", ("listen", "host"), found=shown(host, ())))
    if tls and not https:
        findings.mistakes.append(document.mistake("tls-public-url", ("public_url",), found=shown(public, ())))
    if not tls and https and local and not proxies:
        findings.notes.append(document.mistake("proxy-unnamed", ("public_url",)))
    admin = str(_value(document, "admin", "host", default=Admin().host))
    if not is_loopback(admin):
        findings.mistakes.append(document.mistake("admin-open", ("admin", "host"), found=shown(admin, ())))
    if _value(document, "admin", "port", default=Admin().port) == port:
        findings.mistakes.append(document.mistake("same-port", ("admin", "port"), found=shown(port, ())))


def _card_readers(documents: Documents, findings: Findings) -> None:
    """The listener for card readers: at the public host, whose cookie it must see, and at a port of its own."""
    document = documents.gateway
    if not document.readable:
        return
    url = str(_value(document, "card_readers", "url", default=""))
    public = str(_value(document, "public_url", default=""))
    if url and (urlsplit(url).hostname != urlsplit(public).hostname or not url.lower().startswith("https:")):
        findings.mistakes.append(document.mistake("card-readers-url", ("card_readers", "url"), found=shown(url, ())))
    port = _value(document, "card_readers", "listen", "port", default=None)
    if port is not None and port in (
        _value(document, "listen", "port", default=Listen().port),
        _value(document, "admin", "port", default=Admin().port),
    ):
        findings.mistakes.append(document.mistake("same-port", ("card_readers", "listen", "port"), found=str(port)))
    for each_system in documents.id_systems:
        for trail, found in texts(each_system, "card_readers"):
            if found == "accepted" and not url:
                findings.mistakes.append(each_system.mistake("card-readers-absent", trail))


def _client_certificates(documents: Documents, findings: Findings) -> None:
    """Certificates are shown to the gateway itself, at a port of its own, or passed on by proxies that are named."""
    document = documents.gateway
    stated = _value(document, "client_certificates", default=None)
    if not document.readable or not isinstance(stated, dict):
        return
    url = str(stated.get("url", "https:"))
    if not url.lower().startswith("https:"):
        here = ("client_certificates", "url")
        findings.mistakes.append(document.mistake("client-certificates-url", here, found=shown(url, ())))
    own = {"listen", "tls"} <= stated.keys() and "header" not in stated
    passed_on = "header" in stated and not {"listen", "tls"} & stated.keys()
    if not own and not (passed_on and _value(document, "trusted_proxies", default=())):
        findings.mistakes.append(document.mistake("client-certificates-way", ("client_certificates",), at_key=True))
    port = _value(document, "client_certificates", "listen", "port", default=None)
    if port is not None and port in (
        _value(document, "listen", "port", default=Listen().port),
        _value(document, "admin", "port", default=Admin().port),
        _value(document, "card_readers", "listen", "port", default=None),
    ):
        place = ("client_certificates", "listen", "port")
        findings.mistakes.append(document.mistake("same-port", place, found=str(port)))


def _federation(documents: Documents, findings: Findings) -> None:
    """Nobody is above itself."""
    document = documents.gateway
    own = str(_value(document, "public_url", default="")).rstrip("/").lower()
    for trail, hint in texts(document, "federation", "authority_hints", ANY):
        if hint.rstrip("/").lower() == own:
            findings.mistakes.append(document.mistake("authority-hint-self", trail, found=shown(hint, trail)))


def _sectors(documents: Documents, findings: Findings) -> None:
    """Services that know people by one identifier belong to one municipality, and that they do is said."""
    first: dict[str, Document] = {}
    for document in documents.services:
        for trail, name in texts(document, "sector"):
            other = first.setdefault(name, document)
            if other is document:
                continue
            owner = document.data.get("municipality")
            if owner is None or owner != other.data.get("municipality"):
                findings.mistakes.append(document.mistake("sector-alone", trail, name=name))
            else:
                findings.notes.append(document.mistake("sector-shared", trail, name=name))


def _weaker(documents: Documents, findings: Findings) -> None:
    """What is weaker than it could be is said at every check."""
    for document in (documents.gateway, *documents.id_systems, *documents.services):
        for trail, name in texts(document, "weaker", ANY):
            if name in WEAKER:
                findings.notes.append(document.mistake("weaker", trail, name=name))
    for document in documents.services:
        allowed = {name for _, name in texts(document, "weaker", ANY)}
        for trail, value in texts(document, "subject_identifier"):
            if value == "subject-id" and "common-subject-id" not in allowed:
                findings.mistakes.append(document.mistake("subject-id-common", trail, found=shown(value, trail)))
    document = documents.gateway
    url = str(_value(document, "store", "url", default=Store().url))
    password = _value(document, "store", "password_file", default=None)
    if url == Store().url and password is not None:
        findings.mistakes.append(document.mistake("password-embedded", ("store", "password_file"), at_key=True))
    server = re.match(r"redis://(\[[^\]]*\]|[^:/?#]*)", url)
    if server and not is_loopback(server[1]):
        findings.notes.append(document.mistake("store-plain", ("store", "url")))


TAKEN_ON_LESS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("revocation", "mode"), "soft", "revocation-soft"),
    (("revocation", "private_addresses"), "allowed", "private-addresses"),
    (("subject",), "key", "subject-unpromised"),
)
"""Where an authority's certificates are taken on less than could be asked: the key, its value, and what is said."""


def _certificates(documents: Documents, findings: Findings) -> None:
    flow = _value(documents.gateway, "limits", "flow_minutes", default=Limits().flow_minutes)
    for document in documents.id_systems:
        if document.data.get("kind") != "certificate":
            continue
        answer = document.data.get("answer_minutes", 5)
        if isinstance(answer, int) and isinstance(flow, int) and answer > flow:
            limit = f"{document.file}: {answer}"
            mistake = documents.gateway.mistake(
                "answer-minutes", ("limits", "flow_minutes"), found=shown(flow, ()), limit=limit
            )
            findings.mistakes.append(mistake)
        for pattern, value, kind in TAKEN_ON_LESS:
            for trail, found in texts(document, *pattern):
                if found == value:
                    findings.notes.append(document.mistake(kind, trail))
        own = {policy for _, policy in texts(document, "policies", ANY)}
        if not own and any(texts(document, "attribute_policies", ANY)):
            findings.mistakes.append(document.mistake("policies-absent", ("attribute_policies",), at_key=True))
        for trail, policy in texts(document, "attribute_policies", ANY):
            if policy in own:
                findings.mistakes.append(document.mistake("attribute-policy-own", trail, found=shown(policy, trail)))


def _signing(documents: Documents, findings: Findings) -> None:
    """Who may ask residents to sign gets whole certificates: that is told; and without timestamps nothing lasts."""
    timed = _value(documents.gateway, "timestamp", default=None) is not None
    for document in documents.services:
        for trail, written in each(document, "signing"):
            if written is True:
                findings.notes.append(document.mistake("signing-identifies", trail))
                if not timed and documents.gateway.readable:
                    findings.mistakes.append(document.mistake("signing-untimed", trail))


def _sources(documents: Documents, findings: Findings) -> None:
    """Where each list is found: in exactly one place, and with what its format needs."""
    document = documents.trust
    for trail, written in each(document, "sources", ANY):
        if not isinstance(written, dict) or not isinstance(written.get("format"), str):
            continue
        source = {key: value for key, value in written.items() if value is not None}
        for kind, where, facts in _source_mistakes(source):
            at_key = where != ()
            findings.mistakes.append(document.mistake(kind, (*trail, *where), at_key=at_key, **facts))
        twice = set(_tuple(source, "anchors")) & set(_tuple(source, "next_anchors"))
        if twice:
            findings.mistakes.append(document.mistake("anchor-twice", (*trail, "next_anchors"), at_key=True))
        if source.get("private_addresses") == "allowed" and "file" not in source:
            findings.notes.append(document.mistake("private-addresses", (*trail, "private_addresses"), at_key=True))


def _source_mistakes(source: dict[str, Any]) -> Iterator[tuple[str, Trail, dict[str, str]]]:
    if source["format"] == FEDERATION:
        if "entity" not in source:
            yield "source-entity", (), {}
        if "url" in source:
            yield "source-url-federation", ("url",), {}
    else:
        if ("file" in source) == ("url" in source):
            yield "source-place", (), {"keys": "`file`, `url`"}
        if "entity" in source:
            yield "source-entity-unused", ("entity",), {}
    if "private_addresses" in source and "file" in source:
        yield "private-addresses-unused", ("private_addresses",), {}
    if "follow" in source and source["format"] not in POINTING:
        yield "follow-unused", ("follow",), {}


def _assurance(documents: Documents, findings: Findings) -> None:
    """Somebody says what an ID system's words are worth: a signed table, or else the operator."""
    if not documents.trust.readable or TABLE in {form for _, form in texts(documents.trust, "sources", ANY, "format")}:
        return
    for document in documents.id_systems:
        if document.readable and "assurance" not in document.data:
            findings.mistakes.append(document.mistake("assurance-absent", ()))
    if documents.id_systems:
        findings.notes.append(documents.trust.mistake("assurance-own", ()))


def _tuple(source: dict[str, Any], key: str) -> tuple[Any, ...]:
    found = source.get(key)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, tuple) else ()


CHECKS: tuple[Callable[[Documents, Findings], None], ...] = (
    _duplicates,
    _references,
    _members,
    _recognitions,
    _over,
    _assurance,
    _languages,
    _clients,
    _sources,
    _listeners,
    _card_readers,
    _client_certificates,
    _federation,
    _sectors,
    _weaker,
    _certificates,
    _signing,
)
"""Every check over plain data."""
