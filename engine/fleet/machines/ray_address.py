"""How a Ray cluster is named in one line: where it is, and how many workers may be started there. Knows no Ray."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

PORT = 8265  # of a cluster's dashboard, which is where Serve is told what to run
CLIENT_PORT = 10001  # of Ray's own client, which people know
MOST_WORKERS, MOST_GPUS = 1000, 64.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")  # as of a worker's token, which is called so
FORM = "write it like ray://head:8265?workers=0-4&gpus=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RayAddress:
    """Where workers are started and ended as the load changes.

    Attributes:
        url: of the cluster's dashboard.
        name: of the application there; two bots need two names.
        fewest, most: workers at a time.
        gpus: that each takes; with 0 it takes a processor and paints on that.
    """

    url: str
    name: str = "easel"
    fewest: int = 0
    most: int = 4
    gpus: float = 1.0

    @classmethod
    def parse(cls, text: str) -> RayAddress:
        """Read `ray://HOST[:PORT][/NAME][?workers=FEWEST-MOST&gpus=GPUS]`. Raises: ValueError."""
        parts = urlsplit(text)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.scheme not in ("ray", "rays") or not parts.hostname or set(asked) - {"workers", "gpus"}:
            raise ValueError(FORM)
        if parts.port == CLIENT_PORT:
            raise ValueError(f"{CLIENT_PORT} is the port of Ray's client; Easel needs the dashboard's, usually {PORT}")
        fewest, most = _limits(asked.get("workers", "0-4"))
        gpus = float(asked.get("gpus", 1))
        if not 0 <= gpus <= MOST_GPUS:
            raise ValueError(f"gpus is from 0 to {MOST_GPUS:g}; {FORM}")
        secure = "https" if parts.scheme == "rays" else "http"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        name = parts.path.strip("/") or "easel"
        if not NAME.fullmatch(name):
            raise ValueError(f"'{name}' is no name for an application: use letters, digits, dots and dashes")
        url = f"{secure}://{host}:{parts.port or PORT}"
        return cls(url=url, name=name, fewest=fewest, most=most, gpus=gpus)


def _limits(text: str) -> tuple[int, int]:
    """Read `0-4`, or `4` for as many at all times. Raises: ValueError."""
    fewest, _, most = text.partition("-")
    found = int(fewest), int(most or fewest)
    if not 0 <= found[0] <= found[1] <= MOST_WORKERS or found[1] == 0:
        raise ValueError(f"workers is such as 0-4, and at most {MOST_WORKERS}; {FORM}")
    return found
