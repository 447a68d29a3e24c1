"""Where things are and how much of the machine a run may use: one frozen object.

Values come from the caller or from `CSP_*` environment variables; every path is absolute. What is
computed (thresholds, weights, rules) is policy and lives in seeds and rule files, never here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dagster_project.errors import ConfigError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_SECRET_LENGTH = 16
_BASE64_MARK = "whsec_"
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class Settings(BaseSettings):
    """Paths, limits and the engine of one installation."""

    model_config = SettingsConfigDict(
        env_prefix="CSP_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    data_dir: Path = PROJECT_ROOT / "data"
    landing_dir: Path | None = Field(
        default=None, description="Where extracts arrive; `<data_dir>/landing` when not given."
    )
    sources: str | None = Field(
        default=None,
        description="A source mapping: a shipped name or a YAML file; none = canonical.",
    )
    policy_set: str = Field(
        default="standard",
        description="The health policy in use: a `policy_set` of seeds/health/health_profiles.csv.",
    )
    target: Literal["duckdb"] = "duckdb"
    threads: int = Field(default=2, ge=1, description="Threads of the engine and of dbt.")
    memory_limit: str = Field(
        default="8GB", pattern=r"^\d+(\.\d+)?\s?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
    )
    max_history_days: int = Field(default=730, ge=1, description="Longest range one run computes.")
    min_snapshot_ratio: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A snapshot file with a smaller share of the previous rows is refused.",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        exclude=True,
        description="Where changes of actions are posted; nowhere when not given. HTTPS, or HTTP "
        "on this machine. Kept like a secret: an address may hold a token.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None, exclude=True, description="Signs what is posted; 16 characters or more."
    )
    schedule_cron: str = "0 5 * * *"
    schedule_timezone: str = "UTC"

    @field_validator("data_dir", "landing_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().resolve() if value is not None else None

    @field_validator("webhook_url", mode="after")
    @classmethod
    def _reachable_safely(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        parts = urlsplit(value.get_secret_value())
        is_here = parts.hostname in _THIS_MACHINE
        if not parts.hostname or not (
            parts.scheme == "https" or parts.scheme == "http" and is_here
        ):
            raise ValueError("give an https:// address (http:// only to this machine)")
        return value

    @field_validator("webhook_secret", mode="after")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        text = value.get_secret_value()
        if len(text) < _SECRET_LENGTH:
            raise ValueError(f"give {_SECRET_LENGTH} characters or more")
        if text.startswith(_BASE64_MARK) and not _BASE64.fullmatch(text.removeprefix(_BASE64_MARK)):
            raise ValueError(f"what follows {_BASE64_MARK} must be base64")
        return value

    @model_validator(mode="after")
    def _signed(self) -> Settings:
        if self.webhook_url is not None and self.webhook_secret is None:
            raise ValueError("CSP_WEBHOOK_URL needs CSP_WEBHOOK_SECRET: nothing leaves unsigned")
        return self

    @property
    def landing(self) -> Path:
        """The folder that holds the extracts."""
        return self.landing_dir or self.data_dir / "landing"

    @property
    def warehouse(self) -> Path:
        """The private build file: raw to metrics, one writer."""
        return self.data_dir / "warehouse" / "build.duckdb"

    @property
    def published(self) -> Path:
        """The published file that analysts open read-only."""
        return self.data_dir / "published" / "analytics.duckdb"

    @property
    def exports(self) -> Path:
        """One folder per published day."""
        return self.data_dir / "exports"

    @property
    def spill(self) -> Path:
        """Where the engine may spill what does not fit in memory."""
        return self.data_dir / "warehouse" / "spill"

    @property
    def logs(self) -> Path:
        """dbt and Dagster output of the runs; no row of data in it."""
        return self.data_dir / "logs"

    @property
    def dbt_target(self) -> Path:
        """dbt's artifacts (manifest, run results) of this installation."""
        return self.data_dir / "warehouse" / "dbt"

    @property
    def dbt_project(self) -> Path:
        """The dbt project of this checkout."""
        return PROJECT_ROOT / "dbt"

    @property
    def seeds(self) -> Path:
        """Policy as data."""
        return self.dbt_project / "seeds"

    @property
    def rules(self) -> Path:
        """The playbooks."""
        return PROJECT_ROOT / "playbook_rules"

    @property
    def infohub(self) -> Path:
        """One folder per account, `{realm}/{node}`; people write here too."""
        return self.data_dir / "infohub"

    @property
    def templates(self) -> Path:
        """The Markdown templates of the InfoHub, which operations may edit."""
        return self.rules / "templates"

    def dbt_environment(self) -> dict[str, str]:
        """What `dbt/profiles.yml` reads."""
        return {
            "CSP_WAREHOUSE": str(self.warehouse),
            "CSP_THREADS": str(self.threads),
            "CSP_MEMORY_LIMIT": self.memory_limit,
            "CSP_TEMP_DIR": str(self.spill),
            "DBT_TARGET_PATH": str(self.dbt_target),
            "DBT_LOG_PATH": str(self.logs),
            # All SQL of every night is a second of each run; a failure is told at this level too.
            "DBT_LOG_LEVEL_FILE": "info",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
        }


def load_settings(**given: Any) -> Settings:
    """The settings of the environment, with those given before them.

    Raises:
        ConfigError: a setting is wrong; each is named as its variable, without its value.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = [
            f"  {'_'.join(('csp', *(str(part) for part in fault['loc']))).upper()}: {fault['msg']}"
            if fault["loc"]
            else f"  {fault['msg']}"
            for fault in error.errors()
        ]
        raise ConfigError("\n".join(["a setting is wrong:", *lines])) from error
