"""Changes to the webhook, after the publication: what could not be delivered waits and is told."""

from __future__ import annotations

from collections.abc import Mapping

from dagster_project.playbooks.changes import note_deliveries, settle_changes, waiting_changes
from dagster_project.playbooks.webhook import Delivery, Webhook, deliver
from dagster_project.progress import say, stage
from dagster_project.settings import Settings
from dagster_project.warehouse import connect


def webhook_of(settings: Settings) -> Webhook | None:
    """The webhook of this installation; None when it is off."""
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    return Webhook(
        settings.webhook_url.get_secret_value(), settings.webhook_secret.get_secret_value()
    )


def deliver_changes(settings: Settings) -> Delivery | None:
    """Mark the publication's changes as made and send all that wait; None when the webhook is off.

    The build file is closed while the network is waited for. A receiver that fails never fails the
    run: its changes wait in the build file for the next one, and a line on stderr says so.
    """
    webhook = webhook_of(settings)
    with connect(settings.warehouse, settings) as con:
        settle_changes(con, settings.published)
        waiting = waiting_changes(con) if webhook is not None else []
    if webhook is None:
        return None

    def note(delivered: list[str], refused: Mapping[str, str]) -> None:
        with connect(settings.warehouse, settings) as con:
            note_deliveries(con, delivered, refused)

    with stage("tell the webhook"):
        delivery = deliver(waiting, webhook, note)
    if not delivery.is_complete:
        reason = f" ({delivery.stopped_by})" if delivery.stopped_by else ""
        say(
            f"  warning: the webhook took {delivery.delivered:,} change(s), refused "
            f"{delivery.refused:,} and {delivery.left:,} wait{reason}; all that it did not take "
            "is sent again by the next run. The publication is whole."
        )
    return delivery
