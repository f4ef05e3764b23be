# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws lines over numbers of nodes; run by a Python that has matplotlib, with a file and the data as JSON."""

from __future__ import annotations

import json
import sys

import matplotlib

matplotlib.use("svg")
# Text as text, and the same bytes for the same figures.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "nanoagent", "font.size": 11, "font.family": "sans-serif"})

from matplotlib import pyplot

TITLES = {"wall": "Time of the whole process", "memory": "Peak memory"}
STYLES = {0: {"marker": "o", "color": "#0b6bcb"}, 1: {"marker": "s", "color": "#c4631a", "linestyle": "--"}}


def main(path: str, data: dict) -> None:
    """data: {"sizes": [n], "lines": {figure: {name: [value of each size]}}, "units": {figure: unit}}."""
    picture, places = pyplot.subplots(1, len(data["lines"]), figsize=(10, 4), layout="constrained")
    for place, (figure, lines) in zip(places, data["lines"].items()):
        for number, (name, values) in enumerate(lines.items()):
            place.plot(data["sizes"], values, label=name, **STYLES[number])
        place.set(title=TITLES[figure], xlabel="nodes", ylabel=data["units"][figure], ylim=(0, None), xlim=(0, None))
        place.grid(alpha=0.3)
        place.legend(frameon=False)
    picture.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
