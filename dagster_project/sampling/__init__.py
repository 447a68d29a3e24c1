"""Seeded extracts of any size, of customers who behave: `csp sample` and the committed sample.

What belongs here: the hidden life of an account (`world`), its traces (`facts`, `usage`), the cut
into extract files (`extracts`) and the dirt put on them (`dirt`). What does not: reading
extracts, scoring, anything that knows the warehouse. Equal options give equal bytes.
"""

from dagster_project.sampling.options import DEFAULT_UNTIL, FileFormat, SampleOptions, SampleSummary
from dagster_project.sampling.sample import write_sample

__all__ = ["DEFAULT_UNTIL", "FileFormat", "SampleOptions", "SampleSummary", "write_sample"]
