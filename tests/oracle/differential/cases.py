# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DaemonSets and nodes drawn from a seed: mostly what the API could hold, and some that it could not."""

from __future__ import annotations

import random
from collections.abc import Iterator

LABEL_KEYS = ("kubernetes.io/os", "kubernetes.io/arch", "pool", "example.com/zone", "cores")
WORDS = ("linux", "amd64", "gpu", "a", "b", "", "true", "a.b_c-d", "v" * 63)
NUMBERS = ("4", "5", "6", "0", "42", "007", "9223372036854775807")
TAINT_KEYS = ("dedicated", "example.com/gpu", "load", "node-role.kubernetes.io/control-plane", "kwok.x-k8s.io/node")
CONDITION_TAINTS = {
    "not-ready": "NoExecute",
    "unreachable": "NoExecute",
    "disk-pressure": "NoSchedule",
    "memory-pressure": "NoSchedule",
    "pid-pressure": "NoSchedule",
    "unschedulable": "NoSchedule",
    "network-unavailable": "NoSchedule",
}
EFFECTS = ("NoSchedule", "NoSchedule", "NoExecute", "PreferNoSchedule")
WISHES = ("run", "stay", "go")
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")

ODD_KEYS = ("", "a/b/c", "/pool", "Example.com/zone", "-pool", "pool-", "pool\n", "p" * 63, "p" * 64, "a." * 126 + "a/pool", "a." * 127 + "a/pool", "p\u00f6l")
ODD_WORDS = ("-a", "a-", "a b", "a\n", "v" * 64, "\u00e9", "\U0001f642", "\u0000", "/", "linux ")
ODD_NUMBERS = (
    "-5",
    "+5",
    "+",
    "-",
    "-0",
    "00",
    "-05",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "0" * 40 + "5",
    "0" * 5000 + "5",
    "9" * 5000,
    "5.0",
    "1e3",
    "0x5",
    "1_000",
    " 5",
    "5\n",
    "\u0665",
    "\u00b2",
)
NUMBERS_ODDER = 6
ODD_EFFECTS = ("", "Sometimes", "noschedule")
ODD_OPERATORS = ("", "in", "Equal", "Equals", "!", "Sometimes")
WRONG = (5, 1.5, True, "x", [], {}, [1], {"a": 1})
# What the decision does not depend on; the decision reads none of it, so a wrong type there is nobody's concern here.
UNREAD = frozenset(("timeAdded", "tolerationSeconds", "preferredDuringSchedulingIgnoredDuringExecution", "unschedulable", "nodename"))


def case(seed: int, number: int) -> dict:
    """The case of that number: {"daemon_set", "node"}. The same seed and number give the same case, whatever else is drawn."""
    rng = random.Random(f"{seed}/{number}")
    drawn = Draw(rng, oddity=0.04)
    wish = rng.choice(WISHES)
    node = drawn.node(f"node-{rng.randrange(3)}")
    whole = {"daemon_set": drawn.daemon_set(node, wish), "node": node}
    if rng.random() < 0.1:
        _spoil(rng, whole, (None,))
    if rng.random() < 0.05:
        _spoil(rng, whole, WRONG)
    return whole


class Draw:
    """Draws from a random generator. oddity is the share of values that the API would refuse; at 0 it accepts everything."""

    def __init__(self, rng: random.Random, oddity: float):
        self._rng = rng
        self._oddity = oddity

    def node(self, name: str) -> dict:
        """A node with labels and taints, no taint's key and effect twice."""
        taints = {(taint["key"], taint["effect"]): taint for taint in (self._taint() for _number in range(self._rng.choice((0, 0, 1, 1, 2, 3))))}
        spec = {"taints": list(taints.values())}
        if ("node.kubernetes.io/unschedulable", "NoSchedule") in taints:
            spec["unschedulable"] = True
        labels = {key: self._label_value(key) for key in (self._label_key() for _number in range(self._rng.randrange(6)))}
        return {"metadata": {"name": self._odd(("",), name), "labels": labels}, "spec": spec}

    def daemon_set(self, node: dict, wish: str) -> dict:
        """A DaemonSet's part that decides about nodes. wish: run, stay or go, what is likely to be decided about this node."""
        rng, labels, name = self._rng, node["metadata"]["labels"], node["metadata"]["name"]
        fits = 0.4 if wish == "go" else 0.97
        spec: dict = {"tolerations": self._tolerations(node["spec"]["taints"], wish)}
        if rng.random() < 0.3:
            spec["hostNetwork"] = rng.random() < 0.7
        if rng.random() < 0.1:
            spec["nodeName"] = name if rng.random() < fits else rng.choice(("", "node-9"))
        if rng.random() < 0.4:
            spec["nodeSelector"] = dict(self._selected(labels, fits) for _number in range(rng.randrange(3)))
        if rng.random() < 0.6:
            spec["affinity"] = self._affinity(labels, name, fits)
        if rng.random() < self._oddity:
            spec["nodename"] = "no field: names have their exact case"
        return {"spec": {"template": {"spec": spec}}}

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def _odd(self, odd: tuple, usual: str) -> str:
        return self._rng.choice(odd) if self._chance(self._oddity) else usual

    def _label_key(self) -> str:
        return self._odd(ODD_KEYS, self._rng.choice(LABEL_KEYS))

    def _label_value(self, key: str = "") -> str:
        if key == "cores" or self._chance(0.4):
            return self._number()
        return self._odd(ODD_WORDS, self._rng.choice(WORDS))

    def _number(self) -> str:
        return self._rng.choice(ODD_NUMBERS if self._chance(NUMBERS_ODDER * self._oddity) else NUMBERS)

    def _selected(self, labels: dict, fits: float) -> tuple[str, str]:
        if labels and self._chance(fits):
            return self._rng.choice(list(labels.items()))
        return self._label_key(), self._label_value()

    def _affinity(self, labels: dict, name: str, fits: float) -> dict:
        if self._chance(self._oddity):
            return self._rng.choice(({}, {"nodeAffinity": {}}, {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}))
        terms = [self._term(labels, name, fits) for _number in range(self._rng.choice((1, 1, 1, 2, 3)))]
        node_affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms if not self._chance(self._oddity) else []}}
        if self._chance(0.2):
            preferred = {"weight": 1, "preference": {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}}
            node_affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [preferred]
        return {"nodeAffinity": node_affinity}

    def _term(self, labels: dict, name: str, fits: float) -> dict:
        term = {}
        if self._chance(0.85):
            term["matchExpressions"] = [self._expression(labels, fits) for _number in range(self._rng.choice((0, 1, 1, 1, 2, 3)))]
        if self._chance(0.3):
            term["matchFields"] = [self._field(name, fits) for _number in range(self._rng.choice((0, 1, 1, 2)))]
        return term

    def _field(self, name: str, fits: float) -> dict:
        operator = self._odd((*OPERATORS, *ODD_OPERATORS), self._rng.choice(("In", "NotIn")))
        value = name if self._chance(fits) is (operator == "In") else "node-9"
        values = [value] * (self._rng.choice((0, 2)) if self._chance(self._oddity) else 1)
        return {"key": self._odd(("metadata.uid", ""), "metadata.name"), "operator": operator, "values": values}

    def _expression(self, labels: dict, fits: float) -> dict:
        key = self._rng.choice(list(labels)) if labels and self._chance(0.7) else self._label_key()
        value = labels.get(key)
        chosen = self._fitting_expression(key, value) if self._chance(fits) else self._any_expression(key, value)
        if self._chance(self._oddity):
            chosen["values"] = self._rng.choice(([], [*chosen["values"], self._label_value()]))
        return chosen

    def _fitting_expression(self, key: str, value: str | None) -> dict:
        if value is None:
            return self._rng.choice(
                ({"key": key, "operator": "DoesNotExist", "values": []}, {"key": key, "operator": "NotIn", "values": [self._label_value()]})
            )
        fitting = [
            {"key": key, "operator": "Exists", "values": []},
            {"key": key, "operator": "In", "values": self._shuffled([value, self._label_value()])},
            {"key": key, "operator": "NotIn", "values": ["another"]},
        ]
        if value in NUMBERS or value in ODD_NUMBERS:
            fitting += [{"key": key, "operator": "Gt", "values": ["3"]}, {"key": key, "operator": "Lt", "values": ["8"]}]
        return self._rng.choice(fitting)

    def _any_expression(self, key: str, value: str | None) -> dict:
        operator = self._odd(ODD_OPERATORS, self._rng.choice(OPERATORS))
        if operator in ("Gt", "Lt"):
            values = [value if value in NUMBERS and self._chance(0.3) else self._odd(WORDS, self._number())]
        elif operator in ("In", "NotIn"):
            values = [self._label_value() for _number in range(self._rng.choice((1, 2, 3)))]
        else:
            values = []
        return {"key": key, "operator": operator, "values": values}

    def _taint(self) -> dict:
        if self._chance(0.3):
            name = self._rng.choice(list(CONDITION_TAINTS))
            effect = CONDITION_TAINTS[name] if self._chance(0.8) else self._rng.choice(EFFECTS)
            return {"key": f"node.kubernetes.io/{name}", "effect": effect, "timeAdded": "2026-01-02T03:04:05Z"}
        taint = {"key": self._odd(ODD_KEYS, self._rng.choice(TAINT_KEYS)), "effect": self._odd(ODD_EFFECTS, self._rng.choice(EFFECTS))}
        if self._chance(0.7):
            taint["value"] = self._label_value("cores" if taint["key"] == "load" else "")
        return taint

    def _tolerations(self, taints: list[dict], wish: str) -> list[dict]:
        fits = {"run": {"NoSchedule": 0.97, "NoExecute": 0.97}, "stay": {"NoSchedule": 0.2, "NoExecute": 0.97}, "go": {}}[wish]
        meant = [taint for taint in taints if self._chance(fits.get(taint["effect"], 0.3))]
        strangers = [self._taint() for _number in range(self._rng.choice((0, 0, 0, 1, 2)))]
        return self._shuffled([*map(self._fitting_toleration, meant), *map(self._any_toleration, strangers)])

    def _fitting_toleration(self, taint: dict) -> dict:
        value = taint.get("value") or ""
        if self._chance(0.05):
            return {"operator": "Exists"}
        toleration = {"key": taint["key"], **self._rng.choice(({}, {"effect": taint["effect"]}))}
        if (value in NUMBERS or value in ODD_NUMBERS) and self._oddity and self._chance(0.5):
            return {**toleration, **self._rng.choice(({"operator": "Gt", "value": "3"}, {"operator": "Lt", "value": "8"}))}
        if self._chance(0.5) or not taint["key"]:
            return {**toleration, "operator": "Exists"}
        return {**toleration, "operator": self._odd(ODD_OPERATORS, self._rng.choice(("", "Equal"))), "value": value}

    def _any_toleration(self, taint: dict) -> dict:
        operators = ("Exists", "Equal", "Gt", "Lt") if self._oddity else ("Exists", "Equal")
        toleration = {"key": taint["key"], "operator": self._odd(ODD_OPERATORS, self._rng.choice(operators)), "effect": self._rng.choice(EFFECTS)}
        if toleration["operator"] != "Exists" or self._chance(self._oddity):
            toleration["value"] = self._label_value()
        if toleration["effect"] == "NoExecute" and self._chance(0.3):
            toleration["tolerationSeconds"] = 300
        return toleration

    def _shuffled(self, items: list) -> list:
        return self._rng.sample(items, len(items))


def _spoil(rng: random.Random, whole: dict, replacements: tuple) -> None:
    """Replaces one value that the decision depends on."""
    holder, key = rng.choice(list(_places(whole)))
    holder[key] = rng.choice(replacements)


def _places(holder: dict | list) -> Iterator[tuple[dict | list, str | int]]:
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        if key in UNREAD:
            continue
        yield holder, key
        if isinstance(value, (dict, list)):
            yield from _places(value)
