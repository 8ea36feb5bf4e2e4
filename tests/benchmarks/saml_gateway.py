"""The gateway between the driver's peers: its configuration and its process."""

import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from lxml import etree

from gateway.listeners import bind
from tests.benchmarks import saml_messages as messages
from tests.benchmarks.saml_driver import Proxy
from tests.benchmarks.saml_messages import MD, POST, REDIRECT, Pair

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60
STOP_SECONDS = 30


class NotStartedError(Exception):
    """A proxy that does not run; the text is the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A proxy that runs: the root of its process tree, its log, and what the driver must know of it."""

    process: "subprocess.Popen[bytes]"
    proxy: Proxy
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruments:
    """Files that the launcher is to write at the end; without either the gateway is started as anywhere else."""

    delay: Path | None = None
    profile: Path | None = None

    @property
    def program(self) -> list[str]:
        """What to run instead of the gateway's command line."""
        named = [("--delay", self.delay), ("--profile", self.profile)]
        options = [each for name, path in named if path for each in (name, str(path))]
        return [str(Path(__file__).with_name("saml_launch.py")), *options] if options else ["-m", "gateway"]


def free_port() -> int:
    """A port that is free on every address of localhost just now."""
    sockets = bind("localhost", 0)
    port: int = sockets[0].getsockname()[1]
    for each in sockets:
        each.close()
    return port


@contextlib.contextmanager
def gateway(
    folder: Path, own: Pair, *, listed: bytes, anchor: Pair, instruments: Instruments | None = None
) -> Iterator[Started]:
    """`kakehashi serve` with one SAML ID system and one SAML service, which are among those on the list."""
    port, admin = free_port(), free_port()
    _configure(folder, own, listed=listed, anchor=anchor, port=port, admin=admin)
    log = folder / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, *(instruments or Instruments()).program, "serve"),
                *("--config", str(folder / "config"), "--state", str(folder / "state")),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LANG": "C.UTF-8"},
        )
    with stopped(process):
        wait_for(f"http://localhost:{admin}/readyz", process, log)
        base = f"http://localhost:{port}"
        yield Started(process=process, proxy=read_proxy(f"{base}/saml/metadata", f"{base}/saml/sp/metadata"), log=log)


@contextlib.contextmanager
def stopped(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End the process at the end, kindly or not."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until it answers 200. Raises `NotStartedError`."""
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise NotStartedError(f"it did not become ready; it said:\n{said(log)}")


def said(log: Path) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-12:])


def read_proxy(idp_metadata: str, sp_metadata: str) -> Proxy:
    """What a proxy's own metadata of its two roles say."""
    idp, sp = _fetched(idp_metadata), _fetched(sp_metadata)

    def location(root: "etree._Element", kind: str, binding: str) -> str:
        return next(e.get("Location", "") for e in root.iter(f"{{{MD}}}{kind}") if e.get("Binding") == binding)

    certificate = next(idp.iter(f"{{{messages.DS}}}X509Certificate")).text or ""
    return Proxy(
        sso_post=location(idp, "SingleSignOnService", POST),
        sso_redirect=location(idp, "SingleSignOnService", REDIRECT),
        acs=location(sp, "AssertionConsumerService", POST),
        sp_entity_id=sp.get("entityID", ""),
        certificate=base64.b64decode(certificate),
    )


def _fetched(url: str) -> "etree._Element":
    with urllib.request.urlopen(url, timeout=30) as answer:
        return etree.fromstring(answer.read())


# --- its files


def _configure(folder: Path, own: Pair, *, listed: bytes, anchor: Pair, port: int, admin: int) -> None:
    keys = folder / "state" / "keys"
    keys.mkdir(mode=0o700, parents=True)
    (folder / "state").chmod(0o700)
    for name, content in (("saml.pem", own.key_pem), ("saml.crt", own.certificate_pem)):
        (keys / name).write_bytes(content)
        (keys / name).chmod(0o600)
    lists = folder / "config" / "lists"
    lists.mkdir(parents=True)
    (lists / "anchor.pem").write_bytes(anchor.certificate_pem)
    (lists / "region.xml").write_bytes(listed)
    for name, settings in _files(port, admin).items():
        path = folder / "config" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))


def _files(port: int, admin: int) -> dict[str, object]:
    return {
        "gateway.yaml": {
            "public_url": f"http://localhost:{port}",
            "listen": {"host": "localhost", "port": port},
            "admin": {"host": "localhost", "port": admin},
            "region": {"name": {"ja": "計測", "en": "Bench"}, "contact": {"ja": "窓口", "en": "Desk"}},
        },
        "trust.yaml": {
            "sources": [
                {
                    "name": "region",
                    "format": "saml-metadata",
                    "file": "lists/region.xml",
                    "anchors": ["lists/anchor.pem"],
                }
            ]
        },
        "id-systems/maebashi.yaml": {
            "id": "maebashi",
            "kind": "saml",
            "entity_id": messages.IDP_ENTITY,
            "municipality": "102016",
            "name": {"ja": "前橋市", "en": "Maebashi City"},
            "reading": "まえばしし",
            "attributes": [{"to": ours, "from": [name]} for name, ours, _ in messages.ATTRIBUTES.values()],
            "assurance": {"statements": {messages.CONTEXT: {"identity": 1, "authentication": 1}}},
        },
        "services/library.yaml": {
            "id": "library",
            "kind": "saml",
            "entity_id": messages.SP_ENTITY,
            "name": {"ja": "図書館", "en": "Library"},
            "purpose": {"ja": "貸出カードを作るため", "en": "To make a library card"},
            "minimum_identity": 0,
            "attributes": [
                {"to": name, "friendly_name": friendly, "format": messages.URI_NAMES, "from": [ours]}
                for friendly, (name, ours, _) in messages.ATTRIBUTES.items()
            ],
        },
    }
