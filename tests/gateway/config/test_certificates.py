"""What an operator says of an authority's certificates."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.config import check, load

from .sample import GATEWAY, PHONES, REFERENCE, edit


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """The reference, to be edited."""
    return Path(shutil.copytree(REFERENCE, tmp_path / "region"))


def test_what_is_written_is_what_certificates_must_be(region: Path, tmp_path: Path) -> None:
    """The keys of the file arrive at the connector."""
    edit(region, PHONES, "#fresh_minutes: 60", "fresh_minutes: 60")
    edit(region, PHONES, "answer_minutes: 5", "answer_minutes: 3")

    found = load(region, state=tmp_path).id_systems["example-certificate"]

    assert found.certificates is not None
    assert found.certificates.phone_url == "https://app.example.jp/authorize"
    assert found.certificates.subject == "subject.serialNumber"
    assert found.certificates.wanted.policies == {"1.2.392.200149.8.5.1.1.10"}
    assert "1.3.6.1.5.5.7.3.2" in found.certificates.wanted.extended_key_usages
    assert found.certificates.lifetime == timedelta(minutes=3)
    assert found.certificates.attribute_policies == {"2.999.1.9"}
    assert found.certificates.revocation.hard
    assert found.certificates.revocation.fresh_within == timedelta(hours=1)
    assert not found.certificates.revocation.private_addresses


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("mode: hard", "mode: soft", "revocation-soft"),
        ("private_addresses: refused", "private_addresses: allowed", "private-addresses"),
        ("subject: subject.serialNumber", "subject: key", "subject-unpromised"),
    ],
)
def test_what_is_taken_on_less_is_said_at_every_check(region: Path, old: str, new: str, kind: str) -> None:
    """It must be asked for by name, and is told."""
    assert kind not in {note.kind for note in check(region)[1]}
    edit(region, PHONES, old, new)

    mistakes, notes = check(region)

    assert mistakes == ()
    assert [Path(note.file).name for note in notes if note.kind == kind] == [Path(PHONES).name]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("{url: http://mtls.example.jp, listen: {port: 8444}, tls: FILES}", "client-certificates-url"),
        ("{url: https://mtls.example.jp, listen: {port: 8444}}", "client-certificates-way"),
        ("{url: https://mtls.example.jp, tls: FILES, header: client-cert}", "client-certificates-way"),
        ("{url: https://mtls.example.jp, listen: {port: 8080}, tls: FILES}", "same-port"),
        ("{url: https://mtls.example.jp, header: x-client-cert}", "one-of-near"),
    ],
)
def test_client_certificates_are_shown_in_one_way(region: Path, written: str, kind: str) -> None:
    """To the gateway itself, at a port of its own, or to a proxy that is named; never over plain HTTP."""
    files = "{certificate: lists/anchor.pem, key: lists/anchor.pem}"
    edit(region, GATEWAY, "\nregion:", f"\nclient_certificates: {written.replace('FILES', files)}\nregion:")

    assert kind in {mistake.kind for mistake in check(region)[0]}


def test_client_certificates_of_a_proxy_need_one(region: Path) -> None:
    """The header is believed of listed proxies only, and of nobody if none is listed."""
    written = "client_certificates: {url: https://mtls.example.jp, header: client-cert}"
    edit(region, GATEWAY, "\nregion:", f"\n{written}\nregion:")
    assert check(region)[0] == ()
    edit(region, GATEWAY, 'trusted_proxies: ["192.0.2.10", "2001:db8::/64"]', "trusted_proxies: []")
    assert "client-certificates-way" in {mistake.kind for mistake in check(region)[0]}


@pytest.mark.parametrize(
    ("url", "port", "kind"),
    [
        ("https://cards.example.jp:8443", 8443, "card-readers-url"),
        ("http://gateway.example.jp:8443", 8443, "card-readers-url"),
        ("https://gateway.example.jp:8443", 8080, "same-port"),
    ],
)
def test_card_readers_share_the_public_host_and_no_port(region: Path, url: str, port: int, kind: str) -> None:
    """The browser's cookie must reach them, over TLS."""
    files = "tls: {certificate: lists/anchor.pem, key: lists/anchor.pem}"
    written = f"card_readers:\n  url: {url}\n  listen: {{port: {port}}}\n  {files}\n\nregion:"
    edit(region, GATEWAY, "\nregion:", f"\n{written}")

    assert kind in {mistake.kind for mistake in check(region)[0]}
