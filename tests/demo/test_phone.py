"""The demo's phone, page and command, in front of a small gateway; what it signs is checked with OpenSSL."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.demo import phone_answer
from gateway.demo.certificate_authority import AuthoritySystem, CertificateAuthority
from gateway.demo.phone import Phone
from gateway.demo.phone_owners import find_owner
from gateway.demo.phone_request import PhoneError, request_uri
from gateway.demo.phone_wallet import Settings, Wallet
from gateway.demo.site import Face
from tests.demo.phones import FakeGateway, Here, digest, opened, verified

TEXTS = {"ja": "試験", "en": "Test"}
SECRET = "phones"
TEXT = "令和8年度の住民票の写しを、1通申請します。\n<手数料 300円>"


@pytest.fixture
async def here(place, clock, tmp_path):
    """Three systems, each at its address; the state directory is that of a region."""
    systems = tmp_path / "systems"
    for name in ("authority", "phone"):
        (systems / name).mkdir(parents=True)
    spots = {name: place() for name in ("gateway", "authority", "phone")}
    gateway = FakeGateway(spots["gateway"], clock)
    await spots["gateway"].serve(gateway.application())
    authority = CertificateAuthority(systems / "authority", spots["authority"].url, SECRET, clock)
    (systems / "authority" / "enrolment-secret").write_text(SECRET)

    def face(name):
        return Face(name=name, title=TEXTS, kind=TEXTS, theme="theme-phone", url=spots[name].url)

    await spots["authority"].serve(AuthoritySystem(face("authority"), authority, clock).application())
    settings = Settings(gateway=gateway.url, authority=spots["authority"].url, secret=SECRET)
    settings.write(systems / "phone")
    wallet = Wallet(systems / "phone", settings)
    await spots["phone"].serve(Phone(face("phone"), wallet, clock).application())
    return Here(
        url=spots["phone"].url,
        gateway=gateway,
        authority=authority,
        wallet=wallet,
        clock=clock,
        directory=tmp_path,
    )


async def look(browser, url, status=200):
    """A page as text."""
    async with browser.get(url) as response:
        assert response.status == status
        return await response.text()


async def decide(browser, here, page, decision="allow", status=200, **fields):
    """Press a button under a request; the response's text and where it leads."""
    transaction = re.search(r'name="transaction" value="([^"]+)"', page)[1]
    async with browser.post(
        f"{here.url}/answer",
        data={"transaction": transaction, "decision": decision, **fields},
        allow_redirects=False,
    ) as response:
        assert response.status == status
        return await response.text(), response.headers.get("Location")


# --- the page


async def test_whose_phone_comes_first_and_the_request_after(here, browser):
    """The link leads to the choice of a person; afterwards it goes on to the request."""
    link = here.link(here.gateway.ask())
    page = await look(browser, link)
    assert "だれのスマートフォンですか" in page
    carried = re.search(r'name="link" value="([^"]+)"', page)[1].replace("&amp;", "&")
    async with browser.post(f"{here.url}/owner", data={"phone": "takahashi", "link": carried}) as response:
        page = await response.text()
    for shown in ("群馬県ポータル", "申請のため", "4711", "髙橋 花子", "別の画面", "氏名", "許可する", "やめる"):
        assert shown in page
    assert f">{urlsplit(here.gateway.url).netloc}</strong>" in page  # whose page alone may take the code


async def test_a_request_is_shown_in_english(here, browser):
    """Names and purposes in the language that the service gave."""
    page = await look(browser, here.link(here.gateway.ask()) + "&phone=takahashi&lang=en")
    for shown in ("Gunma portal", "To apply", "4711", "Family name", "another screen", "Allow", "Refuse"):
        assert shown in page


async def test_the_code_for_the_other_screen(here, browser):
    """Shown big with its warning; the answer is a signature over exactly this request."""
    address = here.gateway.ask()
    page = await look(browser, here.link(address) + "&phone=takahashi")
    page, _ = await decide(browser, here, page)
    assert '<output class="confirmation-code">493021</output>' in page
    assert "この確認コードを" in page
    assert "だれにも教えないでください" in page
    assert f">{urlsplit(here.gateway.url).netloc}</strong>" in page
    (form,) = here.gateway.answers
    assert set(form) == {"state", "response"}
    header, payload = verified(form["response"])
    certificate = x509.load_der_x509_certificate(b64decode(header["x5c"][0]))
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(b64decode(header["x5c"][1])))
    assert (header["typ"], header["alg"]) == ("certificate-answer+jwt", "ES256")
    assert json.loads(payload) == {
        "aud": f"{here.gateway.url}/certificate/answers",
        "nonce": "nonce-of-256-bits",
        "iat": int(here.clock().timestamp()),
        "request_sha256": digest(here.gateway.requests["ref-1_x"].encode()),
        "amr": ["hwk", "pin"],
    }


async def test_on_the_same_device_the_browser_goes_back(here, browser):
    """To the gateway, and to nobody else."""
    address = here.gateway.ask(device="same-device")
    page = await look(browser, here.link(address) + "&phone=takahashi")
    assert "このスマートフォンのブラウザー" in page
    _, location = await decide(browser, here, page, status=303)
    assert location == f"{here.gateway.url}/certificate/h/return?response_code=r"
    page = await look(browser, here.link(address))
    here.gateway.says = (200, {"redirect_uri": "http://evil.example/"})
    page, _ = await decide(browser, here, page, status=400)
    assert "返事が正しくありません" in page


async def test_nothing_is_disclosed_unless_it_is_ticked(here, browser):
    """What is ticked goes as an SD-JWT with proof of the same key, and its digest is signed too; so is the face."""
    page = await look(browser, here.link(here.gateway.ask()) + "&phone=takahashi")
    assert 'name="disclose.familyName"' in page
    assert 'name="disclose.commonName"' not in page  # she has none
    assert 'name="disclose.fullName"' not in page  # stands in the certificate
    assert "checked" not in page.partition("<details")[0]
    await decide(browser, here, page, face="1", **{"disclose.familyName": "1", "disclose.commonName": "1"})
    (form,) = here.gateway.answers
    header, payload = verified(form["response"])
    stated = json.loads(payload)
    assert (stated["amr"], stated["sd_hash"]) == (["hwk", "pin", "face"], digest(form["attributes"].encode()))
    assert stated["face"]["at"] == int(here.clock().timestamp())
    token, *disclosures, binding = form["attributes"].split("~")
    assert [json.loads(opened(each))[1:] for each in disclosures] == [["family_name", "髙橋"]]
    held = x509.load_der_x509_certificate(b64decode(header["x5c"][0])).public_key()
    bound, proof = verified(binding, held)
    assert bound == {"alg": "ES256", "typ": "kb+jwt"}
    assert json.loads(proof) == {
        "iat": int(here.clock().timestamp()),
        "aud": f"{here.gateway.url}/certificate/answers",
        "nonce": "nonce-of-256-bits",
        "sd_hash": digest("~".join((token, *disclosures, "")).encode()),
    }


async def test_saying_no_sends_no_certificate(here, browser):
    """The gateway is told, with the protocol's word for it; the page says what was not sent."""
    page = await look(browser, here.link(here.gateway.ask()) + "&phone=takahashi")
    page, _ = await decide(browser, here, page, decision="refuse")
    assert "送っていません" in page
    assert here.gateway.answers == [{"state": "ref-1_x", "error": "access_denied"}]


async def test_an_answer_is_given_once_and_by_the_browser_that_saw_the_request(here, browser, stranger):
    """Not by another one, and not again."""
    page = await look(browser, here.link(here.gateway.ask()) + "&phone=takahashi")
    await decide(stranger, here, page, status=400)
    await decide(browser, here, page)
    await decide(browser, here, page, status=400)
    assert len(here.gateway.answers) == 1


async def test_the_address_under_the_qr_code_may_be_pasted(here, browser):
    """The QR code's link, or the request's own address; spaces around it do no harm."""
    address = here.gateway.ask()
    await look(browser, f"{here.url}/?phone=takahashi")
    for pasted in (here.link(address), f"  {address}\n"):
        async with browser.post(f"{here.url}/open", data={"link": pasted}) as response:
            assert "4711" in await response.text()
    async with browser.post(f"{here.url}/open", data={"link": "http://evil.example/"}) as response:
        assert response.status == 400
        assert "この依頼は受け付けられません" in await response.text()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("expired", "証明書の期限が切れています"),
        ("revoked", "この証明書は止められています"),
        ("untrusted-issuer", "この証明書では、ログインできません"),
        ("request-expired", "この依頼は、もう終わっています"),
        ("something-new", "受け付けられませんでした"),
        ("<script>", "受け付けられませんでした"),
    ],
)
async def test_a_refusal_is_said_in_plain_words(here, browser, code, said):
    """What happened and what to do; the code stands below, unless it is none."""
    page = await look(browser, here.link(here.gateway.ask()) + "&phone=takahashi")
    here.gateway.says = (403, {"error": "access_denied", "code": code})
    page, _ = await decide(browser, here, page, status=400)
    assert said in page
    assert "<script>" not in page


async def test_a_text_is_shown_whole_and_signed_as_it_is(here, browser):
    """Markup in it stays text; the payload are its octets, the nonce stands in the header."""
    words = {"task": "sign-text", "text": TEXT, "title": {"ja": "住民票の申請", "en": "Application"}}
    page = await look(
        browser, here.link(here.gateway.ask(**words, formats=["jws"], attributes=[])) + "&phone=takahashi"
    )
    assert "令和8年度の住民票の写しを、1通申請します。\n&lt;手数料 300円&gt;" in page
    assert "この文に署名しますか" in page
    await decide(browser, here, page)
    (form,) = here.gateway.answers
    header, payload = verified(form["response"])
    assert payload == TEXT.encode()
    assert {name: value for name, value in header.items() if name != "x5c"} == {
        "alg": "ES256",
        "typ": "JOSE+JSON",
        "cty": "text/plain",
        "iat": int(here.clock().timestamp()),
        "nonce": "nonce-of-256-bits",
    }


async def test_a_text_that_is_a_date_stays_as_it_is(here, browser):
    """What is shown is what is signed, also where other pages would put it into words."""
    page = await look(
        browser, here.link(here.gateway.ask(task="sign-text", text="2026-04-01", formats=["jws"])) + "&phone=arai"
    )
    assert ">2026-04-01</div>" in page


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\x07", "\u2028", "\ue000"])
async def test_a_text_with_hidden_characters_is_not_signed(here, browser, character):
    """Characters that are not seen, or turn round what is."""
    address = here.gateway.ask(task="sign-text", text=f"1{character}0円", formats=["jws"])
    page = await look(browser, here.link(address) + "&phone=arai", status=400)
    assert "この文には署名できません" in page


# --- requests that are not answered


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://evil.example"},
        {"client_id": "http://evil.example"},
        {"aud": "somebody else"},
        {"response_uri": "http://evil.example/answers"},
        {"header": {"typ": "JWT"}},
        {"key": "another"},
        {"exp": 1},
        {"task": "give-money"},
        {"formats": ["xml"]},
        {"response_mode": "fragment"},
        {"client_metadata": None},
        {"attributes": [1]},
        {"exp": "soon"},
    ],
)
async def test_a_request_that_breaks_a_rule_is_not_shown(here, browser, changes):
    """Foreign, altered, over or unreadable: a page that says so, and no button to allow it."""
    page = await look(browser, here.link(here.gateway.ask(**changes)) + "&phone=takahashi", status=400)
    assert "transaction" not in page


async def test_a_request_that_is_gone_or_no_request(here, browser):
    """Answered before, or no JWT at all."""
    address = here.gateway.ask()
    here.gateway.requests["ref-1_x"] = "not.a.jwt"
    assert "本物の依頼ではありません" in await look(browser, here.link(address) + "&phone=arai", status=400)
    here.gateway.requests.clear()
    assert "もう終わっています" in await look(browser, here.link(address) + "&phone=arai", status=400)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "x" * 5000,
        "http://[",
        "http://g.example/certificate/requests/",
        "http://g.example/certificate/requests/../answers",
        "http://g.example/certificate/requests/a#b",
        "http://g.example/certificate//requests",
        "http://g.example/certificate/requests/a?b=c",
        "http://g.example.evil.example/certificate/requests/a",
        "http://p/authorize?client_id=http://evil.example&request_uri=http://g.example/certificate/requests/a",
        "http://p/authorize?client_id=http://g.example&request_uri=http://evil.example/certificate/requests/a",
        "http://p/authorize?client_id=http://g.example&client_id=x&request_uri="
        + quote("http://g.example/certificate/requests/a"),
    ],
)
def test_links_to_elsewhere_are_not_followed(link):
    """A phone knows one gateway."""
    with pytest.raises(PhoneError):
        request_uri(link, "http://g.example")


# --- certificates


async def test_a_lost_phone_is_revoked_and_a_new_certificate_issued(here, browser):
    """On the page for certificates, which asks the authority how they stand; the number stays."""
    page = await look(browser, f"{here.url}/certificates?phone=takahashi")
    assert "使えます" in page
    assert "MC-7HQKXW2P" in page
    before = (await here.card(browser)).certificate

    async def press(action, status=200):
        token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
        async with browser.post(f"{here.url}/certificates", data={"action": action, "form_token": token}) as response:
            assert response.status == status
            return await response.text()

    assert "止められています" in await press("revoke")
    assert here.authority.register.find(before.serial_number).reason == "keyCompromise"
    assert "使えます" in await press("renew")
    after = (await here.card(browser)).certificate
    assert after.public_key() != before.public_key()
    assert after.subject == before.subject
    await press("other", status=400)


async def test_certificates_change_only_by_a_form_of_the_page(here, browser):
    """Another page cannot revoke somebody's certificate."""
    await look(browser, f"{here.url}/certificates?phone=takahashi")
    for data in ({"action": "revoke"}, {"action": "revoke", "form_token": "x"}):
        async with browser.post(f"{here.url}/certificates", data=data) as response:
            assert response.status == 400
    assert here.authority.register.of("takahashi")[0].revoked_at is None


@pytest.mark.parametrize(
    ("name", "said"),
    [("shimoda", "期限が切れています"), ("arai", "止められています"), ("ogawa", "この証明書を知りません")],
)
async def test_certificates_of_no_use_say_so(here, browser, name, said):
    """Expired, revoked, of another authority."""
    assert said in await look(browser, f"{here.url}/certificates?phone={name}")


async def test_a_card_is_kept_for_its_owner_alone(here, browser):
    """Two looks, one certificate, in a file that nobody else reads."""
    first = await here.card(browser)
    assert (await here.card(browser)).certificate == first.certificate
    path = here.directory / "systems" / "phone" / "takahashi.json"
    assert path.stat().st_mode & 0o077 == 0


async def test_a_card_of_an_authority_that_moved_is_renewed(here, browser, place):
    """Its addresses lead nowhere any more; what was the matter with a first certificate is so again."""
    before = [await here.card(browser, name) for name in ("takahashi", "shimoda")]
    spot = place()
    own = here.directory / "systems" / "authority"
    moved = CertificateAuthority(own, spot.url, SECRET, here.clock)
    face = Face(name="authority", title=TEXTS, kind=TEXTS, theme="theme-maebashi", url=spot.url)
    await spot.serve(AuthoritySystem(face, moved, here.clock).application())
    here.wallet.settings = Settings(gateway=here.gateway.url, authority=spot.url, secret=SECRET)
    good, expired = [await here.card(browser, name) for name in ("takahashi", "shimoda")]
    assert good.certificate != before[0].certificate
    assert expired.certificate.not_valid_after_utc < here.clock()
    assert moved.register.find(before[0].certificate.serial_number).reason == "superseded"


async def test_an_authority_that_is_away_is_said_in_a_sentence(here, browser):
    """No certificate, and what to do."""
    here.wallet.settings = Settings(gateway=here.gateway.url, authority="http://localhost:1", secret=SECRET)
    page = await look(browser, f"{here.url}/certificates?phone=takahashi", status=502)
    assert "認証局につながりません" in page


# --- signatures as others check them


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not installed")
@pytest.mark.parametrize("name", ["takahashi", "yamazaki", "suryani", "kasai"])
async def test_what_card_middleware_signs_is_verified_by_openssl(here, browser, name):
    """`openssl cms`, for keys of both kinds and all sizes; the JWS is of the algorithm of the card."""
    page = await look(browser, here.link(here.gateway.ask()) + f"&phone={name}")
    await decide(browser, here, page, format="cms")
    page = await look(browser, here.link(here.gateway.ask()))
    await decide(browser, here, page)
    by_cms, by_jws = here.gateway.answers
    issuing = here.authority.keys.issuing.certificate.public_bytes(Encoding.PEM)
    (here.directory / "issuing.pem").write_bytes(issuing)
    (here.directory / "answer.der").write_bytes(b64decode(by_cms["cms"]))
    content = here.openssl(
        *("cms", "-verify", "-binary", "-inform", "DER", "-in", "answer.der", "-CAfile", "issuing.pem"),
        *("-partial_chain", "-cades", "-attime", str(int(here.clock().timestamp()))),
    )
    assert json.loads(content)["nonce"] == "nonce-of-256-bits"
    header, _ = verified(by_jws["response"])
    assert header["alg"] == find_owner(name, here.clock().date()).algorithm
    subject = x509.load_der_x509_certificate(b64decode(header["x5c"][0])).subject
    assert subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value.startswith("MC-")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not installed")
async def test_a_text_signed_by_card_middleware(here, browser):
    """The content are the text's octets; the nonce is a signed attribute, and no sign-in carries that one."""
    page = await look(
        browser, here.link(here.gateway.ask(task="sign-text", text=TEXT, formats=["cms"])) + "&phone=kasai"
    )
    await decide(browser, here, page)
    (form,) = here.gateway.answers
    signed = b64decode(form["cms"])
    (here.directory / "issuing.pem").write_bytes(here.authority.keys.issuing.certificate.public_bytes(Encoding.PEM))
    (here.directory / "text.der").write_bytes(signed)
    content = here.openssl(
        *("cms", "-verify", "-binary", "-inform", "DER", "-in", "text.der", "-CAfile", "issuing.pem"),
        *("-partial_chain", "-cades", "-attime", str(int(here.clock().timestamp()))),
    )
    assert content == TEXT.encode()
    printed = here.openssl("asn1parse", "-inform", "DER", "-in", "text.der")
    assert b"id-smime-aa-contentIdentifier" in printed
    assert b"nonce-of-256-bits" in signed
    card = await here.card(browser, "kasai")
    assert b"nonce" not in phone_answer.signed_data(card, b"x", here.clock())


# --- the command


async def command(here, *words):
    """Run `kakehashi demo phone`; exit code, output, errors. The machine's clock is its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "demo", "phone", "--state", str(here.directory), "--language", "en"),
        *words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_script_answers_a_request(here):
    """With the card of the region's directory, as JSON and in sentences."""
    address = here.gateway.ask(exp=4102444800)
    words = ("--resident", "takahashi", "--face", "--disclose", "familyName", "--format", "cms", "--json")
    code, out, err = await command(here, here.link(address), *words)
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["answer"], result["confirmation_code"]) == ("sent", "493021")
    assert result["asked"]["service"] == {"ja": "群馬県ポータル", "en": "Gunma portal"}
    assert set(here.gateway.answers[0]) == {"state", "cms", "attributes"}
    code, out, _ = await command(here, address, "--resident", "yamazaki", "--disclose", "all")
    assert code == 0
    assert "Who asks: Gunma portal\nWhat for: To apply\nComparison code: 4711\n" in out
    assert "Confirmation code: 493021" in out
    code, out, _ = await command(here, address, "--resident", "yamazaki", "--decline", "--json")
    assert (code, json.loads(out)["answer"]) == (0, "declined")
    assert here.gateway.answers[-1] == {"state": "ref-1_x", "error": "access_denied"}


async def test_a_script_is_told_what_is_wrong(here, tmp_path):
    """In a sentence, with exit code 1: never a traceback."""
    address = here.gateway.ask(exp=4102444800)
    here.gateway.ask("text", exp=4102444800, task="sign-text", text=TEXT, formats=["jws"])
    text = address.replace("ref-1_x", "text")
    for words, said in (
        ((address, "--resident", "nobody"), "nobody of that name has a phone"),
        (("http://evil.example", "--resident", "arai"), "foreign-request: "),
        ((address + "x", "--resident", "arai"), "request-over: "),
        ((address, "--resident", "arai", "--disclose", "height"), "height is not asked"),
        ((text, "--resident", "arai", "--format", "cms"), "The request takes jws only"),
    ):
        code, out, err = await command(here, *words)
        assert (code, out) == (1, "")
        assert err.startswith("kakehashi demo phone: ")
        assert said in err
        assert err.count("\n") == 1
    here.gateway.says = (403, {"error": "access_denied", "code": "revoked"})
    code, out, _ = await command(here, address, "--resident", "arai", "--json")
    assert (code, json.loads(out)["error"]) == (1, "revoked")
    here.directory = tmp_path / "nowhere"
    code, _, err = await command(here, address, "--resident", "arai")
    assert "no demo region was started" in err
