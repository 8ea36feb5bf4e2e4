# ruff: noqa: E501 - a row is a line
"""Names: as each ID system writes them, and what comes of each attribute, by hand.

`NAMES` are of a family and a given name that each system writes in its own way. `ODD_NAMES` are all others: of one part
or three, alphabetic, with an alias, badly typed; there each system's fields and what comes of them are written out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .outcome import Absent, Outcome


@dataclass(frozen=True, slots=True)
class Name:
    """A name in two parts. `half` is how Ebetsu writes the reading, `hiragana` how Omura does."""

    corner: str
    family: str
    given: str
    kana: tuple[str, str]
    half: str
    hiragana: tuple[str, str]
    half_there: str = ""
    """What comes of `half`, if it is not the two parts of `kana` with a space between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OddName:
    """System → what it says under its own names (Ebetsu's without their arc), and what comes of each attribute."""

    corner: str
    says: Mapping[str, Mapping[str, str]]
    comes: Mapping[str, Mapping[str, Outcome]] = field(default_factory=dict)


NAMES = (
    # corner, family, given, kana, half-width kana, hiragana
    Name("nothing odd", "佐藤", "健一", ("サトウ", "ケンイチ"), "ｻﾄｳ ｹﾝｲﾁ", ("さとう", "けんいち")),
    Name("the ladder", "髙橋", "花子", ("タカハシ", "ハナコ"), "ﾀｶﾊｼ ﾊﾅｺ", ("たかはし", "はなこ")),
    Name("the standing rock", "山﨑", "誠", ("ヤマザキ", "マコト"), "ﾔﾏｻﾞｷ ﾏｺﾄ", ("やまざき", "まこと")),
    Name("one form of 辺", "渡邉", "良子", ("ワタナベ", "ヨシコ"), "ﾜﾀﾅﾍﾞ ﾖｼｺ", ("わたなべ", "よしこ")),
    Name("another form of 辺", "渡邊", "修", ("ワタナベ", "オサム"), "ﾜﾀﾅﾍﾞ ｵｻﾑ", ("わたなべ", "おさむ")),
    Name("a form of 辺 with a selector", "渡邉\U000e0102", "進", ("ワタナベ", "ススム"), "ﾜﾀﾅﾍﾞ ｽｽﾑ", ("わたなべ", "すすむ")),
    Name("a variation selector", "葛\U000e0100西", "実", ("カサイ", "ミノル"), "ｶｻｲ ﾐﾉﾙ", ("かさい", "みのる")),
    Name("a selector at the end", "辻\U000e0101", "葵", ("ツジ", "アオイ"), "ﾂｼﾞ ｱｵｲ", ("つじ", "あおい")),
    Name("outside the first plane", "𠮷田", "茂", ("ヨシダ", "シゲル"), "ﾖｼﾀﾞ ｼｹﾞﾙ", ("よしだ", "しげる")),
    Name("outside, in the middle", "土𡈽井", "昭", ("ドドイ", "アキラ"), "ﾄﾞﾄﾞｲ ｱｷﾗ", ("どどい", "あきら")),
    Name("outside, another", "𣘺本", "豊", ("ハシモト", "ユタカ"), "ﾊｼﾓﾄ ﾕﾀｶ", ("はしもと", "ゆたか")),
    Name("compatibility ideograph 神", "\ufa19谷", "薫", ("カミヤ", "カオル"), "ｶﾐﾔ ｶｵﾙ", ("かみや", "かおる")),
    Name("compatibility ideograph 祥", "三浦", "\ufa1a子", ("ミウラ", "サチコ"), "ﾐｳﾗ ｻﾁｺ", ("みうら", "さちこ")),
    Name("compatibility ideograph 塚", "大\ufa10", "望", ("オオツカ", "ノゾミ"), "ｵｵﾂｶ ﾉｿﾞﾐ", ("おおつか", "のぞみ")),
    Name("compatibility ideograph 都", "宇\ufa26木", "翔", ("ウツギ", "ショウ"), "ｳﾂｷﾞ ｼｮｳ", ("うつぎ", "しょう")),
    Name("compatibility ideograph 福", "\ufa1b田", "恵", ("フクダ", "メグミ"), "ﾌｸﾀﾞ ﾒｸﾞﾐ", ("ふくだ", "めぐみ")),
    Name("an old form", "濵田", "德子", ("ハマダ", "トクコ"), "ﾊﾏﾀﾞ ﾄｸｺ", ("はまだ", "とくこ")),
    Name("another old form", "瀨戸", "桒太", ("セト", "ソウタ"), "ｾﾄ ｿｳﾀ", ("せと", "そうた")),
    Name("齋, not 斎", "齋藤", "櫻", ("サイトウ", "サクラ"), "ｻｲﾄｳ ｻｸﾗ", ("さいとう", "さくら")),
    Name("齊, not 齋", "齊藤", "大地", ("サイトウ", "ダイチ"), "ｻｲﾄｳ ﾀﾞｲﾁ", ("さいとう", "だいち")),
    Name("a repetition mark", "佐々木", "一郎", ("ササキ", "イチロウ"), "ｻｻｷ ｲﾁﾛｳ", ("ささき", "いちろう")),
    Name("a closing mark", "〆木", "弘", ("シメキ", "ヒロシ"), "ｼﾒｷ ﾋﾛｼ", ("しめき", "ひろし")),
    Name("a small ヶ", "鮎ヶ瀬", "渉", ("アユガセ", "ワタル"), "ｱﾕｶﾞｾ ﾜﾀﾙ", ("あゆがせ", "わたる")),
    Name("ノ in a name", "井ノ上", "早苗", ("イノウエ", "サナエ"), "ｲﾉｳｴ ｻﾅｴ", ("いのうえ", "さなえ")),
    Name("hiragana", "田村", "さくら", ("タムラ", "サクラ"), "ﾀﾑﾗ ｻｸﾗ", ("たむら", "さくら")),
    Name("katakana", "小川", "エミリ", ("オガワ", "エミリ"), "ｵｶﾞﾜ ｴﾐﾘ", ("おがわ", "えみり")),
    Name("an old kana", "井上", "ゐつ子", ("イノウエ", "イツコ"), "ｲﾉｳｴ ｲﾂｺ", ("いのうえ", "いつこ")),
    Name("a long vowel", "中村", "ローラ", ("ナカムラ", "ローラ"), "ﾅｶﾑﾗ ﾛｰﾗ", ("なかむら", "ろーら")),
    Name("small ュ", "小林", "俊平", ("コバヤシ", "シュンペイ"), "ｺﾊﾞﾔｼ ｼｭﾝﾍﾟｲ", ("こばやし", "しゅんぺい")),
    Name("large ユ, as registered", "小林", "俊", ("コバヤシ", "シユン"), "ｺﾊﾞﾔｼ ｼﾕﾝ", ("こばやし", "しゆん")),
    Name("small ョ", "木村", "京子", ("キムラ", "キョウコ"), "ｷﾑﾗ ｷｮｳｺ", ("きむら", "きょうこ")),
    Name("large ヨ, as registered", "木村", "恭子", ("キムラ", "キヨウコ"), "ｷﾑﾗ ｷﾖｳｺ", ("きむら", "きようこ")),
    Name("small ッ", "服部", "勝太", ("ハットリ", "ショウタ"), "ﾊｯﾄﾘ ｼｮｳﾀ", ("はっとり", "しょうた")),
    Name("large ツ, as registered", "服部", "匠", ("ハツトリ", "タクミ"), "ﾊﾂﾄﾘ ﾀｸﾐ", ("はつとり", "たくみ")),
    Name("small ャ and ァ", "伊藤", "麗亜", ("イトウ", "リャファ"), "ｲﾄｳ ﾘｬﾌｧ", ("いとう", "りゃふぁ")),
    Name("ヴ", "森", "ヴィオラ", ("モリ", "ヴィオラ"), "ﾓﾘ ｳﾞｨｵﾗ", ("もり", "ゔぃおら")),
    Name("ヅ and ヂ", "三日月", "千鶴", ("ミカヅキ", "チヂル"), "ﾐｶﾂﾞｷ ﾁﾁﾞﾙ", ("みかづき", "ちぢる")),
    Name("パ行", "本保", "歩", ("ホンポ", "アユミ"), "ﾎﾝﾎﾟ ｱﾕﾐ", ("ほんぽ", "あゆみ")),
    Name("ヲ", "早乙女", "香", ("サヲトメ", "カヲリ"), "ｻｦﾄﾒ ｶｦﾘ", ("さをとめ", "かをり")),
    Name("one character each", "林", "一", ("ハヤシ", "ハジメ"), "ﾊﾔｼ ﾊｼﾞﾒ", ("はやし", "はじめ")),
    Name("long ones", "勅使河原", "左衛門尉", ("テシガワラ", "サエモンノジョウ"), "ﾃｼｶﾞﾜﾗ ｻｴﾓﾝﾉｼﾞｮｳ", ("てしがわら", "さえもんのじょう")),
    Name("hangul", "김", "수현", ("キム", "スヒョン"), "ｷﾑ ｽﾋｮﾝ", ("きむ", "すひょん")),
    Name("simplified characters", "张", "伟", ("チャン", "ウェイ"), "ﾁｬﾝ ｳｪｲ", ("ちゃん", "うぇい")),
    Name("half-width kana with a wide space", "岡", "桃", ("オカ", "モモ"), "ｵｶ　ﾓﾓ", ("おか", "もも"), "オカ　モモ"),
    Name("a system that writes full width", "関", "渚", ("セキ", "ナギサ"), "セキ ナギサ", ("せき", "なぎさ")),
    Name("half and full width mixed", "原", "梓", ("ハラ", "アズサ"), " ﾊラ ｱｽﾞサ ", ("はら", "あずさ")),
)  # fmt: skip

NO_NAME = Absent("not-given")
_LATIN = Absent("alphabetic-name")
_ONE = Absent("one-part")
_MORE = Absent("not-two-parts")
_BRACKETS = Absent("brackets")
_NOT_KANA = Absent("not-canonical")
_STRAY = Absent("stray-mark")
_EMPTY = Absent("empty")

ODD_NAMES = (
    OddName(
        corner="a mononym in letters, with an alias",
        says={
            "maebashi": {"name": "SURYANI", "通称": "木村　スリヤニ", "通称カナ": "キムラ　スリヤニ"},
            "ebetsu": {"1": "SURYANI", "2": "ｽﾘﾔﾆ", "6": "木村　スリヤニ"},
            "omura": {"shimei": "SURYANI"},
        },
        comes={
            "maebashi": {"fullName": "SURYANI", "commonName": "木村　スリヤニ"},
            "ebetsu": {
                "fullName": "SURYANI",
                "familyName": _LATIN,
                "givenName": _LATIN,
                "fullNameKana": "スリヤニ",
                "commonName": "木村　スリヤニ",
            },
            "omura": {"fullName": "SURYANI"},
        },
    ),
    OddName(
        corner="a name in letters, capitals as given",
        says={
            "maebashi": {"name": "Nguyen Thi Lan"},
            "ebetsu": {"1": "CHEN WEI", "2": "ﾁｪﾝ ｳｪｲ", "6": "江田　偉"},
            "omura": {"shimei": "SANTOS CRUZ MARIA"},
        },
        comes={
            "maebashi": {"fullName": "Nguyen Thi Lan"},
            "ebetsu": {
                "fullName": "CHEN WEI",
                "familyName": _LATIN,
                "givenName": _LATIN,
                "fullNameKana": "チェン ウェイ",
                "commonName": "江田　偉",
            },
            "omura": {"fullName": "SANTOS CRUZ MARIA"},
        },
    ),
    OddName(
        corner="letters with accents, composed or not",
        says={
            "maebashi": {"name": "JOSE\u0301 NU\u0301N\u0303EZ"},
            "ebetsu": {"1": "JOSE\u0301　NU\u0301N\u0303EZ"},
            "omura": {"shimei": "JOSÉ NÚÑEZ", "sei": "NU\u0301N\u0303EZ", "mei": "JOSÉ"},
        },
        comes={
            "maebashi": {"fullName": "JOSÉ NÚÑEZ"},
            "ebetsu": {"fullName": "JOSÉ　NÚÑEZ", "familyName": _LATIN, "givenName": _LATIN},
            "omura": {"fullName": "JOSÉ NÚÑEZ", "familyName": "NÚÑEZ", "givenName": "JOSÉ"},
        },
    ),
    OddName(
        corner="a middle name",
        says={
            "maebashi": {"name": "佐藤 マリア エレナ", "family_name": "佐藤", "given_name": "マリア エレナ"},
            "ebetsu": {"1": "佐藤　マリア　エレナ", "2": "ｻﾄｳ ﾏﾘｱ ｴﾚﾅ"},
            "omura": {"shimei": "佐藤　マリア　エレナ", "sei": "佐藤", "mei": "マリア　エレナ", "mei_yomi": "まりあ　えれな"},
        },
        comes={
            "maebashi": {"fullName": "佐藤 マリア エレナ", "familyName": "佐藤", "givenName": "マリア エレナ"},
            "ebetsu": {
                "fullName": "佐藤　マリア　エレナ",
                "familyName": _MORE,
                "givenName": _MORE,
                "fullNameKana": "サトウ マリア エレナ",
            },
            "omura": {
                "fullName": "佐藤　マリア　エレナ",
                "familyName": "佐藤",
                "givenName": "マリア　エレナ",
                "givenNameKana": "マリア　エレナ",
            },
        },
    ),
    OddName(
        corner="a point between given names",
        says={
            "maebashi": {"name": "スミス ジョン・ポール", "family_name#ja-Kana-JP": "ｽﾐｽ", "given_name#ja-Kana-JP": "ｼﾞｮﾝ･ﾎﾟｰﾙ"},
            "ebetsu": {"1": "スミス　ジョン・ポール", "2": "ｽﾐｽ ｼﾞｮﾝ･ﾎﾟｰﾙ"},
            "omura": {"shimei": "スミス　ジョン・ポール", "sei_yomi": "すみす", "mei_yomi": "じょん・ぽーる"},
        },
        comes={
            "maebashi": {
                "fullName": "スミス ジョン・ポール",
                "familyNameKana": "スミス",
                "givenNameKana": "ジョン・ポール",
                "fullNameKana": "スミス ジョン・ポール",
            },
            "ebetsu": {
                "fullName": "スミス　ジョン・ポール",
                "familyName": "スミス",
                "givenName": "ジョン・ポール",
                "fullNameKana": "スミス ジョン・ポール",
            },
            "omura": {
                "fullName": "スミス　ジョン・ポール",
                "familyNameKana": "スミス",
                "givenNameKana": "ジョン・ポール",
                "fullNameKana": "スミス ジョン・ポール",
            },
        },
    ),
    OddName(
        corner="the gap is missing",
        says={"maebashi": {"name": "佐藤太郎"}, "ebetsu": {"1": "佐藤太郎", "2": "ｻﾄｳﾀﾛｳ"}, "omura": {"shimei": "佐藤太郎"}},
        comes={
            "maebashi": {"fullName": "佐藤太郎"},
            "ebetsu": {"fullName": "佐藤太郎", "familyName": _ONE, "givenName": _ONE, "fullNameKana": "サトウタロウ"},
            "omura": {"fullName": "佐藤太郎"},
        },
    ),
    OddName(
        corner="an alias or former name in brackets",
        says={
            "maebashi": {"name": "王　小明（通称　木村　明）"},
            "ebetsu": {"1": "王　小明（通称　木村　明）"},
            "omura": {"shimei": "佐藤［旧姓：鈴木］　花子"},
        },
        comes={
            "maebashi": {"fullName": "王　小明（通称　木村　明）"},
            "ebetsu": {"fullName": "王　小明（通称　木村　明）", "familyName": _BRACKETS, "givenName": _BRACKETS},
            "omura": {"fullName": "佐藤［旧姓：鈴木］　花子"},
        },
    ),
    OddName(
        corner="spaces around",
        says={
            "maebashi": {"name": "　佐藤 花 ", "family_name": " 佐藤", "given_name": "花　"},
            "ebetsu": {"1": " 佐藤　　花　", "2": "　ｻﾄｳ ﾊﾅ"},
            "omura": {"shimei": "佐藤　花\n", "sei": "\t佐藤", "mei": " 花"},
        },
        comes={
            "maebashi": {"fullName": "佐藤 花", "familyName": "佐藤", "givenName": "花"},
            "ebetsu": {"fullName": "佐藤　　花", "familyName": "佐藤", "givenName": "花", "fullNameKana": "サトウ ハナ"},
            "omura": {"fullName": "佐藤　花", "familyName": "佐藤", "givenName": "花"},
        },
    ),
    OddName(
        corner="nothing but spaces",
        says={
            "maebashi": {"name": "　", "family_name": " "},
            "ebetsu": {"1": "　 ", "2": " "},
            "omura": {"shimei": " ", "sei_yomi": "　"},
        },
        comes={
            "maebashi": {"fullName": _EMPTY, "familyName": _EMPTY},
            "ebetsu": {"fullName": _EMPTY, "familyName": _EMPTY, "givenName": _EMPTY, "fullNameKana": _EMPTY},
            "omura": {"fullName": _EMPTY, "familyNameKana": _EMPTY, "fullNameKana": _EMPTY},
        },
    ),
    OddName(
        corner="a reading that is no katakana",
        says={
            "maebashi": {"name": "林 花", "family_name#ja-Kana-JP": "はやし", "given_name#ja-Kana-JP": "Hana"},
            "ebetsu": {"1": "林　花", "2": "HAYASHI HANA"},
            "omura": {"shimei": "林　花", "sei_yomi": "ﾊﾔｼ", "mei_yomi": "花"},
        },
        comes={
            "maebashi": {
                "fullName": "林 花",
                "familyNameKana": _NOT_KANA,
                "givenNameKana": _NOT_KANA,
                "fullNameKana": _NOT_KANA,
            },
            "ebetsu": {"fullName": "林　花", "familyName": "林", "givenName": "花", "fullNameKana": _NOT_KANA},
            "omura": {
                "fullName": "林　花",
                "familyNameKana": _NOT_KANA,
                "givenNameKana": _NOT_KANA,
                "fullNameKana": _NOT_KANA,
            },
        },
    ),
    OddName(
        corner="a mark that no kana takes",
        says={
            "maebashi": {"name": "綾 花", "family_name#ja-Kana-JP": "ｱﾞﾔ", "given_name#ja-Kana-JP": "ﾊﾅ"},
            "ebetsu": {"1": "綾　花", "2": "ｱﾞﾔ ﾊﾅ"},
            "omura": {"shimei": "綾　花", "sei_yomi": "あ゛や", "mei_yomi": "はな"},
        },
        comes={
            "maebashi": {
                "fullName": "綾 花",
                "familyNameKana": _STRAY,
                "givenNameKana": "ハナ",
                "fullNameKana": _STRAY,
            },
            "ebetsu": {"fullName": "綾　花", "familyName": "綾", "givenName": "花", "fullNameKana": _STRAY},
            "omura": {
                "fullName": "綾　花",
                "familyNameKana": _NOT_KANA,
                "givenNameKana": "ハナ",
                "fullNameKana": _NOT_KANA,
            },
        },
    ),
    OddName(
        corner="a direction override that disguises",
        says={
            "maebashi": {"name": "佐藤\u202e 花"},
            "ebetsu": {"1": "佐藤\u202e　花"},
            "omura": {"shimei": "佐藤\u202e　花"},
        },
        comes={
            "maebashi": {"fullName": Absent("unusable-character")},
            "ebetsu": {
                "fullName": Absent("unusable-character"),
                "familyName": Absent("unusable-character"),
                "givenName": "花",
            },
            "omura": {"fullName": Absent("unusable-character")},
        },
    ),
    OddName(
        corner="very long",
        says={"maebashi": {"name": "あ" * 2001}, "ebetsu": {"1": "あ" * 2001}, "omura": {"shimei": "あ" * 2001}},
        comes={
            "maebashi": {"fullName": Absent("too-long")},
            "ebetsu": {
                "fullName": Absent("too-long"),
                "familyName": Absent("too-long"),
                "givenName": Absent("too-long"),
            },
            "omura": {"fullName": Absent("too-long")},
        },
    ),
    OddName(corner="not told", says={"maebashi": {}, "ebetsu": {}, "omura": {}}),
)  # fmt: skip
