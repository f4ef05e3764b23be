# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""Each state looks different from each other one for every eye, and its glyph can be read."""

from itertools import combinations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import report_parts
from ansible_collections.nanoagent.k8s.plugins.module_utils.report_parts import LOOKS, title, visible
from ansible_collections.nanoagent.k8s.plugins.module_utils.verdict import STATES
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, report, row

# How linear RGB looks without one kind of cone: Machado, Oliveira and Fernandes, 2009, at full severity.
EYES = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
PAGES = {"light": (1, 2), "dark": (3, 4)}


def linear(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]


def lab(channels):
    """CIELAB of linear RGB, for white of D65."""
    weights = ((0.4124, 0.3576, 0.1805, 0.95047), (0.2126, 0.7152, 0.0722, 1.0), (0.0193, 0.1192, 0.9505, 1.08883))
    parts = [sum(weight * channel for weight, channel in zip(line, channels)) / line[3] for line in weights]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in parts)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(colour, eye):
    channels = linear(colour)
    return lab([min(1, max(0, sum(weight * channel for weight, channel in zip(line, channels)))) for line in EYES[eye]])


def contrast(one, other):
    """Of WCAG 2.2, from 1 to 21."""
    light, dark = sorted((0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in (linear(one), linear(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_state_has_its_look():
    assert set(LOOKS) == {*STATES, "not proven"}
    assert len({look[0] for look in LOOKS.values()}) == len(LOOKS)
    assert set(report_parts.PASSES_BY) < set(LOOKS)


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("page", PAGES)
def test_no_two_states_look_alike(page, eye):
    fills = {state: look[PAGES[page][0]] for state, look in LOOKS.items()}
    for (one, fill), (other, another) in combinations(fills.items(), 2):
        apart = sum((a - b) ** 2 for a, b in zip(seen(fill, eye), seen(another, eye))) ** 0.5
        assert apart > 14, (one, other, apart)


@pytest.mark.parametrize("page", PAGES)
def test_each_glyph_can_be_read_on_its_fill(page):
    fill, ink = PAGES[page]
    assert all(contrast(look[fill], look[ink]) >= 4.3 for look in LOOKS.values())


def test_the_verdict_in_words():
    case = dict(enumerate(case for _weight, case in CASES))
    good = report([row("a")])
    assert title(good) == "Every eligible node is ready and proven"
    assert title(report([row("a", live=False)], live=False)) == "Every eligible node is ready"
    assert title({**good, "allowed": ["b"]}) == "Accepted, with 1 node that the policy lets pass"
    assert title({**report([row("a", case[3])]), "failures": ["1 of 1 eligible nodes is not ready"]}) == "Not accepted: 1 of 1 eligible nodes is not ready"
    assert title({**good, "installed": False}) == "The agent is not installed"


def test_what_cannot_be_seen_is_marked():
    assert visible("a\x00b\x1b[31m\u202ec\ud800\n d") == "a\ufffdb\ufffd[31m\ufffdc\ufffd d"
