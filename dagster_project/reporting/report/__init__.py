"""The leadership report: `report.html`, a page per owner, and the print edition `report.pdf`.

One HTML file that opens with no network: styles, script and pictures are inside it, and its
content security policy allows nothing else. The list of accounts and what explains each score
travel inside as packed data that the browser opens on demand, so that ten thousand accounts open
as fast as fifty.
"""

from dagster_project.reporting.report.write import ReportFiles, write_report

__all__ = ["ReportFiles", "write_report"]
