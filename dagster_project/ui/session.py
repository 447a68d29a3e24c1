"""What a session of the app needs before it shows anything: the file, and where it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from dagster_project.errors import CspError
from dagster_project.reporting.dashboard import account, portfolio, rules
from dagster_project.reporting.dashboard.html import PAGES, message, render
from dagster_project.reporting.dashboard.publication import Publication, current_publication
from dagster_project.settings import Settings

LOOK_BACK_DAYS = 30


@dataclass(frozen=True)
class Session:
    """One reader's visit; `publication` is None while there is nothing to read, `fault` says why.

    `page`, `account_id` and `rule_id` are where the address leads, checked against what there is.
    """

    settings: Settings
    publication: Publication | None
    fault: str = ""
    page: str = "portfolio"
    account_id: str | None = None
    rule_id: str | None = None

    @property
    def file(self) -> Publication:
        """The publication, where the app has already stopped without one."""
        assert self.publication is not None
        return self.publication


def begin(settings: Settings, asked: Mapping[str, object]) -> Session:
    """Open the file that is published now and read the address.

    Args:
        settings: the installation.
        asked: the query of the address; what it names and is not there is left out.
    """
    try:
        publication = current_publication(
            settings.published, threads=settings.threads, memory_limit=settings.memory_limit
        )
    except CspError as error:
        return Session(settings, None, message("Nothing to show yet", str(error), tone="yellow"))
    page = str(asked.get("page") or "portfolio")
    account_id = str(asked.get("account") or "")
    rule_id = str(asked.get("rule") or "")
    return Session(
        settings,
        publication,
        page=page if page in PAGES else "portfolio",
        account_id=account_id
        if account_id in account.account_names(publication).values()
        else first_account(publication),
        rule_id=rule_id if rule_id in rules.rules(publication) else None,
    )


def first_account(publication: Publication) -> str | None:
    """The account a reader would look at first: the lowest score, else any."""
    overview = portfolio.accounts(publication, publication.as_of)
    if overview.height:
        return str(overview["account_id"][0])
    return next(iter(account.account_names(publication).values()), None)


def masthead(session: Session) -> str:
    """Title and the day that is shown."""
    if session.publication is None:
        return render("masthead.html.jinja", label="The day shown", as_of=None, number=None)
    return render(
        "masthead.html.jinja",
        label="The day shown",
        as_of=session.file.as_of,
        number=session.file.number,
    )


def news(session: Session) -> str:
    """A card that says so when something newer was published; else nothing."""
    if session.publication is None or session.publication.is_current():
        return ""
    return message("A newer publication is there", "Reload the page to see it.", tone="green")


def ledger_days(session: Session, account_id: str) -> tuple[date, date] | None:
    """The first and the last day a change can be told between; None with fewer than two."""
    days = account.account_days(session.file, account_id)
    return days if days is not None and days[0] < days[1] else None


def looked_back(days: tuple[date, date]) -> date:
    """The day a change is told from until a reader chooses another."""
    return max(days[0], days[1] - timedelta(days=LOOK_BACK_DAYS))
