"""The style sheets: enough contrast, themes that differ, nothing from elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import pages


def palettes(sheet: str, selector: str) -> Iterator[dict[str, str]]:
    """The custom properties of every block of `selector`, in order."""
    css = re.sub(r"/\*.*?\*/", "", (pages.STATIC / sheet).read_text(), flags=re.DOTALL)
    for block in re.finditer(r"(?:^|\s)" + selector + r"\s*\{([^}]*)\}", css):
        found = re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})\b", block[1])
        if found:
            yield dict(found)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.1, relative luminance)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def too_weak(colours: dict[str, str], pairs: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Which pairs have less contrast than they need, and how much they have."""
    ratios = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    return {pair: ratio for pair, ratio in ratios.items() if ratio < pairs[pair]}


def test_contrast_of_the_pages() -> None:
    """Text 4.5 : 1 on every paper, edges of controls and focus 3 : 1, light and dark (WCAG 1.4.3, 1.4.11)."""
    light, dark = palettes("kakehashi.css", ":root")
    papers = ("paper", "paper-raised", "paper-tint")
    pairs = {(text, paper): 4.5 for text in ("text", "text-quiet", "link") for paper in papers}
    pairs |= {(line, paper): 3.0 for line in ("control-line", "focus-ring", "primary") for paper in papers}
    pairs |= {("on-primary", "primary"): 4.5, ("on-primary", "primary-deep"): 4.5}
    assert set(light) == set(dark)
    assert too_weak(light, pairs) == {}
    assert too_weak(dark, pairs) == {}


THEMES = ("maebashi", "ebetsu", "omura", "gunma", "takasaki", "council")


@pytest.mark.parametrize("theme", THEMES)
def test_contrast_of_the_demo(theme: str) -> None:
    """The demo's themes keep the same ratios."""
    (root,) = palettes("demo.css", ":root")
    (own,) = palettes("demo.css", rf"\.theme-{theme}")
    papers = ("paper", "theme-paper")
    pairs = {(text, paper): 4.5 for text in ("text", "text-quiet", "theme-deep") for paper in papers}
    pairs |= {(line, paper): 3.0 for line in ("control-line", "focus-ring", "theme") for paper in papers}
    pairs |= {("on-theme", "theme"): 4.5, ("on-theme", "theme-deep"): 4.5, ("on-ribbon", "ribbon"): 4.5}
    pairs |= {("good", "good-paper"): 3.0, ("bad", "bad-paper"): 3.0}
    pairs |= {("text", "good-paper"): 4.5, ("text", "bad-paper"): 4.5}
    assert too_weak(root | own, pairs) == {}


def test_themes_differ() -> None:
    """No two demo systems share a colour, and none has the gateway's."""
    colours = {theme: next(palettes("demo.css", rf"\.theme-{theme}"))["theme"] for theme in THEMES}
    gateway = next(palettes("kakehashi.css", ":root"))["primary"]
    assert len({*colours.values(), gateway}) == len(THEMES) + 1


@pytest.mark.parametrize("path", sorted(pages.STATIC.iterdir()), ids=lambda path: path.name)
def test_static_files_load_nothing_from_elsewhere(path: Path) -> None:
    """No address but the SVG namespace stands in a static file."""
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", path.read_text()))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in path.read_text()
