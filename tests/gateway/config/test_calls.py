"""What routes.yaml says of keys and signatures of calls."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from federation.reach import Ejection, Health, Reach, Retries
from federation.signatures.algorithms import thumbprint
from federation.signatures.calls import Demand
from federation.terms import Idempotency
from gateway.config import check, load

from .sample import REFERENCE, ROUTES, edit
from .test_material import certificate, put


@pytest.fixture
def region(tmp_path: Path) -> Path:
    """A copy of the reference whose service signs its answers."""
    shutil.copytree(REFERENCE, tmp_path / "region")
    region = tmp_path / "region"
    for key in ("signatures:", "responses: required", "certificates: [lists/anchor.pem]"):
        edit(region, ROUTES, f"#{key}", key)
    return region


def test_a_service_that_signs_and_knows_keys(region: Path, tmp_path: Path) -> None:
    """Its certificates are read: their keys are the only ones that sign its answers."""
    edit(region, ROUTES, "idempotent: false", "idempotent: true")

    found = load(region, state=tmp_path)

    service = found.api_services["council-poll"]
    anchor = x509.load_pem_x509_certificate((REFERENCE / "lists/anchor.pem").read_bytes())
    assert service.idempotent
    assert service.answers is Demand.REQUIRED
    assert thumbprint(anchor.public_key()) in service.answer_keys  # type: ignore[arg-type]
    assert len(service.answer_keys) == 2  # by its own name and the certificate's


def test_a_service_that_says_nothing(tmp_path: Path) -> None:
    """Nobody looks at its signatures, and it is not asked twice."""
    service = load(REFERENCE, state=tmp_path).api_services["council-poll"]

    assert (service.idempotent, service.answers, service.answer_keys) == (False, Demand.NONE, {})


@pytest.mark.parametrize(
    ("key", "signs"),
    [
        (ec.generate_private_key(ec.SECP256R1()), True),
        (ed25519.Ed25519PrivateKey.generate(), True),
        (rsa.generate_private_key(65537, 2048), True),
        (ec.generate_private_key(ec.SECP384R1()), False),
        (rsa.generate_private_key(65537, 1024), False),
    ],
    ids=["P-256", "Ed25519", "RSA", "P-384", "RSA 1024"],
)
def test_which_keys_sign_answers(region: Path, tmp_path: Path, key: Any, *, signs: bool) -> None:
    """Those that verify them; a certificate of another is a mistake, not a service whose every answer is refused."""
    put(region / "service.pem", certificate(key))
    edit(region, ROUTES, "certificates: [lists/anchor.pem]", "certificates: [service.pem]")

    mistakes, _ = check(region)
    assert [mistake.kind for mistake in mistakes] == ([] if signs else ["message-key"])
    if signs:
        assert thumbprint(key.public_key()) in load(region, state=tmp_path).api_services["council-poll"].answer_keys


WAYS = """
    targets: [https://a.example.jp, https://b.example.jp/base]
    most_connections: 9
    health: {path: /ready, seconds: 3}
    ejection: {failures: 2, seconds: 4}
    retries: {most: 3, budget_percent: 5}
"""


def test_how_a_service_is_reached(region: Path, tmp_path: Path) -> None:
    """At its addresses, as it says."""
    edit(region, ROUTES, "    most_connections: 256\n", WAYS)

    service = load(region, state=tmp_path).api_services["council-poll"]
    assert service.upstream == "https://poll.example.jp"
    assert service.reach == Reach(
        targets=("https://a.example.jp", "https://b.example.jp/base"),
        most_connections=9,
        health=Health(path="/ready", seconds=3),
        ejection=Ejection(failures=2, seconds=4),
        retries=Retries(most=3, budget_percent=5),
    )


@pytest.mark.parametrize(
    ("said", "reach"),
    [
        ("", Reach(targets=("https://poll.example.jp",))),
        ("targets: [https://a.example.jp]", Reach(targets=("https://a.example.jp",))),
        (
            "targets: [https://a.example.jp, https://b.example.jp]",
            Reach(
                targets=("https://a.example.jp", "https://b.example.jp"),
                ejection=Ejection(failures=5, seconds=10),
                retries=Retries(most=1, budget_percent=20),
            ),
        ),
        (
            "ejection: {}",
            Reach(targets=("https://poll.example.jp",), ejection=Ejection(failures=5, seconds=10)),
        ),
    ],
)
def test_what_is_done_by_itself(region: Path, tmp_path: Path, said: str, reach: Reach) -> None:
    """Where there are several addresses what fails is left alone, and asked again elsewhere; else not."""
    edit(region, ROUTES, "most_connections: 256", said)

    assert load(region, state=tmp_path).api_services["council-poll"].reach == reach


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("targets: [http://poll.example.jp]", "url-plain"),
        ("targets: [https://a.example.jp, https://a.example.jp]", "list-duplicate"),
        ("health: {path: ready}", "upstream-path"),
        ("health: {}", "missing-key"),
        ("ejection: {failures: 0}", "range"),
        ("retries: {budget_percent: 101}", "range"),
    ],
)
def test_mistakes_about_the_way_to_a_service_are_named(region: Path, said: str, kind: str) -> None:
    """Where they stand."""
    edit(region, ROUTES, "most_connections: 256", said)

    mistakes, _ = check(region)
    assert [mistake.kind for mistake in mistakes] == [kind]


@pytest.mark.parametrize("said", Idempotency)
def test_whether_a_route_takes_keys(region: Path, tmp_path: Path, said: Idempotency) -> None:
    """As it says."""
    edit(region, ROUTES, "idempotency: accepted", f"idempotency: {said}")

    (route,) = load(region, state=tmp_path).routes.routes
    assert route.terms.idempotency is said


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("certificates: [lists/anchor.pem]", "certificates: [lists/none.pem]", "material-missing"),
        ("certificates: [lists/anchor.pem]", "certificates: [gateway.yaml]", "certificate"),
        ("certificates: [lists/anchor.pem]", "certificates: []", "list-empty"),
        ("responses: required", "responses: always", "one-of"),
        ("responses: required\n", "\n", "missing-key"),
    ],
)
def test_mistakes_about_signatures_are_named(region: Path, old: str, new: str, kind: str) -> None:
    """Where they stand."""
    edit(region, ROUTES, old, new)

    mistakes, _ = check(region)
    assert [mistake.kind for mistake in mistakes] == [kind]
