# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the events of markers have come to a backend: asking its query API until they are there.

A nonce has two halves. The query names the first, or the SHA-256 of the whole; the answer has to hold the whole. So no
answer that only repeats the question, such as an error page, can pass.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import check_ca_file
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION

try:
    import urllib3
except ImportError:
    urllib3 = None
try:
    import jmespath
except ImportError:
    jmespath = None

# Asking again will not help: whoever runs the backend has to change something.
_FINAL = frozenset({400, 401, 403, 405})
_CONNECT, _READ = 5.0, 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
_ANSWER_LIMIT = 8 << 20
_HEADER, _VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[ -~]*")


def argument_spec() -> dict:
    """The argument spec of the option expect_events_at."""
    return {
        "type": "dict",
        "options": {
            "url": {"type": "str", "required": True},
            "body": {"type": "str"},
            "jmespath": {"type": "str"},
            "headers": {"type": "dict", "default": {}},
            "secret_headers": {"type": "dict", "no_log": True, "default": {}},
            "ca_cert": {"type": "path"},
            "proxy": {"type": "str"},
            "timeout": {"type": "int", "default": 30},
        },
    }


def check(expected: dict | None, live: bool) -> None:
    """Failure for options of expect_events_at that cannot work. expected: None where the option is not given."""
    if expected is None:
        return
    if not live:
        raise Failure("expect_events_at needs live: true", "set it: what is expected there is the event of a live proof's marker")
    url = _split(expected["url"])
    if url is None or url.username is not None:
        raise Failure(
            "expect_events_at.url is no http or https URL of a host, without user and password", "use for example https://events.example.com/search?q={nonce}"
        )
    if expected["secret_headers"] and url.scheme != "https":
        raise Failure("expect_events_at.secret_headers would go out without TLS", "use an https URL")
    for option in ("headers", "secret_headers"):
        if not all(_HEADER.fullmatch(str(name)) and _VALUE.fullmatch(str(value)) for name, value in expected[option].items()):
            raise Failure(f"expect_events_at.{option} holds what no header may hold", "use printable ASCII characters; is there a line end?")
    if expected["ca_cert"]:
        check_ca_file(expected["ca_cert"])
    if expected["proxy"]:
        proxy = _split(expected["proxy"])
        if proxy is None or proxy.username is not None:
            raise Failure("expect_events_at.proxy is no URL of a proxy without user and password", "use for example http://proxy.example.com:3128")
    if expected["timeout"] < 1:
        raise Failure(f"expect_events_at.timeout {expected['timeout']} is out of bounds", "use at least 1")
    if expected["jmespath"]:
        if jmespath is None:
            raise Failure("expect_events_at.jmespath needs the Python library jmespath, which is missing where this runs", "pip install jmespath there")
        try:
            jmespath.compile(expected["jmespath"])
        except jmespath.exceptions.JMESPathError as error:
            raise Failure(f"expect_events_at.jmespath does not parse: {error}", "correct it, see jmespath.org") from None


def filled(text: str, nonce: str, node: str, quoted: bool = False) -> str:
    """The text with the placeholders {nonce} (its first half), {nonce_sha256} and {node}; quoted as parts of a URL. Pure."""
    values = {"{nonce}": nonce.partition("-")[0], "{nonce_sha256}": hashlib.sha256(nonce.encode()).hexdigest(), "{node}": node}
    for placeholder, value in values.items():
        text = text.replace(placeholder, quote(value, safe="") if quoted else value)
    return text


def holds(answer: str, nonce: str, expression: str | None = None) -> bool:
    """Whether the whole nonce is in an answer or, with a JMESPath expression, in what that takes from it. Pure.

    :raises ValueError: there is an expression and the answer is no JSON, or the expression does not fit it
    """
    if not expression:
        return nonce in answer
    try:
        found = jmespath.search(expression, json.loads(answer))
    except jmespath.exceptions.JMESPathError as error:
        raise ValueError(f"jmespath does not fit the answer: {error}") from None
    return nonce in json.dumps(found)


class Arrivals:
    """Asks for the events of many markers, at most `parallel` at a time, while others are still being started.

    A marker that has waited for its turn for longer than the timeout is asked for once: its event had the time to come.
    """

    def __init__(self, expected: dict, parallel: int):
        self._expected = expected
        self._pool = ThreadPoolExecutor(parallel)
        self._manager = _manager(expected)
        self._asked: dict[str, Future] = {}
        # Why the backend could not be asked at all; then nobody else waits for it.
        self._away = ""

    def expect(self, node: str, nonce: str, started: float) -> None:
        """A marker with this nonce has run on the node; started: time.monotonic() when that began."""
        self._asked[node] = self._pool.submit(self._await, node, nonce, started, time.monotonic() + self._expected["timeout"])

    def add_to(self, proofs: dict[str, dict]) -> None:
        """Waits for all answers. Adds backend_ms to each proof; one whose event did not arrive is none any more, with the reason."""
        for node, future in self._asked.items():
            milliseconds, reason = future.result()
            proofs[node]["backend_ms"] = milliseconds
            if reason:
                proofs[node].update(proven=False, reason=reason)

    def close(self) -> None:
        """Ends the asking."""
        self._pool.shutdown(cancel_futures=True)
        self._manager.clear()

    def _await(self, node, nonce, started, deadline):
        """(milliseconds, "") or (None, why the event was not found)."""
        expression = filled(self._expected["jmespath"] or "", nonce, node)
        pause, answered, why, final = _FIRST_PAUSE, False, "", False
        while not final:
            if self._away:
                return None, self._away
            text, why, final = self._ask(node, nonce)
            if text is not None:
                answered = True
                try:
                    if holds(text, nonce, expression):
                        return round((time.monotonic() - started) * 1000, 1), ""
                except ValueError as error:
                    why, final = str(error), True
            left = deadline - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        if answered and not final:
            return None, f"the event did not reach the backend within {self._expected['timeout']} s"
        self._away = f"the backend {urlsplit(self._expected['url']).netloc} could not be asked: {why}"
        return None, self._away

    def _ask(self, node, nonce):
        """(the answer's text or None, why there is none, whether another attempt is in vain)."""
        expected = self._expected
        body = filled(expected["body"], nonce, node) if expected["body"] else None
        headers = {"User-Agent": f"nanoagent.k8s/{VERSION}", **({"Content-Type": "application/json"} if body else {})}
        headers |= {name: str(value) for name, value in {**expected["headers"], **expected["secret_headers"]}.items()}
        try:
            answer = self._manager.request(
                "POST" if body else "GET", filled(expected["url"], nonce, node, quoted=True), body=body, headers=headers, preload_content=False
            )
            try:
                text = answer.read(_ANSWER_LIMIT, decode_content=True).decode("utf-8", "replace")
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return None, _why(error), False
        if 200 <= answer.status < 300:
            return text, "", False
        return None, f"it answers HTTP {answer.status}", answer.status in _FINAL


@contextmanager
def arrivals(expected: dict | None, parallel: int):
    """Gives the function to call with each marker that has run (node, nonce, started), and one to call with the proofs at last.

    Both do nothing where expected, the option expect_events_at, is None.
    """
    if expected is None:
        yield None, lambda proofs: None
        return
    asking = Arrivals(expected, parallel)
    try:
        yield asking.expect, asking.add_to
    finally:
        asking.close()


def _manager(expected):
    """A urllib3 manager that trusts and takes the way that is given, else those of this machine."""
    url = urlsplit(expected["url"])
    settings = {"timeout": urllib3.Timeout(connect=_CONNECT, read=_READ), "retries": False, "maxsize": 8}
    if expected["ca_cert"]:
        settings["ca_certs"] = expected["ca_cert"]
    proxy = expected["proxy"] or _proxy_of_environment(url)
    if not proxy:
        return urllib3.PoolManager(**settings)
    login = urllib3.util.parse_url(proxy).auth
    if login:
        settings["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=unquote(login))
    return urllib3.ProxyManager(proxy, **settings)


def _proxy_of_environment(url):
    found = "" if proxy_bypass(url.hostname) else getproxies().get(url.scheme, "")
    if not found:
        return ""
    # The scheme may be left out, as curl has it.
    found = found if "://" in found else f"http://{found}"
    if _split(found) is None:
        raise Failure(f"the environment's proxy for {url.scheme} is no URL", f"correct {url.scheme.upper()}_PROXY, or set expect_events_at.proxy")
    return found


def _why(error):
    """What is at the bottom of an error, in few words; never a header."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return " ".join(str(error).split())[:200] or type(error).__name__


def _split(url):
    try:
        parts = urlsplit(url)
        return parts if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port) else None
    except ValueError:
        return None
