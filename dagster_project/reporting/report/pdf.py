"""The print edition, drawn by WeasyPrint."""

from __future__ import annotations

import logging
from pathlib import Path

_MISSING = (
    "report.pdf was not written: WeasyPrint finds no libpango on this machine — install it "
    "(Debian and Ubuntu: apt install libpango-1.0-0 libpangoft2-1.0-0); the rest was written"
)


def write_pdf(page: str, path: Path) -> str | None:
    """Draw a page to a PDF file; None when done, else the sentence that says why not.

    The page may load nothing: no file, no network.
    """
    try:
        # Loads libpango on import, which is not a Python package and may be missing.
        import weasyprint  # type: ignore[import-untyped]  # noqa: PLC0415
    except OSError:
        path.unlink(missing_ok=True)
        return _MISSING
    for name in ("weasyprint", "fontTools"):
        logging.getLogger(name).setLevel(logging.ERROR)
    document = weasyprint.HTML(
        string=page, url_fetcher=weasyprint.urls.URLFetcher(allowed_protocols=["data"])
    )
    path.write_bytes(document.write_pdf())
    return None
