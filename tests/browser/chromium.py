"""Debian's Chromium, quiet: no calls home, no first-run pages; its sandbox stays on unless we are root."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from playwright.sync_api import Browser, Playwright

PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome"),
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def program() -> str | None:
    """Where Chromium stands on this machine, if it does."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@cache
def missing() -> str:
    """What these tests lack on this machine, and how to get it; empty if nothing."""
    if program() is None:
        return "no Chromium on this machine (Debian: apt-get install chromium)"
    if not _japanese_font():
        return "no Japanese font on this machine (Debian: apt-get install fonts-noto-cjk)"
    return ""


def _japanese_font() -> bool:
    if sys.platform == "darwin":
        return True  # part of the system
    if shutil.which("fc-list") is None:
        return any(Path("/usr/share/fonts").rglob("*CJK*"))
    listed = subprocess.run(["fc-list", ":lang=ja"], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip())


def launch(playwright: Playwright) -> Browser:
    """Start it. Chromium refuses to run sandboxed as root, and only then the sandbox is left off."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    return playwright.chromium.launch(executable_path=program(), args=[*QUIET, *sandbox])
