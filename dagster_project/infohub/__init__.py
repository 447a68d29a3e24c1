"""The InfoHub: one folder per account, artifacts out and meeting notes in.

No Dagster here. What is written outward is read from marts and policy only; what people wrote is
never overwritten.
"""
