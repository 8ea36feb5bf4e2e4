"""Birth dates: Maebashi writes eight digits, Ebetsu and Omura eras. What comes of each is written by hand."""

from .outcome import Absent, Row

PARTIAL = Absent("partial")
FORMAT = Absent("format")
IMPOSSIBLE = Absent("impossible-date")
OUTSIDE = Absent("outside-era")
LUNISOLAR = Absent("before-1873")

BIRTHS = (
    # corner, Maebashi, Ebetsu, Omura, what comes
    # --- an ordinary day in every notation
    Row("arabic and kanji numerals", "19850315", "昭和60年3月15日", "昭和六十年三月十五日", "1985-03-15"),
    Row("full width", "１９８５０３１５", "昭和６０年３月１５日", "昭和６０年３月１５日", "1985-03-15"),
    Row("letter and dots", "19850315", "S60.3.15", "Ｓ６０．３．１５", "1985-03-15"),
    Row("small letter", "19850315", "s60.03.15", "ｓ60.3.15", "1985-03-15"),
    Row("letter and slashes", "19850315", "S60/3/15", "S60／03／15", "1985-03-15"),
    Row("letter and hyphens", "19850315", "S60-3-15", "S60－3－15", "1985-03-15"),
    Row("letter and spaces", "19850315", "S60 3 15", "S60　3　15", "1985-03-15"),
    Row("letter and commas", "19850315", "S60,3,15", "S60、3、15", "1985-03-15"),
    Row("letter, nothing between", "19850315", "S600315", "Ｓ６００３１５", "1985-03-15"),
    Row("one character of the era", "19850315", "昭60.3.15", "昭６０年３月１５日", "1985-03-15"),
    Row("the era in one sign", "19850315", "㍼60年3月15日", "㍼六十年三月十五日", "1985-03-15"),
    Row("kanji by place", "19850315", "昭和六〇年三月一五日", "昭和六○年三月一五日", "1985-03-15"),
    Row("legal kanji", "19850315", "昭和六拾年参月拾五日", "昭和陸拾年參月壱拾伍日", "1985-03-15"),
    Row("spaces between", "19850315", "昭和 60年 3月 15日", "昭和　60年　3月　15日", "1985-03-15"),
    Row("spaces around", " 19850315 ", " 昭和60年3月15日", "昭和60年3月15日　", "1985-03-15"),
    Row("zeros before", "19850305", "昭和60年03月05日", "昭和６０年０３月０５日", "1985-03-05"),
    Row("twenty in one sign", "19480821", "昭和廿三年八月廿一日", "昭和廿三年八月廿一日", "1948-08-21"),
    # --- first years and the days at which eras meet
    Row("first year of 令和", "20190501", "令和元年5月1日", "令和元年五月一日", "2019-05-01"),
    Row("first year as a number", "20190501", "令和1年5月1日", "Ｒ１．５．１", "2019-05-01"),
    Row("letter and 元", "19890108", "H元.1.8", "平元年１月８日", "1989-01-08"),
    Row("first day of 平成", "19890108", "平成元年1月8日", "㍻元年一月八日", "1989-01-08"),
    Row("last day of 昭和", "19890107", "昭和64年1月7日", "昭和六十四年一月七日", "1989-01-07"),
    Row("last day of 平成", "20190430", "平成31年4月30日", "H31/4/30", "2019-04-30"),
    Row("the double day of 1926, older", "19261225", "大正15年12月25日", "大正十五年十二月二十五日", "1926-12-25"),
    Row("the double day of 1926, newer", "19261225", "昭和元年12月25日", "S1.12.25", "1926-12-25"),
    Row("the double day of 1912, older", "19120730", "明治45年7月30日", "M45.7.30", "1912-07-30"),
    Row("the double day of 1912, newer", "19120730", "大正元年7月30日", "T1.7.30", "1912-07-30"),
    Row("the day before 大正", "19120729", "明治45年7月29日", "明治四十五年七月二十九日", "1912-07-29"),
    Row("the day before 昭和", "19261224", "大正15年12月24日", "㍽15年12月24日", "1926-12-24"),
    Row("昭和 after its end", None, "昭和64年1月8日", "S64.1.8", OUTSIDE),
    Row("平成 before its beginning", None, "平成元年1月7日", "H1.1.7", OUTSIDE),
    Row("平成 after its end", None, "平成31年5月1日", "平成三十一年五月一日", OUTSIDE),
    Row("令和 before its beginning", None, "令和元年4月30日", "R010430", OUTSIDE),
    Row("昭和 in the year 元 before its day", None, "昭和元年12月24日", "昭和元年十二月二十四日", OUTSIDE),
    Row("明治 after its end", None, "明治45年7月31日", "M45/7/31", OUTSIDE),
    # --- before the solar calendar
    Row("first solar day", "18730101", "明治6年1月1日", "明治六年一月一日", "1873-01-01"),
    Row("last lunisolar day", None, "明治5年12月2日", "明治五年十二月二日", LUNISOLAR),
    Row("a lunisolar day", None, "明治元年9月8日", "M3.5.5", LUNISOLAR),
    Row("an era before the table", None, "慶応3年1月1日", "慶應三年一月一日", FORMAT),
    # --- leap days and days that are none
    Row("leap day", "19920229", "平成4年2月29日", "平成四年二月二十九日", "1992-02-29"),
    Row("leap day of 2000", "20000229", "平成12年2月29日", "H12.2.29", "2000-02-29"),
    Row("no leap day", "19930229", "平成5年2月29日", "H5.2.29", IMPOSSIBLE),
    Row("no leap day in 1900", "19000229", "明治33年2月29日", "M33.2.29", IMPOSSIBLE),
    Row("31 April", "19850431", "昭和60年4月31日", "昭和六十年四月三十一日", IMPOSSIBLE),
    Row("month 13", "19851301", "昭和60年13月1日", "S60.13.1", IMPOSSIBLE),
    Row("the year 0 of an era", None, "昭和0年1月1日", "昭和〇年一月一日", IMPOSSIBLE),
    # --- what nobody knows
    Row("day unknown", "19420700", "昭和17年7月不詳", "昭和十七年七月不詳", PARTIAL),
    Row("day unknown, in other words", "19420700", "昭和17年7月日不詳", "昭和17年7月不明", PARTIAL),
    Row("month and day unknown", "19420000", "昭和17年不詳", "昭和十七年月日不詳", PARTIAL),
    Row("only year and month", "19420700", "昭和17年7月", "S17.7", PARTIAL),
    Row("only the year", "1942", "昭和17年", "昭和十七年", PARTIAL),
    Row("question marks", "194207??", "昭和17年7月?日", "昭和17年?月?日", PARTIAL),
    Row("zeros for unknown", "19420000", "昭和17年00月00日", "S17.0.0", PARTIAL),
    Row("all unknown", "不詳", "不詳", "生年月日不明", PARTIAL),
    # --- not the system's way of writing
    Row("another system's way", "1985-03-15", "1985-03-15", "19850315", FORMAT),
    Row("era where digits are due", "昭和60年3月15日", "1985年3月15日", "3600315", FORMAT),
    Row("letters only", "birthday", "昭和", "昭和某日", FORMAT),
    Row("mixed separators", "1985/0315", "S60.3/15", "昭和60年3/15", FORMAT),
    Row("no separator at all", "198503150", "S60315", "S6003150", FORMAT),
    Row("a row of digits", "1" * 500, "昭和" + "6" * 500, "昭和" + "十" * 500, FORMAT),
    Row("nothing but a space", " ", "　", " ", Absent("empty")),
    Row("not told", None, None, None, Absent("not-given")),
)  # fmt: skip
"""Each in the three systems' formats."""
