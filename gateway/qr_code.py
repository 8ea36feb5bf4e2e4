"""QR codes, drawn for a page."""

import re
from functools import lru_cache
from typing import Any

import zxingcpp
from markupsafe import Markup

QUIET = 4
"""Dots around a QR code that stay empty."""

_DARK = bytes((ord("#"),)) + b"." * 255
_RUN = re.compile(r"#+|\.+")
_MOST = 256
"""More dots than the largest code is wide."""

_STROKES = {"#" * length: f"h{length}" for length in range(1, _MOST)}
_STROKES |= {"." * length: f"m{length} 0" for length in range(1, _MOST)}


@lru_cache(maxsize=256)
def drawn(text: str) -> Markup:
    """A QR code as SVG, error correction M, with its quiet zone (ISO/IEC 18004 §5.3.8).

    One path, row by row: the library's own SVG is a rectangle for each dot. Kept, since a page without JavaScript asks
    again and again.
    """
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    image: Any = code.to_image(scale=1, add_quiet_zones=False)  # an array, which its types do not say
    dots: Any = memoryview(image)
    height, width = dots.shape
    picture = dots.tobytes().translate(_DARK).decode()
    path = []
    for row in range(height):
        path.append(f"M{QUIET} {row + QUIET}.5")
        path += map(_STROKES.__getitem__, _RUN.findall(picture[row * width : (row + 1) * width].rstrip(".")))
    size = width + 2 * QUIET
    return Markup(f'<svg viewBox="0 0 {size} {size}"><path stroke="#000" d="{"".join(path)}"/></svg>')  # noqa: S704 - digits only
