"""A folder as it stood in a git revision, unpacked beside the present one."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from dagster_project.errors import ConfigError


def unpack_revision(folder: Path, part: str, name: str, out: Path, *, otherwise: str) -> Path:
    """`part` (a path within `folder`) as of the revision `name`, under `out`.

    `otherwise` says in an error what else the caller could have named.

    Raises:
        ConfigError: there is no such revision, or it has no such part.
    """

    def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
        except OSError as error:
            raise ConfigError(f"git cannot be run ({error.strerror})") from error

    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode != 0:
        raise ConfigError(f"{name!r} is no folder and no git revision — give {otherwise}")
    archive = git("archive", "--format=tar", found.stdout.decode().strip(), part)
    if archive.returncode != 0:
        raise ConfigError(f"revision {name!r} has no {part}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(out, filter="data")
    return out / part
