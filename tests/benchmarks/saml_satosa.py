"""SATOSA between the driver's peers: its environment, its configuration, its gunicorn.

It is set up as its own documentation has it: one SAML frontend, one SAML backend with one identity provider (so no
discovery), `gunicorn -b ADDRESS satosa.wsgi:app` with gunicorn's own defaults, which are one synchronous worker. TLS is
left to a proxy in front, as it is for the gateway here. The log has the level INFO and goes to a file.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.benchmarks import saml_messages as messages
from tests.benchmarks.saml_driver import Peers
from tests.benchmarks.saml_gateway import ROOT, NotStartedError, Started, free_port, read_proxy, stopped, wait_for
from tests.benchmarks.saml_messages import Pair

HERE = Path(__file__).resolve().parent / "satosa"
REQUIREMENTS = HERE / "requirements.txt"
ENVIRONMENT = ROOT / ".bench" / "satosa"

FRONTEND, BACKEND = "Saml2IDP", "Saml2"

_SHA256 = {"signing_algorithm": messages.RSA_SHA256, "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256"}
"""Left to itself, pysaml2 signs requests with SHA-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run it: what gunicorn loads, and the environment variables that are added."""

    application: str
    environment: Mapping[str, str] = field(default_factory=dict)


VARIANTS: Mapping[str, Variant] = {
    "satosa_stock": Variant(application="satosa.wsgi:app"),
    "satosa_tuned": Variant(
        application="tuned:app", environment={"SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/nonexistent"}
    ),
    "satosa_inprocess": Variant(application="inprocess:app"),
}


def environment() -> Path:
    """Answer the Python of SATOSA's virtual environment, made if it is not there. Raises `NotStartedError`."""
    subprocess.run(["sh", str(HERE / "install-xmlsec1.sh")], check=False)
    if shutil.which("xmlsec1") is None:
        raise NotStartedError("the program xmlsec1 is missing and could not be installed (Debian: xmlsec1)")
    stamp = ENVIRONMENT / ".installed"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    python = ENVIRONMENT / "bin" / "python"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    sys.stderr.write(f"Installing SATOSA into {ENVIRONMENT.relative_to(ROOT)} …\n")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(ENVIRONMENT)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(REQUIREMENTS)])
    stamp.write_text(wanted)
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStartedError(f"{' '.join(command[:5])} … failed: {done.stderr.strip()[-600:]}")


def versions(python: Path) -> dict[str, str]:
    """What the peer is made of."""
    listed = (line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    pinned = {name: number for name, number in listed if name in ("SATOSA", "pysaml2", "gunicorn", "xmlsec", "lxml")}
    program = subprocess.run(["xmlsec1", "--version"], capture_output=True, text=True, check=True).stdout
    number = subprocess.run([str(python), "--version"], capture_output=True, text=True, check=True).stdout
    return {**pinned, "xmlsec1 (program)": program.split()[1], "python": number.split()[1]}


@contextlib.contextmanager
def satosa(folder: Path, variant: Variant, peers: Peers, own: Pair) -> Iterator[Started]:
    """Run SATOSA in that variant. Raises `NotStartedError`."""
    python = environment()
    port = free_port()
    base = f"http://localhost:{port}"
    _configure(folder, base, peers, own)
    log = folder / "gunicorn.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(str(python), "-m", "gunicorn", "-b", f"localhost:{port}", "--pythonpath", str(HERE)),
                "--no-control-socket",
                variant.application,
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variant.environment},
        )
    with stopped(process):
        wait_for(f"{base}/{FRONTEND}/proxy.xml", process, log)
        proxy = read_proxy(f"{base}/{FRONTEND}/proxy.xml", f"{base}/{BACKEND}/proxy_saml2_backend.xml")
        yield Started(process=process, proxy=proxy, log=folder / "satosa-info.log")


# --- its files


def _configure(folder: Path, base: str, peers: Peers, own: Pair) -> None:
    for name in ("frontend", "backend"):
        (folder / f"{name}.key").write_bytes(own.key_pem)
        (folder / f"{name}.crt").write_bytes(own.certificate_pem)
    (folder / "idp.xml").write_text(messages.idp_metadata(peers.idp))
    (folder / "sp.xml").write_text(messages.sp_metadata(peers.sp))
    for name, content in _files(base).items():
        (folder / name).write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))


def _files(base: str) -> dict[str, object]:
    """Its examples' files, with what does not concern a login left out."""
    return {
        "proxy_conf.yaml": {
            "BASE": base,
            "COOKIE_STATE_NAME": "SATOSA_STATE",
            "CONTEXT_STATE_DELETE": True,
            "STATE_ENCRYPTION_KEY": hashlib.sha256(os.urandom(32)).hexdigest(),
            "cookies_samesite_compat": [["SATOSA_STATE", "SATOSA_STATE_LEGACY"]],
            "INTERNAL_ATTRIBUTES": "internal_attributes.yaml",
            "BACKEND_MODULES": ["backend.yaml"],
            "FRONTEND_MODULES": ["frontend.yaml"],
            "LOGGING": {
                "version": 1,
                "formatters": {
                    "simple": {"format": "[%(asctime)s] [%(levelname)s] [%(name)s.%(funcName)s] %(message)s"}
                },
                "handlers": {
                    "info_file": {
                        "class": "logging.handlers.RotatingFileHandler",
                        "filename": "satosa-info.log",
                        "encoding": "utf8",
                        "maxBytes": 10485760,
                        "backupCount": 20,
                        "level": "INFO",
                        "formatter": "simple",
                    }
                },
                "loggers": {"satosa": {"level": "INFO"}, "saml2": {"level": "INFO"}},
                "root": {"level": "INFO", "handlers": ["info_file"]},
            },
        },
        "internal_attributes.yaml": {
            "attributes": {
                "address": {"saml": ["postalAddress"]},
                "displayname": {"saml": ["displayName"]},
                "givenname": {"saml": ["givenName"]},
                "mail": {"saml": ["email", "emailAddress", "mail"]},
                "surname": {"saml": ["sn", "surname"]},
            }
        },
        "backend.yaml": {
            "module": "satosa.backends.saml2.SAMLBackend",
            "name": BACKEND,
            "config": {
                "entityid_endpoint": True,
                "sp_config": {
                    "key_file": "backend.key",
                    "cert_file": "backend.crt",
                    "metadata": {"local": ["idp.xml"]},
                    "entityid": "<base_url>/<name>/proxy_saml2_backend.xml",
                    "accepted_time_diff": 60,
                    "service": {
                        "sp": {
                            "authn_requests_signed": True,
                            **_SHA256,
                            "want_response_signed": True,
                            "want_assertions_signed": True,
                            "allow_unsolicited": False,
                            "endpoints": {
                                "assertion_consumer_service": [["<base_url>/<name>/acs/post", messages.POST]],
                            },
                            "name_id_format": [messages.PERSISTENT],
                            "name_id_format_allow_create": True,
                        }
                    },
                },
            },
        },
        "frontend.yaml": {
            "module": "satosa.frontends.saml2.SAMLFrontend",
            "name": FRONTEND,
            "config": {
                "endpoints": {"single_sign_on_service": {messages.POST: "sso/post", messages.REDIRECT: "sso/redirect"}},
                "entityid_endpoint": True,
                "idp_config": {
                    "key_file": "frontend.key",
                    "cert_file": "frontend.crt",
                    "metadata": {"local": ["sp.xml"]},
                    "entityid": "<base_url>/<name>/proxy.xml",
                    "accepted_time_diff": 60,
                    "service": {
                        "idp": {
                            "endpoints": {"single_sign_on_service": []},
                            "name": "Proxy IdP",
                            "name_id_format": [messages.PERSISTENT],
                            "want_authn_requests_signed": True,
                            **_SHA256,
                            "policy": {
                                "default": {
                                    "attribute_restrictions": None,
                                    "fail_on_missing_requested": False,
                                    "lifetime": {"minutes": 15},
                                    "name_form": messages.URI_NAMES,
                                    "sign_response": True,
                                    "sign_assertion": True,
                                    "encrypt_assertion": False,
                                    "encrypted_advice_attributes": False,
                                }
                            },
                        }
                    },
                },
            },
        },
    }
