import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

import observability
from observability.events import (
    CallOutcome,
    ConfigEvent,
    ConfigOutcome,
    ListEvent,
    ListOutcome,
    LoginOutcome,
    PointersEvent,
    StoreChange,
    StoreEvent,
)
from observability.metrics import Metrics
from observability.overview import LAST_PART, WARN_BEFORE
from tests.observability.builders import NOW, VOCABULARY, call, login

ALERTS = Path(observability.__file__).parent / "alerts.yml"


def rules() -> list[dict[str, Any]]:
    """Every rule of the file."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def exposed() -> dict[str, set[str]]:
    """Every series that the gateway can expose, with its labels."""
    metrics = Metrics(VOCABULARY, version="0.1.0")
    for event in (
        login(),
        login(outcome=LoginOutcome.REFUSED, reason="internal-fault"),
        call(),
        call(outcome=CallOutcome.FAILED, status=502, reason="upstream-unreachable"),
        ListEvent(name="region-saml", outcome=ListOutcome.LOADED, at=NOW, issued_at=NOW, valid_until=NOW, entities=1),
        PointersEvent(name="region-saml", left=1, at=NOW),
        StoreEvent(change=StoreChange.RESTART, at=NOW),
        ConfigEvent(outcome=ConfigOutcome.LOADED, at=NOW),
    ):
        metrics.record(event)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.exposition(None, "")[1].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_rule_is_complete():
    """A rule has a unique name, an expression, a severity, and says what is wrong and what to do."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert re.fullmatch(r"Kakehashi[A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"[0-9]+[smhd]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert {"summary", "description"} == set(rule["annotations"])


def test_every_metric_and_label_of_a_rule_exists():
    """An alert on a metric that was renamed would stay silent for ever."""
    known = exposed()
    for rule in rules():
        used = re.findall(r"(kakehashi_[a-z0-9_]+)(?:\{([^}]*)\})?", rule["expr"])
        assert used, rule["alert"]
        for name, selector in used:
            assert name in known, rule["alert"]
            assert set(re.findall(r"([a-z_]+)\s*(?:=|!=|=~|!~)", selector)) <= known[name], rule["alert"]
        labels = {label for name, _ in used for label in known[name]}
        grouped = [part.strip() for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for part in by.split(",")]
        told = re.findall(r"\$labels\.([a-z_]+)", " ".join(rule["annotations"].values()))
        assert {*grouped, *told} <= labels, rule["alert"]
        if grouped:
            assert set(told) <= set(grouped), rule["alert"]


def test_every_expression_is_well_formed():
    """Brackets close in order, and every word is one that Prometheus knows."""
    words = {"and", "unless", "by", "sum", "rate", "increase", "time", "histogram_quantile"}
    for rule in rules():
        expression = re.sub(r'"[^"]*"', '""', rule["expr"])
        open_brackets: list[str] = []
        for character in expression:
            if character in "([{":
                open_brackets.append({"(": ")", "[": "]", "{": "}"}[character])
            elif character in ")]}":
                assert open_brackets, rule["alert"]
                assert open_brackets.pop() == character, rule["alert"]
        assert not open_brackets, rule["alert"]
        bare = re.sub(r"\{[^}]*\}|\[[0-9]+[smhd]\]|by \([^)]*\)", " ", expression)
        left = set(re.findall(r"[a-z_]{2,}", bare)) - words
        assert left <= set(exposed()), rule["alert"]


def test_rules_and_page_warn_at_the_same_time():
    """A list that the page warns of is one that an alert warns of."""
    expression = next(r["expr"] for r in rules() if r["alert"] == "KakehashiTrustListExpiresSoon")
    assert f"< {WARN_BEFORE // timedelta(days=1)} * 86400" in expression
    assert f"< kakehashi_list_lifetime_seconds / {LAST_PART}" in expression
