"""Attribute certificates beside somebody else's implementation: the library `sd-jwt` issues them and shows them."""

from collections.abc import Mapping
from typing import Any

import pytest
import sd_jwt.holder
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer

from tests.federation.certificate.authorities import AT, Issued
from tests.federation.certificate.phone import AttributeCertificate, Phone, algorithm_of, x5c
from tests.federation.certificate.sign_in_sample import ASKED, PERSON, RSA_PERSON, SIGNER, proved, refused

CLAIMS: dict[Any, Any] = {
    "iss": "https://issuer.example",
    "vct": "urn:example:attributes",
    "iat": int(AT.timestamp()) - 60,
    "exp": int(AT.timestamp()) + 3600,
    "municipality": "102016",
    SDObj("full_name"): "山田 花子",
    SDObj("birthdate"): "1985-03-15",
    SDObj("address"): {"city": "前橋市", SDObj("street"): "大手町 1-1", SDObj("line"): {"deep": 1}},
    "languages": ["ja", SDObj("en"), SDObj("pt")],
    "household": {SDObj("children"): [SDObj("一郎"), SDObj("二郎")]},
}
"""Everything that RFC 9901 §4.2 has: members, nested ones, members of what is disclosed, elements of arrays."""

DISCLOSED: list[tuple[Any, Mapping[str, tuple[str, ...]]]] = [
    ({}, {"municipality": ("102016",), "languages": ("ja",)}),
    ({"full_name": True}, {"municipality": ("102016",), "languages": ("ja",), "full_name": ("山田 花子",)}),
    (
        {"address": {"street": True}},
        {
            "municipality": ("102016",),
            "languages": ("ja",),
            "address.city": ("前橋市",),
            "address.street": ("大手町 1-1",),
        },
    ),
    ({"languages": [False, False, True]}, {"municipality": ("102016",), "languages": ("ja", "pt")}),
    (
        {"household": {"children": [False, True]}, "birthdate": True},
        {
            "municipality": ("102016",),
            "languages": ("ja",),
            "household.children": ("二郎",),
            "birthdate": ("1985-03-15",),
        },
    ),
]
"""What is disclosed, and what is known of it then."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's holder lives when the sample does."""
    monkeypatch.setattr(sd_jwt.holder, "time", AT.timestamp)


def jwk(issued: Issued) -> JWK:
    """Its key, as the library takes it."""
    return JWK.from_pyca(issued.key)


def issued(holder: Issued, *, signer: Issued = SIGNER, decoys: bool = False) -> str:
    """The attribute certificate, with every disclosure."""
    header = {"typ": "dc+sd-jwt", "x5c": x5c(signer.x5c)}
    made = SDJWTIssuer(
        CLAIMS,
        jwk(signer),
        JWK.from_json(jwk(holder).export_public()),
        sign_alg=algorithm_of(signer.key),
        add_decoy_claims=decoys,
        extra_header_parameters=header,
    )
    return str(made.sd_jwt_issuance)


def shown(token: str, claims: Any, holder: Issued, *, nonce: str = ASKED.nonce, to: str = ASKED.audience) -> str:
    """What the holder shows, with the proof that it is theirs."""
    held = SDJWTHolder(token)
    held.create_presentation(claims, nonce, to, jwk(holder), sign_alg=algorithm_of(holder.key))
    return str(held.sd_jwt_presentation)


def answered(presentation: str, holder: Issued = PERSON) -> Any:
    """The phone's answer with it."""
    any_of_ours = AttributeCertificate(SIGNER, holder)
    return Phone(holder).answer(ASKED.jwt, attributes=any_of_ours, presented=lambda _: presentation)


@pytest.mark.parametrize("decoys", [False, True])
@pytest.mark.parametrize("holder", [PERSON, RSA_PERSON], ids=["on a curve", "RSA"])
@pytest.mark.parametrize(("claims", "expected"), DISCLOSED)
def test_what_is_shown_is_known(
    claims: Any, expected: Mapping[str, tuple[str, ...]], holder: Issued, *, decoys: bool
) -> None:
    """Exactly that, whatever else there is, and whatever only looks as if there were."""
    found = proved(answered(shown(issued(holder, decoys=decoys), claims, holder), holder))
    known = {name: values for name, values in found.attributes.items() if name.startswith("attribute.")}
    assert known == {f"attribute.{name}": values for name, values in expected.items()}


def test_what_was_shown_to_others_or_by_others_is_refused() -> None:
    """For another request or another service, with another's key, or issued to another."""
    token = issued(PERSON)
    for presentation in (
        shown(token, {}, PERSON, nonce="another"),
        shown(token, {}, PERSON, to="https://other.example"),
        shown(token, {}, SIGNER),
        shown(issued(RSA_PERSON), {}, PERSON),
        shown(issued(PERSON, signer=PERSON), {}, PERSON),
    ):
        assert refused(answered(presentation)).code == "attributes-unverified"
