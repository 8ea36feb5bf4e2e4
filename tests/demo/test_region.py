"""Starting the region: what is kept, what is made again, and the sentences for whatever is in the way."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from gateway.demo import region
from gateway.demo.addresses import Addresses, PortUsedError, acquire, close, listen
from gateway.demo.members import authority, sign_lists, write_members
from gateway.demo.rendering import render, templates
from gateway.demo.roster import COUNCIL
from trust_lists import etsi_json, etsi_xml, saml_metadata
from trust_lists.certificates import from_pem

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
FREE = Addresses(
    **{
        name: port + 40000
        for name, port in {
            "gateway": 1,
            "admin": 2,
            "gunma": 3,
            "takasaki": 4,
            "participation": 5,
            "maebashi": 6,
            "ebetsu": 7,
            "omura": 8,
            "poll": 9,
            "ledger": 10,
            "federation": 11,
            "phone": 12,
            "authority": 13,
            "council": 14,
        }.items()
    }
)
"""Addresses at which nobody listens in these tests."""


def test_addresses_are_rewritten_only_where_they_are_addresses():
    """The digits of a default port elsewhere stay."""
    text = "public_url: http://localhost:8080/x\nlisten: {port: 8080}\nnumber: 8080  # port 8080\n"
    assert FREE.rewrite(text) == text.replace("localhost:8080", "localhost:40001").replace("t: 8080}", "t: 40001}")


def test_free_addresses_are_distinct():
    """Fourteen systems, fourteen ports; those of the gateway's process are given back."""
    addresses, held = acquire(None)
    for sockets in held.values():
        close(sockets)
    assert len(set(addresses.ports().values())) == 14
    assert set(addresses.ports()) - set(held) == {"gateway", "admin"}


def test_a_used_port_is_named():
    """Which port, whose, and what to do."""
    sockets = listen("poll", 0)
    port = sockets[0].getsockname()[1]
    with pytest.raises(PortUsedError) as refused:
        listen("poll", port)
    close(sockets)
    assert str(refused.value) == (
        f"Port {port} for the opinion poll is already in use. "
        "Stop the program that uses it, or start the region on free ports with --free-ports."
    )


def test_every_system_has_a_place_in_the_configuration(tmp_path: Path):
    """No default port is left in what was rendered for other addresses."""
    config, edited = render(tmp_path, FREE)
    text = "".join(path.read_text() for path in config.rglob("*.yaml"))
    assert edited == []
    assert not [port for port in Addresses().ports().values() if f"localhost:{port}" in text]


def test_files_of_people_are_kept(tmp_path: Path):
    """An added file stays, an edited one stays and is named, and all others follow the addresses."""
    config, _ = render(tmp_path, FREE)
    added, changed, plain = (
        config / "services" / name for name in ("new.yaml", "gunma-portal.yaml", "participation.yaml")
    )
    added.write_text("id: new\n")
    changed.write_text(changed.read_text() + "# mine\n")
    _, edited = render(tmp_path, Addresses())
    assert edited == [changed]
    assert added.read_text() == "id: new\n"
    assert changed.read_text().endswith("# mine\n")
    assert plain.read_bytes() == (templates() / "services" / "participation.yaml").read_bytes()


def test_a_file_that_the_demo_no_longer_has_goes(tmp_path: Path):
    """Unless someone edited it."""
    config, _ = render(tmp_path, FREE)
    record = tmp_path / "rendered.json"
    stale = config / "services" / "gone.yaml"
    stale.write_bytes((config / "trust.yaml").read_bytes())
    record.write_text(record.read_text().replace('"trust.yaml"', '"services/gone.yaml"'))
    render(tmp_path, FREE)
    assert not stale.exists()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory):
    """A state directory with configuration, keys, members and lists signed at `NOW`."""
    state = tmp_path_factory.mktemp("state")
    config, _ = render(state, FREE)
    signer = authority(state)
    write_members(config, state / "systems", FREE, NOW)
    sign_lists(config, signer, NOW)
    return state, config, signer


def test_the_lists_hold_every_system(prepared):
    """Signed by the region's authority, with the municipality's code where there is one."""
    _, config, signer = prepared
    anchors = from_pem(signer.certificate.read_bytes())
    saml = saml_metadata.read(
        (config / "lists" / "region-saml.xml").read_bytes(), name="region-saml", anchors=anchors, now=NOW
    )
    openid = etsi_json.read(
        (config / "lists" / "region-openid.jwt").read_bytes(), name="region-openid", anchors=anchors, now=NOW
    )
    certificates = etsi_xml.read(
        (config / "lists" / "maebashi-certificates.xml").read_bytes(),
        name="maebashi-certificates",
        anchors=anchors,
        now=NOW,
    )
    entities = (*saml.entities, *openid.entities, *certificates.entities)
    assert {(entity.entity_id, entity.municipality) for entity in entities} == {
        ("http://localhost:40003/saml/metadata", "100005"),
        ("http://localhost:40004/saml/metadata", "102024"),
        ("http://localhost:40007/saml/metadata", "012173"),
        ("http://localhost:40005", None),
        ("http://localhost:40006", "102016"),
        *((f"http://localhost:40014/members/{code}", code) for code in COUNCIL),
        ("urn:example:maebashi:certificate-authority", "102016"),
    }
    assert (saml.faults, openid.faults, certificates.faults) == ((), (), ())


def test_lists_are_signed_again_when_they_must_be(prepared):
    """Only when a member changed, half of the life is over, or the output was altered."""
    state, config, signer = prepared

    def again(later: timedelta) -> list[str]:
        write_members(config, state / "systems", FREE, NOW + later)
        return [path.name for path in sign_lists(config, signer, NOW + later)]

    assert again(timedelta(days=14)) == []
    member = config / "lists" / "openid-members" / "participation.yaml"
    (member.parent / "more.yaml").write_bytes(member.read_bytes().replace(b"localhost:40005", b"localhost:49999"))
    assert again(timedelta(days=14, seconds=1)) == ["region-openid.jwt"]
    assert again(timedelta(days=16)) == ["region-saml.xml", "maebashi-certificates.xml", "region-assurance.jwt"]
    output = config / "lists" / "region-saml.xml"
    output.write_bytes(output.read_bytes().replace(b"gunma", b"gumma") + b"\n")
    assert again(timedelta(days=16, seconds=1)) == ["region-saml.xml"]


def test_keys_are_kept(prepared):
    """A second start finds the authority and every system as they were."""
    state, config, _ = prepared
    before = {path: path.read_bytes() for path in state.rglob("*.pem")}
    authority(state)
    write_members(config, state / "systems", FREE, NOW)
    assert {path: path.read_bytes() for path in state.rglob("*.pem")} == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in (state / "systems").rglob("*.pem"))


def test_an_unusable_state_directory_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A file stands where the directory should be."""
    there = tmp_path / "demo"
    there.write_text("")
    assert region.run(there, free_ports=True) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"kakehashi demo: {there}: ")
    assert said.count("\n") == 1


def test_a_directory_that_cannot_be_written_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Something else stands in the place of a file that the region keeps."""
    (tmp_path / "config").write_text("")
    assert region.run(tmp_path, free_ports=True) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "config") in said
    assert said.count("\n") == 1


async def test_two_regions_do_not_share_a_directory(tmp_path: Path):
    """The second one says who is in the way."""
    with region._locked(tmp_path), pytest.raises(region.RegionError, match="another demo region is running"):
        async with region.running_region(tmp_path):
            pass


async def test_a_gateway_that_cannot_start_says_why(tmp_path: Path):
    """Its own words are shown, and where to read all of them."""
    with pytest.raises(region.RegionError) as refused:
        async with region.running_region(tmp_path, serve_options=("--no-such-option",)):
            pass
    assert "--no-such-option" in str(refused.value)
    assert str(tmp_path / "gateway.log") in str(refused.value)


async def test_phones_and_their_authority_are_part_of_the_region(tmp_path: Path):
    """The authority that listens is the one on the list, and a phone gets its certificate from it over HTTP."""
    async with region.running_region(tmp_path) as running, aiohttp.ClientSession() as session:
        async with session.get(f"{running.addresses.url('authority')}/issuing.cer") as response:
            listening = x509.load_der_x509_certificate(await response.read())
        listed = (running.config / "lists" / "certificate-authorities" / "maebashi.pem").read_bytes()
        assert listening == x509.load_pem_x509_certificate(listed)
        async with session.get(f"{running.addresses.url('phone')}/certificates?phone=takahashi&lang=en") as response:
            assert "They are good" in await response.text()
    assert (tmp_path / "systems" / "phone" / "takahashi.json").exists()


async def test_a_gateway_that_dies_ends_the_region(tmp_path: Path):
    """It is noticed, and said in a sentence; everything else stops with it."""
    async with region.running_region(tmp_path) as running:
        running.gateway.terminate()
        with pytest.raises(region.RegionError, match=r"The gateway ended by itself \(exit code 0\)"):
            await region.until_gateway_ends(running)
    sockets = listen("gunma", running.addresses.gunma)
    close(sockets)


def test_the_list_of_addresses_loads_nothing_of_saml():
    """What runs before the gateway is started must load fast at a second start."""
    code = "import sys, gateway.demo.region; print('saml2' in sys.modules, 'aiohttp' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
