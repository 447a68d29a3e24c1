"""Thin Dagster wiring, one module per stage in the order of the flow. No thinking in here."""
