"""What a phone is asked: two requests of one sign-in, signed by the gateway, and remembered as they were sent."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc6749 import OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc9101 import JWTAuthenticationRequest
from joserfc import jws
from joserfc.jwk import ECKey

from federation.certificate.model import Device
from federation.certificate.request import asked_from_json, asked_to_json, link
from tests.federation.certificate.authorities import AT
from tests.federation.certificate.sign_in_sample import ASKED, GATEWAY, KEY, SAME_DEVICE, requests

BOTH = pytest.mark.parametrize("asked", [ASKED, SAME_DEVICE], ids=["cross-device", "same-device"])


@BOTH
def test_a_request_is_signed_by_the_gateway_and_says_who_asks_for_what(asked) -> None:
    """Another library reads it: RFC 9101 §4, with the members of a request to a wallet."""
    signed = jws.deserialize_compact(asked.jwt, ECKey.import_key(KEY.public_jwk()))
    assert signed.headers() == {"alg": "ES256", "kid": KEY.kid, "typ": "oauth-authz-req+jwt"}
    claims = json.loads(signed.payload)
    assert claims.pop("jti")
    assert claims == {
        "iss": GATEWAY,
        "client_id": GATEWAY,
        "aud": "https://self-issued.me/v2",
        "response_type": "certificate_signature",
        "response_mode": "direct_post",
        "response_uri": f"{GATEWAY}/certificate/answers",
        "nonce": asked.nonce,
        "state": asked.reference,
        "iat": int(AT.timestamp()),
        "exp": int(AT.timestamp()) + 300,
        "client_metadata": {
            "client_name": "電子申請",
            "client_name#ja": "電子申請",
            "client_name#en": "Applications",
        },
        "purpose": {},
        "attributes": [{"name": "fullName", "label": {"ja": "氏名", "en": "Name"}, "disclosures": []}],
        "comparison_code": asked.code,
        "device": asked.device.value,
        "task": "sign-in",
        "formats": ["jws", "cms"],
        "algorithms": ["ES256", "ES384", "RS256", "PS256"],
    }


class Reader(JWTAuthenticationRequest):  # type: ignore[misc]
    """Authlib's reader of request objects, which knows this gateway."""

    def resolve_client_public_key(self, client: object) -> ECKey:
        del client
        return ECKey.import_key(KEY.public_jwk())

    def get_server_metadata(self) -> dict[str, list[str]]:
        return {"request_object_signing_alg_values_supported": ["ES256"]}


class Gateway:
    """The client of such a request, as Authlib asks for one."""

    client_id = GATEWAY


def test_another_s_reader_of_request_objects_takes_it() -> None:
    """RFC 9101 §4: no `request` or `request_uri` in it, among others. That library goes by the clock on the wall."""
    for asked in requests(now=datetime.now(UTC)):
        request = OAuth2Request("GET", "https://phone.example/")
        request.payload = BasicOAuth2Payload({"client_id": GATEWAY, "request": asked.jwt})
        assert Reader()._decode_request_object(request, Gateway(), asked.jwt).claims["nonce"] == asked.nonce


def test_the_two_requests_of_a_sign_in_share_the_comparison_code_and_no_secret() -> None:
    """One page shows one code; who saw one request knows nothing of the other."""
    assert [ASKED.device, SAME_DEVICE.device] == [Device.CROSS, Device.SAME]
    assert ASKED.code == SAME_DEVICE.code
    assert len(ASKED.code) == 4
    assert ASKED.code.isdecimal()
    secrets = [ASKED.reference, ASKED.nonce, SAME_DEVICE.reference, SAME_DEVICE.nonce]
    assert len(set(secrets)) == 4
    assert all(len(each) == 43 for each in secrets)  # 256 bit in base64url


@BOTH
def test_a_request_is_remembered_as_it_was_sent(asked) -> None:
    """Through the store's JSON and back."""
    assert asked_from_json(json.loads(json.dumps(asked_to_json(asked)))) == asked


def test_a_request_shows_no_secret_where_it_is_printed() -> None:
    """A log that repeats it gives nothing away."""
    shown = repr(ASKED)
    assert not any(each in shown for each in (ASKED.reference, ASKED.nonce, ASKED.jwt, ASKED.handle))


def test_what_is_remembered_of_the_time_is_what_the_phone_is_told() -> None:
    """NumericDate has whole seconds here (RFC 7519 §2)."""
    asked, _ = requests(now=AT + timedelta(milliseconds=900))
    assert asked.begun_at == AT
    assert asked.expires_at == AT + timedelta(minutes=5)


@pytest.mark.parametrize("address", ["https://app.example/authorize", "https://app.example/?city=maebashi"])
def test_the_link_opens_the_app_with_the_address_of_the_request(address) -> None:
    """RFC 9101 §5.2, whether the app's address has a query or not."""
    opened = urlsplit(link(address, ASKED.reference, GATEWAY))
    assert f"{opened.scheme}://{opened.netloc}" == "https://app.example"
    found = parse_qs(opened.query)
    assert found["client_id"] == [GATEWAY]
    assert found["request_uri"] == [f"{GATEWAY}/certificate/requests/{ASKED.reference}"]


def test_a_text_to_be_signed_stands_whole_in_its_request() -> None:
    """What the phone shows is what is kept to be compared."""
    asked, _ = requests(
        kind="sign-text",
        title="申請",
        text="申請します。\n",
        formats=("cms",),
        answers="/signing/answers",
        attributes=(),
    )
    claims = json.loads(jws.deserialize_compact(asked.jwt, ECKey.import_key(KEY.public_jwk())).payload)
    assert (claims["task"], claims["title"], claims["text"]) == ("sign-text", "申請", "申請します。\n")
    assert claims["formats"] == ["cms"]
    assert claims["response_uri"] == asked.audience == f"{GATEWAY}/signing/answers"
    assert asked.text == "申請します。\n"
