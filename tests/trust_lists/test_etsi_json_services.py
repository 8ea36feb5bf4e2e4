"""Services of an ETSI TS 119 602 list, one by one: what is read of them, and why one is dropped."""

import pytest

from tests.trust_lists.builders import (
    LEFT_OUT,
    UNTIL,
    authority,
    certificate_authority,
    listed,
    public_jwks,
    relying_party,
    service,
)
from trust_lists import certificates
from trust_lists.etsi_json_services import key_name, read_service
from trust_lists.model import Role, Status, StatusChange
from trust_lists.rules import EntryError
from trust_lists.times import parse_instant

TYPE = "urn:kakehashi:service-type:"
STATUS = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/"
METADATA = "urn:kakehashi:extension:openid-metadata"
CA = {"val": authority("ca").base64}


def read(one, **about):
    """Read one service of an entity."""
    return read_service(listed(one, **about), one, listed_in="list", valid_until=UNTIL)


def says(*extensions, **changed):
    """A provider with these extensions."""
    return service(ServiceInformationExtensions=list(extensions), **changed)


def information(uri):
    """Additional service information."""
    return {"AdditionalServiceInformation": {"lang": "en", "uriValue": uri}}


def identity(**stated):
    """A certificate authority of this digital identity."""
    return certificate_authority(ServiceDigitalIdentity=stated)


def shared(**stated):
    """A shared service of this digital identity."""
    return service(
        kind=TYPE + "regional-service",
        ServiceDigitalIdentity={"OtherIds": ["https://rides.example"], **stated},
        ServiceInformationExtensions=LEFT_OUT,
    )


def former(status, since, **changed):
    """A status of the past."""
    return {
        "ServiceName": [{"lang": "en", "value": "x"}],
        "ServiceDigitalIdentity": {},
        "ServiceStatus": STATUS + status,
        "StatusStartingTime": since,
        **changed,
    }


@pytest.mark.parametrize(
    "role", [role for role in Role if not role.startswith("saml") and role != "certificate-authority"]
)
def test_each_role_has_a_type(role):
    """Our own types; the role says what the type said."""
    metadata = relying_party()["metadata"] if role is Role.OPENID_RELYING_PARTY else {}
    extensions = [{METADATA: metadata}] if metadata else LEFT_OUT
    found = read(
        service(kind=TYPE + role, ServiceInformationExtensions=extensions),
        TETradeName=[{"lang": "en", "value": "LG:JP-102016"}],
    )
    assert (found.roles, found.service_type, found.municipality) == (frozenset({role}), None, "102016")


@pytest.mark.parametrize("kind", ["CA/QC", "CA/PKC"])
def test_certificate_authorities_keep_their_type(kind):
    """Which kind of authority it is stays known."""
    uri = "http://uri.etsi.org/TrstSvc/Svctype/" + kind
    assert read(certificate_authority(ServiceTypeIdentifier=uri)).service_type == uri


def test_the_entity_id():
    """The one identifier; else the extension; else the key's digest, whichever certificate carries it."""
    unique = {"ServiceUniqueIdentifier": "https://ca.example/id"}
    assert read(identity(OtherIds=["a"], X509Certificates=[CA])).entity_id == "a"
    assert (
        read(
            certificate_authority(
                ServiceDigitalIdentity={"OtherIds": ["a", "b"], "X509Certificates": [CA]},
                ServiceInformationExtensions=[unique],
            )
        ).entity_id
        == "https://ca.example/id"
    )
    named = read(identity(X509Certificates=[CA])).entity_id
    assert named == key_name(authority("ca").der)
    assert named.startswith("urn:kakehashi:service:")
    assert len(named) == len("urn:kakehashi:service:") + 64
    assert certificates.fingerprint(authority("ca").der) not in named


def test_several_certificates():
    """All are the service's, in the list's order."""
    found = read(certificate_authority(authority("ca"), authority("other")))
    assert found.signing_certificates == (authority("ca").der, authority("other").der)


def test_keys_of_a_system_by_value():
    """JWKs of shared services and council members, beside certificates or without; of a certificate authority none."""
    keys = public_jwks()["keys"]
    alone = read(shared(PublicKeyValues=keys))
    assert (alone.metadata, alone.signing_certificates) == ({"jwks": {"keys": keys}}, ())
    both = read(shared(PublicKeyValues=keys, X509Certificates=[CA]))
    assert (both.metadata, both.signing_certificates) == ({"jwks": {"keys": keys}}, (authority("ca").der,))
    assert read(identity(OtherIds=["a"], X509Certificates=[CA], PublicKeyValues=keys)).metadata == {}


def test_uses_and_assurance():
    """Ours are limits, others' are kept as they stand."""
    found = read(
        says(
            information("urn:kakehashi:use:civic"),
            information("urn:kakehashi:use:mobility"),
            information("urn:kakehashi:maximum-identity:2"),
            information("http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSignatures"),
        )
    )
    assert found.uses == {"civic", "mobility"}
    assert found.maximum_identity == 2
    assert found.information == ("http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSignatures",)


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("granted", Status.GRANTED),
        ("recognisedatnationallevel", Status.RECOGNISED),
        ("withdrawn", Status.WITHDRAWN),
        ("deprecatedatnationallevel", Status.WITHDRAWN),
    ],
)
def test_status(uri, status):
    """A withdrawn service is read as such; it is not for the reader to leave it out."""
    assert read(service(ServiceStatus=STATUS + uri)).status is status


def test_history():
    """Former statuses, the newest first, of all the kinds that ever were."""
    since = "2026-01-01T00:00:00Z"
    found = read(
        service(
            StatusStartingTime=since,
            ServiceHistory=[
                former("withdrawn", "2025-01-01T00:00:00Z"),
                former("undersupervision", "2020-01-01T00:00:00Z"),
            ],
        )
    )
    assert found.status_since == parse_instant(since)
    assert found.history == (
        StatusChange(Status.WITHDRAWN, parse_instant("2025-01-01T00:00:00Z"), STATUS + "withdrawn"),
        StatusChange(Status.GRANTED, parse_instant("2020-01-01T00:00:00Z"), STATUS + "undersupervision"),
    )


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (7, "an object is expected"),
        ({}, "ServiceInformation: is missing"),
        ({**service(), "more": 1}, "more: unknown"),
        (service(ServiceTypeIdentifier=LEFT_OUT), "ServiceTypeIdentifier: is missing"),
        (service(kind="http://uri.etsi.org/TrstSvc/Svctype/TSA/QTST"), "is no type of service that is used here"),
        (service(kind="urn:kakehashi:service-type:mayor"), "is no type of service"),
        (service(kind=["x"]), "is no type of service"),
        (service(kind=TYPE + "saml-identity-provider"), "a SAML member needs its own metadata, with endpoints"),
        (service(kind=TYPE + "saml-service-provider"), "put it on a saml-metadata list"),
        (service(ServiceName=LEFT_OUT), "ServiceName: is missing"),
        (service(ServiceName=[]), "ServiceName: a list of 1 to"),
        (service(ServiceName=[{"lang": "en", "value": "\x00"}]), r"ServiceName\[0\].value: control characters"),
        (service(ServiceName=[{"lang": "en", "value": x} for x in "ab"]), "ServiceName: two names in one language"),
        (service(ServiceDigitalIdentity=LEFT_OUT), "ServiceDigitalIdentity: is missing"),
        (service(ServiceDigitalIdentity=[]), "ServiceDigitalIdentity: an object"),
        (service(ServiceDigitalIdentity={"more": 1}), "ServiceDigitalIdentity.more: unknown"),
        (service(ServiceDigitalIdentity={}), "OtherIds: one identifier is expected"),
        (service(ServiceDigitalIdentity={"OtherIds": ["a", "b"]}), "OtherIds: one identifier is expected"),
        (service("https://op.example/ b"), "printable ASCII"),
        (service("http://op.example"), "entity_id: .*not https"),
        (service(ServiceStatus="granted"), "'granted' is no status"),
        (service(ServiceStatus=STATUS + "undersupervision"), "is no status that is known here"),
        (service(ServiceStatus=None), "is no status"),
        (service(StatusStartingTime="2026-04-01"), "StatusStartingTime: '2026-04-01' is not a time"),
        (service(StatusStartingTime=1), "StatusStartingTime: a time"),
        (service(ServiceHistory=[former("granted", "2025-01-01T00:00:00Z")]), "since when it holds"),
        (
            service(
                StatusStartingTime="2025-01-01T00:00:00Z", ServiceHistory=[former("granted", "2025-01-01T00:00:00Z")]
            ),
            r"ServiceHistory\[0\]: is not earlier",
        ),
        (service(ServiceHistory=[former("else", "2025-01-01T00:00:00Z")]), r"ServiceHistory\[0\].ServiceStatus: "),
        (service(ServiceHistory=[former("granted", "x", more=1)]), r"ServiceHistory\[0\].more: unknown"),
        (service(ServiceHistory=[]), "ServiceHistory: a list"),
        (service(more=1), "ServiceInformation.more: unknown"),
        # keys
        (identity(OtherIds=["a"]), "certificates: is missing"),
        (identity(OtherIds=["a"], X509Certificates=[]), "X509Certificates: a list"),
        (identity(OtherIds=["a"], X509Certificates=["MIIC"]), r"X509Certificates\[0\]: an object"),
        (identity(OtherIds=["a"], X509Certificates=[{"val": "MIIC"}]), "a certificate in base64"),
        (identity(OtherIds=["a"], X509Certificates=[{"val": CA["val"] + "\n"}]), "a certificate in base64"),
        (identity(OtherIds=["a"], X509Certificates=[{"val": 1}]), "a certificate in base64"),
        (identity(OtherIds=["a"], X509Certificates=[CA, CA]), "the same certificate occurs twice"),
        (identity(OtherIds=["a"], X509Certificates=[{**CA, "encoding": "urn:pem"}]), "a certificate in DER"),
        (identity(OtherIds=["a"], PublicKeyValues=[public_jwks()["keys"][0]]), "add X509Certificates"),
        (identity(OtherIds=["a"], X509SKIs=["AAAA"]), "certificates: is missing"),
        (identity(X509Certificates=[{"val": authority("short", bits=1024).base64}]), "1024 bits is too short"),
        (certificate_authority(authority("ca"), ServiceSupplyPoints=[{"uriValue": "ldap://ca"}]), "not https|absolute"),
        (certificate_authority(ServiceSupplyPoints=[{"uriValue": "https://a/"}] * 2), "the same address"),
        (certificate_authority(ServiceSupplyPoints=[{"uriValue": "https://a/", "ServiceType": "x"}]), "a URI"),
        # OpenID
        (service(kind=TYPE + "openid-relying-party"), "metadata.redirect_uris: is missing"),
        (says({METADATA: {"token_endpoint": "https://a/"}}), "metadata.token_endpoint: not a name"),
        (says({METADATA: []}), "metadata: registered"),
        (says({METADATA: {}}, {METADATA: {}}), "openid-metadata occurs twice"),
        (
            service(ServiceDigitalIdentity={"OtherIds": ["https://op.example"], "X509Certificates": [CA]}),
            "stand in its metadata, nowhere else",
        ),
        (service(ServiceSupplyPoints=[{"uriValue": "https://op.example/"}]), "stand in its metadata, nowhere else"),
        (
            service(
                ServiceDigitalIdentity={"OtherIds": ["https://op.example"], "PublicKeyValues": public_jwks()["keys"]}
            ),
            "stand in its metadata, nowhere else",
        ),
        (certificate_authority(ServiceInformationExtensions=[{METADATA: {}}]), "has no OpenID metadata"),
        (service(kind=TYPE + "council-member"), "municipality: is missing"),
        # keys by value
        (shared(PublicKeyValues={}), "a JWK Set is expected"),
        (shared(PublicKeyValues=[]), "at least one public key"),
        (shared(PublicKeyValues=[{"kty": "oct", "k": "AAAA"}]), "part of a private key"),
        (shared(PublicKeyValues=[{"kty": "EC", "crv": "P-256"}]), "the key cannot be read"),
        (
            shared(PublicKeyValues=[{**public_jwks()["keys"][0], "kid": str(n)} for n in range(33)]),
            "PublicKeyValues: at most 32 keys",
        ),
        # extensions
        (says({"urn:others:x": 1, "Critical": True}), "urn:others:x is unknown, and the service hangs on it"),
        (says({"urn:others:x": 1, "critical": True}), "urn:others:x is unknown"),
        (says({"urn:kakehashi:x": 1, "Critical": False}), "urn:kakehashi:x is unknown"),
        (says({"urn:others:x": 1, "Critical": 1}), "Critical true or false"),
        (says({"urn:others:x": 1, "urn:others:y": 1}), "one member that names the extension"),
        (says({}), "one member that names the extension"),
        (says("urn:others:x"), "an object with the extension's name"),
        (service(ServiceInformationExtensions=[]), "ServiceInformationExtensions: a list"),
        (says(information("urn:kakehashi:use:Civic")), "is not the name of a use"),
        (says(information("urn:kakehashi:maximum-identity:4")), "is not a level from 0 to 3"),
        (says(*(information(f"urn:kakehashi:maximum-identity:{n}") for n in "12")), "two highest levels"),
        (says(information("urn:kakehashi:else")), "urn:kakehashi:else is unknown"),
        (says(information("urn:Kakehashi:maximum-identity:1")), "urn:Kakehashi:maximum-identity:1 is unknown"),
        (says(information("URN:kakehashi:use:civic")), "URN:kakehashi:use:civic is unknown"),
        (says(information("no uri")), "a URI is expected"),
        (says({"AdditionalServiceInformation": "urn:x:y"}), "an object is expected"),
    ],
)
def test_services_that_break_a_rule(one, text):
    """Each is dropped alone, and the reason names the place."""
    with pytest.raises(EntryError, match=text):
        read(one)


@pytest.mark.parametrize(
    ("about", "text"),
    [
        ({"TEName": LEFT_OUT}, "TEName: is missing"),
        ({"TEName": "x"}, "TEName: a list"),
        ({"more": 1}, "TrustedEntityInformation.more: unknown"),
        ({"TETradeName": [{"lang": "en", "value": "LG:JP-102017"}]}, "TETradeName: .*check digit"),
        ({"TETradeName": [{"lang": "en", "value": f"LG:JP-{x}"} for x in ("102016", "012173")]}, "two municipalities"),
        ({"TEInformationExtensions": [{"urn:others:x": 1, "Critical": True}]}, "urn:others:x is unknown"),
        ({"TEInformationExtensions": [{"urn:kakehashi:x": 1}]}, "urn:kakehashi:x is unknown"),
    ],
)
def test_entities_that_break_a_rule(about, text):
    """What is wrong of an entity is wrong of each of its services."""
    with pytest.raises(EntryError, match=text):
        read(service(), **about)


def test_entities_without_what_nothing_hangs_on():
    """Address and web page are for people; a list that leaves them out is read."""
    assert read(service(), TEAddress=LEFT_OUT, TEInformationURI=LEFT_OUT).entity_id == "https://op.example"
