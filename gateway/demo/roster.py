"""Who the demo systems are, without any of what they do: names, faces, keys' kinds, places on disk.

Kept apart from `systems.py`, which loads SAML: what is needed before the gateway starts must load fast.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

from gateway.demo.addresses import Addresses
from gateway.demo.keys import Algorithm, secret
from gateway.demo.residents import Texts

FEDERATION = "federation"
"""The trust anchor that vouches for Omura's ID system."""

CLIENT_ID = "kakehashi"
"""The gateway as a client of the OpenID providers."""

SAML_SYSTEMS: Mapping[str, tuple[str, str]] = {
    "ebetsu": ("ebetsu", "012173"),
    "gunma": ("gunma-portal", "100005"),
    "takasaki": ("takasaki-library", "102024"),
}
"""SAML members: the name of the member's file, and the municipality's code."""

OPENID_PROVIDERS: Mapping[str, str] = {"maebashi": "102016", "omura": "422053"}
"""OpenID providers that are ID systems, and their municipality's code."""

LISTED_PROVIDERS = ("maebashi",)
"""Those that the region's own list names; Omura is vouched for by its federation."""

COUNCIL: Mapping[str, Texts] = {
    "012173": {"ja": "江別市", "en": "Ebetsu City"},
    "100005": {"ja": "群馬県", "en": "Gunma Prefecture"},
    "102016": {"ja": "前橋市", "en": "Maebashi City"},
    "102024": {"ja": "高崎市", "en": "Takasaki City"},
    "422053": {"ja": "大村市", "en": "Omura City"},
}
"""The members of the policy council, by their codes; each has a system that answers the others' questions."""

ASKING = "102016"
"""The member whose system asks in the demo."""

ALGORITHMS: Mapping[str, Algorithm] = {"maebashi": "ES256", "omura": "RS256", "participation": "ES256"}
"""What each OpenID system signs with."""

ID_SYSTEM: Texts = {"ja": "IDシステム", "en": "ID system"}
SERVICE: Texts = {"ja": "サービス", "en": "Service"}
APP: Texts = {"ja": "アプリ", "en": "App"}
AUTHORITY: Texts = {"ja": "認証局", "en": "Certificate authority"}

FACES: Mapping[str, tuple[Texts, Texts, str]] = {
    "maebashi": ({"ja": "前橋市 めぶくID", "en": "Maebashi City, Mebuku ID"}, ID_SYSTEM, "theme-maebashi"),
    "ebetsu": ({"ja": "江別市 電子窓口", "en": "Ebetsu City, digital counter"}, ID_SYSTEM, "theme-ebetsu"),
    "omura": ({"ja": "大村市 市民ID", "en": "Omura City, citizen ID"}, ID_SYSTEM, "theme-omura"),
    "gunma": ({"ja": "群馬県ポータル", "en": "Gunma Prefecture portal"}, SERVICE, "theme-gunma"),
    "takasaki": ({"ja": "高崎市立図書館", "en": "Takasaki City Library"}, SERVICE, "theme-takasaki"),
    "participation": ({"ja": "みんなの参加サイト", "en": "Participation site"}, SERVICE, "theme-council"),
    "council": ({"ja": "政策協議会 避難所の調査", "en": "Policy council, shelter survey"}, SERVICE, "theme-council"),
    "phone": ({"ja": "前橋市 電子証明書アプリ", "en": "Maebashi certificates"}, APP, "theme-phone"),
    "authority": ({"ja": "前橋市 電子証明書", "en": "Maebashi certificate authority"}, AUTHORITY, "theme-maebashi"),
}
"""Title, kind and colours of each system that has pages."""


def directory(systems: Path, name: str) -> Path:
    """Where system `name` keeps its keys and data; made at the first start."""
    path = systems / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def member_directory(systems: Path, code: str) -> Path:
    """Where the council member's own system keeps its key."""
    return directory(directory(systems, "council"), code)


def member_entity_id(addresses: Addresses, code: str) -> str:
    """What a list calls the member's system, which is also where it answers."""
    return f"{addresses.url('council')}/members/{code}"


def omura_secret(systems: Path) -> str:
    """The client secret that Omura gave the gateway."""
    return secret(directory(systems, "omura") / "client-secret", secrets.token_urlsafe(32))


def enrolment_secret(systems: Path) -> str:
    """The secret by which the certificate authority knows the phones' operator."""
    return secret(directory(systems, "authority") / "enrolment-secret", secrets.token_urlsafe(32))


def saml_entity_id(addresses: Addresses, name: str) -> str:
    """The entity ID of a SAML system, which is also where its metadata are."""
    return f"{addresses.url(name)}/saml/metadata"
