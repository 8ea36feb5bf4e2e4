"""A country of governments for the benchmark: three entities each, on signed lists in all four formats.

Each government has a SAML identity provider (`saml-metadata`, 8 KB each as in the large federations), a certificate
authority (`etsi-119612`) and an OpenID provider; of these every other one is on an `etsi-119602` list, and the others
in a federation of one anchor and a superior for each prefecture, so that a chain is of three statements, each with a
key of its own. Codes are made up, with valid check digits.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from tests.trust_lists import aggregates, etsi_lists, federations
from tests.trust_lists.builders import NOW, UNTIL, aggregate, public_jwks
from trust_lists import etsi, etsi_json, federation_bundles
from trust_lists.codes import check_digit

SIZES = (60, 5_364, 20_000)
"""Entities: a prefecture's, those of 1,788 governments, and far more than there are."""

AT = NOW + timedelta(minutes=10)
"""When the lists are read."""

LISTS = {
    "country-saml": "saml-metadata",
    "country-certificates": "etsi-119612",
    "country-openid": "etsi-119602",
    "country-federation": "openid-federation",
}
"""Lists of the whole country, with their formats; the first is the largest."""

TOWN = "town"
"""A list of one government's own, in the format of the last one's."""

ANCHOR = "https://federation.example"
_PREFECTURES = 47
_KINDS = 3
_END_OF_ATTRIBUTES = "      </mdattr:EntityAttributes>\n"


def code(government: int) -> str:
    """A local-government code, another one for each number below 46,953."""
    five = f"{government % _PREFECTURES + 1:02}{government // _PREFECTURES + 1:03}"
    return five + check_digit(five)


def governments(entities: int) -> int:
    """How many governments have so many entities, three each; the last one may have fewer."""
    return -(-entities // _KINDS)


def write(folder: Path, entities: int) -> dict[str, int]:
    """Sign the lists: `NAME`, `NAME.der` with the pin, newer versions as `NAME.next`; answers the entities of each."""
    of_kind = [range((entities + _KINDS - 1 - kind) // _KINDS) for kind in range(_KINDS)]
    saml = list(_identity_providers(len(of_kind[0])))
    signer = etsi_lists.operator()
    authorities = [_certificate_authority(each) for each in of_kind[1]]
    providers = [_provider(each) for each in of_kind[2] if each % 2 == 0]
    members = [each for each in of_kind[2] if each % 2]
    town = [_service(number) for number in range(_KINDS)]
    documents = {
        "country-saml": _saml(saml, NOW),
        "country-saml.next": _saml(saml[:-1], NOW + timedelta(minutes=1)),
        "country-certificates": etsi_lists.publish(*authorities, by=signer, name="country-certificates"),
        "country-openid": _json(providers, name="country-openid"),
        "country-federation": _federation(members),
        TOWN: _json(town, name=TOWN),
        f"{TOWN}.next": _json(town[:-1], name=TOWN, sequence=2),
    }
    for name, document in documents.items():
        (folder / name).write_bytes(document)
    for name in (*LISTS, TOWN):
        (folder / f"{name}.der").write_bytes(federations.der(ANCHOR) if name == "country-federation" else signer.der)
    counts = (len(saml), len(authorities), len(providers), len(members))
    return dict(zip(LISTS, counts, strict=True))


def _saml(members: list[str], created: datetime) -> bytes:
    return aggregate(*members, by=etsi_lists.operator(), created=created, until=UNTIL)


def _json(members: list[dict[str, Any]], *, name: str, sequence: int = 1) -> bytes:
    signer = etsi_lists.operator()
    return etsi_json.publish(
        members,
        name=name,
        key_pem=signer.key_pem,
        certificate_pem=signer.certificate_pem,
        issued_at=NOW,
        valid_until=UNTIL,
        sequence=sequence,
    )


# --- entities


def _identity_providers(count: int) -> Iterator[str]:
    """SAML metadata; the generator gives a service provider and an identity provider in turns."""
    for number, each in enumerate(islice(aggregates.entities(2 * count), 1, None, 2)):
        stated = (
            '        <saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
            f'Name="urn:kakehashi:municipality"><saml:AttributeValue>{code(number)}</saml:AttributeValue></saml:Attribute>\n'
        )
        yield each.replace(_END_OF_ATTRIBUTES, stated + _END_OF_ATTRIBUTES, 1)


def _entry(government: int, role: str, host: str, **stated: Any) -> dict[str, Any]:
    return {
        "entity_id": f"https://{host}",
        "role": role,
        "municipality": code(government),
        "name": {"ja": f"第{government}号自治体", "en": f"Government No. {government}"},
        "uses": ["civic", "library"],
        "maximum_identity": 2,
        "since": "2025-04-01",
        **stated,
    }


def _certificate_authority(government: int) -> dict[str, Any]:
    return _entry(
        government,
        "certificate-authority",
        f"ca-{government}.example",
        certificates=[etsi_lists.operator(f"Certificate authority No. {government}").base64],
        addresses=[f"https://ca-{government}.example/crl"],
        service_type=etsi_lists.QUALIFIED,
    )


def _provider(government: int) -> dict[str, Any]:
    host = f"op-{government}.example"
    metadata = {"issuer": f"https://{host}", "jwks": public_jwks(host)}
    return _entry(government, "openid-provider", host, metadata=metadata)


def _service(number: int) -> dict[str, Any]:
    host = f"service-{number}.example"
    return _entry(0, "regional-service", host, addresses=[f"https://{host}/api"])


# --- a federation


def _federation(members: list[int]) -> bytes:
    """A bundle of a chain for each: its configuration, its prefecture's word on it, the anchor's on the prefecture."""
    lasts = {"iat": int(NOW.timestamp()), "exp": int(UNTIL.timestamp())}
    anchor = federations.superior(ANCHOR, **lasts)
    prefectures = [
        federations.superior(f"https://prefecture-{n}.example", ANCHOR, **lasts) for n in range(_PREFECTURES)
    ]
    about_prefectures = [anchor.statement(each.entity_id, **lasts) for each in prefectures]
    chains = []
    for government in members:
        number = government % _PREFECTURES
        entity_id = f"https://op-{government}.example"
        said = {"municipality": code(government), "uses": ["civic", "library"], "maximum_identity": 2}
        leaf = federations.leaf(
            entity_id,
            prefectures[number].entity_id,
            openid_provider={"issuer": entity_id, "jwks": public_jwks(f"op-{government}.example")},
        )
        above = prefectures[number].statement(entity_id, **lasts, metadata={etsi.FEDERATION_MEMBER: said})
        chains.append((leaf.configuration(**lasts), above, about_prefectures[number]))
    return federation_bundles.dump(anchor.configuration(), chains)
