"""QR codes, drawn for a page."""

from functools import lru_cache
from itertools import groupby
from typing import Any

import zxingcpp
from markupsafe import Markup

QUIET = 4
"""Dots around a QR code that stay empty."""

MASK = 3
"""The pattern that is laid over the dots (ISO/IEC 18004 §7.8), every third diagonal.

To weigh all eight takes five times as long as all else of a code. It serves texts that would make large even areas;
ours end in a random reference. Readers are told by the code itself which one it is.
"""

_DARK = bytes((ord("1"),)) + b"0" * 255


def _strokes(dots: int) -> str:
    """Eight dots of a row as moves and strokes of a path, relative to where it is."""
    runs = ((dark, len(list(run))) for dark, run in groupby(f"{dots:08b}"))
    return "".join(f"h{length}" if dark == "1" else f"m{length} 0" for dark, length in runs)


_STROKES = tuple(map(_strokes, range(256)))


@lru_cache(maxsize=256)
def drawn(text: str) -> Markup:
    """A QR code as SVG, error correction M, with its quiet zone (ISO/IEC 18004 §5.3.8).

    One path, row by row: the library's own SVG is a rectangle for each dot. Kept, since a page without JavaScript asks
    again and again.
    """
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M", data_mask=MASK)
    image: Any = code.to_image(scale=1, add_quiet_zones=False)  # an array, which its types do not say
    dots: Any = memoryview(image)
    height, width = dots.shape
    picture = dots.tobytes().translate(_DARK)
    octets = -(-width // 8)
    path = []
    for row in range(height):
        path.append(f"M{QUIET} {row + QUIET}.5")
        line = int(picture[row * width : (row + 1) * width], 2) << (8 * octets - width)
        path += map(_STROKES.__getitem__, line.to_bytes(octets, "big"))
    size = width + 2 * QUIET
    return Markup(f'<svg viewBox="0 0 {size} {size}"><path stroke="#000" d="{"".join(path)}"/></svg>')  # noqa: S704 - digits only
