# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may happen to one request on its way through the proxy. Nothing here knows what the request is about."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One request as a plan sees it.

    path: without the query. query: as sent, undecoded. upgrade: whether it asks for another protocol (WebSocket).
    """

    method: str
    path: str
    query: str = ""
    upgrade: bool = False


@dataclass(frozen=True)
class Answer:
    """The proxy answers by itself; the server never sees the request."""

    status: int
    body: bytes = b""
    headers: dict = field(default_factory=dict)

    def __str__(self) -> str:
        extra = "".join(f", {name}: {value}" for name, value in self.headers.items() if name != "Content-Type")
        return f"answered with {self.status}{extra}"


@dataclass(frozen=True)
class Reset:
    """The connection is reset; the server never sees the request."""

    def __str__(self) -> str:
        return "reset before it was forwarded"


@dataclass(frozen=True)
class Lose:
    """The server carries the request out; the connection is reset instead of its answer."""

    def __str__(self) -> str:
        return "forwarded, answer lost"


@dataclass(frozen=True)
class Truncate:
    """The header promises the whole body, `share` (0 to 1) of it comes, then the connection ends."""

    share: float

    def __str__(self) -> str:
        return f"body ends after {self.share:.0%}, less than promised"


@dataclass(frozen=True)
class Shorten:
    """`share` (0 to 1) of the body comes, with a length that fits: only its content shows that something is missing."""

    share: float

    def __str__(self) -> str:
        return f"body shortened to {self.share:.0%}, with a fitting length"


@dataclass(frozen=True)
class Corrupt:
    """The whole body comes, with another byte at `share` (0 to 1) of it."""

    share: float

    def __str__(self) -> str:
        return f"another byte at {self.share:.0%} of the body"


@dataclass(frozen=True)
class Slow:
    """The body comes in `pieces`, `pause` seconds apart."""

    pieces: int
    pause: float

    def __str__(self) -> str:
        return f"body in {self.pieces} pieces, {self.pause:g} s apart"


@dataclass(frozen=True)
class Cut:
    """A stream or an upgraded connection ends after `size` bytes from the server, by a reset or as if it were complete."""

    size: int
    reset: bool

    def __str__(self) -> str:
        return f"stream {'reset' if self.reset else 'ended'} after {self.size} bytes"


@dataclass(frozen=True)
class Away:
    """The server goes away: this request and every open connection breaks, new ones are refused; for good where seconds is None."""

    seconds: float | None

    def __str__(self) -> str:
        return "server away for good" if self.seconds is None else f"server away for {self.seconds:.1f} s"


Fault = Answer | Reset | Lose | Truncate | Shorten | Corrupt | Slow | Cut | Away
