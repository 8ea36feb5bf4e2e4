"""What the demo's authority issues to one person: a certificate for their phone's key, and one of their attributes.

The certificate carries the basic four as the certificates of My Number Cards do: subjectAltName, otherName
1.2.392.200149.8.5.5.n. The attribute certificate is an SD-JWT (RFC 9901) bound to the same key, from which the person
discloses what they like.
"""

import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from gateway.demo.authority_keys import ENTITY_ID, AuthorityKeys, Pair, certificate_for, key_usage, policies
from gateway.demo.phone_owners import Owner
from gateway.demo.residents import ERAS

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

JPKI = "1.2.392.200149.8.5.5"
ERA_DIGITS = {"大正": "2", "昭和": "3", "平成": "4", "令和": "5"}
MUNICIPALITY = "102016"
LIFETIME = timedelta(days=365 * 5)
"""Of a certificate: at most five years, as the Act's regulations allow."""
ATTRIBUTES_TYPE = "urn:example:maebashi:attributes"


def signing_certificate(
    owner: Owner, key: PublicKey, issuer: Pair, keys: AuthorityKeys, *, begin: datetime, end: datetime
) -> x509.Certificate:
    """A certificate for signing. Its subject's serialNumber is what a renewal keeps."""
    record = owner.resident.record
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "Maebashi"),
            x509.NameAttribute(NameOID.COMMON_NAME, record["name"]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, owner.number),
        ]
    )
    fields = (
        (1, record["name"]),
        (2, "0" * len(record["name"])),
        (3, record["gender"]),
        (4, era_date(_born(record))),
        (5, record["address"]),
        (6, "0" * len(record["address"])),
    )
    names = [x509.OtherName(x509.ObjectIdentifier(f"{JPKI}.{n}"), core.UTF8String(text).dump()) for n, text in fields]
    return (
        certificate_for(key, issuer, links=keys.links, subject=subject, begin=begin, end=end)
        .add_extension(key_usage("digital_signature", "content_commitment"), critical=True)
        .add_extension(policies(owner.policy), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer.key, hashes.SHA384())
    )


def attribute_certificate(
    owner: Owner, key: PublicKey, keys: AuthorityKeys, *, identifier: str, begin: datetime, end: datetime
) -> str:
    """An SD-JWT (RFC 9901 §4) with every disclosure, bound to `key` by `cnf` (RFC 7800 §3.2)."""
    disclosures = [
        _base64url(json.dumps([secrets.token_urlsafe(16), name, value], ensure_ascii=False).encode())
        for name, value in attributes(owner).items()
    ]
    claims = {
        "iss": ENTITY_ID,
        "vct": ATTRIBUTES_TYPE,
        "jti": identifier,
        "iat": int(begin.timestamp()),
        "exp": int(end.timestamp()),
        "cnf": {"jwk": public_jwk(key)},
        "_sd_alg": "sha-256",
        "_sd": sorted(_base64url(sha256(each.encode()).digest()) for each in disclosures),
    }
    header = {
        "alg": "ES256",
        "typ": "dc+sd-jwt",
        "x5c": [b64encode(pair.der).decode() for pair in (keys.attributes, keys.issuing)],
    }
    signer = ECKey.import_key(
        keys.attributes.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    token = jws.serialize_compact(header, json.dumps(claims).encode(), signer, algorithms=["ES256"])
    return "~".join((token, *disclosures, ""))


def attributes(owner: Owner) -> dict[str, str]:
    """What the attribute certificate of somebody holds, by its names; what a record lacks is absent."""
    record = owner.resident.record
    kana = [record.get(f"{part}_name#ja-Kana-JP") for part in ("family", "given")]
    found = {
        "full_name": record["name"],
        "family_name": record.get("family_name"),
        "given_name": record.get("given_name"),
        "full_name_kana": " ".join(part for part in kana if part),
        "family_name_kana": kana[0],
        "given_name_kana": kana[1],
        "common_name": record.get("通称"),
        "birthdate": _born(record).isoformat(),
        "sex": record["gender"],
        "postal_code": record["郵便番号"],
        "local_government_code": MUNICIPALITY,
        "full_address": record["address"],
    }
    return {name: value for name, value in found.items() if value}


def era_date(born: date) -> str:
    """The digit of the era, then the year, month and day of the Gregorian calendar: `319850315`."""
    era = next(name for first, name in ERAS if born >= first)
    return f"{ERA_DIGITS[era]}{born:%Y%m%d}"


def public_jwk(key: PublicKey) -> Mapping[str, object]:
    """A public key as JWK (RFC 7517)."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    kind = ECKey if isinstance(key, ec.EllipticCurvePublicKey) else RSAKey
    return dict(kind.import_key(pem).as_dict(private=False))


def _born(record: Mapping[str, str]) -> date:
    return date.fromisoformat(record["birthdate"])


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
