"""Data that travels inside the page and is opened on demand: JSON, gzipped, in base64.

The browser's own DecompressionStream opens it. A script element of a type that is no script is
data to the browser: it is neither parsed nor run, whatever the content security policy says.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from markupsafe import Markup

CHUNK_SIZE = 200


def packed(value: Any) -> Markup:
    """A JSON value as text that needs no escaping in HTML; equal values make equal texts."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode())


def unpacked(text: str) -> Any:
    """The value that `packed` was given."""
    return json.loads(gzip.decompress(base64.b64decode(text)))
