"""QR codes, drawn for a page."""

import re
from functools import lru_cache
from typing import Any

import zxingcpp
from markupsafe import Markup

QUIET = 4
"""Dots around a QR code that stay empty."""

_RUN = re.compile(rb"(\xff*)(\x00+)")


@lru_cache(maxsize=256)
def drawn(text: str) -> Markup:
    """A QR code as SVG, error correction M, with its quiet zone (ISO/IEC 18004 §5.3.8).

    One path, row by row: the library's own SVG is a rectangle for each dot. Kept, since a page without JavaScript asks
    again and again.
    """
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    image: Any = code.to_image(scale=1, add_quiet_zones=False)  # an array, which its types do not say
    dots: Any = memoryview(image)
    (height, width), octets = dots.shape, dots.tobytes()
    path = []
    for row in range(height):
        column, begin = QUIET, row * width
        for light, dark in _RUN.findall(octets, begin, begin + width):
            column += len(light)
            path.append(f"M{column} {row + QUIET}.5h{len(dark)}")
            column += len(dark)
    size = width + 2 * QUIET
    return Markup(f'<svg viewBox="0 0 {size} {size}"><path stroke="#000" d="{"".join(path)}"/></svg>')  # noqa: S704 - digits only
