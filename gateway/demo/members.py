"""The demo systems as members of the region: what each hands to the lists' authority, and the signing.

Members' files are made from the systems' own keys, so nothing has to run yet. Lists are signed again only
when a member changed or half of a list's life is over; most starts do neither, and load no SAML for it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from gateway.demo.addresses import Addresses
from gateway.demo.authority_keys import ENTITY_ID, listed_certificate
from gateway.demo.keys import message_pair, public_keys, saml_pair, signing_key
from gateway.demo.rendering import digest
from gateway.demo.roster import (
    ALGORITHMS,
    COUNCIL,
    FACES,
    LISTED_PROVIDERS,
    OPENID_PROVIDERS,
    SAML_SYSTEMS,
    directory,
    member_directory,
    member_entity_id,
    saml_entity_id,
)
from trust_lists.recipes import read_recipe

METADATA_DAYS = timedelta(days=3650)
"""How long a member's metadata in the authority's hands are good; the list's own end is what counts."""

RECIPES = ("region-saml.yaml", "region-openid.yaml", "maebashi-certificates.yaml", "region-assurance.yaml")
RECORD = "signed.json"
"""Beside the authority's key: what was signed last, and when to do it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who signs the region's lists."""

    key: Path
    certificate: Path


def authority(state: Path) -> Authority:
    """The authority's key and certificate, made at the first start."""
    home = state / "authority"
    if not (home / "key.pem").exists():
        from trust_lists.authoring import new_authority  # noqa: PLC0415 - only at the first start

        new_authority(home)
    return Authority(key=home / "key.pem", certificate=home / "certificate.pem")


def write_members(config: Path, systems: Path, addresses: Addresses, now: datetime) -> None:
    """Write each demo system's member file for the recipes, unless it is there as it should be."""
    for name in LISTED_PROVIDERS:
        _write_yaml(config / "lists" / "openid-members" / f"{name}.yaml", _provider(name, systems, addresses))
    _write_yaml(config / "lists" / "openid-members" / "participation.yaml", _relying_party(systems, addresses))
    for code in COUNCIL:
        _council_member(config / "lists" / "openid-members", code, systems, addresses)
    _certificate_authority(config / "lists" / "certificate-authorities", systems, addresses, now)
    for name, (file, municipality) in SAML_SYSTEMS.items():
        path = config / "lists" / "saml-members" / f"{file}.xml"
        _write_yaml(path.with_suffix(".yaml"), {"municipality": municipality})
        own = directory(systems, name)
        made_of = digest(b"".join(saml_pair(own, f"Kakehashi demo {name}")) + saml_entity_id(addresses, name).encode())
        stamp = own / "metadata.digest"
        if path.exists() and stamp.exists() and stamp.read_text() == made_of:
            continue
        from gateway.demo.systems import saml_provider  # noqa: PLC0415 - loads SAML

        metadata = saml_provider(name, systems, addresses).metadata(now=now, valid_until=now + METADATA_DAYS)
        path.write_bytes(metadata)
        stamp.write_text(made_of)


def sign_lists(config: Path, signer: Authority, now: datetime) -> list[Path]:
    """Sign every list that needs it; answers the outputs that were written. Raises `RecipeError`."""
    record = signer.key.parent / RECORD
    before = _read(record)
    after: dict[str, dict[str, str]] = {}
    written: list[Path] = []
    for name in RECIPES:
        recipe = config / "lists" / name
        last = before.get(name, {})
        if not _good(recipe, last, now):
            from trust_lists.authoring import sign_list  # noqa: PLC0415 - loads SAML

            output = sign_list(recipe, key=signer.key, certificate=signer.certificate, now=now)
            written.append(output)
            last = {
                "members": _members_digest(recipe),
                "output": str(output.name),
                "output_digest": digest(output.read_bytes()),
                "again": (now + read_recipe(recipe).validity / 2).isoformat(),
            }
        after[name] = last
    record.write_text(json.dumps(after, indent=1))
    return written


def _good(recipe: Path, last: dict[str, str], now: datetime) -> bool:
    """Whether the list is still what was signed, of the same members, and in the first half of its life."""
    output = recipe.parent / last.get("output", "-")
    return (
        output.is_file()
        and last["output_digest"] == digest(output.read_bytes())
        and last["members"] == _members_digest(recipe)
        and now < datetime.fromisoformat(last["again"])
    )


def _members_digest(recipe: Path) -> str:
    return digest(b"".join(_contents(recipe)))


def _contents(recipe: Path) -> Iterator[bytes]:
    yield recipe.read_bytes()
    for path in sorted(read_recipe(recipe).members.rglob("*")):
        if path.is_file():
            yield path.name.encode() + b"\0" + path.read_bytes()


def _provider(name: str, systems: Path, addresses: Addresses) -> dict[str, Any]:
    """An OpenID provider as the list states it: its issuer, and its keys pinned."""
    title = FACES[name][0]
    return {
        "entity_id": addresses.url(name),
        "role": "openid-provider",
        "municipality": OPENID_PROVIDERS[name],
        "name": dict(title),
        "metadata": {
            "issuer": addresses.url(name),
            "jwks": public_keys(signing_key(directory(systems, name), ALGORITHMS[name])),
        },
    }


def _certificate_authority(members: Path, systems: Path, addresses: Addresses, now: datetime) -> None:
    """The authority that issues Maebashi's certificates, as Maebashi's list states it: not the root above it."""
    certificate = listed_certificate(directory(systems, "authority"), addresses.url("authority"), now)
    members.mkdir(parents=True, exist_ok=True)
    pem = members / "maebashi.pem"
    if not pem.exists() or pem.read_bytes() != certificate:
        pem.write_bytes(certificate)
    stated = {
        "entity_id": ENTITY_ID,
        "role": "certificate-authority",
        "municipality": OPENID_PROVIDERS["maebashi"],
        "name": {"ja": "前橋市 電子証明書（デモ）", "en": "Maebashi City certificates (demo)"},
        "certificates": [pem.name],
        "uses": ["civic", "participation"],
        "maximum_identity": 3,
        "since": "2026-04-01",
    }
    _write_yaml(members / "maebashi.yaml", stated)


def _council_member(members: Path, code: str, systems: Path, addresses: Addresses) -> None:
    """A member of the policy council as the list states it: where its system answers, and by which key it signs."""
    entity_id = member_entity_id(addresses, code)
    _, certificate = message_pair(member_directory(systems, code), f"Kakehashi demo {code}")
    members.mkdir(parents=True, exist_ok=True)
    pem = members / f"council-{code}.pem"
    if not pem.exists() or pem.read_bytes() != certificate:
        pem.write_bytes(certificate)
    stated = {
        "entity_id": entity_id,
        "role": "council-member",
        "municipality": code,
        "name": dict(COUNCIL[code]),
        "certificates": [pem.name],
        "addresses": [entity_id],
    }
    _write_yaml(members / f"council-{code}.yaml", stated)


def _relying_party(systems: Path, addresses: Addresses) -> dict[str, Any]:
    """The participation site as the list states it (RFC 7591 §2)."""
    url = addresses.url("participation")
    algorithm = ALGORITHMS["participation"]
    return {
        "entity_id": url,
        "role": "openid-relying-party",
        "name": dict(FACES["participation"][0]),
        "metadata": {
            "redirect_uris": [f"{url}/callback", f"{url}/signed"],
            "backchannel_logout_uri": f"{url}/backchannel-logout",
            "backchannel_logout_session_required": True,
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm,
            "id_token_signed_response_alg": algorithm,
            "jwks": public_keys(signing_key(directory(systems, "participation"), algorithm)),
        },
    }


def _write_yaml(path: Path, value: dict[str, Any]) -> None:
    content = yaml.safe_dump(value, allow_unicode=True, sort_keys=False).encode()
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
