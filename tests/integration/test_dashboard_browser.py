"""The dashboard served as `csp ui` serves it, in a browser that may ask this machine only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from dagster_project.settings import PROJECT_ROOT
from tests.integration.conftest import Installation
from tests.integration.report_pages import copy_published
from tests.integration.test_report_browser import BROWSER, DESKTOP, PHONE, faults_of_axe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium on this machine (Debian: apt install chromium)"
    ),
]
RULE = "triage_score_under_line"
# What stands on a page when all of it is there.
PAGES = {
    "?page=portfolio": "table.accounts",
    "?page=account": ".line-of",
    "?page=rules": "h2:has-text('rules in force')",
    f"?page=rules&rule={RULE}": "h2:has-text('Try it on the past')",
    "?page=data": "h2:has-text('Rejected rows by rule')",
}


@dataclass
class Server:
    """A running dashboard with a data directory and a home of its own."""

    data_dir: Path
    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture(scope="module")
def server(backfilled: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("served")
    copied = backfilled.copy_to(root)
    home = root / "home"
    home.mkdir()
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("XDG_")
    } | {"HOME": str(home), "CSP_DATA_DIR": str(copied.data_dir), "CSP_MEMORY_LIMIT": "2GB"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster_project.ui.server", "--port", str(port)],
        cwd=PROJECT_ROOT,
        env=environment,
    )
    served = Server(copied.data_dir, home, port, process)
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(served.address, timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.1)
    yield served
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield launched
        launched.close()


@pytest.fixture
def opening(browser: Browser, server: Server) -> Iterator[Any]:
    """Opens a page; anything it asks of another address, and any error it meets, fails the test."""
    # Pages of one test share a context, and with it what marimo's own script weighs.
    contexts: dict[str, BrowserContext] = {}
    faults: list[str] = []
    allowed = (server.address, "data:", "blob:")
    sockets = f"ws://127.0.0.1:{server.port}/"

    def asked(request: Any) -> None:
        if not request.url.startswith(allowed):
            faults.append(request.url)

    def said(message: Any) -> None:
        if message.type == "error":
            faults.append(message.text)

    def open_page(query: str, viewport: dict[str, int] = DESKTOP, **more: Any) -> Page:
        key = f"{viewport}{more}"
        if key not in contexts:
            contexts[key] = browser.new_context(viewport=viewport, **more)
            contexts[key].on("request", asked)
        page: Page = contexts[key].new_page()
        page.set_default_timeout(30_000)
        page.on("console", said)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "websocket",
            lambda one: None if one.url.startswith(sockets) else faults.append(one.url),
        )
        page.goto(server.address + query)
        return page

    yield open_page
    for context in contexts.values():
        context.close()
    assert faults == []


def listed(page: Page) -> Locator:
    return page.locator("table.accounts tbody tr")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_stands_and_axe_finds_nothing(opening: Any, scheme: str) -> None:
    for query, mark in PAGES.items():
        page = opening(query, color_scheme=scheme)
        page.wait_for_selector(mark)
        page.wait_for_timeout(300)
        assert faults_of_axe(page) == [], query


def test_nothing_scrolls_sideways_on_a_phone(opening: Any) -> None:
    for query, mark in PAGES.items():
        page = opening(query, PHONE)
        page.wait_for_selector(mark)
        for selector in ("html", "#App"):
            width = page.evaluate(f"document.querySelector('{selector}').scrollWidth")
            assert width <= PHONE["width"], (query, selector)
        sticking_out = page.evaluate(
            "[...document.querySelectorAll('.csp *')].filter(one => !one.closest('.scroll') && "
            f"one.getBoundingClientRect().right > {PHONE['width']}).map(one => one.outerHTML)"
        )
        assert sticking_out == [], query


def test_the_list_is_filtered_and_leads_to_the_account(opening: Any) -> None:
    page = opening("")
    page.wait_for_selector("table.accounts")
    everyone = listed(page).count()
    link = page.locator("table.accounts a").last
    name = link.text_content()
    page.get_by_label("Find").fill(f"  {name.upper()} ")
    expect(listed(page)).to_have_count(1)
    page.get_by_label("Find").fill("' or 1=1 --")
    page.wait_for_selector("text=No account fits")
    page.get_by_label("Find").fill("")
    expect(listed(page)).to_have_count(everyone)
    page.locator("table.accounts a", has_text=name).click()
    page.wait_for_selector(f".who h1:has-text('{name}')")
    assert "page=account" in page.url
    summary = page.locator("details.component summary").first
    summary.click()
    page.wait_for_selector("details.component[open] table.measures")


def test_the_tabs_turn_the_page_and_the_address_keeps_it(opening: Any) -> None:
    page = opening("")
    page.wait_for_selector("table.accounts")
    page.get_by_role("tab", name="Data quality").click()
    page.wait_for_selector(PAGES["?page=data"])
    assert page.locator("table.accounts").count() == 0
    assert "page=data" in page.url
    page.reload()
    page.wait_for_selector(PAGES["?page=data"])


def test_a_condition_is_tried_from_the_page(opening: Any) -> None:
    page = opening(f"?page=rules&rule={RULE}")
    box = page.get_by_label("Condition to try")
    box.fill("helth_score < 60")
    box.blur()
    page.get_by_role("button", name="Replay these days").click()
    page.wait_for_selector("text=did you mean `health_score`?")
    box.fill("health_score < 95")
    box.blur()
    page.get_by_role("button", name="Replay these days").click()
    page.wait_for_selector("text=Would have opened", timeout=60_000)
    assert faults_of_axe(page) == []


def test_a_reload_shows_what_was_published_meanwhile(opening: Any, server: Server) -> None:
    published = server.data_dir / "published" / "analytics.duckdb"
    before = published.read_bytes()
    page = opening("")
    page.wait_for_selector("text=publication 1 ")
    aside = copy_published(published, server.data_dir / "aside")
    with duckdb.connect(str(aside)) as con:
        con.execute("update pipeline.publication set publication_number = 2")
    aside.replace(published)
    page.reload()
    page.wait_for_selector("text=publication 2 ")
    page.wait_for_selector("table.accounts")
    assert published.read_bytes() != before


def test_nothing_published_is_said_and_a_reload_is_enough(opening: Any, server: Server) -> None:
    published = server.data_dir / "published" / "analytics.duckdb"
    hidden = published.rename(published.with_name("hidden"))
    try:
        page = opening("?page=data")
        page.wait_for_selector("text=nothing is published here yet")
        assert faults_of_axe(page) == []
    finally:
        hidden.rename(published)
    page.reload()
    page.wait_for_selector(PAGES["?page=data"])


def test_other_machines_and_other_pages_are_refused(server: Server) -> None:
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=False).stdout
    if listening:
        addresses = [line.split()[3] for line in listening.splitlines()]
        assert [one for one in addresses if one.endswith(f":{server.port}")] == [
            f"127.0.0.1:{server.port}"
        ]
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        request = urllib.request.Request(server.address, headers=headers)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)


def test_nothing_is_written_into_the_home_the_project_or_the_data(server: Server) -> None:
    assert [*server.home.rglob("*")] == []
    assert [*(PROJECT_ROOT / "dagster_project").rglob("__marimo__")] == []
    made = {path.name for path in server.data_dir.iterdir()} - {"aside"}
    assert made <= {
        "published",
        "exports",
        "infohub",
        "warehouse",
        "logs",
        "dagster_home",
        "landing",
    }
    assert sorted(path.name for path in (server.data_dir / "published").iterdir()) == [
        "analytics.duckdb"
    ]
