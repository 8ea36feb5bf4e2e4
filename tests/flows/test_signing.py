"""A proposal that a resident signs on the phone, through the running region, and what OpenSSL says of the file."""

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.cli import main
from tests.gateway.test_cli_signature import commands

from .person import Person
from .phone import Phone, link, number, seen, type_code

NAMES = {"takahashi": "髙橋 花子", "suryani": "SURYANI", "kasai": "葛󠄀西 誠"}
DIGESTS = {"takahashi": "-sha256", "suryani": "-sha256", "kasai": "-sha384"}
"""What docs/signing.md says of keys on P-256, of RSA and of keys on P-384."""
FILE = "/signed/proposal.p7m"


def signed_in(region, resident: str, language: str = "en") -> Person:
    """Somebody of Maebashi on the participation site, by the city's other ID."""
    browser = Person(language=language).open(region["participation"] + "/sign-in").choose("system", "maebashi")
    browser.choose("resident", resident)
    if browser.page.xpath("//button[@name='decision' and @value='agree']"):  # asked once for each person
        browser.choose("decision", "agree")
    assert browser.url == region["participation"] + "/", browser.text[:500]
    return browser


def shown(page: Person) -> str:
    """The text on the site's or the gateway's page, as it stands there."""
    (text,) = page.page.xpath("//div[contains(@class,'signed-text')]")
    return text.text_content()


def ordered(region, resident: str) -> Person:
    """Somebody before the QR code, who has read the text and agreed."""
    browser = signed_in(region, resident).press("Sign with my phone")
    assert browser.url.startswith(region["gateway"] + "/signing/")
    return browser.choose("decision", "agree")


def told(browser: Person) -> str:
    """What the site says after the way back."""
    (notice,) = browser.page.xpath("//div[contains(@class,'notice') and @role='status']")
    return " ".join(notice.text_content().split())


def file(region, browser: Person) -> requests.Response:
    """The signed file, or what the site says instead."""
    return browser.session.get(region["participation"] + FILE, timeout=30)


def shell(directory: Path, command: str, epoch: str) -> str:
    """What a command of docs/signing.md says; it must be content."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env={"T": epoch, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout + done.stderr


def ours(*words: str | Path) -> str:
    """What a command of ours says; it must be content."""
    done = CliRunner().invoke(main, ["signature", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("resident", NAMES)  # P-256, RSA, P-384
def test_a_proposal_is_signed_on_the_phone_and_anybody_can_verify_the_file(region, tmp_path, resident):
    """Order, page, the whole text on the phone, signature, code, the site, the file; then OpenSSL alone."""
    browser = signed_in(region, resident)
    text = shown(browser)
    browser.press("Sign with my phone")
    assert shown(browser) == text
    browser.choose("decision", "agree")
    phone = Phone(region, resident).scan(seen(browser))
    assert phone.number() == number(browser)
    (on_phone,) = phone.person.page.xpath("//div[contains(@class,'phone-text')]")
    assert on_phone.text_content() == text
    type_code(browser, phone.allow().code())

    assert browser.url == region["participation"] + "/"
    assert told(browser) == "You have signed the proposal. Thank you."
    facts = {
        row.xpath("string(dt)"): " ".join(row.xpath("string(dd)").split())
        for row in browser.page.xpath("//section[@aria-labelledby='proposal']//dl/div")
    }
    assert facts["Signed by"] == NAMES[resident]
    assert facts["Timestamp by"] == "Maebashi demo timestamps"
    assert facts["Certificate issued by"] == "Maebashi demo certificate authority"
    assert facts["Timestamp"].endswith("(Japan time)")
    assert "docs/signing.md" in browser.text
    assert "the proposal that you signed came, with your certificate" in browser.text
    assert "Nothing else came" not in browser.text

    (download,) = browser.page.xpath("//a[@download]/@href")
    (authority,) = browser.page.xpath(
        "//section[@aria-labelledby='proposal']//a[contains(@class,'button-quiet')]/@href"
    )
    got = browser.session.get(urljoin(browser.url, download), timeout=30)
    assert got.headers["Content-Type"] == "application/pkcs7-mime; smime-type=signed-data"
    assert got.headers["Content-Disposition"] == 'attachment; filename="proposal.p7m"'
    assert got.headers["Cache-Control"] == "no-store"
    (tmp_path / "proposal.p7m").write_bytes(got.content)
    issuer = x509.load_der_x509_certificate(requests.get(authority, timeout=30).content)
    for name in ("authority.pem", "tsa.pem"):  # the demo has one authority for both
        (tmp_path / name).write_bytes(issuer.public_bytes(Encoding.PEM))

    ours("extract", tmp_path / "proposal.p7m", tmp_path / "parts")
    epoch = str(json.loads(ours("show", tmp_path / "proposal.p7m", "--json"))["epoch"])
    kinds = {path.name.partition("-")[0] for path in (tmp_path / "parts").iterdir()} & {"ocsp", "crl"}
    said = "\n".join(
        shell(tmp_path, command.replace("dgst -sha256", f"dgst {DIGESTS[resident]}"), epoch)
        for command in commands("both", "cms", *kinds)
    )
    assert "CAdES Verification successful" in said
    assert "Verification: OK" in said
    assert "Verified OK" in said
    assert (tmp_path / "parts" / "verified.txt").read_text(encoding="utf-8") == text
    anchors = ("--anchor", tmp_path / "authority.pem", "--timestamp-anchor", tmp_path / "tsa.pem")
    ours("check", tmp_path / "proposal.p7m", *anchors, "--text", tmp_path / "parts" / "text.txt")


def test_what_was_signed_stays_with_the_session_and_is_told_once(region):
    """The gateway keeps nothing of it; the site shows it until the person signs out, and asks for no second one."""
    browser = ordered(region, "takahashi")
    asked = browser.url.rpartition("/")[2]
    phone = Phone(region, "takahashi").scan(seen(browser)).allow()
    type_code(browser, phone.code())

    browser.open(region["participation"] + "/")
    assert "Thank you" not in browser.text
    assert "You have signed it." in browser.text
    assert not browser.page.xpath("//form[@action='/sign']")
    assert browser.session.get(f"{region['gateway']}/signing/{asked}", timeout=30).status_code == 400
    assert file(region, browser).status_code == 200

    browser.press("Sign out")
    assert file(region, browser).status_code == 403


def test_on_the_same_device_the_app_leads_back_to_the_site(region):
    """No code is typed."""
    browser = ordered(region, "takahashi")
    Phone(region, "takahashi", person=browser).scan(link(browser)).allow()

    assert browser.carried_on().url == region["participation"] + "/", browser.text[:500]
    assert "You have signed it." in browser.text


def test_the_page_is_in_japanese_for_who_reads_japanese(region):
    """The text that is signed too, with its date."""
    browser = signed_in(region, "takahashi", language="ja")
    assert re.search(
        r"22時30分まで運行してください。[^\d]*20時40分です。.*\n\n\d{4}年\d{1,2}月\d{1,2}日\n",
        shown(browser),
        re.DOTALL,
    )
    browser.press("スマートフォンで署名する")
    assert "夜間バスの運行についての提案" in browser.text


def test_who_does_not_sign_is_told_that_nothing_came(region):
    """On the gateway's page; the person can begin again."""
    browser = signed_in(region, "takahashi").press("Sign with my phone").choose("decision", "not-now")

    assert browser.url == region["participation"] + "/"
    assert told(browser).startswith("You did not sign. Nothing has come to the council.")
    assert browser.page.xpath("//form[@action='/sign']")
    assert file(region, browser).status_code == 404


def test_a_signature_of_somebody_else_is_thrown_away(region):
    """Whoever reads the gateway's page can sign: the site looks into the certificate."""
    browser = ordered(region, "takahashi")
    phone = Phone(region, "kasai").scan(seen(browser)).allow()
    type_code(browser, phone.code())

    assert told(browser).startswith("The certificate that signed names somebody other")
    assert NAMES["kasai"] not in browser.text
    assert file(region, browser).status_code == 404


def test_three_wrong_codes_end_it(region):
    """The site says so, and nothing came."""
    browser = ordered(region, "takahashi")
    phone = Phone(region, "takahashi").scan(seen(browser)).allow()
    wrong = f"{(int(phone.code()) + 1) % 1_000_000:06}"
    for _ in range(3):
        type_code(browser, wrong)

    assert told(browser).startswith("The code was wrong three times")
    assert file(region, browser).status_code == 404


def test_a_certificate_of_no_use_signs_nothing(region):
    """Revoked: the phone and the page say so, and the signing can still be finished by the right phone."""
    browser = ordered(region, "takahashi")
    phone = Phone(region, "arai").scan(seen(browser)).allow()
    assert not phone.person.page.xpath("//output[contains(@class,'confirmation-code')]")

    browser.open(region["participation"] + "/")
    assert "You have not finished signing." in browser.text
    browser.follow("Go on signing")
    right = Phone(region, "takahashi").scan(seen(browser)).allow()
    type_code(browser, right.code())
    assert "You have signed it." in browser.text


def test_beginning_again_gives_the_first_one_up(region):
    """The gateway's page of the first one is over."""
    browser = ordered(region, "takahashi")
    first = browser.url
    browser.open(region["participation"] + "/").press("Begin signing again")
    assert browser.url.startswith(region["gateway"] + "/signing/")
    assert browser.url != first
    assert browser.session.get(first, timeout=30).status_code == 400


def test_the_way_back_proves_nothing(region):
    """Without a session, with a made-up id, before anything was signed: nothing counts as signed."""
    stranger = Person()
    stranger.open(region["participation"] + "/signed?id=somebodys")
    assert stranger.status == 403
    assert file(region, stranger).status_code == 403

    browser = ordered(region, "takahashi")
    browser.open(region["participation"] + "/signed?id=made-up")
    assert "You have not finished signing." in browser.text
    assert file(region, browser).status_code == 404


def test_nobody_elses_page_can_have_the_proposal_ordered(region):
    """A form that the site did not show to this session is refused."""
    browser = signed_in(region, "takahashi")
    answer = browser.session.post(region["participation"] + "/sign", data={"form_token": "x"}, timeout=30)
    assert answer.status_code == 403
