"""Customer-success playbooks as a data pipeline: extracts in, health, stages, actions, metrics out."""

__version__ = "0.1.0"
