# ruff: noqa: E501 - a row is a line
"""Sexes, municipality codes, postal codes, telephone numbers, e-mail: as the ID systems write them."""

from .outcome import Absent, Comes, Row

FORMAT = Absent("format")
UNKNOWN = Absent("unknown-code")
WORD = Absent("unknown-word")
NOT_CANONICAL = Absent("not-canonical")
EMPTY = Absent("empty")

SEXES = (
    # corner, Maebashi (ISO 5218), Ebetsu (ISO 5218), Omura (words), what comes
    Row("man", "1", "1", "男", "1"),
    Row("woman", "2", "2", "女", "2"),
    Row("man, in full", "１", "１", "男性", "1"),
    Row("woman, in full", "２", "２", "女性", "2"),
    Row("not known", "0", "0", "不明", "0"),
    Row("withheld", "0", "０", "回答しない", "0"),
    Row("not answered", "０", "0", "未回答", "0"),
    Row("not applicable", "9", "9", "適用不能", "9"),
    Row("something else", "3", "3", "その他", Comes(UNKNOWN, UNKNOWN, Absent("not-expressible"))),
    Row("another system's words", "男", "female", "M", Comes(UNKNOWN, UNKNOWN, WORD)),
    Row("two digits", "01", "11", "男女", Comes(UNKNOWN, UNKNOWN, WORD)),
    Row("only a space", " ", "　", "　", EMPTY),
    Row("not told", None, None, None, Absent("not-given")),
)

CODES = (
    # corner, Maebashi (5 digits), Ebetsu (6), Omura (6), what comes
    Row("前橋市", "10201", "102016", "102016", "102016"),
    Row("江別市, with its first zero", "01217", "012173", "012173", "012173"),
    Row("大村市", "42205", "422053", "422053", "422053"),
    Row("高崎市", "10202", "102024", "102024", "102024"),
    Row("気仙沼市", "04205", "042056", "042056", "042056"),
    Row("大府市", "23223", "232238", "232238", "232238"),
    Row("a special ward of Tokyo", "13101", "131016", "131016", "131016"),
    Row("a prefecture", "10000", "100005", "100005", "100005"),
    Row("full width", "１０２０１", "１０２０１６", "１０２０１６", Comes("102016", NOT_CANONICAL, NOT_CANONICAL)),
    Row("the first zero lost", "1217", "12173", "12173", Comes(FORMAT, NOT_CANONICAL, NOT_CANONICAL)),
    Row("the other length", "102016", "10201", "10201", Comes(FORMAT, NOT_CANONICAL, NOT_CANONICAL)),
    Row("wrong check digit", "102O1", "102017", "422054", Comes(FORMAT, NOT_CANONICAL, NOT_CANONICAL)),
    Row("a ward of 札幌市", "01101", "011011", "011011", Comes(Absent("ward-code"), NOT_CANONICAL, NOT_CANONICAL)),
    Row("merged: 浦和市", "11204", "112046", "112046", Comes(UNKNOWN, NOT_CANONICAL, NOT_CANONICAL)),
    Row("nobody's", "99999", "999997", "990000", Comes(UNKNOWN, NOT_CANONICAL, NOT_CANONICAL)),
    Row("a name", "前橋市", "江別市", "大村市", Comes(FORMAT, NOT_CANONICAL, NOT_CANONICAL)),
    Row("not told", None, None, None, Absent("not-given")),
)

POSTAL_CODES = (
    # corner, Maebashi, Ebetsu (does not send any), Omura, what comes
    Row("with a hyphen", "371-8601", None, "856-8686", Comes("3718601", "", "8568686")),
    Row("seven digits", "3718601", None, "8568686", Comes("3718601", "", "8568686")),
    Row("with its sign", "〒371-8601", None, "〒 856-8686", Comes("3718601", "", "8568686")),
    Row("full width", "３７１－８６０１", None, "〒８５６－８６８６", Comes("3718601", "", "8568686")),
    Row("other hyphens", "371‐8601", None, "856–8686", Comes("3718601", "", "8568686")),
    Row("minus and long mark", "371−8601", None, "856ー8686", Comes("3718601", "", "8568686")),
    Row("half-width long mark", "371ｰ8601", None, "856—8686", Comes("3718601", "", "8568686")),
    Row("with its first zero", "060-8588", None, "0690832", Comes("0608588", "", "0690832")),
    Row("three digits", "371", None, "856", FORMAT),
    Row("eight digits", "371-86011", None, "85686860", FORMAT),
    Row("the hyphen elsewhere", "3718-601", None, "8568-686", FORMAT),
    Row("letters", "postal", None, "郵便番号", FORMAT),
    Row("not told", None, None, None, Absent("not-given")),
)  # fmt: skip

TELEPHONES = (
    # corner, Maebashi, Ebetsu, Omura (each in a field of its own), what comes
    Row("mobile", "090-1234-5678", "09012345678", "０９０－１２３４－５６７８", "+819012345678"),
    Row("mobile, other beginnings", "080-0000-1111", "(080)0000-1111", "080 0000 1111", "+818000001111"),
    Row("fixed, Maebashi", "027-224-1111", "0272241111", "０２７（２２４）１１１１", "+81272241111"),
    Row("fixed, Tokyo", "03-3581-0000", "03(3581)0000", "03.3581.0000", "+81335810000"),
    Row("fixed, five digits of area", "01267-2-0000", "0126720000", "01267（2）0000", "+81126720000"),
    Row("hyphens of other kinds", "011‐381‐1000", "011–381–1000", "011−381ー1000", "+81113811000"),
    Row("half-width long mark", "0957ｰ53ｰ4111", "0957—53—4111", "0957-53-4111", "+81957534111"),
    Row("IP telephone", "050-1234-5678", "050-1234-5678", "０５０１２３４５６７８", "+815012345678"),
    Row("toll-free", "0120-000-111", "0120-000-111", "０１２０－０００－１１１", "+81120000111"),
    Row("international", "+81-90-1234-5678", "+81 90 1234 5678", "＋８１９０１２３４５６７８", "+819012345678"),
    Row("international with a zero", "+81 (0)90-1234-5678", "+81(0)9012345678", "+81 (0)90 1234 5678", "+819012345678"),
    Row("of another country", "+62 21 1234 5678", "+62-21-1234-5678", "+622112345678", "+622112345678"),
    Row("an extension", "027-224-1111 内線123", "011-381-1000 (内)4", "0957-53-4111 ext. 5", Absent("extension")),
    Row("a digit too few", "090-1234-567", "03-3581-000", "0272-24-111", Absent("unknown-number")),
    Row("a digit too many", "090-1234-56789", "0272-24-11111", "011-381-10000", Absent("unknown-number")),
    Row("no zero before", "90-1234-5678", "9012345678", "３５８１００００", Absent("unknown-number")),
    Row("words", "なし", "none", "電話なし", FORMAT),
    Row("not told", None, None, None, Absent("not-given")),
)  # fmt: skip

EMAILS = (
    # corner, Maebashi, Ebetsu, Omura, what comes
    Row("plain", "hanako@example.jp", "hanako@example.jp", " hanako@example.jp ", "hanako@example.jp"),
    Row("capital domain", "Hanako@Example.JP", "Hanako@EXAMPLE.JP", "Hanako@example.JP", "Hanako@example.jp"),
    Row("a tag", "hanako+town@example.jp", "hanako+town@example.jp", "hanako+town@example.jp", "hanako+town@example.jp"),
    Row("old carrier's dots", "ha..na@mobile.example", "ha..na@mobile.example", "ha..na@mobile.example", "ha..na@mobile.example"),
    Row("dot before the sign", "hana.@mobile.example", "hana.@mobile.example", "hana.@mobile.example", "hana.@mobile.example"),
    Row("Japanese domain", "a@日本語.jp", "a@日本語.JP", "a@日本語.jp", "a@xn--wgv71a119e.jp"),
    Row("no sign", "hanako.example.jp", "hanako", "花子", FORMAT),
    Row("no domain", "hanako@", "hanako@localhost", "hanako@-a.jp", FORMAT),
    Row("a name before it", "花子 <hanako@example.jp>", "Hanako <h@example.jp>", '"花子"@example.jp', FORMAT),
    Row("a number for a domain", "a@[192.0.2.1]", "a@192.0.2.1", "a@192.0.2.1", FORMAT),
    Row("full-width sign", "hanako＠example.jp", "ｈａｎａｋｏ@example.jp", "hanako＠example．jp", FORMAT),
    Row("too long before the sign", "a" * 65 + "@example.jp", "b" * 65 + "@example.jp", "c" * 65 + "@example.jp", Absent("too-long")),
    Row("not told", None, None, None, Absent("not-given")),
)  # fmt: skip
