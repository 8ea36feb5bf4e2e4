"""The residents of the demo municipalities, each in the words and formats of their own ID system.

All of them are invented; the addresses are those of public buildings. What is awkward here is awkward in
real registers: characters with a ladder or a variation selector, a character outside Unicode's first plane,
names that have only letters, kana in half width, eras, birth dates of which nobody knows the day, and six
kinds of hyphen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

Texts = Mapping[str, str]

ERAS = (
    (date(2019, 5, 1), "令和"),
    (date(1989, 1, 8), "平成"),
    (date(1926, 12, 25), "昭和"),
    (date(1912, 7, 30), "大正"),
)
"""First day and name of each era that a living resident can be born in; the newest first."""

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How someone signs in, in people's words, and how the ID system says it to others.

    `statement` is the `acr` of OpenID Connect (Core §2) or the AuthnContextClassRef of SAML; `methods` are
    `amr` values (RFC 8176 §2).
    """

    name: Texts
    statement: str
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """One entry of a register: `record` is what the ID system emits, under its own names."""

    key: str
    subject: str
    display: str
    story: Texts
    means: Means
    record: Mapping[str, Any]


def compact(day: date) -> str:
    """`19850315`."""
    return day.strftime("%Y%m%d")


def wareki(day: date) -> str:
    """`昭和60年3月15日`; the first year of an era is 元年."""
    start, era = next((first, name) for first, name in ERAS if day >= first)
    year = day.year - start.year + 1
    return f"{era}{'元' if year == 1 else year}年{day.month}月{day.day}日"


def years_before(today: date, years: int, months: int) -> date:
    """The first of the month that lies `years` and `months` before `today`'s month."""
    count = today.year * 12 + today.month - 1 - years * 12 - months
    return date(count // 12, count % 12 + 1, 1)


# --- 前橋市 Maebashi: an OpenID provider; standard claims where they fit, Japanese ones of its own elsewhere

_MAEBASHI_ACR = "https://id.maebashi.example/acr/"
MAEBASHI_CARD = Means(
    name={"ja": "マイナンバーカードとスマートフォン", "en": "My Number Card and smartphone"},
    statement=_MAEBASHI_ACR + "mynumber-card",
    methods=("hwk", "pin", "mfa"),
)
MAEBASHI_PASSWORD = Means(
    name={"ja": "パスワードだけ", "en": "Password only"},
    statement=_MAEBASHI_ACR + "password",
    methods=("pwd",),
)


def maebashi(today: date) -> tuple[Resident, ...]:
    """Maebashi's residents; the pupil is 17 years and 3 months old on `today`."""
    return (
        Resident(
            key="takahashi",
            subject="mb-5c1f0a7e42",
            display="髙橋 花子",
            story={"ja": "「はしごだか」の髙", "en": "Her 髙 is the “ladder” form"},
            means=MAEBASHI_CARD,
            record={
                "name": "髙橋 花子",
                "family_name": "髙橋",
                "given_name": "花子",
                "family_name#ja-Kana-JP": "タカハシ",
                "given_name#ja-Kana-JP": "ハナコ",
                "birthdate": compact(date(1985, 3, 15)),
                "gender": "2",
                "address": "群馬県前橋市大手町２丁目１２－１",
                "郵便番号": "371-8601",
                "市区町村コード": "10201",
            },
        ),
        Resident(
            key="yamazaki",
            subject="mb-90d4b31c6f",
            display="山﨑 健一",
            story={"ja": "カードはまだ作っていない", "en": "Has no card yet"},
            means=MAEBASHI_PASSWORD,
            record={
                "name": "山﨑 健一",
                "family_name": "山﨑",
                "given_name": "健一",
                "family_name#ja-Kana-JP": "ヤマザキ",
                "given_name#ja-Kana-JP": "ケンイチ",
                "birthdate": compact(date(1958, 11, 3)),
                "gender": "1",
                "address": "群馬県前橋市大渡町１‐３‐７",
                "郵便番号": "371-0854",
                "市区町村コード": "10201",
            },
        ),
        Resident(
            key="suryani",
            subject="mb-2be8817d05",
            display="SURYANI（通称 木村 スリヤニ）",
            story={"ja": "名は一つだけ、通称がある", "en": "One name only, and an alias in Japanese"},
            means=MAEBASHI_CARD,
            record={
                "name": "SURYANI",
                "通称": "木村　スリヤニ",
                "通称カナ": "キムラ　スリヤニ",
                "birthdate": compact(date(1997, 8, 22)),
                "gender": "2",
                "address": "群馬県前橋市千代田町５—１—１６",
                "郵便番号": "371-0022",
                "市区町村コード": "10201",
            },
        ),
        Resident(
            key="tamura",
            subject="mb-c7730e9a18",
            display="田村 さくら",
            story={"ja": "17歳、高校生", "en": "17 years old, at school"},
            means=MAEBASHI_CARD,
            record={
                "name": "田村 さくら",
                "family_name": "田村",
                "given_name": "さくら",
                "family_name#ja-Kana-JP": "タムラ",
                "given_name#ja-Kana-JP": "サクラ",
                "birthdate": compact(years_before(today, 17, 3)),
                "gender": "2",
                "address": "群馬県前橋市南町３丁目６２−１",
                "郵便番号": "371-0805",
                "市区町村コード": "10201",
            },
        ),
        Resident(
            key="kasai",
            subject="mb-1fa652d9b3",
            display="葛󠄀西 誠",
            story={"ja": "異体字セレクタ付きの「葛󠄀」", "en": "His 葛󠄀 needs a variation selector"},
            means=MAEBASHI_CARD,
            record={
                "name": "葛󠄀西 誠",
                "family_name": "葛󠄀西",
                "given_name": "誠",
                "family_name#ja-Kana-JP": "カサイ",
                "given_name#ja-Kana-JP": "マコト",
                "birthdate": compact(date(1971, 1, 31)),
                "gender": "1",
                "address": "群馬県前橋市本町１丁目５ー２　前橋プラザ元気２１",
                "郵便番号": "371-0023",
                "市区町村コード": "10201",
            },
        ),
    )


# --- 江別市 Ebetsu: a SAML identity provider; object identifiers of its own under 2.25 (ITU-T X.667)

EBETSU_ARC = "urn:oid:2.25.235519148713025574680341152708194.1"
EBETSU_NAMES = {
    "shimei": f"{EBETSU_ARC}.1",
    "shimei_kana": f"{EBETSU_ARC}.2",
    "seinengappi": f"{EBETSU_ARC}.3",
    "seibetsu": f"{EBETSU_ARC}.4",
    "jusho": f"{EBETSU_ARC}.5",
    "tsusho": f"{EBETSU_ARC}.6",
    "dantai_code": f"{EBETSU_ARC}.7",
}
"""Ebetsu's attributes: its own short name (sent as FriendlyName) and the Name that identifies it."""

_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
EBETSU_CARD = Means(
    name={"ja": "マイナンバーカード", "en": "My Number Card"},
    statement=_CLASSES + "SmartcardPKI",
)
EBETSU_MOBILE = Means(
    name={"ja": "窓口で登録した携帯電話", "en": "Mobile phone registered at the counter"},
    statement=_CLASSES + "MobileTwoFactorContract",
)
EBETSU_PASSWORD = Means(
    name={"ja": "パスワードだけ", "en": "Password only"},
    statement=_CLASSES + "PasswordProtectedTransport",
)


def ebetsu(_today: date) -> tuple[Resident, ...]:
    """Ebetsu's residents."""
    return (
        Resident(
            key="sasaki",
            subject="E0004417",
            display="佐々木 一郎",
            story={"ja": "フリガナは半角、生年月日は和暦", "en": "Kana in half width, birth date by era"},
            means=EBETSU_CARD,
            record={
                "shimei": "佐々木　一郎",
                "shimei_kana": "ｻｻｷ ｲﾁﾛｳ",
                "seinengappi": wareki(date(1985, 3, 15)),
                "seibetsu": "1",
                "jusho": "北海道江別市高砂町６番地",
                "dantai_code": "012173",
            },
        ),
        Resident(
            key="kobayashi",
            subject="E0012093",
            display="小林 勇希",
            story={"ja": "平成元年の最初の日に生まれた", "en": "Born on the first day of Heisei"},
            means=EBETSU_MOBILE,
            record={
                "shimei": "小林　勇希",
                "shimei_kana": "ｺﾊﾞﾔｼ ﾕｳｷ",
                "seinengappi": wareki(date(1989, 1, 8)),
                "seibetsu": "1",
                "jusho": "北海道江別市野幌末広町７ｰ１",
                "dantai_code": "012173",
            },
        ),
        Resident(
            key="honma",
            subject="E0000318",
            display="本間 ハナ",
            story={"ja": "生まれた日は不詳", "en": "Nobody knows the day of her birth"},
            means=EBETSU_PASSWORD,
            record={
                "shimei": "本間　ハナ",
                "shimei_kana": "ﾎﾝﾏ ﾊﾅ",
                "seinengappi": "昭和17年7月不詳",
                "seibetsu": "2",
                "jusho": "北海道江別市大麻中町２６番地の７",
                "dantai_code": "012173",
            },
        ),
        Resident(
            key="chen",
            subject="E0023350",
            display="CHEN WEI（通称 江田 偉）",
            story={"ja": "氏名はアルファベット、通称は漢字", "en": "A name in letters, an alias in kanji"},
            means=EBETSU_CARD,
            record={
                "shimei": "CHEN WEI",
                "shimei_kana": "ﾁｪﾝ ｳｪｲ",
                "tsusho": "江田　偉",
                "seinengappi": wareki(date(1992, 2, 29)),
                "seibetsu": "1",
                "jusho": "北海道江別市野幌町１０－１",
                "dantai_code": "012173",
            },
        ),
    )


# --- 大村市 Omura: an OpenID provider whose claims are all its own

OMURA_CARD = Means(
    name={"ja": "マイナンバーカード", "en": "My Number Card"},
    statement="omura:honnin:card",
    methods=("sc", "pin"),
)
OMURA_COUNTER = Means(
    name={"ja": "窓口で本人確認、ワンタイムパスワード", "en": "Proofed at the counter, one-time password"},
    statement="omura:honnin:madoguchi",
    methods=("pwd", "otp"),
)
OMURA_PASSWORD = Means(
    name={"ja": "パスワードだけ", "en": "Password only"}, statement="omura:honnin:jiko", methods=("pwd",)
)


def omura(_today: date) -> tuple[Resident, ...]:
    """Omura's residents."""
    return (
        Resident(
            key="hamasaki",
            subject="a3f0c2b8-71d5-4c0e-9a46-2e5d8f1b7c90",
            display="濵﨑 みどり",
            story={"ja": "「濵」も「﨑」も機種依存だった字", "en": "Two characters that old machines lack"},
            means=OMURA_CARD,
            record={
                "shimei": "濵﨑　みどり",
                "sei": "濵﨑",
                "mei": "みどり",
                "sei_yomi": "はまさき",
                "mei_yomi": "みどり",
                "umare": wareki(date(1990, 12, 1)).translate(FULL_WIDTH),
                "seibetsu": "女",
                "jusho": {"yubin": "856-8686", "zen": "長崎県大村市玖島１丁目２５番地"},
                "dantai": "422053",
            },
        ),
        Resident(
            key="iwanaga",
            subject="f60b9d14-3c7a-4e21-8b55-0d9c6a1e7f32",
            display="岩永 一",
            story={"ja": "生年月日は漢数字で記録", "en": "Birth date written in kanji numerals"},
            means=OMURA_COUNTER,
            record={
                "shimei": "岩永　一",
                "sei": "岩永",
                "mei": "一",
                "sei_yomi": "いわなが",
                "mei_yomi": "はじめ",
                "umare": "昭和三十六年十一月三日",
                "seibetsu": "男",
                "jusho": {"yubin": "856-0832", "zen": "長崎県大村市本町４５８–２　プラットおおむら"},
                "dantai": "422053",
            },
        ),
        Resident(
            key="yoshida",
            subject="0c9e77aa-5b1d-4f38-a2c4-91e3d06b8f57",
            display="𠮷田 修",
            story={"ja": "「つちよし」の𠮷", "en": "His 𠮷 lies outside Unicode’s first plane"},
            means=OMURA_PASSWORD,
            record={
                "shimei": "𠮷田　修",
                "sei": "𠮷田",
                "mei": "修",
                "sei_yomi": "よしだ",
                "mei_yomi": "おさむ",
                "umare": wareki(date(1976, 5, 5)).translate(FULL_WIDTH),
                "seibetsu": "男",
                "jusho": {"yubin": "856-0831", "zen": "長崎県大村市東本町１−２"},
                "dantai": "422053",
            },
        ),
        Resident(
            key="santos",
            subject="7d24e5f1-8a06-49bb-b3d7-6c1f20e9a845",
            display="SANTOS CRUZ MARIA",
            story={
                "ja": "氏名はアルファベットだけ、性別の記載なし",
                "en": "A name in letters only, no sex on record",
            },
            means=OMURA_CARD,
            record={
                "shimei": "SANTOS CRUZ MARIA",
                "umare": wareki(date(2001, 7, 9)).translate(FULL_WIDTH),
                "jusho": {"yubin": "856-0027", "zen": "長崎県大村市植松３‑７６３"},
                "dantai": "422053",
            },
        ),
    )


def find(residents: Sequence[Resident], key: str) -> Resident | None:
    """The resident of that key, or None."""
    return next((resident for resident in residents if resident.key == key), None)
