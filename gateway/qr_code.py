"""QR codes, drawn for a page."""

import re
from functools import lru_cache
from typing import Any

import zxingcpp
from markupsafe import Markup

QUIET = 4
"""Dots around a QR code that stay empty."""

_DARK = re.compile(rb"\x00+")


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
    path = "".join(
        f"M{run.start() - row * width + QUIET} {row + QUIET}.5h{run.end() - run.start()}"
        for row in range(height)
        for run in _DARK.finditer(octets, row * width, (row + 1) * width)
    )
    size = width + 2 * QUIET
    return Markup(f'<svg viewBox="0 0 {size} {size}"><path stroke="#000" d="{path}"/></svg>')  # noqa: S704 - digits only
