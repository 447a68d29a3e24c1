"""Customer-success playbooks as a data pipeline: extracts in, health, actions, metrics out."""

__version__ = "0.1.0"
