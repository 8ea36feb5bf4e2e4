"""The demo's authority as the gateway sees it: what its responder and its lists say is believed, and found in time."""

from datetime import timedelta

import pytest
from cryptography import x509

from federation.certificate import crl
from federation.certificate.model import RevocationPolicy, Standing, StatusQuestion
from federation.certificate.sources import Moment, sources
from gateway.clock import now
from gateway.demo.certificate_authority import AuthoritySystem, CertificateAuthority
from gateway.demo.site import Face
from tests.demo.test_certificate_authority import SECRET, TEXTS, Here
from tests.gateway.responders import knowing


@pytest.fixture
async def here(place, browser, tmp_path):
    """An authority at its address; the library that makes its responses knows only the machine's clock."""
    spot = place()
    authority = CertificateAuthority(tmp_path, spot.url, SECRET, now)
    face = Face(name="authority", title=TEXTS, kind=TEXTS, theme="theme-maebashi", url=spot.url)
    await spot.serve(AuthoritySystem(face, authority, now).application())
    return Here(spot.url, authority, browser, now, tmp_path)


def question(here: Here, certificate: x509.Certificate) -> StatusQuestion:
    """Whether it was revoked."""
    issuer = here.authority.keys.issuing.certificate
    return StatusQuestion(certificate=certificate, issuer=issuer, policy=RevocationPolicy(fresh_within=timedelta(0)))


async def test_its_responder_is_believed(here):
    """Good, then revoked, as soon as somebody asks anew."""
    certificate, _ = await here.issued()
    async with knowing(now) as statuses:
        found = await statuses.status(question(here, certificate))
        assert (found.standing, found.source) == (Standing.GOOD, "ocsp"), found.why
        await here.revoke(certificate)
        found = await statuses.status(question(here, certificate))
        assert (found.standing, found.reason) == (Standing.REVOKED, "keyCompromise"), found.why


async def test_its_lists_are_believed(here):
    """The part on which the certificate would stand, with the delta that knows of the revocation at once."""
    certificate, _ = await here.issued()
    about = question(here, certificate)
    where = sources(about.certificate, about.issuer)
    (url,) = (url for point in where.points for url in point.urls)
    complete = crl.read(await here.get(url.removeprefix(here.url)), about.issuer)
    assert crl.judged(about, [complete], Moment(at=now())).standing is Standing.GOOD
    await here.revoke(certificate)
    (url,) = {*where.freshest, *complete.freshest}
    delta = crl.read(await here.get(url.removeprefix(here.url)), about.issuer)
    found = crl.judged(about, [complete, delta], Moment(at=now()))
    assert (found.standing, found.source) == (Standing.REVOKED, "delta")
