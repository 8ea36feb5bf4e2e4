"""What services get that cannot take every character, or learn facts alone: of the corpus's people, by hand."""

from collections.abc import Mapping

from .outcome import Absent, Outcome

OUTSIDE = Absent("outside-repertoire")

SHRUNK = (
    # family and given name, within JIS X 0208, which characters are substitutes
    ("佐藤健一", "佐藤健一", "0000"),
    ("髙橋花子", "高橋花子", "1000"),
    ("山﨑誠", "山崎誠", "010"),
    ("渡邉良子", "渡邉良子", "0000"),
    ("渡邊修", "渡邊修", "000"),
    ("渡邉\U000e0102進", "渡邉進", "010"),
    ("葛\U000e0100西実", "葛西実", "100"),
    ("𠮷田茂", "吉田茂", "100"),
    ("土𡈽井昭", "土土井昭", "0100"),
    ("𣘺本豊", "橋本豊", "100"),
    ("\ufa19谷薫", "神谷薫", "100"),
    ("三浦\ufa1a子", "三浦祥子", "0010"),
    ("大\ufa10望", "大塚望", "010"),
    ("\ufa1b田恵", "福田恵", "100"),
    ("瀨戸桒太", "瀬戸桑太", "1010"),
    ("齋藤櫻", "齋藤櫻", "000"),
    ("齊藤大地", "齊藤大地", "0000"),
    ("佐々木一郎", "佐々木一郎", "00000"),
    ("〆木弘", "〆木弘", "000"),
    ("鮎ヶ瀬渉", "鮎ヶ瀬渉", "0000"),
    ("中村ローラ", "中村ローラ", "00000"),
    ("森ヴィオラ", "森ヴィオラ", "00000"),
    ("井上ゐつ子", "井上ゐつ子", "00000"),
    ("김수현", OUTSIDE, OUTSIDE),
)
"""Both names together, as registered; one way to write what a service with fewer characters gets."""

FACTS: tuple[tuple[str, str, str, str], ...] = (
    # birth date; on 2026-11-22: 18 or older, reaches 18 by today, age group by 15 and 65
    ("1985-03-15", "true", "true", "15-64"),
    ("1926-12-25", "true", "true", "65-"),
    ("2008-11-21", "true", "true", "15-64"),
    ("2008-11-22", "true", "true", "15-64"),
    ("2008-11-23", "false", "true", "15-64"),
    ("2008-11-24", "false", "false", "15-64"),
    ("2011-11-22", "false", "false", "15-64"),
    ("2011-11-23", "false", "false", "0-14"),
    ("1961-11-22", "true", "true", "65-"),
    ("1961-11-23", "true", "true", "15-64"),
    ("2026-11-22", "false", "false", "0-14"),
)

ADULTS: Mapping[str, Outcome] = {
    # birth date of a resident of the corpus: 18 or older on 2026-11-22
    "1873-01-01": Absent("implausible-age"),
    "1912-07-29": "true",
    "1912-07-30": "true",
    "1926-12-24": "true",
    "1926-12-25": "true",
    "1948-08-21": "true",
    "1985-03-05": "true",
    "1985-03-15": "true",
    "1989-01-07": "true",
    "1989-01-08": "true",
    "1992-02-29": "true",
    "2000-02-29": "true",
    "2019-04-30": "false",
    "2019-05-01": "false",
}

MEMBERS: Mapping[str, Outcome] = {
    # municipality code of a resident of the corpus: lives in 前橋市, 高崎市, 江別市 or 大村市
    "102016": "true",
    "102024": "true",
    "012173": "true",
    "422053": "true",
    "131016": "false",
    "042056": "false",
    "232238": "false",
    "100005": Absent("not-a-municipality"),
}

HOME: tuple[tuple[str, Outcome, Outcome], ...] = (
    # code, lives in 前橋市 or 高崎市, lives in their prefecture
    ("102016", "true", "true"),
    ("102024", "true", "true"),
    ("104493", "false", "true"),
    ("012173", "false", "false"),
    ("131016", "false", "false"),
    ("100005", Absent("not-a-municipality"), Absent("not-a-municipality")),
    ("011011", Absent("ward-code"), Absent("ward-code")),
    ("112046", Absent("unknown-code"), Absent("unknown-code")),
)
