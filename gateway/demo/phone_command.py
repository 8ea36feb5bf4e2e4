"""A phone without a screen, for scripts: shows what is asked, signs, posts, and says what came of it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from gateway.clock import Clock, now
from gateway.demo import phone_answer
from gateway.demo.peer import SECONDS, PeerError, RemoteKeys
from gateway.demo.phone_owners import find_owner, owners
from gateway.demo.phone_request import PhoneError, PhoneRequest, fetch, request_uri, send
from gateway.demo.phone_wallet import Card, Settings, Wallet
from gateway.demo.roster import directory, enrolment_secret

ALL = "all"
"""Disclose everything that is asked."""


class CommandError(Exception):
    """The command cannot do what it was told; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the person at the command line decided. `how` is empty for the first format that the request allows."""

    link: str
    resident: str
    how: str = ""
    face: bool = False
    disclose: Sequence[str] = ()
    decline: bool = False


def run(state: Path, told: Told, *, clock: Clock = now) -> dict[str, Any]:
    """Answer one request with the phones of the demo region in `state`; what was asked, and what came of it.

    Raises `CommandError`, `PhoneError`.
    """
    systems = state / "systems"
    if not (systems / "phone").is_dir():
        raise CommandError(f"{state}: no demo region was started with this directory. Start one: kakehashi demo.")
    try:
        home = directory(systems, "phone")
        wallet = Wallet(home, Settings.read(home, enrolment_secret(systems)))
    except (OSError, ValueError, KeyError) as fault:
        raise CommandError(
            f"{state}: not readable as the directory of a demo region ({type(fault).__name__})."
        ) from fault
    return asyncio.run(_answered(wallet, told, clock()))


async def _answered(wallet: Wallet, told: Told, at: datetime) -> dict[str, Any]:
    owner = find_owner(told.resident, at.date())
    if owner is None:
        names = ", ".join(each.key for each in owners(at.date()))
        raise CommandError(f"{told.resident}: nobody of that name has a phone. Names: {names}.")
    gateway = wallet.settings.gateway
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=SECONDS), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        keys = RemoteKeys(f"{gateway}/certificate/jwks")
        asked = await fetch(session, request_uri(told.link, gateway), keys, gateway=gateway, now=at)
        if told.decline:
            await send(session, asked, phone_answer.declined(asked), gateway=gateway)
            return {"asked": _shown(asked), "answer": "declined"}
        try:
            card = await wallet.card(session, owner)
        except PeerError as fault:
            raise CommandError("The certificate authority cannot be reached. Is the region running?") from fault
        how = told.how or asked.formats[0]
        if how not in asked.formats:
            raise CommandError(f"The request takes {' or '.join(asked.formats)} only.")
        fields = phone_answer.answer(
            asked, card, how=how, now=at, face=told.face, disclose=_disclosed(asked, card, told.disclose)
        )
        sent = await send(session, asked, fields, gateway=gateway)
    answer = {"confirmation_code": sent.confirmation_code, "redirect_uri": sent.redirect_uri}
    return {"asked": _shown(asked), "answer": "sent", **{name: value for name, value in answer.items() if value}}


def _disclosed(asked: PhoneRequest, card: Card, names: Sequence[str]) -> frozenset[str]:
    """The disclosures for `names`: asked attributes by either of their names, or all. Raises `CommandError`."""
    held = phone_answer.disclosable(card)
    offered = {wish.name: held & set(wish.disclosures) for wish in asked.wishes}
    chosen: set[str] = set()
    for name in names:
        if name == ALL:
            chosen.update(*offered.values())
        elif name in offered:
            chosen |= offered[name]
        elif any(name in each for each in offered.values()):
            chosen.add(name)
        else:
            raise CommandError(f"{name} is not asked. Asked: {', '.join(offered) or 'nothing'}.")
    return frozenset(chosen)


def _shown(asked: PhoneRequest) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "task": asked.kind,
        "site": asked.site,
        "device": asked.device,
        "service": dict(asked.client),
        "purpose": dict(asked.purpose),
        "comparison_code": asked.code,
        "attributes": [
            {"name": wish.name, "label": dict(wish.label), "disclosures": list(wish.disclosures)}
            for wish in asked.wishes
        ],
        "expires_at": asked.expires_at.isoformat(),
    }
    if asked.text:
        shown |= {"title": dict(asked.title), "text": asked.text}
    return shown


def sentences(result: dict[str, Any], language: str) -> str:
    """`result` for people; what others wrote in it steers no terminal."""
    asked = result["asked"]
    japanese = language == "ja"
    lines = [
        (("だれが" if japanese else "Who asks"), asked["service"][language]),
        (("何のために" if japanese else "What for"), asked["purpose"][language]),
        (("画面の番号" if japanese else "Comparison code"), asked["comparison_code"]),
        (("項目" if japanese else "Attributes"), ", ".join(each["label"][language] for each in asked["attributes"])),
        (("署名する文" if japanese else "Text to sign"), asked.get("text", "")),
        (("確認コード" if japanese else "Confirmation code"), result.get("confirmation_code", "")),
        (("ブラウザーで開く" if japanese else "Open in the browser"), result.get("redirect_uri", "")),
    ]
    if result["answer"] == "declined":
        lines.append((("答え" if japanese else "Answer"), "やめました" if japanese else "declined"))
    if result.get("confirmation_code"):
        warning = (
            f"アドレスが {asked['site']} の画面だけに入力してください。だれにも教えないでください。"
            if japanese
            else f"Type it only where the address is {asked['site']}. Tell nobody; nobody may ask you for it."
        )
        lines.append(("", warning))
    text = "\n".join(f"{label}: {value}" if label else value for label, value in lines if value)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


__all__ = ["CommandError", "PhoneError", "Told", "run", "sentences"]
