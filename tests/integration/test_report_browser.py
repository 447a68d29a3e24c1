"""The report in a browser without a network: opened, filtered, read aloud, on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.conftest import LAST_DAY, Installation
from tests.integration.report_pages import copy_published, emptied, write_pages

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium on this machine (Debian: apt install chromium)"
    ),
]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1240, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def folder(backfilled: Installation) -> Path:
    return backfilled.settings.exports / LAST_DAY.isoformat()


@pytest.fixture(scope="module")
def empty_folder(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("empty")
    path = emptied(backfilled.settings.published, out / "data")
    with duckdb.connect(str(path), read_only=True) as con:
        write_pages(con, out)
    return out


@pytest.fixture(scope="module")
def crowded_folder(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same accounts many times over, so that the list is longer than a page of it."""
    out = tmp_path_factory.mktemp("crowded")
    path = copy_published(backfilled.settings.published, out / "data")
    with duckdb.connect(str(path)) as con:
        for table in ("dim_account", "fct_account_health_daily"):
            con.execute(
                f"insert into marts.{table} by name "
                f"select * replace (account_id || '-' || n as account_id) "
                f"from marts.{table}, (select unnest(range(60)) as n)".replace(
                    "select *", "select * exclude (n)"
                )
            )
        write_pages(con, out)
    return out


class Opened:
    """A page in a context without a network; anything it asks for beside files is kept."""

    def __init__(
        self, browser: Browser, path: Path, viewport: dict[str, int], fragment: str, **more: Any
    ) -> None:
        self.context = browser.new_context(offline=True, viewport=viewport, **more)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("request", self._request)
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(path.as_uri() + fragment)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.faults.append(request.url)

    def ready(self) -> Page:
        self.page.wait_for_selector("html[data-ready]", timeout=10_000)
        return self.page


@pytest.fixture
def opening(browser: Browser) -> Iterator[Any]:
    opened: list[Opened] = []

    def open_page(
        path: Path, viewport: dict[str, int] = DESKTOP, fragment: str = "", **more: Any
    ) -> Opened:
        opened.append(Opened(browser, path, viewport, fragment, **more))
        return opened[-1]

    yield open_page
    for one in opened:
        one.context.close()
        assert one.faults == []


def rows(page: Page) -> int:
    return page.locator("#list tbody tr[data-row]").count()


def pages_of(folder: Path) -> list[Path]:
    owners = sorted((folder / "owners").glob("*.html"))
    return [folder / "report.html", folder / "dictionary.html", *owners[:1]]


def faults_of_axe(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:200]}" for fault in found]


def test_ids_are_unique_and_no_style_is_inline(folder: Path, opening: Any) -> None:
    for path in pages_of(folder):
        page = opening(path).page
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids)), path.name
        assert page.locator("[style]").count() == 0, path.name


def test_the_list_filters_and_sorts(folder: Path, opening: Any) -> None:
    page = opening(folder / "report.html").ready()
    everyone = rows(page)
    name = page.locator("#list tbody th button").first.text_content()
    page.fill("#find", f"  {name.upper()} ")
    assert rows(page) == 1
    page.fill("#find", "no such account")
    assert rows(page) == 0
    assert "No account fits" in page.locator("#list tbody").text_content()
    page.fill("#find", "")
    assert rows(page) == everyone
    total = 0
    for value in page.eval_on_selector_all("#zone option", "all => all.map(o => o.value)"):
        page.select_option("#zone", value)
        total += rows(page) if value else 0
    assert total == everyone
    page.select_option("#zone", "")
    page.click("#list thead th:nth-child(4) button")
    page.click("#list thead th:nth-child(4) button")
    assert page.locator("#list thead th[aria-sort=descending]").count() == 1


def test_an_account_opens_its_explanation_and_closes_it(folder: Path, opening: Any) -> None:
    page = opening(folder / "report.html").ready()
    button = page.locator("#list tbody th button").first
    button.click()
    why = page.locator(".why")
    why.wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    for words in ("What makes the score", "What moved it in 30 days", "Adoption", "Open actions"):
        assert words in why.text_content()
    assert faults_of_axe(page) == []
    button.click()
    assert page.locator(".why").count() == 0
    assert button.get_attribute("aria-expanded") == "false"


def test_an_owners_page_leads_to_the_explanation(folder: Path, opening: Any) -> None:
    owner = next(
        path
        for path in sorted((folder / "owners").glob("*.html"))
        if "#account=" in path.read_text()
    )
    opened = opening(owner)
    link = opened.page.locator("a[href*='#account=']").first
    name = link.text_content()
    link.click()
    opened.page.locator(".why").wait_for()
    assert opened.page.evaluate("document.activeElement.textContent") == name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(folder: Path, empty_folder: Path, opening: Any, scheme: str) -> None:
    for path in (*pages_of(folder), empty_folder / "report.html"):
        page = opening(path, color_scheme=scheme).page
        page.wait_for_timeout(200)
        assert faults_of_axe(page) == [], path.name


def test_nothing_scrolls_sideways_on_a_phone(
    folder: Path, empty_folder: Path, opening: Any
) -> None:
    for path in (*pages_of(folder), empty_folder / "report.html"):
        page = opening(path, PHONE).page
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path.name


def test_a_long_list_shows_more_on_demand_and_opens_a_late_account(
    crowded_folder: Path, opening: Any
) -> None:
    page = opening(crowded_folder / "report.html").ready()
    assert rows(page) == 100
    page.click("#more")
    assert rows(page) == 200
    page.fill("#find", "-59")
    assert 0 < rows(page) < 100
    last = page.locator("#list tbody th button").last
    last.click()
    page.locator(".why").wait_for()


def test_the_page_reads_without_javascript(folder: Path, opening: Any) -> None:
    opened = opening(folder / "report.html", java_script_enabled=False)
    assert opened.page.locator("#list tbody tr").count() > 0
    assert "need JavaScript" in opened.page.locator("#shown").text_content()
    opened.faults.clear()


def test_the_dictionary_finds_columns_by_meaning(folder: Path, opening: Any) -> None:
    page = opening(folder / "dictionary.html").ready()
    page.fill("#find", "health_score")
    shown = page.locator("details.entry:visible")
    assert 0 < shown.count() < page.locator("details.entry").count()
    page.fill("#find", "no such words anywhere")
    assert page.locator("details.entry:visible").count() == 0
    linked = opening(folder / "dictionary.html", fragment="#marts.my_week").ready()
    assert linked.locator("details[id='marts.my_week'][open]").count() == 1
