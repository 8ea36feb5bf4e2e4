"""Why an attribute is absent, in words: one row for each reason code that a map can end in."""

from collections.abc import Mapping
from types import MappingProxyType

from federation.vocabulary import Texts


def _row(ja: str, en: str) -> Texts:
    return MappingProxyType({"ja": ja, "en": en})


REASONS: Mapping[str, Texts] = MappingProxyType(
    {
        "not-given": _row("取り出し元に値がありません。", "The source does not have it."),
        "empty": _row("値が空です。", "The value is empty."),
        "several-values": _row(
            "値が複数あり、どれを使うか決められません。", "There are several values, and nothing says which one counts."
        ),
        "too-many-values": _row("値の数が多すぎます。", "There are too many values."),
        "too-long": _row("値が長すぎます。", "The value is too long."),
        "unusable-character": _row(
            "使えない文字（制御文字など）があります。", "It holds a control character or another that cannot be used."
        ),
        "not-canonical": _row(
            "共通語彙の形式に合いません。変換を加えてください。",
            "It is not of the form that the vocabulary wants; add a transform.",
        ),
        "assurance-too-low": _row(
            "本人確認のレベルが、この項目に必要なレベルに届きません。",
            "Its source is not sure enough for this attribute: the identity level is too low.",
        ),
        # dates
        "format": _row("読み取れる形式ではありません。", "It is not written in a form that this transform reads."),
        "partial": _row(
            "日付の一部が不明です。補わずに空けておきます。",
            "Part of the date is unknown, and nothing is made up for it.",
        ),
        "impossible-date": _row("存在しない日付です。", "There is no such day."),
        "outside-era": _row("その元号の期間に入らない日付です。", "The day is not one of that era."),
        "before-1873": _row(
            "明治6年より前の日付は、いまの暦に確実には直せません。",
            "A day from before 1873 has no sure counterpart in today's calendar.",
        ),
        "in-the-future": _row("これから来る日付です。", "The day is still to come."),
        "implausible-age": _row("130歳を超える生年月日です。", "Somebody born that day would be older than 130."),
        # kana, names
        "stray-mark": _row("濁点・半濁点の付く先がありません。", "A voiced mark stands where none can be."),
        "not-two-parts": _row("姓と名の区切りが1つではありません。", "There is not exactly one gap between names."),
        "alphabetic-name": _row(
            "英字の氏名は、姓と名の順が決められません。", "In the Latin alphabet the order of names is a guess."
        ),
        "one-part": _row(
            "区切りがなく、姓と名に分けられません。", "It is one name, or the gap between two is missing."
        ),
        "brackets": _row(
            "かっこ書き（通称や旧氏など）が含まれています。", "It holds an alias or a former name in brackets."
        ),
        "not-alphabetic": _row("英字の氏名ではありません。", "It is not a name in the Latin alphabet."),
        "no-half-width": _row("半角にできないカナがあります。", "It holds kana that have no half width."),
        "no-hiragana": _row("ひらがなにできないカナがあります。", "It holds katakana that have no hiragana."),
        "not-kana": _row("カナではない文字があります。", "It holds characters that are no kana."),
        # characters
        "outside-repertoire": _row(
            "渡し先が扱えず、置き換えも決まっていない文字があります。",
            "It holds a character that the service cannot take, and no replacement is known.",
        ),
        # addresses, telephone numbers
        "uncertain": _row(
            "住所の区切りが確実には分かりません。住所全体だけを使います。",
            "Where this part of the address ends is not certain; it stays in the address as a whole.",
        ),
        "extension": _row("内線番号が付いています。", "It has an extension."),
        "unknown-number": _row("電話番号として読めません。", "It cannot be read as a telephone number."),
        "not-japanese": _row("日本の電話番号ではありません。", "It is not a Japanese telephone number."),
        # codes
        "five-digits": _row(
            "5桁のコードです。検査数字がないなら変換を加え、先頭の0が落ちているなら送り元で直してください。",
            "The code has five digits: without its check digit, add the transform; without its first zero, the sender "
            "must mend it.",
        ),
        "check-digit": _row("検査数字が合いません。", "The check digit is wrong."),
        "ward-code": _row(
            "政令指定都市の区のコードです。市のコードにする変換があります。",
            "It is the code of a ward of a city; a transform makes it the city's.",
        ),
        "unknown-name": _row("その名前の市区町村はありません。", "No municipality is called so."),
        "ambiguous-name": _row(
            "同じ名前の市区町村が複数あります。都道府県名が必要です。",
            "Several municipalities are called so; the prefecture is needed.",
        ),
        "unknown-code": _row("知らないコードです。", "The code is not known."),
        "unknown-word": _row("知らない言葉です。", "The word is not known."),
        "not-expressible": _row("渡し先の形式では表せません。", "The service's form has no word for it."),
        "not-a-municipality": _row(
            "都道府県か、政令指定都市の区で、市区町村ではありません。",
            "It is a prefecture or a ward of a city, no municipality.",
        ),
    }
)
"""Reason code → sentence in ja and en."""
