"""One HTTP endpoint that is told every change: signed, retried, at least once.

Signed as in the Standard Webhooks specification: headers `webhook-id`, `webhook-timestamp` and
`webhook-signature` (`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`). The id is the
change's, in every attempt and every run the same, so that a receiver drops what it has.

Belongs here: the network. Does not belong here: what is sent and what was delivered (`changes`).
The one module that reads the wall clock: a signature without the present moment could be replayed.
Neither the secret nor the address's path is ever shown or logged: both may be credentials.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from dagster_project.playbooks.changes import WaitingChange

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SECRET_PREFIX = "whsec_"
# Passing troubles: tried again within the run.
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
# Not about the one change: all others would meet the same.
_STOPPING = frozenset({401, 403, 404, 405, 407, 410})
_NOTED_AT_ONCE = 50


@dataclass(frozen=True)
class Webhook:
    """Where changes go and how patiently. Seconds throughout."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    timeout_seconds: float = 10
    #: further attempts after the first, waiting 1, 2, 4 … times `backoff_seconds` between them
    retries: int = 3
    backoff_seconds: float = 1
    #: after this long the rest waits for the next run
    budget_seconds: float = 900

    @property
    def key(self) -> bytes:
        """The secret as bytes; `whsec_` marks base64, as the specification has it.

        Raises:
            ValueError: what follows `whsec_` is no base64.
        """
        if self.secret.startswith(SECRET_PREFIX):
            try:
                return base64.b64decode(self.secret.removeprefix(SECRET_PREFIX), validate=True)
            except binascii.Error as error:
                raise ValueError(f"what follows {SECRET_PREFIX} is no base64") from error
        return self.secret.encode()


@dataclass(frozen=True)
class Delivery:
    """What came of one round: changes taken, refused one by one, and left for the next run."""

    delivered: int
    refused: int
    left: int
    #: why the round stopped early; empty when it did not
    stopped_by: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether nothing waits any more."""
        return not (self.refused or self.left)


def sign(key: bytes, change_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    message = f"{change_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def deliver(
    changes: Iterable[WaitingChange],
    webhook: Webhook,
    note: Callable[[list[str], Mapping[str, str]], None],
) -> Delivery:
    """Send the changes in order; tell `note` what was taken and refused, from time to time.

    A change that the receiver refuses for itself (a 4xx) is left for the next run and the others go
    on. Where the receiver does not answer, or none could succeed, the round stops: the rest waits.
    Nothing is raised for what the network or the receiver does.
    """
    waiting = list(changes)
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(total=webhook.timeout_seconds),
        retries=urllib3.Retry(
            total=webhook.retries,
            allowed_methods=None,
            status_forcelist=_RETRIED,
            # A redirect would carry customers' data to an address nobody configured.
            redirect=False,
            raise_on_status=False,
            backoff_factor=webhook.backoff_seconds,
            backoff_max=30,
            retry_after_max=30,
        ),
    )
    key = webhook.key
    started = time.monotonic()
    taken: list[str] = []
    refused: dict[str, str] = {}
    counts = {"delivered": 0, "refused": 0}
    stopped_by = ""

    def note_now() -> None:
        if taken or refused:
            note(taken, refused)
            counts["delivered"] += len(taken)
            counts["refused"] += len(refused)
            taken.clear()
            refused.clear()

    try:
        for change in waiting:
            if time.monotonic() - started > webhook.budget_seconds:
                stopped_by = f"took longer than {webhook.budget_seconds:g} s"
                break
            problem, is_for_all = _send(pool, webhook, key, change)
            if problem and is_for_all:
                stopped_by = problem
                break
            if problem:
                refused[change.change_id] = problem
            else:
                taken.append(change.change_id)
            if len(taken) + len(refused) >= _NOTED_AT_ONCE:
                note_now()
    finally:
        # Also when the run is stopped by hand: what was taken is not to be sent again.
        note_now()
        pool.clear()
    left = len(waiting) - counts["delivered"] - counts["refused"]
    return Delivery(counts["delivered"], counts["refused"], left, stopped_by)


def _send(
    pool: urllib3.PoolManager, webhook: Webhook, key: bytes, change: WaitingChange
) -> tuple[str, bool]:
    """Send one change; the problem (empty: taken), and whether the next would meet it as well."""
    body = change.body.encode()
    timestamp = int(time.time())
    try:
        response = pool.request(
            "POST",
            webhook.url,
            body=body,
            redirect=False,
            headers={
                "content-type": CONTENT_TYPE,
                "user-agent": "csp-webhook/1",
                "idempotency-key": change.change_id,
                "webhook-id": change.change_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": sign(key, change.change_id, timestamp, body),
            },
        )
    except HTTPError as error:
        return _words(error, webhook), True
    if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        return "", False
    is_for_all = response.status in _RETRIED | _STOPPING or (
        not HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR
    )
    return f"HTTP {response.status}", is_for_all


def _words(error: HTTPError, webhook: Webhook) -> str:
    """What went wrong without the address: the library's own texts hold its path."""
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    match cause:
        case NewConnectionError():
            return "no connection"
        case ConnectTimeoutError() | ReadTimeoutError():
            return f"no answer within {webhook.timeout_seconds:g} s"
        case SSLError():
            return "the TLS certificate is not trusted, or TLS failed"
        case _:
            return type(cause).__name__
