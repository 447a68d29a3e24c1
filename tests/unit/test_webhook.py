"""The webhook against a real server on loopback: signed, retried, at least once, no secret told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
from pydantic import ValidationError

from dagster_project.defs.deliver import deliver_changes
from dagster_project.defs.resources import Installation
from dagster_project.playbooks.changes import WaitingChange, settle_changes
from dagster_project.playbooks.webhook import Delivery, Webhook, deliver, sign
from dagster_project.settings import Settings

SECRET = "a-secret-of-the-tests"
Answer = int | Callable[[], int]


class Receiver(ThreadingHTTPServer):
    """Answers with the given statuses in turn, the last one for ever; keeps what it was sent."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        self.location = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=in-the-address"

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        status = answer() if callable(answer) else answer
        self.send_response(status)
        if self.server.location:
            self.send_header("location", self.server.location)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Receiver]]:
    running: list[Receiver] = []

    def start(*answers: Answer) -> Receiver:
        receiver = Receiver(*answers)
        threading.Thread(target=receiver.serve_forever, args=(0.01,), daemon=True).start()
        running.append(receiver)
        return receiver

    yield start
    for receiver in running:
        receiver.shutdown()
        receiver.server_close()


class Ledger:
    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refused: dict[str, str] = {}

    def note(self, taken: list[str], refused: Mapping[str, str]) -> None:
        self.taken += taken
        self.refused |= refused


def changes(count: int) -> list[WaitingChange]:
    return [
        WaitingChange(f"chg_{number}", json.dumps({"id": f"chg_{number}", "data": "Łódź"}))
        for number in range(count)
    ]


def hook(url: str, **more: float | int) -> Webhook:
    return Webhook(url, SECRET, **{"backoff_seconds": 0.01, "timeout_seconds": 5, **more})  # type: ignore[arg-type]


def test_every_change_is_sent_once_in_order_and_can_be_verified(
    serve: Callable[..., Receiver],
) -> None:
    receiver, ledger = serve(204), Ledger()
    assert deliver(changes(3), hook(receiver.url), ledger.note) == Delivery(3, 0, 0)
    assert receiver.ids() == ledger.taken == ["chg_0", "chg_1", "chg_2"]
    for headers, body in receiver.requests:
        message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(SECRET.encode(), message, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
        assert headers["idempotency-key"] == headers["webhook-id"] == json.loads(body)["id"]
        assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        assert SECRET not in str(headers) and SECRET.encode() not in body


def test_the_signature_is_the_one_of_the_specification() -> None:
    # The example of the Standard Webhooks specification.
    webhook = Webhook("https://example.com", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(webhook.key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_passing_trouble_is_tried_again_with_the_same_key(serve: Callable[..., Receiver]) -> None:
    receiver, ledger = serve(500, 503, 429, 200), Ledger()
    assert deliver(changes(2), hook(receiver.url), ledger.note) == Delivery(2, 0, 0)
    assert receiver.ids() == ["chg_0"] * 4 + ["chg_1"]
    assert len({body for _, body in receiver.requests[:4]}) == 1


def test_a_receiver_that_stays_down_stops_the_round_and_the_rest_waits(
    serve: Callable[..., Receiver],
) -> None:
    receiver, ledger = serve(200, 503), Ledger()
    result = deliver(changes(5), hook(receiver.url, retries=2), ledger.note)
    assert result == Delivery(1, 0, 4, "HTTP 503")
    assert receiver.ids() == ["chg_0"] + ["chg_1"] * 3
    assert ledger.taken == ["chg_0"]


def test_a_refused_change_does_not_hold_up_the_others(serve: Callable[..., Receiver]) -> None:
    receiver, ledger = serve(200, 422, 200), Ledger()
    assert deliver(changes(3), hook(receiver.url), ledger.note) == Delivery(2, 1, 0)
    assert ledger.refused == {"chg_1": "HTTP 422"}
    assert ledger.taken == ["chg_0", "chg_2"]


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_refusal_of_the_sender_stops_the_round(
    serve: Callable[..., Receiver], status: int
) -> None:
    receiver, ledger = serve(status), Ledger()
    assert deliver(changes(3), hook(receiver.url), ledger.note) == Delivery(
        0, 0, 3, f"HTTP {status}"
    )
    assert len(receiver.requests) == 1


def test_a_redirect_is_not_followed(serve: Callable[..., Receiver]) -> None:
    elsewhere, receiver, ledger = serve(200), serve(307), Ledger()
    receiver.location = elsewhere.url
    result = deliver(changes(1), hook(receiver.url), ledger.note)
    assert result == Delivery(0, 0, 1, "HTTP 307")
    assert elsewhere.requests == []


def test_a_receiver_that_does_not_answer_is_given_up(serve: Callable[..., Receiver]) -> None:
    answered = threading.Event()

    def late() -> int:
        answered.wait(5)
        return 200

    receiver, ledger = serve(late), Ledger()
    result = deliver(changes(2), hook(receiver.url, timeout_seconds=0.1, retries=1), ledger.note)
    answered.set()
    assert result == Delivery(0, 0, 2, "no answer within 0.1 s")
    assert receiver.ids()[:2] == ["chg_0", "chg_0"]


def test_nobody_there_is_told_without_the_address(serve: Callable[..., Receiver]) -> None:
    receiver = serve(200)
    url = receiver.url
    receiver.shutdown()
    receiver.server_close()
    webhook = hook(url, retries=1)
    result = deliver(changes(1), webhook, Ledger().note)
    assert result == Delivery(0, 0, 1, "no connection")
    assert "token" not in f"{result} {webhook}" and SECRET not in f"{result} {webhook}"


def test_what_was_taken_is_noted_even_when_the_run_is_stopped(
    serve: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, ledger = serve(200), Ledger()
    sent = 0

    def dies(*arguments: object) -> str:
        nonlocal sent
        sent += 1
        if sent == 3:
            raise KeyboardInterrupt
        return "v1,"

    monkeypatch.setattr("dagster_project.playbooks.webhook.sign", dies)
    with pytest.raises(KeyboardInterrupt):
        deliver(changes(5), hook(receiver.url), ledger.note)
    assert ledger.taken == ["chg_0", "chg_1"]


def test_a_round_has_a_budget(serve: Callable[..., Receiver]) -> None:
    receiver, ledger = serve(200), Ledger()
    result = deliver(changes(3), hook(receiver.url, budget_seconds=-1), ledger.note)
    assert (result.delivered, result.left) == (0, 3)
    assert not receiver.requests


# -- the outbox of an installation -----------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation whose last publication made two changes."""
    monkeypatch.setenv("CSP_WEBHOOK_SECRET", SECRET)
    monkeypatch.setattr("dagster_project.defs.deliver.Webhook", hook_of)
    own = Settings(data_dir=tmp_path)
    for path in (own.warehouse, own.published):
        path.parent.mkdir(parents=True)
        with duckdb.connect(str(path)) as con:
            con.execute("create schema pipeline")
            con.execute("create table pipeline.publication as select 1 as publication_number")
    with duckdb.connect(str(own.warehouse)) as con:
        settle_changes(con, None)
        for number in (0, 1):
            con.execute(
                "insert into pipeline.action_changes values (?, ?, 1, date '2026-01-01', ?, false,"
                " 'waiting', 0, null, '{}')",
                [f"chg_{number}", f"chg_{number}", number],
            )
    return own


def hook_of(url: str, secret: str) -> Webhook:
    return Webhook(url, secret, backoff_seconds=0.01, retries=1)


def test_what_a_receiver_missed_comes_with_the_next_run_and_only_that(
    settings: Settings,
    serve: Callable[..., Receiver],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert deliver_changes(settings) is None
    receiver = serve(200, 500)
    monkeypatch.setenv("CSP_WEBHOOK_URL", receiver.url)
    # As Dagster hands settings on: as text, which holds neither address nor secret.
    handed = Installation.of(Settings(data_dir=settings.data_dir), waits_when_busy=False)
    assert SECRET not in handed.settings_json and "token" not in handed.settings_json
    assert deliver_changes(handed.settings) == Delivery(1, 0, 1, "HTTP 500")
    receiver.answers = [200]
    receiver.requests.clear()
    assert deliver_changes(handed.settings) == Delivery(1, 0, 0)
    assert receiver.ids() == ["chg_1"]
    assert deliver_changes(handed.settings) == Delivery(0, 0, 0)


def test_a_crash_between_taking_and_noting_sends_again(
    settings: Settings, serve: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = serve(200)
    monkeypatch.setenv("CSP_WEBHOOK_URL", receiver.url)
    own = Settings(data_dir=settings.data_dir)

    def crash(*arguments: object) -> None:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr("dagster_project.defs.deliver.note_deliveries", crash)
        with pytest.raises(SystemExit):
            deliver_changes(own)
    assert deliver_changes(own) == Delivery(2, 0, 0)
    assert receiver.ids() == ["chg_0", "chg_1"] * 2


@pytest.mark.parametrize(
    ("url", "secret", "message"),
    [
        ("http://example.com/hook", SECRET, "https://"),
        ("ftp://example.com/hook", SECRET, "https://"),
        ("nonsense", SECRET, "https://"),
        ("https://example.com/hook", None, "nothing leaves unsigned"),
        ("https://example.com/hook", "short", "16 characters"),
        ("https://example.com/hook", "whsec_not*base64*at*all", "base64"),
    ],
)
def test_an_unsafe_webhook_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, url: str, secret: str | None, message: str
) -> None:
    monkeypatch.setenv("CSP_WEBHOOK_URL", url)
    if secret is not None:
        monkeypatch.setenv("CSP_WEBHOOK_SECRET", secret)
    with pytest.raises(ValidationError, match=message) as refused:
        Settings()
    assert url not in str(refused.value)
    assert secret is None or secret not in str(refused.value)
