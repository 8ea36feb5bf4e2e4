"""The configuration directory: read, checked as a whole, and translated into the gateway's values.

`check` reports every mistake of every file at once; `load` answers with a `Configuration` or raises the
same. What each file may hold stands in `models.py` and, for people, in `configs/reference/`.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from federation.attributes import InwardRule, OutwardRule
from federation.routes import AmbiguousRoutes, ContextMisfit, Route, RouteTable
from gateway.config import checks, domain, map_checks, material
from gateway.config.checks import Documents, Findings, whereabouts
from gateway.config.domain import (
    CardListener,
    CertificateListener,
    Client,
    Configuration,
    ConfiguredIdSystem,
    ConfiguredService,
    TlsFiles,
    TrustSource,
)
from gateway.config.files import Document, read
from gateway.config.material import Material
from gateway.config.mistakes import (
    ConfigurationError,
    Language,
    Mistake,
    format_mistakes,
    preferred_language,
    shown,
    to_json,
)
from gateway.config.models import (
    AnyIdSystem,
    GatewayFile,
    OidcService,
    RecognitionFile,
    RoutesFile,
    SamlService,
    Section,
    SystemsFile,
    TrustFile,
)
from gateway.config.shapes import ID_SYSTEM_KINDS, SERVICE_KINDS, shape, shape_of_kind
from gateway.config.types import nearest

__all__ = [
    "AttributeMap",
    "CardListener",
    "CertificateListener",
    "Client",
    "Configuration",
    "ConfigurationError",
    "ConfiguredIdSystem",
    "ConfiguredService",
    "Language",
    "Mistake",
    "TlsFiles",
    "TrustSource",
    "attribute_map",
    "check",
    "format_mistakes",
    "load",
    "preferred_language",
    "to_json",
]

MOST_FILES = 5000
"""Files of id-systems or services; there are 1,788 municipalities and prefectures."""

SLIP = 0.8
"""How like a known name another must be to count as a slip (difflib's ratio): not `secrets`."""

FILES = ("gateway.yaml", "trust.yaml", "recognition.yaml", "routes.yaml", "systems.yaml")
DIRECTORIES = ("id-systems", "services")

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class _Read(Generic[S]):
    document: Document
    model: S | None


@dataclass(slots=True)
class _Draft:
    """Everything read, mistakes and all."""

    gateway: _Read[GatewayFile]
    trust: _Read[TrustFile]
    recognition: _Read[RecognitionFile]
    id_systems: tuple[_Read[AnyIdSystem], ...]
    services: tuple[_Read[OidcService | SamlService], ...]
    routes: _Read[RoutesFile]
    systems: _Read[SystemsFile]
    material: Material
    findings: Findings


def check(directory: Path, state: Path | None = None) -> tuple[tuple[Mistake, ...], tuple[Mistake, ...]]:
    """Every mistake, and every note, of the configuration in `directory`, by file and line. Never raises.

    Without `state`, files in the state directory are not looked at.
    """
    findings = _draft(Path(directory), state).findings
    return _sorted(findings.mistakes), _sorted(findings.notes)


def load(directory: Path, *, state: Path | None) -> Configuration:
    """The configuration in `directory`. Raises `ConfigurationError` with every mistake."""
    directory = Path(directory)
    draft = _draft(directory, state)
    # Here a file in a state directory that was not given cannot be passed over.
    unchecked = [note for note in draft.findings.notes if note.kind == "state-unchecked"]
    mistakes = _sorted(draft.findings.mistakes + unchecked)
    notes = _sorted([note for note in draft.findings.notes if note not in unchecked])
    gateway, trust, routes = draft.gateway.model, draft.trust.model, draft.routes.model
    recognition, systems = draft.recognition.model, draft.systems.model
    if mistakes or gateway is None or trust is None or recognition is None or routes is None or systems is None:
        raise ConfigurationError(mistakes, notes)
    services = tuple(each.model for each in draft.services if each.model)
    id_systems = tuple(each.model for each in draft.id_systems if each.model)
    believed = gateway.resident_code_check_digit == "believed"
    behind = domain.told(routes, believed=believed)
    return Configuration(
        directory=directory,
        gateway=gateway,
        tls=domain.tls_files(gateway.tls, draft.material),
        card_readers=domain.card_readers(gateway, draft.material),
        client_certificates=domain.client_certificates(gateway, draft.material),
        timestamp=domain.timestamps(draft.gateway.document, gateway, draft.material),
        store_url=domain.store_url(draft.gateway.document, gateway, draft.material),
        sources=tuple(domain.sources(draft.trust.document, trust, draft.material)),
        refresh=timedelta(seconds=trust.refresh_seconds),
        recognitions=domain.recognitions(draft.recognition.document, recognition, trust),
        id_systems={
            each.model.id: domain.id_system(each.document, each.model, draft.material, id_systems, believed=believed)
            for each in draft.id_systems
            if each.model
        },
        services={each.id: domain.service(each, services, behind, believed=believed) for each in services},
        api_services={each.id: each for each in domain.api_services(draft.routes.document, routes, draft.material)},
        scopes={scope.name: scope.label for scope in routes.scopes},
        routes=RouteTable([domain.route(entry, believed=believed) for entry in routes.routes]),
        systems=domain.municipal_systems(systems),
        acting=domain.acting(routes),
        notes=notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeMap:
    """The map of one file, with those that it is like; `places` tell where each rule stands, by what it makes."""

    id: str
    kind: str
    rules: tuple[InwardRule | OutwardRule, ...]
    places: Mapping[str, str]

    @property
    def inward(self) -> bool:
        """Whether it is an ID system's."""
        return bool(self.rules) and isinstance(self.rules[0], InwardRule)


def attribute_map(file: Path) -> AttributeMap:
    """The map in `file`, which is DIRECTORY/id-systems/….yaml or DIRECTORY/services/….yaml of a configuration.

    The files that it needs must be without mistakes. Raises `ConfigurationError` with the mistakes in them.
    """
    draft = _draft(file.parent.parent, None)
    for files, rules in ((draft.id_systems, domain.inward_rules), (draft.services, domain.outward_rules)):
        chain = _like(next((each for each in files if Path(each.document.file) == file), None), files)
        if chain:
            names = {each.document.file for each in chain}
            mistakes = [mistake for mistake in draft.findings.mistakes if mistake.file in names]
            if mistakes or chain[0].model is None:
                raise ConfigurationError(_sorted(mistakes))
            models = tuple(each.model for each in chain if each.model)
            return AttributeMap(
                id=models[0].id,
                kind=models[0].kind,
                rules=rules(models[0], models),
                places=_places(chain),
            )
    raise ConfigurationError((_whole(file, "map-file"),))


def _like(first: "_Read[Any] | None", files: "tuple[_Read[Any], ...]") -> "list[_Read[Any]]":
    """The file and those that it is like, in order; a circle is followed once."""
    chain: list[_Read[Any]] = []
    while first is not None and first not in chain:
        chain.append(first)
        name = first.document.data.get("attributes_like")
        first = next((each for each in files if name is not None and each.document.data.get("id") == name), None)
    return chain


def _places(chain: "list[_Read[Any]]") -> dict[str, str]:
    found: dict[str, str] = {}
    for each in reversed(chain):
        for trail, name in checks.texts(each.document, "attributes", checks.ANY, "to"):
            found[name] = f"{each.document.file}:{each.document.place(trail).line}"
    return found


def _sorted(found: list[Mistake]) -> tuple[Mistake, ...]:
    return tuple(sorted(found, key=lambda mistake: mistake.order))


# --- reading


def _draft(directory: Path, state: Path | None) -> _Draft:
    findings = Findings()
    there = _there(directory, findings)
    gateway = _one(directory, "gateway.yaml", GatewayFile, findings, there=there)
    trust = _one(directory, "trust.yaml", TrustFile, findings, there=there)
    recognition = _one(directory, "recognition.yaml", RecognitionFile, findings, there=there, optional=True)
    routes = _one(directory, "routes.yaml", RoutesFile, findings, there=there, optional=True)
    systems = _one(directory, "systems.yaml", SystemsFile, findings, there=there, optional=True)
    id_systems = tuple(_several(directory, "id-systems", ID_SYSTEM_KINDS, findings))
    services = tuple(_several(directory, "services", SERVICE_KINDS, findings))
    documents = Documents(
        gateway=gateway.document,
        trust=trust.document,
        recognition=recognition.document,
        id_systems=tuple(each.document for each in id_systems),
        services=tuple(each.document for each in services),
        routes=routes.document,
        systems=systems.document,
    )
    found = checks.check(documents)
    map_checks.check(documents, found)
    findings.mistakes += found.mistakes
    findings.notes += found.notes
    looked_at = material.look(documents, directory, state, findings)
    if routes.model is not None:
        _routes(routes.document, routes.model, findings)
    return _Draft(
        gateway=gateway,
        trust=trust,
        recognition=recognition,
        id_systems=id_systems,
        services=services,
        routes=routes,
        systems=systems,
        material=looked_at,
        findings=findings,
    )


def _whole(path: Path, kind: str, **facts: str) -> Mistake:
    return Mistake(file=str(path), line=1, column=1, path="", kind=kind, facts=facts)


def _there(directory: Path, findings: Findings) -> bool:
    """Whether there is a directory; a name that looks like a slip of a known one is a mistake."""
    try:
        paths = sorted(directory.iterdir())
    except (OSError, ValueError):
        kind = "directory-unreadable" if directory.is_dir() else "directory-missing"
        findings.mistakes.append(_whole(directory, kind))
        return False
    for path in paths:
        known = DIRECTORIES if path.is_dir() else FILES if path.suffix.lower() in (".yaml", ".yml") else ()
        near = None if path.name in (*FILES, *DIRECTORIES) else nearest(path.name, known, SLIP)
        if near:
            findings.mistakes.append(_whole(path, "file-unknown", known=near))
    return True


def _one(
    directory: Path, name: str, model: type[S], findings: Findings, *, there: bool, optional: bool = False
) -> _Read[S]:
    path = directory / name
    if not there or (optional and not os.path.lexists(path)):
        return _Read(Document(file=str(path), present=False), model() if there else None)
    document, mistakes = read(path, str(path))
    value: S | None = None
    if document.readable:
        value, wrong = shape(document, model, f"configs/reference/{name}")
        mistakes += wrong
    findings.mistakes += mistakes
    return _Read(document, value)


def _several(directory: Path, name: str, kinds: Mapping[str, type[S]], findings: Findings) -> Iterator[_Read[S]]:
    try:
        paths = sorted(path for path in (directory / name).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        if directory.is_dir():
            findings.mistakes.append(_whole(directory / name, "directory-unreadable"))
        return
    if len(paths) > MOST_FILES:
        findings.mistakes.append(_whole(directory / name, "too-many-files", limit=str(MOST_FILES)))
        return
    for path in paths:
        if path.suffix in (".yml", ".YAML", ".YML"):
            findings.mistakes.append(_whole(path, "file-suffix"))
        if path.suffix != ".yaml":
            continue
        document, mistakes = read(path, str(path))
        value: S | None = None
        if document.readable:
            value, wrong = shape_of_kind(document, kinds, f"configs/reference/{name}/example-{{kind}}.yaml")
            mistakes += wrong
        findings.mistakes += mistakes
        yield _Read(document, value)


# --- routes: the table itself knows what is ambiguous


def _routes(document: Document, routes: RoutesFile, findings: Findings) -> None:
    usable: list[tuple[int, Route]] = []
    for n, entry in enumerate(routes.routes):
        try:
            usable.append((n, domain.route(entry)))
        except ContextMisfit:
            key = "subject" if entry.context is None else "context"
            findings.mistakes.append(document.mistake("route-context", ("routes", n, key), at_key=True))
        except ValueError:
            trail = ("routes", n, "path")
            findings.mistakes.append(document.mistake("route-template", trail, found=shown(entry.path, trail)))
    if not _ambiguous([route for _, route in usable]):
        return
    for position, (n, route) in enumerate(usable):
        for earlier, other in usable[:position]:
            if _ambiguous([other, route]):
                trail = ("routes", n, "path")
                where = whereabouts(document, ("routes", earlier, "path"))
                findings.mistakes.append(
                    document.mistake("route-ambiguous", trail, found=shown(route.path, trail), other=where)
                )


def _ambiguous(routes: list[Route]) -> bool:
    try:
        RouteTable(routes)
    except AmbiguousRoutes:
        return True
    return False
