"""Whose phones there are in the demo: Maebashi's residents, and three whose certificate is of no use."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from gateway.demo.authority_keys import CARD_POLICY, COUNTER_POLICY
from gateway.demo.residents import MAEBASHI_CARD, Resident, Texts, compact, maebashi

PhoneAlgorithm = Literal["ES256", "ES384", "RS256", "PS256"]
"""What a phone's key signs with (RFC 7518 §3.1)."""


class Condition(StrEnum):
    """What is the matter with the first certificate that somebody was issued."""

    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Somebody with a phone. `number` is what the authority promises to keep for them through every renewal."""

    resident: Resident
    number: str
    algorithm: PhoneAlgorithm = "ES256"
    policy: str = CARD_POLICY
    condition: Condition = Condition.GOOD

    @property
    def key(self) -> str:
        """By which the demo finds them."""
        return self.resident.key


def owners(today: date) -> tuple[Owner, ...]:
    """Everybody with a phone."""
    by_key = {resident.key: resident for resident in maebashi(today)}
    return (
        Owner(resident=by_key["takahashi"], number="MC-7HQKXW2P"),
        Owner(resident=by_key["yamazaki"], number="MC-RD5ZTB9M", algorithm="RS256", policy=COUNTER_POLICY),
        Owner(resident=by_key["suryani"], number="MC-W3NJFY8C", algorithm="PS256"),
        Owner(resident=by_key["tamura"], number="MC-KX6GVQ4T"),
        Owner(resident=by_key["kasai"], number="MC-B9PMLH7D", algorithm="ES384"),
        Owner(
            resident=_resident(
                "shimoda",
                ("下田", "進", "シモダ", "ススム"),
                date(1949, 6, 12),
                sex="1",
                address=("群馬県前橋市大手町３丁目１５番地", "371-0026"),
                story={"ja": "証明書の期限が切れている", "en": "His certificate has expired"},
            ),
            number="MC-QT4CRZ6J",
            condition=Condition.EXPIRED,
        ),
        Owner(
            resident=_resident(
                "arai",
                ("新井", "由美", "アライ", "ユミ"),
                date(1994, 2, 3),
                sex="2",
                address=("群馬県前橋市千代田町３丁目１２－１０", "371-0022"),
                story={"ja": "前のスマートフォンをなくし、証明書を止めた", "en": "Lost a phone, and had it revoked"},
            ),
            number="MC-ZG8WND3V",
            condition=Condition.REVOKED,
        ),
        Owner(
            resident=_resident(
                "ogawa",
                ("小川", "大輔", "オガワ", "ダイスケ"),
                date(1988, 10, 30),
                sex="1",
                address=("群馬県前橋市大手町２丁目１２－９", "371-0026"),
                story={"ja": "名簿にない発行者の証明書を持つ", "en": "His is from an authority on no list"},
            ),
            number="MC-HV2TKB5S",
            condition=Condition.FOREIGN,
        ),
    )


def find_owner(key: str, today: date) -> Owner | None:
    """The owner of that key, or None."""
    return next((owner for owner in owners(today) if owner.key == key), None)


def _resident(
    key: str, names: tuple[str, str, str, str], born: date, *, sex: str, address: tuple[str, str], story: Texts
) -> Resident:
    family, given, family_kana, given_kana = names
    return Resident(
        key=key,
        subject=f"phone-{key}",
        display=f"{family} {given}",
        story=story,
        means=MAEBASHI_CARD,
        record={
            "name": f"{family} {given}",
            "family_name": family,
            "given_name": given,
            "family_name#ja-Kana-JP": family_kana,
            "given_name#ja-Kana-JP": given_kana,
            "birthdate": compact(born),
            "gender": sex,
            "address": address[0],
            "郵便番号": address[1],
            "市区町村コード": "10201",
        },
    )
