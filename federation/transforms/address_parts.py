"""An address of Japan in its parts: town, numbers of the block, building; whatever is not certain is refused.

What comes after the municipality (`federation.transforms.places`) is read by one grammar: a town's name without
numbers (but 北1条, 第3地割, 1番町), then the numbers (2丁目12番1号, 2-12-1, 12番地の3, 無番地), then, after a space
or as a word of its own, building and room. There is no table of towns here, so there is no guess about any: what the
grammar does not read as one thing only is `uncertain`, and stays in the address as a whole.

The numbers in their one form stand with hyphens, first that of the 丁目 if one is given: 2-12-1. A 丁目 alone stays
one (2丁目), since 2 would be a number of a lot. Numbers in kanji are read before 丁目, 番地, 番 and 号 and nowhere
else: 六本木 and 一番町 are names.
"""

import re

from federation.transforms.base import UnmappableError

_WIDE = tuple(zip("０１２３４５６７８９\u3000", "0123456789 ", strict=True))
"""Replaced one by one, which takes a third of the time of `str.translate` where most characters have no entry."""
_HYPHEN = "-‐‑‒–—―−－─━﹣"
_WORDLY = "0-9A-Za-zＡ-Ｚａ-ｚ"
_HYPHENS = re.compile(  # the hyphen first, so that nothing else of a text is looked at twice
    rf"[{_HYPHEN}](?<=[{_WORDLY}].)(?=[{_WORDLY}])|[ーｰ](?<=[0-9].)(?=[0-9])"
)
_WIDENED = re.compile("[０-９\u3000]")
_SPACES = re.compile(" {2,}")
_LONGEST = 300

_K = "[〇一二三四五六七八九十百千]{1,9}"
_N = "[0-9]{1,5}(?![0-9])"
_NUMBER = re.compile(
    "(?P<none>(?:官有|国有)?無番地|番外地)"
    "|[0-9]+(?!条|地割|番町|番丁|[0-9])"
    rf"|{_K}(?=丁目|番地|番 ?(?:{_N}|{_K})号)"
)
_TOWN = re.compile(
    "(?:[々〆〇\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uf900-\ufaff\ufe00-\ufe0f\U00020000-\U0003ffff\U000e0100-\U000e01ef]"
    "|(?<=[\u3041-\u3096\u30a1-\u30fa\u30fc])ー|[0-9]{1,3}(?=条|地割|番町|番丁)){1,40}"
)
_DOUBTFUL_IN_TOWN = re.compile(
    "丁目|番地|[上下][るル]|[東西]入|入[るル]"
    "|住宅|団地|官舎|宿舎|寮|ビル|マンション|アパート|コーポ|メゾン|ハイツ|ハイム|ハウス|レジデンス|タワー|パレス|ヒルズ|コート"
)
_DOUBTFUL_END = re.compile(
    "[甲乙丙戊己庚辛第字〇一二三四五六七八九十百千]$|(?<![番のノ])丁$|(?<![\u30a1-\u30fa\u30fc])[ア-ン]$"
)
_AFTER_FIRST = re.compile("丁目|丁[0-9]|番|[-のノ之][0-9]| |$")
_STREETS_OF = "京都市"

_CHOME = re.compile(rf"(?P<chome>{_N}|{_K})丁目(?:[-の](?=[0-9])|(?P<gap> )(?=[0-9]))?|(?P<short>{_N})丁(?=[0-9])")
_LOT = re.compile(
    rf"(?P<lot>{_N}|{_K})番地?(?:"
    rf" ?[-のノ之]?(?P<house>{_N}|{_K})(?:[のノ之](?P<branch>{_N}))? ?号(?![室棟館車線])"
    rf"|[のノ之](?P<of>{_N}|{_K}(?= |$))(?:[のノ之](?P<of_of>{_N}))?(?![-0-9号のノ之])"
    rf"|-?(?P<next>{_N})(?![-号のノ之])"
    ")?"
)
_CHAIN = re.compile(rf"(?P<chain>{_N}(?:[-のノ之]{_N}){{0,2}})(?!-)(?P<said>番地|号(?![室棟館車線]))?(?![-のノ之番])")
_HYPHENATED = re.compile("[-のノ之]")
_ADJOINING = re.compile(  # a word that cannot be a part of the numbers before it
    "(?![〇一二三四五六七八九十百千号番丁条線地先甲乙丙戊己庚辛外階室棟内付のノ之街区画筆])"
    "(?![イロハニホヘト](?![\u30a1-\u30fa\u30fc]))"
    "(?![A-Za-zＡ-Ｚａ-ｚ](?![A-Za-zＡ-Ｚａ-ｚ]))"
    "[A-Za-zＡ-Ｚａ-ｚ\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uf900-\ufaff].+"
)
_APART = re.compile(" (?!番|号|丁|地先|-)")
_MOST_CHOME = 50
_MOST_HOUSES = 100
_ALL = 3
_TWO = 2

_DIGIT = {digit: value for value, digit in enumerate("〇一二三四五六七八九")}
_TENS = {"十": 10, "百": 100, "千": 1000}


def normalised(text: str) -> str:
    """The text with ASCII digits, single ASCII spaces and none around it, and - for any hyphen beside numbers.

    ー is a hyphen between digits only: センター is a word. Refuses `uncertain` for more than 300 characters, and for
    characters that cannot be printed (controls, surrogates, private use).
    """
    if len(text) > _LONGEST:
        raise UnmappableError("uncertain")
    if _WIDENED.search(text):
        for wide, narrow in _WIDE:
            text = text.replace(wide, narrow)
    spaced = (_SPACES.sub(" ", text) if "  " in text else text).strip(" ")
    if not spaced.isprintable():
        raise UnmappableError("uncertain")
    return _HYPHENS.sub("-", spaced)


def town_and_rest(text: str, city: str) -> tuple[str, str]:
    """The town's name, "" if there is none, and from the numbers on the rest, of what stands after `city`.

    Refuses `uncertain`.
    """
    text = text.lstrip(" ")
    number = _NUMBER.search(text)
    town = text if number is None else text[: number.start()].rstrip(" ")
    if number is None and town and not town.endswith("町"):  # where the town ends and a building begins is not said
        raise UnmappableError("uncertain")
    if not town:
        return "", text
    if (
        (number is not None and not number["none"] and not _AFTER_FIRST.match(text, number.end()))
        or not _TOWN.fullmatch(town)
        or _DOUBTFUL_IN_TOWN.search(town)
        or _DOUBTFUL_END.search(town)
        or (city.startswith(_STREETS_OF) and "通" in town)
    ):
        raise UnmappableError("uncertain")
    return town, text[len(town) :].lstrip(" ")


def block_and_building(rest: str) -> tuple[str, str]:
    """The numbers with hyphens and what comes after them, each "" if there is none. Refuses `uncertain`."""
    if not rest:
        return "", ""
    block, after = _block(rest)
    if after and not (_APART if after[0] == " " else _ADJOINING).match(after):
        raise UnmappableError("uncertain")
    return block, after.strip(" ")


def _block(rest: str) -> tuple[str, str]:
    start = _NUMBER.match(rest)
    if start is None:
        raise UnmappableError("uncertain")
    if start["none"]:
        return start["none"], rest[start.end() :]
    chome = _CHOME.match(rest)
    at = 0 if chome is None else chome.end()
    before: tuple[str, ...] = () if chome is None else (_figure(chome["chome"] or chome["short"]),)
    if before and int(before[0]) >= _MOST_CHOME:
        raise UnmappableError("uncertain")
    lot = _LOT.match(rest, at)
    if lot is not None:
        after = rest[lot.end() :]
        _plausible_lot(lot, after)
        return "-".join((*before, *map(_figure, filter(None, lot.groups())))), after
    chain = _CHAIN.match(rest, at)
    if chain is not None:
        after = rest[chain.end() :]
        numbers = (*before, *map(_figure, _HYPHENATED.split(chain["chain"])))
        if chain["said"] == "号" and int(numbers[-1]) >= _MOST_HOUSES:
            raise UnmappableError("uncertain")
        if not chain["said"]:
            _plausible_chain(numbers, gap=bool(chome and chome["gap"]), adjoined=after[:1] not in {"", " "})
        return "-".join(numbers), after
    if chome is None or rest[at : at + 1] not in {"", " "}:
        raise UnmappableError("uncertain")
    return f"{before[0]}丁目", rest[at:]


def _plausible_lot(lot: re.Match[str], after: str) -> None:
    """Refuse numbers that may be those of rooms: 12番 1, 12番101, 12番地201号, 12番地の3の401."""
    last = lot.lastgroup or ""
    if last == "lot":
        doubtful = after[:1] == " " and after[1:2].isdecimal()
    else:
        doubtful = last != "of" and int(_figure(lot[last])) >= _MOST_HOUSES
    if doubtful:
        raise UnmappableError("uncertain")


def _plausible_chain(numbers: tuple[str, ...], *, gap: bool, adjoined: bool) -> None:
    """Refuse numbers of which nothing says what they are of, where the last may be a room's or the first no 丁目's.

    As 2-12-101, 2丁目12-3-4, 120-3-4, 2丁目 101, and 21世紀ビル after the name of a town.
    """
    count = len(numbers)
    if (
        count > _ALL
        or (count == _ALL and (int(numbers[0]) >= _MOST_CHOME or int(numbers[-1]) >= _MOST_HOUSES))
        or (count == _TWO and gap)
        or (count == 1 and adjoined)
    ):
        raise UnmappableError("uncertain")


def _figure(text: str) -> str:
    """The number in ASCII digits; in kanji by place (一二) or by tens (十二)."""
    if text.isascii():
        if text[0] == "0":
            raise UnmappableError("uncertain")
        return text
    value = 0 if text[0] == "〇" else _kanji(text)
    if not value:
        raise UnmappableError("uncertain")
    return str(value)


def _kanji(text: str) -> int:
    if all(character in _DIGIT for character in text):
        return int("".join(str(_DIGIT[character]) for character in text))
    total, digit, bound = 0, 1, 10_000
    pending = False
    for character in text:
        if character in _DIGIT:
            if pending or not _DIGIT[character]:
                raise UnmappableError("uncertain")
            digit, pending = _DIGIT[character], True
        else:
            if _TENS[character] >= bound:
                raise UnmappableError("uncertain")
            bound = _TENS[character]
            total += digit * bound
            digit, pending = 1, False
    return total + (digit if pending else 0)
