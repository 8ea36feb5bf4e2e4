# ruff: noqa: E501 - a row is a line
"""Addresses, and what is certain of them: prefecture, municipality, its code, town, block, building; by hand."""

from dataclasses import dataclass

from .outcome import Absent, Outcome


@dataclass(frozen=True, slots=True)
class Address:
    """An address as a resident's record has it, and its parts."""

    corner: str
    written: str
    prefecture: Outcome
    city: Outcome
    code: Outcome
    street: Outcome
    block: Outcome
    building: Outcome


NO = Absent("not-given")
UNSURE = Absent("uncertain")
SEVERAL = Absent("ambiguous-name")
_NOWHERE = (UNSURE, UNSURE, UNSURE, UNSURE, UNSURE, UNSURE)
_MAEBASHI = ("群馬県", "前橋市", "102016")
_EBETSU = ("北海道", "江別市", "012173")
_OMURA = ("長崎県", "大村市", "422053")

ADDRESSES = (
    # corner, written, prefecture, city, code, street, block, building
    # --- the six hyphens, and words instead
    Address("U+2010", "群馬県前橋市大手町2‐12‐1", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("U+2011", "群馬県前橋市大手町2‑12‑1", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("U+2013", "群馬県前橋市大手町2–12–1", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("U+2014", "群馬県前橋市千代田町５—１—１６", *_MAEBASHI, "千代田町", "5-1-16", NO),
    Address("minus", "群馬県前橋市南町３丁目６２−１", *_MAEBASHI, "南町", "3-62-1", NO),
    Address("long mark", "群馬県前橋市本町１ー５ー２", *_MAEBASHI, "本町", "1-5-2", NO),
    Address("half-width long mark", "北海道江別市野幌末広町７ｰ１", *_EBETSU, "野幌末広町", "7-1", NO),
    Address("full-width hyphen", "群馬県前橋市大渡町１－３－７", *_MAEBASHI, "大渡町", "1-3-7", NO),
    Address("plain hyphen", "群馬県前橋市大渡町1-3-7", *_MAEBASHI, "大渡町", "1-3-7", NO),
    Address("丁目, 番, 号", "群馬県前橋市大手町二丁目12番1号", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("丁目, 番, 号 in full width", "群馬県前橋市大手町２丁目１２番１号", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("numbers in kanji", "群馬県前橋市大手町二丁目十二番一号", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("丁目 and a hyphen", "群馬県前橋市大手町２丁目１２－１", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("番地", "北海道江別市高砂町６番地", *_EBETSU, "高砂町", "6", NO),
    Address("番地の", "北海道江別市大麻中町２６番地の７", *_EBETSU, "大麻中町", "26-7", NO),
    Address("番地ノ", "北海道江別市大麻中町26番地ノ7", *_EBETSU, "大麻中町", "26-7", NO),
    Address("the 丁目 alone", "群馬県前橋市大手町２丁目", *_MAEBASHI, "大手町", "2丁目", NO),
    Address("the town alone", "群馬県前橋市大手町", *_MAEBASHI, "大手町", NO, NO),
    Address("the city alone", "群馬県前橋市", *_MAEBASHI, NO, NO, NO),
    Address("no number", "長崎県大村市箕島町無番地", *_OMURA, "箕島町", "無番地", NO),
    Address("hyphens of two kinds", "群馬県前橋市大手町2－12‐1", *_MAEBASHI, "大手町", "2-12-1", NO),
    # --- buildings
    Address("a building", "長崎県大村市本町４５８–２　プラットおおむら", *_OMURA, "本町", "458-2", "プラットおおむら"),
    Address("a building with a long mark", "群馬県前橋市本町2-12-6 前橋センター", *_MAEBASHI, "本町", "2-12-6", "前橋センター"),
    Address("building and room", "群馬県前橋市大手町2-12-1 県庁前ビル305号室", *_MAEBASHI, "大手町", "2-12-1", "県庁前ビル305号室"),
    Address("a building in full width", "群馬県前橋市本町１丁目５ー２　前橋プラザ元気２１", *_MAEBASHI, "本町", "1-5-2", "前橋プラザ元気21"),
    Address("a building in letters", "長崎県大村市玖島1丁目25番地 OMURA HEIGHTS", *_OMURA, "玖島", "1-25", "OMURA HEIGHTS"),
    Address("a number that may be a room's", "群馬県前橋市大手町2-12-1-305", *_MAEBASHI, "大手町", UNSURE, UNSURE),
    Address("a third number that may be a room's", "群馬県前橋市大手町2-12-305", *_MAEBASHI, "大手町", UNSURE, UNSURE),
    # --- towns with numbers of their own
    Address("条", "北海道札幌市中央区北1条西2丁目", "北海道", "札幌市中央区", "011002", "北1条西", "2丁目", NO),
    Address("条 in kanji", "北海道旭川市六条通９丁目４６番地", "北海道", "旭川市", "012041", "六条通", "9-46", NO),
    Address("番町", "東京都千代田区一番町25番地", "東京都", "千代田区", "131016", "一番町", "25", NO),
    Address("a number in a town's name", "東京都港区六本木6-10-1", "東京都", "港区", "131032", "六本木", "6-10-1", NO),
    Address("八丁堀", "東京都中央区八丁堀2丁目8番5号", "東京都", "中央区", "131024", "八丁堀", "2-8-5", NO),
    # --- municipalities that are easily cut wrongly
    Address("四日市市", "三重県四日市市諏訪町1番5号", "三重県", "四日市市", "242021", "諏訪町", "1-5", NO),
    Address("廿日市市", "広島県廿日市市下平良1-11-1", "広島県", "廿日市市", "342130", "下平良", "1-11-1", NO),
    Address("野々市市", "石川県野々市市三納1-1", "石川県", "野々市市", "172120", "三納", "1-1", NO),
    Address("市川市", "千葉県市川市八幡1-1-1", "千葉県", "市川市", "122033", "八幡", "1-1-1", NO),
    Address("余市町, with its county", "北海道余市郡余市町朝日町26番地", "北海道", "余市郡余市町", "014087", "朝日町", "26", NO),
    Address("余市町, without", "北海道余市町朝日町26番地", "北海道", "余市町", "014087", "朝日町", "26", NO),
    Address("大町市", "長野県大町市大町3887番地", "長野県", "大町市", "202126", "大町", "3887", NO),
    Address("町田市", "東京都町田市森野2-2-22", "東京都", "町田市", "132098", "森野", "2-2-22", NO),
    Address("村山市", "山形県村山市中央1-3-6", "山形県", "村山市", "062081", "中央", "1-3-6", NO),
    Address("a county with 市 in it", "東京都あきる野市二宮350番地", "東京都", "あきる野市", "132284", "二宮", "350", NO),
    Address("大字", "群馬県吾妻郡中之条町大字中之条町1091番地", "群馬県", "吾妻郡中之条町", "104213", "大字中之条町", "1091", NO),
    Address("a county, a town", "群馬県利根郡みなかみ町後閑318", "群馬県", "利根郡みなかみ町", "104493", "後閑", "318", NO),
    Address("a village", "群馬県北群馬郡榛東村新井790番地1", "群馬県", "北群馬郡榛東村", "103446", "新井", "790-1", NO),
    # --- wards of designated cities
    Address("a ward", "神奈川県横浜市中区本町6丁目50番地の10", "神奈川県", "横浜市中区", "141003", "本町", "6-50-10", NO),
    Address("a ward in another city", "大阪府大阪市北区中之島1-3-20", "大阪府", "大阪市北区", "271004", "中之島", "1-3-20", NO),
    Address("the ward is left out", "神奈川県横浜市本町6丁目50番地", "神奈川県", UNSURE, "141003", UNSURE, UNSURE, UNSURE),
    Address("streets of Kyoto", "京都府京都市中京区寺町通御池上る上本能寺前町488番地", "京都府", "京都市中京区", "261009", UNSURE, UNSURE, UNSURE),
    # --- without a prefecture
    Address("no prefecture", "前橋市大手町2-12-1", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("no prefecture, one of two", "府中市宮西町2-24", SEVERAL, SEVERAL, SEVERAL, SEVERAL, SEVERAL, SEVERAL),
    Address("the same with it", "広島県府中市府川町315番地", "広島県", "府中市", "342084", "府川町", "315", NO),
    Address("the other with it", "東京都府中市宮西町2丁目24番地", "東京都", "府中市", "132063", "宮西町", "2-24", NO),
    Address("no municipality", "群馬県大手町2-12-1", "群馬県", UNSURE, UNSURE, UNSURE, UNSURE, UNSURE),
    Address("the prefecture alone", "群馬県", "群馬県", NO, NO, NO, NO, NO),
    Address("abroad", "1-2-3 Main Street, Springfield", *_NOWHERE),
    Address("a town that no table knows", "群馬県前橋町大手町1-1", "群馬県", UNSURE, UNSURE, UNSURE, UNSURE, UNSURE),
    Address("merged", "埼玉県浦和市高砂3-15-1", "埼玉県", UNSURE, UNSURE, UNSURE, UNSURE, UNSURE),
    Address("another prefecture's", "埼玉県前橋市大手町2-12-1", "埼玉県", UNSURE, UNSURE, UNSURE, UNSURE, UNSURE),
    # --- spaces and other marks
    Address("spaces between", "群馬県 前橋市 大手町 2-12-1", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("wide spaces between", "群馬県　前橋市　大手町　２－１２－１", *_MAEBASHI, "大手町", "2-12-1", NO),
    Address("a selector in the prefecture's place", "奈良県葛\U000e0100城市柿本166番地", "奈良県", "葛\U000e0100城市", "292117", "柿本", "166", NO),
    Address("a selector in the town", "東京都千代田区神\U000e0100田1-1", "東京都", "千代田区", "131016", "神\U000e0100田", "1-1", NO),
)  # fmt: skip
