"""The region in force: configuration, trusted set, and everything opened from them, swapped as one.

`RegionHolder` watches the configuration directory and the lists. A changed list is admitted into the trusted set by the
set's own rules; a changed configuration without mistakes replaces the region between two requests. What is refused leaves
the last good one in force, is said in the log, in the metrics and by `/readyz`, and is tried again at the next change.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import structlog
from jinja2 import Environment

from federation.access import ApiService, RouteTable
from federation.identifiers import Identifiers
from federation.model import IdSystem, Service, Texts
from federation.oidc.provider import OidcProvider
from federation.ports import Connector, Frontend
from federation.refusal import IdSystemNotTrusted, UnknownService
from federation.saml.identity_provider import SamlIdentityProvider
from federation.saml.service_provider import SamlServiceProvider
from gateway import kinds, pages
from gateway.clock import Clock
from gateway.config import Configuration, ConfigurationError, TrustSource, load
from gateway.forwarded import Network
from gateway.keys import GatewayKeys
from gateway.messages import Messages
from observability.events import ConfigEvent, ConfigOutcome, ListEvent, ListOutcome, Recorder
from observability.vocabulary import Vocabulary
from trust_lists import json_list, saml_metadata
from trust_lists.model import ListRefusedError, TrustList
from trust_lists.trusted_set import TrustedSet

log = structlog.get_logger("gateway.region")

READERS = {"saml-metadata": saml_metadata.read, "json": json_list.read}

MAX_LIST_BYTES = 64 * 1024 * 1024
"""A signed list longer than this is not read; 1,800 governments with three entities each take about 20 MB."""

@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One consistent view: what one request works with from its beginning to its end."""

    configuration: Configuration
    trust: TrustedSet
    public_url: str
    systems: Mapping[str, IdSystem]
    services: Mapping[str, Service]
    api_services: Mapping[str, ApiService]
    scope_labels: Mapping[str, Texts]
    routes: RouteTable
    identifiers: Identifiers
    saml_service_provider: SamlServiceProvider
    saml_identity_provider: SamlIdentityProvider
    openid_provider: OidcProvider
    connectors: Mapping[str, Connector]
    frontends: Mapping[str, Frontend]
    templates: Environment
    trusted_proxies: tuple[Network, ...]

    @property
    def secure(self) -> bool:
        """Do residents reach this gateway by HTTPS? (Plain HTTP exists on loopback only.)"""
        return self.public_url.startswith("https://")

    @property
    def flow_lifetime(self) -> timedelta:
        """How long a login waits for its next step."""
        return timedelta(minutes=self.configuration.gateway.limits.flow_minutes)

    def connector(self, system: str) -> Connector:
        """The connector of an ID system. Raises `IdSystemNotTrusted` if it left the region."""
        found = self.connectors.get(system)
        if found is None:
            raise IdSystemNotTrusted("not configured")
        return found

    def frontend(self, kind: str) -> Frontend:
        """The frontend of that kind. Raises `UnknownService` if no service is of that kind any more."""
        found = self.frontends.get(kind)
        if found is None:
            raise UnknownService("no service of this kind is configured")
        return found

    def vocabulary(self) -> Vocabulary:
        """The names that may become labels of metrics."""
        return Vocabulary(
            id_systems={system.id: system.municipality for system in self.systems.values()},
            services=frozenset(self.services),
            routes={route.path: route.service for route in self.routes.routes},
            lists=frozenset(source.name for source in self.configuration.sources),
        )


def open_region(
    configuration: Configuration, keys: GatewayKeys, trust: TrustedSet, messages: Messages
) -> Region:
    """Open every kind that the configuration names."""
    public_url = str(configuration.gateway.public_url).rstrip("/")
    service_provider = SamlServiceProvider(
        entity_id=f"{public_url}/saml/sp/metadata", acs_url=f"{public_url}/saml/sp/acs", signer=keys.saml
    )
    identity_provider = SamlIdentityProvider(
        entity_id=f"{public_url}/saml/metadata", sso_url=f"{public_url}/saml/sso", signer=keys.saml
    )
    provider = kinds.openid_provider(configuration, keys, trust)
    material = kinds.Material(
        configuration=configuration,
        keys=keys,
        trust=trust,
        public_url=public_url,
        saml_service_provider=service_provider,
        saml_identity_provider=identity_provider,
        openid_provider=provider,
    )
    return Region(
        configuration=configuration,
        trust=trust,
        public_url=public_url,
        systems={name: each.system for name, each in configuration.id_systems.items()},
        services={name: each.service for name, each in configuration.services.items()},
        api_services=configuration.api_services,
        scope_labels=configuration.scopes,
        routes=configuration.routes,
        identifiers=Identifiers(keys.identifiers),
        saml_service_provider=service_provider,
        saml_identity_provider=identity_provider,
        openid_provider=provider,
        connectors={
            name: kinds.CONNECTORS[each.system.kind](material, each)
            for name, each in configuration.id_systems.items()
        },
        frontends={kind: open_kind(material) for kind, open_kind in kinds.FRONTENDS.items()},
        templates=pages.make_environment(
            messages,
            region_name=configuration.gateway.region.name,
            region_contact=configuration.gateway.region.contact,
        ),
        trusted_proxies=tuple(ip_network(text) for text in configuration.gateway.trusted_proxies),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """What became of one source at its last reading; `refused` is the code of a refusal, None if it was admitted."""

    name: str
    held: TrustList | None
    refused: str | None = None
    text: str = ""


class RegionHolder:
    """Holds the region in force, and brings in what changes."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        state: Path,
        keys: GatewayKeys,
        messages: Messages,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        """Opens the region; read the lists with `refresh_lists` before serving."""
        self._state = state
        self._keys = keys
        self._messages = messages
        self._recorder = recorder
        self._clock = clock
        self._marks = state / "high-water.json"
        self._seen_lists: dict[str, str] = {}
        self._seen_configuration = fingerprint(configuration.directory)
        self.lists: dict[str, ListState] = {}
        self.mistakes = 0
        self.current = open_region(configuration, keys, TrustedSet(self._high_water()), messages)

    # --- lists

    def refresh_lists(self) -> bool:
        """Read every list whose file changed since the last time; True if one was read."""
        changed = False
        for source in self.current.configuration.sources:
            seen = _stamp(source.file)
            if self._seen_lists.get(source.name) == seen:
                continue
            self._seen_lists[source.name] = seen
            changed = True
            self._read(source)
        return changed

    def _read(self, source: TrustSource) -> None:
        before = self.lists.get(source.name)
        held = before.held if before else None
        code: str | None = None
        now = self._clock()
        try:
            found = READERS[source.format](
                _content(source), name=source.name, anchors=source.anchors, now=now
            )
            self.current.trust.admit(found)
        except ListRefusedError as fault:
            self.lists[source.name] = ListState(
                name=source.name, held=held, refused=fault.code, text=str(fault)
            )
            log.error("list-refused", list=source.name, code=fault.code, detail=str(fault))
            outcome, code = ListOutcome.REFUSED, fault.code
        else:
            held = found
            self.lists[source.name] = ListState(name=source.name, held=found)
            self._remember_high_water()
            for entry in found.faults:
                log.error("list-entry-dropped", list=source.name, detail=f"{entry.where}: {entry.reason}")
            outcome = ListOutcome.LOADED
        self._recorder.record(
            ListEvent(
                name=source.name,
                outcome=outcome,
                at=now,
                code=code,
                valid_until=held.valid_until if held else None,
                entities=len(held.entities) if held else 0,
                faults=len(held.faults) if held else 0,
            )
        )

    def _high_water(self) -> dict[str, int]:
        try:
            return {str(name): int(mark) for name, mark in json.loads(self._marks.read_text()).items()}
        except FileNotFoundError:
            return {}

    def _remember_high_water(self) -> None:
        """Put the highest sequence numbers on disk, so that an older list is refused after a restart too."""
        marks = self._high_water()
        highest = {
            name: max(mark, marks.get(name, mark)) for name, mark in self.current.trust.highest().items()
        }
        if highest.items() <= marks.items():
            return
        temporary = self._marks.with_name(f".{self._marks.name}.{os.getpid()}")
        with temporary.open("w") as file:
            json.dump(marks | highest, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._marks)

    # --- configuration

    def refresh_configuration(self) -> bool:
        """Take over a changed configuration if it has no mistakes; True if the region was replaced."""
        directory = self.current.configuration.directory
        seen = fingerprint(directory)
        if seen == self._seen_configuration:
            return False
        self._seen_configuration = seen
        now = self._clock()
        try:
            configuration = load(directory, state=self._state)
        except ConfigurationError as fault:
            self.mistakes = len(fault.mistakes)
            log.error("configuration-refused", mistakes=self.mistakes)
            for mistake in fault.mistakes:
                log.error("configuration-mistake", path=f"{mistake.file}:{mistake.line}", detail=mistake.text("en"))
            self._recorder.record(
                ConfigEvent(outcome=ConfigOutcome.REFUSED, at=now, mistakes=self.mistakes)
            )
            return False
        self.mistakes = 0
        self._replace(configuration)
        self._recorder.record(ConfigEvent(outcome=ConfigOutcome.LOADED, at=now))
        return True

    def _replace(self, configuration: Configuration) -> None:
        """Open the new region around a trusted set that keeps what unchanged sources gave."""
        before = {source.name: source for source in self.current.configuration.sources}
        trust = TrustedSet(self.current.trust.highest())
        kept: dict[str, ListState] = {}
        for source in configuration.sources:
            state = self.lists.get(source.name)
            if source == before.get(source.name) and state is not None:
                kept[source.name] = state
                if state.held is not None:
                    trust.admit(state.held)
            else:
                self._seen_lists.pop(source.name, None)
        region = open_region(configuration, self._keys, trust, self._messages)
        self.lists = kept
        self.current = region
        self.refresh_lists()


def fingerprint(directory: Path) -> str:
    """Changes when a YAML file of the configuration directory comes, goes or is written."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*.yaml")):
        digest.update(f"{path}\0{_stamp(path)}\0".encode())
    return digest.hexdigest()


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as fault:
        return f"absent:{fault.errno}"
    return f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


def _content(source: TrustSource) -> bytes:
    try:
        with source.file.open("rb") as file:
            content = file.read(MAX_LIST_BYTES + 1)
    except OSError as fault:
        raise ListRefusedError(
            "unreadable",
            f"{source.file}: cannot be read ({fault.strerror}). Expected the signed list {source.name}. "
            "Sign it with `kakehashi trust sign`, or mend the path in trust.yaml.",
        ) from fault
    if len(content) > MAX_LIST_BYTES:
        raise ListRefusedError(
            "too-large", f"{source.file}: more than {MAX_LIST_BYTES} bytes. Expected a list of a region or a country."
        )
    return content
