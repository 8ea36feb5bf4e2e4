"""The examples of RFC 9421 and RFC 9530: every signature of Appendix B by an algorithm that is known here."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from federation.signatures.algorithms import MessageSigner, VerifyingKey
from federation.signatures.components import Component, signature_base
from federation.signatures.digests import check_digest, content_digest
from federation.signatures.message import Request, Response
from federation.signatures.signing import SignatureRefusedError, sign, verify

AT = datetime.fromtimestamp(1618884473, UTC)


def pem(kind, text):
    """A key of RFC 9421 §B.1."""
    return f"-----BEGIN {kind} KEY-----\n{text}\n-----END {kind} KEY-----\n".encode()


KEYS = {
    "test-key-rsa-pss": VerifyingKey.of(
        load_pem_public_key(
            pem(
                "PUBLIC",
                "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2\n"
                "+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+\n"
                "oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq\n"
                "gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W\n"
                "Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4\n"
                "aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI\n"
                "2wIDAQAB",
            )
        )
    ),
    "test-key-ecc-p256": VerifyingKey.of(
        load_pem_public_key(
            pem(
                "PUBLIC",
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf\n"
                "w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==",
            )
        )
    ),
    "test-key-ed25519": VerifyingKey.of(
        load_pem_public_key(pem("PUBLIC", "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="))
    ),
}
ED25519 = load_pem_private_key(
    pem("PRIVATE", "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"), password=None
)

REQUEST = Request(
    method="POST",
    url="https://example.com/foo?param=Value&Pet=dog",
    headers=(
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        ("Content-Length", "18"),
    ),
)
RESPONSE = Response(
    status=200,
    headers=(
        ("Date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
        ),
        ("Content-Length", "23"),
    ),
    request=REQUEST,
)

VECTORS = {
    "b21": (
        REQUEST,
        '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
        (
            "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG"
            "52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVro"
            "gUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ"
            "98Xw9Q=="
        ),
    ),
    "b22": (
        REQUEST,
        (
            '("@authority" "content-digest" "@query-param";name="Pet")'
            ';created=1618884473;keyid="test-key-rsa-pss";tag="header-example"'
        ),
        (
            "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT"
            "8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBS"
            "pqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTu"
            "gEjHSw=="
        ),
    ),
    "b23": (
        REQUEST,
        (
            '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")'
            ';created=1618884473;keyid="test-key-rsa-pss"'
        ),
        (
            "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fU"
            "xN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA"
            "1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKE"
            "gM4cUA=="
        ),
    ),
    "b24": (
        RESPONSE,
        '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"',
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
    ),
    "b26": (
        REQUEST,
        (
            '("date" "@method" "@path" "@authority" "content-type" "content-length")'
            ';created=1618884473;keyid="test-key-ed25519"'
        ),
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    ),
}


def signed(name, value=None):
    """The example's message with its signature, or with another value."""
    message, entered, example = VECTORS[name]
    fields = (("Signature-Input", f"sig-{name}={entered}"), ("Signature", f"sig-{name}=:{value or example}:"))
    return replace(message, headers=(*message.headers, *fields))


@pytest.mark.parametrize("name", VECTORS)
def test_the_signatures_of_the_specification_are_believed(name):
    """RFC 9421 §B.2; with one bit turned in the value, they are not."""
    verified = verify(signed(name), keys=KEYS, required=(), now=AT, max_age=timedelta(minutes=1))

    assert (verified.label, verified.created) == (f"sig-{name}", AT)
    octets = bytearray(base64.b64decode(VECTORS[name][2]))
    octets[-1] ^= 1
    with pytest.raises(SignatureRefusedError, match=r"^signature$"):
        verify(signed(name, base64.b64encode(octets).decode()), keys=KEYS, required=(), now=AT, max_age=timedelta(1))


def test_the_deterministic_example_is_signed_octet_for_octet():
    """RFC 9421 §B.2.6, Ed25519."""
    components = ("date", "@method", "@path", "@authority", "content-type", "content-length")
    fields = sign(
        REQUEST,
        components=components,
        signer=MessageSigner.of(ED25519, "test-key-ed25519"),
        created=AT,
        label="sig-b26",
    )

    assert fields == list(signed("b26").headers[-2:])


def test_the_base_of_an_example():
    """RFC 9421 §B.2.4, written out."""
    components = tuple(map(Component.of, ("@status", "content-type", "content-digest", "content-length")))

    assert signature_base(RESPONSE, components, {"created": 1618884473, "keyid": "test-key-ecc-p256"}).decode() == (
        '"@status": 200\n'
        '"content-type": application/json\n'
        '"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJua'
        "hq4l5aGgfLQ==:\n"
        '"content-length": 23\n'
        '"@signature-params": ("@status" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-ecc-p256"'
    )


def test_the_digests_of_the_examples():
    """RFC 9421 §B.2 and RFC 9530 §B.1: by both algorithms."""
    check_digest(REQUEST.headers, b'{"hello": "world"}')
    check_digest(RESPONSE.headers, b'{"message": "good dog"}')
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


def values(message, *written):
    """What stands for each component in the base."""
    lines = signature_base(message, tuple(map(Component.of, written)), {}).decode().split("\n")[:-1]
    return [line.partition(": ")[2] for line in lines]


def test_derived_components():
    """RFC 9421 §2.2.1 to §2.2.7, by the examples there."""
    request = Request(method="POST", url="https://www.Example.com:443/path?param=value", headers=())

    assert values(request, "@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query") == [
        "POST",
        "https://www.Example.com:443/path?param=value",
        "www.example.com",
        "https",
        "/path?param=value",
        "/path",
        "?param=value",
    ]
    assert values(Request(method="GET", url="http://h:8080", headers=()), "@authority", "@path", "@query") == [
        "h:8080",
        "/",
        "?",
    ]
    assert values(Request(method="GET", url="http://[::1]:80/?", headers=()), "@authority", "@request-target") == [
        "[::1]",
        "/?",
    ]
    assert values(replace(request, target="*"), "@request-target") == ["*"]


def test_query_parameters():
    """RFC 9421 §2.2.8, by its examples: decoded as a form, encoded again; an empty one is there."""
    request = Request(
        method="GET",
        url="https://www.example.com/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace"
        "&fa%C3%A7ade%22%3A%20=something&empty=&tilde=~",
        headers=(),
    )
    names = ("var", "bar", "fa%C3%A7ade%22%3A%20", "empty", "tilde")

    assert values(request, *(f'"@query-param";name="{name}"' for name in names)) == [
        "this%20is%20a%20big%0Amultiline%20value",
        "with%20plus%20whitespace",
        "something",
        "",
        "%7E",
    ]


def test_fields():
    """RFC 9421 §2.1: lines joined, white space around them gone; `sf`, `key` and `bs` in their own ways."""
    response = Response(
        status=503,
        headers=(
            ("X-OWS", "  leading and trailing \t "),
            ("Cache-Control", "max-age=60"),
            ("cache-control", "   must-revalidate"),
            ("X-Empty", ""),
            ("Priority", ' u=1,   i;q="9"'),
            ("X-Lines", "value, with, lots"),
            ("X-Lines", "of, commas"),
        ),
        request=REQUEST,
    )

    assert values(
        response,
        *("x-ows", "cache-control", "x-empty", "priority", '"priority";sf', '"priority";key="i"', '"x-lines";bs'),
        *("@status", '"@method";req', '"content-length";req'),
    ) == [
        "leading and trailing",
        "max-age=60, must-revalidate",
        "",
        'u=1,   i;q="9"',
        'u=1, i;q="9"',
        '?1;q="9"',
        ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:",
        "503",
        "POST",
        "18",
    ]
