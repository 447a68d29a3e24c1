"""What sqlfluff's Jinja finds where dbt has Python's modules."""

import re

__all__ = ["re"]
