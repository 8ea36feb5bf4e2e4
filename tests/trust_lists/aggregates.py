"""Signed aggregates as the federations of universities and the large regions publish them, of any size.

Each entity is as large and as varied as in eduGAIN or GakuNin (7 to 10 KB): two languages, logos, several endpoints
per kind, certificates of its own, contacts, entity attributes, scopes, requested attributes, and the white space
that other people's tools leave. The same `count` and `seed` give the same entities.

    python -m tests.trust_lists.aggregates COUNT FILE      writes FILE and its anchor beside it (FILE.der)
"""

import base64
import random
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests.trust_lists.builders import MD, MDRPI, PROTOCOL, Authority, aggregate, authority

_BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:"
_KEYS = 4
_NAMES = (
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "urn:oid:2.5.4.4",
    "urn:oid:2.5.4.42",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
)
_ENCRYPTION = (
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
)
_CITIES = (("前橋", "Maebashi"), ("江別", "Ebetsu"), ("大村", "Omura"), ("館林", "Tatebayashi"), ("伊勢崎", "Isesaki"))


def large(count: int, *, seed: int = 1, by: Authority | None = None) -> bytes:
    """A signed aggregate of `count` entities, one in two an identity provider."""
    return aggregate(*entities(count, seed=seed), by=by)


def entities(count: int, *, seed: int = 1) -> Iterator[str]:
    """The EntityDescriptors of an aggregate, before it is signed."""
    chance = random.Random(seed)
    for number in range(count):
        yield _identity_provider(number, chance) if number % 2 else _service_provider(number, chance)


def certificate(number: int, *, line: int = 64) -> str:
    """A certificate with an RSA key of 2,048 bits and a serial number that no other has, in lines of base64.

    A handful of keys is reissued: the key is a real one, the self-signature, which nobody looks at, is not.
    """
    template = authority(f"member {number % _KEYS}").der
    der = template.replace(b"\x02\x02\x03\xe8", b"\x02\x02" + (0x1000 + number % 0x6000).to_bytes(2, "big"), 1)
    tail = number.to_bytes(8, "big")
    return "\n".join(textwrap.wrap(base64.b64encode(der[:-8] + tail).decode(), line))


def _key(number: int, use: str | None, methods: tuple[str, ...] = ()) -> str:
    stated = f' use="{use}"' if use else ""
    listed = "".join(f'\n        <md:EncryptionMethod Algorithm="{method}"/>' for method in methods)
    return f"""      <md:KeyDescriptor{stated}>
        <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
          <ds:X509Data>
            <ds:X509Certificate>
{certificate(number)}
            </ds:X509Certificate>
          </ds:X509Data>
        </ds:KeyInfo>{listed}
      </md:KeyDescriptor>
"""


def _interface(host: str, city: tuple[str, str], number: int) -> str:
    return f"""        <mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui">
          <mdui:DisplayName xml:lang="ja">{city[0]}市 第{number}号 情報基盤センター 統合認証システム</mdui:DisplayName>
          <mdui:DisplayName xml:lang="en">{city[1]} City No. {number}, Information Infrastructure</mdui:DisplayName>
          <mdui:Description xml:lang="ja">{city[0]}市の住民と職員のための、本人を確かめるしくみです。</mdui:Description>
          <mdui:Description xml:lang="en">How residents and staff of {city[1]} show who they are.</mdui:Description>
          <mdui:InformationURL xml:lang="ja">https://{host}/ja/about</mdui:InformationURL>
          <mdui:InformationURL xml:lang="en">https://{host}/en/about</mdui:InformationURL>
          <mdui:PrivacyStatementURL xml:lang="en">https://{host}/en/privacy</mdui:PrivacyStatementURL>
          <mdui:Logo height="60" width="80">https://{host}/logo-small.png</mdui:Logo>
          <mdui:Logo height="240" width="320">https://{host}/logo-large.png</mdui:Logo>
        </mdui:UIInfo>
"""


def _head(host: str, number: int, entity_attributes: str) -> str:
    return f"""
  <md:EntityDescriptor xmlns:md="{MD}" entityID="https://{host}/shibboleth">
    <md:Extensions>
      <mdrpi:RegistrationInfo xmlns:mdrpi="{MDRPI}" registrationAuthority="https://federation-{number % 40}.example/"
          registrationInstant="2021-04-01T00:00:00Z">
        <mdrpi:RegistrationPolicy xml:lang="en">https://federation.example/policy</mdrpi:RegistrationPolicy>
      </mdrpi:RegistrationInfo>
      <mdattr:EntityAttributes xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute">
{entity_attributes}      </mdattr:EntityAttributes>
    </md:Extensions>
"""


def _entity_attribute(name: str, *values: str) -> str:
    listed = "".join(f"          <saml:AttributeValue>{value}</saml:AttributeValue>\n" for value in values)
    return (
        f'        <saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Name="{name}"\n'
        '            NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">\n'
        f"{listed}        </saml:Attribute>\n"
    )


def _foot(host: str, city: tuple[str, str], number: int) -> str:
    contacts = "".join(
        f"""    <md:ContactPerson contactType="{kind}">
      <md:GivenName>{city[1]} {kind} desk</md:GivenName>
      <md:EmailAddress>mailto:{kind}-{number}@{host}</md:EmailAddress>
    </md:ContactPerson>
"""
        for kind in ("technical", "support", "administrative")
    )
    return f"""    <md:Organization>
      <md:OrganizationName xml:lang="ja">{city[0]}市</md:OrganizationName>
      <md:OrganizationName xml:lang="en">City of {city[1]}</md:OrganizationName>
      <md:OrganizationDisplayName xml:lang="ja">{city[0]}市</md:OrganizationDisplayName>
      <md:OrganizationDisplayName xml:lang="en">City of {city[1]}</md:OrganizationDisplayName>
      <md:OrganizationURL xml:lang="ja">https://{host}/</md:OrganizationURL>
      <md:OrganizationURL xml:lang="en">https://{host}/en/</md:OrganizationURL>
    </md:Organization>
{contacts}  </md:EntityDescriptor>
"""


def _identity_provider(number: int, chance: random.Random) -> str:
    host, city = f"idp-{number}.{chance.choice('abcdefgh')}.example", chance.choice(_CITIES)
    attributes = _entity_attribute(
        "http://macedir.org/entity-category-support",
        "http://refeds.org/category/research-and-scholarship",
        "http://www.geant.net/uri/dataprotection-code-of-conduct/v1",
    ) + _entity_attribute(
        "urn:oasis:names:tc:SAML:attribute:assurance-certification",
        "https://refeds.org/sirtfi",
    )
    keys = (
        _key(3 * number, None)
        if chance.random() < 0.4
        else _key(3 * number, "signing") + _key(3 * number + 1, "encryption", _ENCRYPTION)
    )
    sso = "".join(
        f'      <md:SingleSignOnService Binding="{_BINDINGS}{binding}"'
        f' Location="https://{host}/idp/profile/SAML2/{path}/SSO"/>\n'
        for binding, path in (
            ("HTTP-Redirect", "Redirect"),
            ("HTTP-POST", "POST"),
            ("HTTP-POST-SimpleSign", "POST-SimpleSign"),
            ("SOAP", "SOAP/ECP"),
        )
    )
    slo = "".join(
        f'      <md:SingleLogoutService Binding="{_BINDINGS}{binding}" Location="https://{host}/idp/SLO/{binding}"/>\n'
        for binding in ("HTTP-Redirect", "HTTP-POST")
    )
    return (
        _head(host, number, attributes)
        + f"""    <md:IDPSSODescriptor protocolSupportEnumeration="{PROTOCOL} urn:oasis:names:tc:SAML:1.1:protocol"
        errorURL="https://{host}/error">
      <md:Extensions>
        <shibmd:Scope xmlns:shibmd="urn:mace:shibboleth:metadata:1.0" regexp="false">{host}</shibmd:Scope>
{_interface(host, city, number)}      </md:Extensions>
{keys}      <md:ArtifactResolutionService Binding="{_BINDINGS}SOAP"
          Location="https://{host}/idp/profile/SAML2/SOAP/ArtifactResolution" index="1"/>
{slo}      <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>
      <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
{sso}    </md:IDPSSODescriptor>
"""
        + _foot(host, city, number)
    )


def _service_provider(number: int, chance: random.Random) -> str:
    host, city = f"sp-{number}.{chance.choice('abcdefgh')}.example", chance.choice(_CITIES)
    attributes = _entity_attribute(
        "http://macedir.org/entity-category",
        "http://refeds.org/category/research-and-scholarship",
        "http://www.geant.net/uri/dataprotection-code-of-conduct/v1",
    )
    if chance.random() < 0.3:
        attributes += _entity_attribute("urn:oasis:names:tc:SAML:profiles:subject-id:req", "pairwise-id")
    keys = _key(3 * number, "signing") + _key(3 * number + 1, "encryption", _ENCRYPTION)
    if chance.random() < 0.4:
        keys = _key(3 * number, None, _ENCRYPTION)
    consumers = "".join(
        f'      <md:AssertionConsumerService Binding="{_BINDINGS}{binding}"\n'
        f'          Location="https://{host}/Shibboleth.sso/SAML2/{binding}" index="{index}"/>\n'
        for index, binding in enumerate(("HTTP-POST", "HTTP-POST-SimpleSign", "HTTP-Artifact", "PAOS"), start=1)
    )
    slo = "".join(
        f'      <md:SingleLogoutService Binding="{_BINDINGS}{binding}"'
        f' Location="https://{host}/Shibboleth.sso/SLO/{binding}"/>\n'
        for binding in ("SOAP", "HTTP-Redirect", "HTTP-POST", "HTTP-Artifact")
    )
    requested = "".join(
        f'        <md:RequestedAttribute Name="{name}" FriendlyName="attribute{index}"'
        ' NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" isRequired="true"/>\n'
        for index, name in enumerate(_NAMES)
    )
    return (
        _head(host, number, attributes)
        + f"""    <md:SPSSODescriptor protocolSupportEnumeration="{PROTOCOL}">
      <md:Extensions>
        <idpdisc:DiscoveryResponse xmlns:idpdisc="urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol"
            Binding="urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol"
            Location="https://{host}/Shibboleth.sso/Login" index="1"/>
{_interface(host, city, number)}      </md:Extensions>
{keys}{slo}      <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>
{consumers}      <md:AttributeConsumingService index="1">
        <md:ServiceName xml:lang="ja">{city[0]}市の手続き</md:ServiceName>
        <md:ServiceName xml:lang="en">Procedures of {city[1]}</md:ServiceName>
{requested}      </md:AttributeConsumingService>
    </md:SPSSODescriptor>
"""
        + _foot(host, city, number)
    )


if __name__ == "__main__":
    written = Path(sys.argv[2])
    written.write_bytes(large(int(sys.argv[1])))
    written.with_name(written.name + ".der").write_bytes(authority().der)
