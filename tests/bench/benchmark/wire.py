# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of two namespaces with a wire between them that takes its time, for one machine and without a kernel's netem."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import threading
import time
from collections import deque

from benchmark.process import BenchFailed

NEAR, FAR = "192.0.2.1", "192.0.2.2"
_SET_INTERFACE, _SET_OFFLOAD = 0x400454CA, 0x400454D0
# TUN, no packet information, and a virtio header: packets stay as large as the kernel makes them, with the segment size of an ordinary network.
_FLAGS = 0x0001 | 0x1000 | 0x4000
_CHECKSUM, _SEGMENTS = 1, 2
_LARGEST = 1 << 17
_QUEUE = 10_000


class Wire:
    """Two network namespaces, at NEAR and FAR, for the time of a with block.

    delay: seconds that each packet takes in each direction; the round trip is twice that. Nothing is lost, and there is no limit of
    bandwidth but the machine's.
    """

    def __init__(self, delay: float):
        self._delay = delay
        self._names = {end: f"nanoagent-bench-{os.getpid()}-{end}" for end in ("near", "far")}
        self._tuns: list[int] = []
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._woken, self._wake = os.pipe()

    def __enter__(self) -> Wire:
        try:
            for (end, name), address in zip(self._names.items(), (NEAR, FAR)):
                _ip("netns", "add", name)
                device = f"nb{os.getpid()}{end[0]}"
                self._tuns.append(_tun(device))
                _ip("link", "set", device, "netns", name)
                _ip("-n", name, "link", "set", device, "txqueuelen", str(_QUEUE), "mtu", "1500", "up")
                _ip("-n", name, "link", "set", "lo", "up")
                _ip("-n", name, "address", "add", f"{address}/30", "dev", device)
        except BaseException:
            self.__exit__()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_error):
        os.close(self._wake)
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._woken)
        for tun in self._tuns:
            os.close(tun)
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def at(self, end: str) -> list[str]:
        """What goes before a command that is to run at one end, `near` or `far`."""
        # ip netns exec would mount /sys anew.
        return ["nsenter", f"--net=/run/netns/{self._names[end]}"]

    def _carry(self):
        other = dict(zip(self._tuns, reversed(self._tuns)))
        waiting = {tun: deque() for tun in self._tuns}
        while True:
            due = min((queue[0][0] for queue in waiting.values() if queue), default=None)
            readable = select.select([*self._tuns, self._woken], [], [], None if due is None else max(0.0, due - time.monotonic()))[0]
            if self._woken in readable:
                return
            arrival = time.monotonic() + self._delay
            for tun in readable:
                waiting[other[tun]].append((arrival, os.read(tun, _LARGEST)))
            now = time.monotonic()
            for tun, queue in waiting.items():
                while queue and queue[0][0] <= now:
                    os.write(tun, queue.popleft()[1])


def _tun(device):
    """A network device whose packets are read from and written to the descriptor."""
    try:
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(tun, _SET_INTERFACE, struct.pack("16sH22x", device.encode(), _FLAGS))
        fcntl.ioctl(tun, _SET_OFFLOAD, _CHECKSUM | _SEGMENTS)
    except OSError as error:
        raise BenchFailed(f"no network device for the wire: {error}") from None
    return tun


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"ip {' '.join(words)}: {done.stderr.strip()}")
