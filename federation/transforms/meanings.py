"""What each transform does, in Japanese too: for the people who write maps. In English its docstring says it."""

from collections.abc import Mapping
from types import MappingProxyType

from federation.transforms.table import TRANSFORMS
from federation.vocabulary import Texts

_JAPANESE: Mapping[str, str] = {
    # --- spaces and characters
    "strip": "前後の空白を取ります（全角も半角も）。",
    "collapse-spaces": "続いた空白を、半角の空白一つにします。前後の空白は取ります。",
    "wide-spaces": "続いた空白を、全角の空白一つにします。前後の空白は取ります。",
    "nfc-safe": (
        "Unicode の合成した形（NFC）にします。互換漢字と異体字セレクターは、登録のまま残します。"
        "NFC だけでは U+FA19 が U+795E になり、氏名がもとはどちらの字だったか、分からなくなるからです。"
    ),
    "ascii-half-width": "全角の英字・数字・記号（Ａ１－）を半角にします。カナと空白は変えません。",
    "ascii-full-width": "半角の英字・数字・記号を全角にします。空白は変えません。",
    "upper": "大文字にします。大文字のない字はそのままです。",
    "first": "値のある最初の取り出し元の、最初の値を取ります。",
    "shrink": (
        "サービスが扱える文字集合に収めます（縮退）。扱えない字は表で置き換えます（髙は高）。"
        "独自の置き換えを書くと、表より優先します。表にない字は、消したり「？」にしたりせず、"
        "その項目を「なし」にします。取り出し元の項目は登録のまま残り、どの字を置き換えたかは `shrunk-characters`"
        " で伝えられます。"
    ),
    "shrunk-characters": (
        "`shrink` の結果の、どの字が代わりの字かを、1文字ごとに 1 か 0 で表します。"
        "公的個人認証の証明書（otherName 1.2.392.200149.8.5.5.2 と .6）と同じです。"
        "髙橋を JIS X 0208 に収めると `10` です。"
    ),
    # --- names
    "split-family": (
        "区切りが一つの氏名から、姓を取ります。一つの名だけの人、区切りが一つでない氏名、"
        "英字の氏名（順番が分からないので `split-family-latin` を使います）、かっこ書き（通称や旧氏）"
        "のある氏名は「なし」です。"
    ),
    "split-given": "区切りが一つの氏名から、名を取ります。「なし」になるのは `split-family` と同じときです。",
    "split-family-latin": (
        "英字の氏名から、姓を取ります。姓と名の順番は対応表に書きます。字は書かれたままです。"
        "区切りは一つの空白か、姓のあとのコンマ（姓が先のときだけ）です。"
    ),
    "split-given-latin": (
        "英字の氏名から、名を取ります。順番は対応表に書きます。区切りは `split-family-latin` と同じです。"
    ),
    "join-space": "いくつもの取り出し元の値を、半角の空白でつなぎます。",
    "join-wide-space": "いくつもの取り出し元の値を、全角の空白でつなぎます。",
    "join-closed": "いくつもの取り出し元の値を、何もはさまずにつなぎます。",
    "name-match-key": (
        "氏名を比べるためのキーにします（髙橋と高橋は同じ）。見せるためのものではありません。空白、"
        "異体字セレクター、新旧の字体（澤と沢）、英字の大小と全角半角、カナ（`kana-match-key` と同じ）"
        "の違いをなくします。別の人が同じキーになることもあります。"
    ),
    # --- readings
    "kana-full-width": "半角カタカナを全角にします。濁点・半濁点は一つの字にまとめます。ほかの字はそのままです。",
    "kana-half-width": (
        "全角カタカナを半角にします（ガは2文字）。ほかの字はそのままです。半角のないカナ（ヰ、ヱ、ヶ）"
        "があれば「なし」です。"
    ),
    "hiragana-to-katakana": "ひらがなをカタカナにします。ほかの字はそのままです。",
    "katakana-to-hiragana": (
        "全角カタカナをひらがなにします。長音（ー）とほかの字はそのままです。ひらがなのないカナ（ヷ、小さいㇰ）"
        "があれば「なし」です。"
    ),
    "kana-match-key": (
        "読みを比べるためのキーにします（キャとキヤは同じ）。見せるためのものではありません。ひらがなとカタカナ、"
        "全角と半角、大きい字と小さい字、ハイフンで打った長音、くり返しの記号、空白の違いをなくします。"
    ),
    # --- dates
    "wareki-to-iso": (
        "和暦の日付（昭和60年3月15日、S60.3.15、S600315）を `YYYY-MM-DD` にします。月日が不詳なら「なし」です。"
    ),
    "gregorian-to-iso": "西暦の日付（1985/3/15）を `YYYY-MM-DD` にします。月日が不詳なら「なし」です。",
    "compact-date-to-iso": "8桁の数字（19850315）を `YYYY-MM-DD` にします。月日が不詳なら「なし」です。",
    "era-digit-date-to-iso": (
        "元号の数字（1 明治〜5 令和）と6桁の数字（3600315）を `YYYY-MM-DD` にします。月日が不詳なら「なし」です。"
    ),
    "era-digit-date-by": "`era-digit-date-to-iso` と同じです。元号の数字は、対応表に書いた表のとおりに読みます。",
    "jpki-date-to-iso": (
        "公的個人認証の証明書の生年月日（元号の数字と `YYYYMMDD`、319850315）を `YYYY-MM-DD` にします。"
        "元号と日付が合わないときと、月日が不詳のときは「なし」です。"
    ),
    "jpki-date-by": "`jpki-date-to-iso` と同じです。元号の数字は、対応表に書いた表のとおりに読みます。",
    "year-of-birth": (
        "和暦、西暦、8桁の日付から、年（1985）だけを取ります。月日が不詳でもかまいません（昭和20年不詳）。"
        "OpenID Connect の `birthdate` は年だけでもよいことになっています（Core §5.1）。日付ではないので、"
        "`dateOfBirth` には入りません。"
    ),
    "iso-to-wareki": "`YYYY-MM-DD` を和暦（昭和60年3月15日）にします。2118年からは書けません。",
    "iso-to-wareki-kanji": "`YYYY-MM-DD` を漢数字の和暦（昭和六十年三月十五日）にします。",
    "iso-to-wareki-letter": "`YYYY-MM-DD` を S60.03.15 の形（JIS X 0301 の拡張形式）にします。",
    "iso-to-wareki-compact": "`YYYY-MM-DD` を S600315 の形（JIS X 0301 の基本形式）にします。",
    "iso-to-era-digit-date": "`YYYY-MM-DD` を、元号の数字と6桁の数字（3600315）にします。",
    "iso-to-jpki-date": "`YYYY-MM-DD` を、公的個人認証の証明書の形（319850315）にします。",
    "iso-to-compact-date": "`YYYY-MM-DD` を8桁の数字（19850315）にします。",
    # --- sex
    "sex-code": "ISO/IEC 5218 のコード（0、1、2、9）を読みます。全角でもかまいません。",
    "sex-from-japanese": (
        "男、男性、女、女性、不明、回答しない などの言葉を、ISO/IEC 5218 のコードにします。"
        "その他 にあたるコードはないので「なし」です。"
    ),
    "sex-from-openid": (
        "`male`、`female`（OpenID Connect Core §5.1）、`unknown`、`withheld` を ISO/IEC 5218 のコードにします。"
        "`other` は「なし」です。"
    ),
    "sex-from-letter": "旅券など（ICAO 9303）の `M`、`F` を ISO/IEC 5218 のコードにします。`X` は「なし」です。",
    "sex-from-any": (
        "ほかの `sex-…` が読むコード、言葉、英字のどれでも読みます（大小、全角半角も）。"
        "書き方がそろっていないシステム用です。"
    ),
    "sex-to-japanese": "ISO/IEC 5218 のコード 0、1、2 を 不明、男性、女性 にします。",
    "sex-to-openid": "ISO/IEC 5218 のコード 1、2 を `male`、`female`（OpenID Connect Core §5.1）にします。",
    "sex-to-letter": "ISO/IEC 5218 のコード 1、2 を `M`、`F` にします。",
    # --- municipalities
    "municipality-code": (
        "実在する団体の6桁のコード（102016）を読みます。全角でもかまいません。5桁のときは「なし」です。"
        "検査数字がない（`municipality-code-5-to-6` を使います）のか、先頭の 0 が落ちたのか、"
        "送り元にしか分からないからです。政令指定都市の区のコードと、合併でなくなったコードも「なし」です。"
    ),
    "municipality-code-5-to-6": "5桁のコード（10201）に検査数字を付けます（102016）。",
    "municipality-code-6-to-5": "6桁のコードから検査数字を取ります（102016 は 10201）。",
    "ward-code-to-municipality-code": (
        "政令指定都市の区のコードを、市のコードにします（011011 中央区は 011002 札幌市）。"
        "市区町村のコードはそのままです。"
    ),
    "municipality-name-to-code": (
        "市区町村の名前（群馬県前橋市、前橋市、余市郡余市町）を、コードにします。同じ名前が二つあるとき（府中市）"
        "は、都道府県が書いてあれば読みます。都道府県と、政令指定都市の区は「なし」です。"
    ),
    "municipality-name-in": (
        "書いた都道府県の中で、市区町村の名前をコードにします（広島県の府中市）。"
        "名前の前にほかの都道府県が書いてあれば「なし」です。"
    ),
    "code-to-municipality-name": "コードを、都道府県と郡を付けない名前（前橋市）にします。",
    "code-to-full-name": "コードを、都道府県を付けた名前（群馬県前橋市）にします。",
    "code-to-prefecture": "コードを、その都道府県の名前にします。",
    "code-to-kana": "コードを、名前の読み（マエバシシ）にします。",
    # --- addresses
    "address-normalise": "住所の数字を半角に、番地のハイフンを1種類に、空白を一つにそろえます。",
    "address-prefecture": (
        "住所の都道府県を取ります。書いていなければ、同じ名前の市区町村がほかにないときだけ補います。"
    ),
    "address-city": (
        "住所の市区町村を、郡と区も付けて、書かれたまま取ります（前橋市、余市郡余市町、札幌市中央区）。"
        "政令指定都市なのに区がないときは「なし」です。"
    ),
    "address-municipality-code": "住所の市区町村のコードにします。政令指定都市の区なら、市のコードです。",
    "address-street": "住所の町名（大手町）を、丁目を付けずに取ります。",
    "address-block": "住所の番地などの数字を、ハイフンでつなぎます（二丁目12番1号は 2-12-1）。",
    "address-building": "住所の建物名と部屋番号を取ります。",
    "join-address": "都道府県から順に、住所の部分を一つにつなぎます。番地のあとには空白を入れます。",
    # --- contact
    "postal-code": "郵便番号（〒371-8601）を7桁の数字にします。",
    "postal-code-with-hyphen": "7桁の数字（3718601）を、ふだん書く形（371-8601）にします。",
    "phone-to-e164": (
        "電話番号を国際的な書き方（ITU-T E.164、数字だけ）にします（090-1234-5678 は +819012345678）。"
        "+ のない番号は日本の番号として読みます（10桁。050、060、070、080、090 は11桁）。ハイフン、かっこ、点、"
        "空白と、国番号のあとの 0 は取ります。ほかの国の番号は数字を変えません。内線の付いた番号は「なし」です。"
    ),
    "phone-to-national": (
        "日本の電話番号を、国内でかける数字だけの形にします（+819012345678 は 09012345678）。"
        "市外局番の区切りは番号からは分からないので、ハイフンは入れません。"
    ),
    "email-address": (
        "メールアドレスの前後の空白を取り、@ の後ろを小文字の ASCII にします（RFC 5321、IDNA）。"
        "@ の前はそのままです。携帯電話会社が配った、点の続くアドレス（a..b.@…）も読みます。名前の付いた書き方、"
        "引用符、数字のアドレスは「なし」です。"
    ),
    # --- facts
    "over": "生年月日から、今その年齢以上かどうか。誕生日から `true` です（日本の法律の数え方）。",
    "reaches": (
        "生年月日から、今日の終わりまでにその年齢に達するかどうか。選挙権のように、誕生日の前の日から `true` です。"
    ),
    "age-band": "生年月日から、今の年齢層。15,65 と書くと `0-14`、`15-64`、`65-` のどれかです。",
    "resident-of": "市区町村コードが、書いた市区町村か、書いた都道府県の中かどうか。",
    "same-prefecture": "市区町村コードが、書いた市区町村と同じ都道府県かどうか。",
    "adult-resident-of": "生年月日と市区町村コード（この順）から、書いた地域に住む18歳以上の人かどうか。",
}

MEANINGS: Mapping[str, Texts] = MappingProxyType(
    {
        name: MappingProxyType({"ja": _JAPANESE[name], "en": " ".join(transform.meaning.split())})
        for name, transform in TRANSFORMS.items()
    }
)
"""Transform name → what it does, in ja and en, each in one paragraph."""
