# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the page that report_html fills: style, script and the empty map. It stands in a module so that it is packed with one."""

from __future__ import annotations

# Two sets of colours: for light pages and paper, and for dark ones. report_html adds those of the states.
STYLE = """
:root{--paper:#fbfaf8;--card:#fff;--ink:#1d2126;--soft:#59616b;--line:#dedbd5;--good:#14694d;--fair:#7a5b00;--bad:#b03a10;--focus:#0b5cad;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;--mono:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media screen and (prefers-color-scheme:dark){:root:not([data-theme=light]){--paper:#14171b;--card:#1c2026;--ink:#e8e6e1;--soft:#a3abb5;--line:#2e343c;
--good:#5fd0a8;--fair:#f0d050;--bad:#ff8a5c;--focus:#8cc4ff;color-scheme:dark}}
@media screen{:root[data-theme=dark]{--paper:#14171b;--card:#1c2026;--ink:#e8e6e1;--soft:#a3abb5;--line:#2e343c;
--good:#5fd0a8;--fair:#f0d050;--bad:#ff8a5c;--focus:#8cc4ff;color-scheme:dark}}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0 auto;max-width:1480px;padding:2rem clamp(1rem,4vw,3.5rem) 4rem;background:var(--paper);color:var(--ink);font:15px/1.5 var(--sans)}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px}
.place{margin:0;color:var(--soft);font-size:.87rem;overflow-wrap:anywhere}
.place span{padding:0 .3em}
h1{margin:.35rem 0 0;max-width:34em;font-size:clamp(1.45rem,2.6vw,2.1rem);line-height:1.2;font-weight:650;letter-spacing:-.015em;text-wrap:balance;
overflow-wrap:anywhere}
h1.good{color:var(--good)}h1.fair{color:var(--fair)}h1.bad{color:var(--bad)}
.more{margin:.7rem 0 0;padding-left:1.1em;max-width:70em;overflow-wrap:anywhere}
.numbers{display:flex;flex-wrap:wrap;gap:.4rem 2.4rem;margin:1.3rem 0 0}
.numbers dd{margin:0;font-size:1.7rem;line-height:1.15;font-weight:600;font-variant-numeric:tabular-nums;letter-spacing:-.01em}
.numbers dt{color:var(--soft);font-size:.87rem}
h2{margin:2.2rem 0 .5rem;font-size:1rem;font-weight:650}
.causes table{width:100%;border-collapse:collapse}
.causes td,.causes th{padding:.4rem 1.1rem .4rem 0;border-top:1px solid var(--line);text-align:left;vertical-align:top;font-weight:400}
.causes td:first-child{width:1.9rem}
.causes td:last-child{padding-right:0}
.causes .count{width:1%;font-weight:600;font-variant-numeric:tabular-nums;text-align:right}
.causes th{width:1%;white-space:nowrap}
.causes p{margin:0;max-width:72em;overflow-wrap:anywhere}
.causes .fix,.causes .how{color:var(--soft)}
.causes .how{width:1%;white-space:nowrap}
.causes .fix{margin-left:.5em}
.causes .names{display:none}
.tile small{display:block;color:var(--soft);font-size:.8rem}
button,input{font:inherit;color:inherit}
button{cursor:pointer}
.cause{padding:0;border:0;background:none;font-weight:600;text-align:left;text-decoration:underline;text-decoration-color:var(--line);
text-underline-offset:.22em}
.cause:hover,.cause[aria-pressed=true]{text-decoration-color:currentColor}
.causes i{margin-top:.15rem}
.causes i,.chip i{display:inline-grid;place-items:center;flex:none;width:1.15rem;height:1.15rem;border-radius:3px;font:700 .75rem/1 var(--sans)}
.causes i,.chip i,.cell{background:var(--fill);color:var(--glyph)}
.s-not-eligible{background-image:repeating-linear-gradient(135deg,transparent 0 3px,color-mix(in srgb,var(--glyph) 16%,transparent) 3px 5px)!important}
.s-not-a-real-node{box-shadow:inset 0 0 0 1px var(--glyph)}
.tools{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;align-items:center;gap:.6rem 1.4rem;margin-top:2.2rem;padding:.7rem 0;
background:var(--paper);
border-top:1px solid var(--line);border-bottom:1px solid var(--line)}
.chips{display:flex;flex-wrap:wrap;gap:.35rem}
.chip{display:inline-flex;align-items:center;gap:.45rem;padding:.2rem .6rem .2rem .3rem;border:1px solid var(--line);border-radius:6px;background:var(--card);
font-size:.87rem}
.chip b{font-weight:600;font-variant-numeric:tabular-nums}
.chip:hover{border-color:var(--soft)}
.chip[aria-pressed=true]{border-color:var(--ink);box-shadow:0 0 0 1px var(--ink)}
.search{flex:1 1 14rem;max-width:24rem;padding:.3rem .6rem;border:1px solid var(--line);border-radius:6px;background:var(--card)}
.search::placeholder{color:var(--soft);opacity:1}
fieldset{display:flex;align-items:center;margin:0;padding:0;border:0;font-size:.87rem}
legend{float:left;padding:0 .6rem 0 0;color:var(--soft)}
fieldset label{position:relative;margin-left:-1px;padding:.2rem .65rem;border:1px solid var(--line);background:var(--card);cursor:pointer}
fieldset label:first-of-type{border-radius:6px 0 0 6px}fieldset label:last-child{border-radius:0 6px 6px 0}
fieldset input{position:absolute;inset:0;margin:0;opacity:0;cursor:pointer}
fieldset label:has(:checked){z-index:1;border-color:var(--ink);font-weight:600}
fieldset label:has(:focus-visible){outline:2px solid var(--focus);outline-offset:2px}
header{position:relative}
header .place{margin-right:6rem}
.theme{position:absolute;top:0;right:0;padding:.2rem .65rem;border:1px solid var(--line);border-radius:6px;background:var(--card);font-size:.87rem}
.shown{margin:0;color:var(--soft);font-size:.87rem;font-variant-numeric:tabular-nums}
.area{display:grid;grid-template-columns:minmax(0,1fr);gap:2rem;align-items:start}
.area.open{grid-template-columns:minmax(0,1fr) 23rem}
.group{margin-top:1.5rem}
.group h3{display:flex;align-items:baseline;gap:.7rem;margin:0 0 .5rem;font-size:.95rem;font-weight:600;overflow-wrap:anywhere}
.group h3 small{color:var(--soft);font-size:.87rem;font-weight:400;font-variant-numeric:tabular-nums}
.cells{display:flex;flex-wrap:wrap;gap:2px;margin:0;padding:0;list-style:none}
.cell{display:block;width:var(--size);height:var(--size);padding:0;border:0;border-radius:2px;font:700 calc(var(--size)*.66)/var(--size) var(--sans);
text-align:center}
.cell.s-ready::before{opacity:.55}
.small .cell.s-ready::before{content:none}
.cell:hover{box-shadow:0 0 0 2px var(--ink)}
.cell[aria-pressed=true]{box-shadow:0 0 0 2px var(--paper),0 0 0 4px var(--ink)}
.cell:focus-visible{outline:2px solid var(--focus);outline-offset:2px;z-index:1;position:relative}
.tiles .cells{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.6rem}
.tile{display:grid;grid-template-columns:2.4rem minmax(0,1fr);align-items:stretch;width:100%;padding:0;border:1px solid var(--line);border-radius:6px;
background:var(--card);
text-align:left;overflow:hidden}
.tile i{display:grid;place-items:center;background:var(--fill);color:var(--glyph);font:700 1.05rem/1 var(--sans)}
.tile span{display:block;padding:.55rem .8rem;min-width:0}
.tile b,.tile small{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.tile b{font-weight:600}
.tile:hover{border-color:var(--soft)}
.tile[aria-pressed=true]{border-color:var(--ink);box-shadow:0 0 0 1px var(--ink)}
.details{position:sticky;top:4.2rem;max-height:calc(100vh - 5.4rem);overflow:auto;margin-top:1.5rem;padding:1.1rem 1.2rem;
border:1px solid var(--line);border-radius:8px;
background:var(--card)}
.details h3{margin:0 2rem 0 0;font-size:1.05rem;font-weight:650;overflow-wrap:anywhere}
.details .close{position:absolute;top:.8rem;right:.8rem;width:1.8rem;height:1.8rem;border:0;border-radius:6px;background:none;font-size:1.1rem;line-height:1}
.details .close:hover{background:var(--paper)}
.details .state{display:flex;align-items:center;gap:.5rem;margin:.5rem 0 0;font-weight:600}
.details .state i{display:inline-grid;place-items:center;width:1.25rem;height:1.25rem;border-radius:3px;background:var(--fill);color:var(--glyph);
font:700 .8rem/1 var(--sans)}
.details p{margin:.5rem 0 0;overflow-wrap:anywhere}
.details .fix{padding-left:.8rem;border-left:3px solid var(--focus)}
.details dl{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.3rem 1rem;margin:1rem 0 0;padding-top:.9rem;border-top:1px solid var(--line);
font-size:.87rem}
.details dt{color:var(--soft)}
.details dd{margin:0;overflow-wrap:anywhere}
.details dd.code{font-family:var(--mono);font-size:.8rem}
.none{color:var(--soft)}
.keys{margin:2.2rem 0 0;color:var(--soft);font-size:.8rem}
kbd{padding:.05rem .3rem;border:1px solid var(--line);border-radius:3px;background:var(--card);font:inherit}
@media (max-width:52rem){.tools{position:static}.area.open .map{padding-bottom:60vh}.area.open{grid-template-columns:minmax(0,1fr)}
.causes tr{display:grid;grid-template-columns:1.9rem auto auto minmax(0,1fr);border-top:1px solid var(--line)}.causes td,.causes th{width:auto;border:0}
.causes td:last-child{grid-column:2/-1;padding-top:0}
.details{position:fixed;inset:auto 0 0;z-index:2;max-height:60vh;margin:0;border-radius:12px 12px 0 0;box-shadow:0 -8px 30px rgb(0 0 0/.25)}}
@media (forced-colors:active){.causes i,.chip i,.cell,.tile i,.details i{forced-color-adjust:none}}
@media print{body{max-width:none;padding:0;font-size:10pt}
.theme,.tools,.details,.keys{display:none!important}.area.open{grid-template-columns:minmax(0,1fr)}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}.causes .names{display:block;font-size:8pt;color:var(--soft)}.cause{text-decoration:none}
.group,.causes tr{break-inside:avoid-page}.cell{--size:9px!important}.group h3{break-after:avoid}}
"""

MAP = """<section aria-label="Map of the nodes">
<div class="tools" hidden>
<div class="chips" role="group" aria-label="Show only these states"></div>
<input class="search" type="search" placeholder="Name, pool, cause, version" aria-label="Search nodes" autocomplete="off" spellcheck="false">
<fieldset><legend>Group by</legend>
<label><input type="radio" name="by" value="pool">Pool</label><label><input type="radio" name="by" value="zone">Zone</label><label><input type="radio" name="by"
value="look">State</label></fieldset>
<p class="shown" role="status"></p>
</div>
<div class="area"><div class="map"></div><aside class="details" aria-label="Details of the node" aria-live="polite" hidden></aside></div>
<p class="keys" hidden><kbd>←</kbd> <kbd>→</kbd> <kbd>↑</kbd> <kbd>↓</kbd> next node, <kbd>Enter</kbd> details, <kbd>Esc</kbd> close, <kbd>/</kbd> search</p>
<noscript><p>The map needs JavaScript. The causes stand above.</p></noscript>
</section>"""

SCRIPT = r"""
"use strict";
(() => {
const $ = (selector, from = document) => from.querySelector(selector);
const data = JSON.parse($("#data").textContent);
const nodes = data.rows.map(row => {
  const node = {};
  data.columns.forEach((column, i) => { node[column] = data.values[row[i]]; });
  return node;
});
const rank = new Map(data.states.map((state, i) => [state.name, i]));
const looks = new Map(data.states.map(state => [state.name, state]));
const counted = number => number.toLocaleString("en");
// As people sort: node-9 before node-10. One collator for all, a new one for each comparison is slow.
const collator = new Intl.Collator("en", {numeric: true});
nodes.sort((a, b) => rank.get(a.look) - rank.get(b.look) || collator.compare(a.node, b.node));
const tiles = nodes.length <= 60;
const chosen = {states: new Set(), cause: null, text: "", by: "pool", open: null};
const map = $(".map"), details = $(".details"), area = $(".area");

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

for (const node of nodes) {
  const look = looks.get(node.look);
  const said = node.node + ": " + node.look + (node.look === "ready" ? "" : ", " + node.cause) + (node.cordoned ? ", cordoned" : "");
  const button = element("button", {type: "button", tabIndex: -1, title: said, ariaLabel: said, ariaPressed: "false"});
  if (tiles) {
    button.className = "tile";
    const small = node.look === "ready" ? [node.version, node.arch].filter(Boolean).join(", ") : node.cause;
    button.append(element("i", {className: look.class, ariaHidden: "true"}),
      element("span", {}, element("b", {}, node.node), element("small", {}, small || node.look)));
  } else {
    button.className = "cell " + look.class;
  }
  node.button = button;
  node.item = element("li", {}, button);
  button.node = node;
  node.words = [node.node, node.look, node.cause, node.detail, node.pool, node.zone, node.os, node.arch, node.version, node.kernel, node.pod,
    node.cordoned ? "cordoned" : ""].join(" ").toLowerCase();
}
map.classList.toggle("tiles", tiles);
map.classList.toggle("small", nodes.length > 1200);
map.style.setProperty("--size", nodes.length > 1200 ? "14px" : nodes.length > 300 ? "20px" : "26px");

let shown = [];
function draw() {
  const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  shown = [];
  for (const node of nodes) {
    if (chosen.states.size && !chosen.states.has(node.look)) continue;
    if (chosen.cause && (node.look !== chosen.cause.look || node.cause !== chosen.cause.reason)) continue;
    if (!words.every(word => node.words.includes(word))) continue;
    const key = node[chosen.by] || "no " + chosen.by;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(node);
  }
  const sections = [];
  const keys = [...groups.keys()].sort((a, b) => chosen.by === "look" ? rank.get(a) - rank.get(b) : collator.compare(a, b));
  for (const key of keys) {
    const group = groups.get(key);
    const ready = group.filter(node => node.look === "ready").length;
    const wanted = group.filter(node => node.eligible).length;
    const parts = [];
    if (wanted) parts.push(counted(ready) + " of " + counted(wanted) + " ready");
    if (group.length > wanted) parts.push(counted(group.length - wanted) + " not eligible");
    const text = chosen.by === "look" ? counted(group.length) : parts.join(", ");
    const list = element("ul", {className: "cells", ariaLabel: key});
    for (const node of group) { list.append(node.item); shown.push(node); }
    sections.push(element("section", {className: "group"}, element("h3", {}, key, element("small", {}, text)), list));
  }
  if (!sections.length) sections.push(element("p", {className: "none"}, nodes.length ? "No node is like that." : "There are no nodes to show."));
  map.replaceChildren(...sections);
  $(".shown").textContent = shown.length === nodes.length ? "" : counted(shown.length) + " of " + counted(nodes.length) + " nodes";
  reach(shown.includes(chosen.reached) ? chosen.reached : shown[0]);
}

// One cell at a time is in the order of the tab key; the arrows move it.
function reach(node, focus = false) {
  if (chosen.reached) chosen.reached.button.tabIndex = -1;
  chosen.reached = node;
  if (!node) return;
  node.button.tabIndex = 0;
  if (focus) {
    node.button.focus();
    if (chosen.open) open(node);
  }
}

function line(key, value, code = false) {
  if (value === null || value === undefined || value === "") return [];
  const text = value === true ? "yes" : value === false ? "no" : String(value);
  return [element("dt", {}, key), element("dd", {className: code ? "code" : ""}, text)];
}

function open(node) {
  if (chosen.open) chosen.open.button.ariaPressed = "false";
  chosen.open = node;
  area.classList.toggle("open", Boolean(node));
  details.hidden = !node;
  if (!node) return;
  node.button.ariaPressed = "true";
  const look = looks.get(node.look);
  const proof = node.proof, seen = node.evidence || {};
  const proven = !proof ? "" : proof.proven ? "its event came back in " + proof.latency_ms + " ms" : "failed: " + proof.reason;
  const until = seen.last && seen.last !== seen.first ? " to " + seen.last : "";
  const when = seen.first ? seen.first + until + (seen.count > 1 ? ", " + seen.count + " times" : "") : "";
  details.replaceChildren(
    element("button", {type: "button", className: "close", ariaLabel: "Close details"}, "✕"),
    element("h3", {}, node.node),
    element("p", {className: "state"}, element("i", {className: look.class, ariaHidden: "true"}),
      node.look + (node.look === "ready" ? "" : ", " + node.cause)),
    ...(node.detail ? [element("p", {}, node.detail)] : []),
    ...(node.fix ? [element("p", {className: "fix"}, node.fix)] : []),
    ...(node.passing && node.unwell ? [element("p", {className: "none"}, "This passes by itself.")] : []),
    ...(node.allowed ? [element("p", {className: "none"}, "The policy lets this node pass.")] : []),
    element("dl", {},
      ...line("Proof", proven),
      ...line("Confidence", node.confidence),
      ...line("Seen", seen.text && seen.text !== node.detail ? seen.source + ": " + seen.text : ""),
      ...line("When", when),
      ...(node.blockers || []).flatMap(blocker => line("Kept away by", blocker.detail + (blocker.since ? ", since " + blocker.since : ""))),
      ...line("DaemonSet", node.daemon_set),
      ...((node.pods || []).length ? node.pods : [node.pod]).flatMap(pod => line(pod === node.pod ? "Pod" : "Another pod", pod, true)),
      ...line("Newest revision", node.current),
      ...line("Wanted image", node.image_ok),
      ...line("Pool", node.pool),
      ...line("Zone", node.zone),
      ...line("Cordoned", node.cordoned || ""),
      ...line("System", [node.os, node.arch].filter(Boolean).join(", ")),
      ...line("Kernel", node.kernel, true),
      ...line("Kubelet", node.version, true),
      ...line("Runtime", node.runtime, true),
      ...line("Joined", node.created)));
  details.scrollTop = 0;
}

function beside(node, down) {
  const here = node.button.getBoundingClientRect();
  const step = down ? 1 : -1;
  let best = null, row = null;
  for (let i = shown.indexOf(node) + step; i >= 0 && i < shown.length; i += step) {
    const box = shown[i].button.getBoundingClientRect();
    if (Math.abs(box.top - here.top) < 2) continue;
    if (row === null) row = box.top;
    if (Math.abs(box.top - row) > 2) break;
    const away = Math.abs(box.left - here.left);
    if (!best || away < best.away) best = {away, node: shown[i]};
  }
  return best ? best.node : node;
}

map.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  reach(button.node);
  open(button.node === chosen.open ? null : button.node);
});
map.addEventListener("keydown", event => {
  const button = event.target.closest("button");
  if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = shown.indexOf(button.node);
  const moves = {
    ArrowRight: () => shown[at + 1], ArrowLeft: () => shown[at - 1], ArrowDown: () => beside(button.node, true), ArrowUp: () => beside(button.node, false),
    Home: () => shown[0], End: () => shown[shown.length - 1],
  };
  if (!(event.key in moves)) return;
  event.preventDefault();
  const next = moves[event.key]();
  if (next) reach(next, true);
});
details.addEventListener("click", event => {
  if (event.target.closest(".close")) leave();
});
function leave() {
  const node = chosen.open;
  open(null);
  if (node && shown.includes(node)) reach(node, true);
}
document.addEventListener("keydown", event => {
  const search = $(".search");
  if (event.key === "Escape" && chosen.open) leave();
  else if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});

const counts = new Map();
for (const node of nodes) counts.set(node.look, (counts.get(node.look) || 0) + 1);
for (const state of data.states) {
  if (!counts.has(state.name)) continue;
  const chip = element("button", {type: "button", className: "chip", ariaPressed: "false"},
    element("i", {className: state.class, ariaHidden: "true"}), state.name, element("b", {}, counted(counts.get(state.name))));
  chip.addEventListener("click", () => {
    if (!chosen.states.delete(state.name)) chosen.states.add(state.name);
    chip.ariaPressed = String(chosen.states.has(state.name));
    draw();
  });
  $(".chips").append(chip);
}
const causes = [...document.querySelectorAll(".cause")];
for (const button of causes) {
  button.ariaPressed = "false";
  button.addEventListener("click", () => {
    const off = button.ariaPressed === "true";
    for (const each of causes) each.ariaPressed = "false";
    button.ariaPressed = String(!off);
    chosen.cause = off ? null : button.dataset;
    draw();
  });
}
let pending = 0;
$(".search").addEventListener("input", event => {
  chosen.text = event.target.value;
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(draw);
});
const several = key => new Set(nodes.map(node => node[key])).size > 1;
chosen.by = several("pool") || !several("zone") ? "pool" : "zone";
for (const radio of document.querySelectorAll("[name=by]")) {
  radio.checked = radio.value === chosen.by;
  radio.addEventListener("change", () => { chosen.by = radio.value; draw(); });
}

const theme = $(".theme"), root = document.documentElement, prefers = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (root.dataset.theme || (prefers.matches ? "dark" : "light")) === "dark";
const name = () => { theme.textContent = dark() ? "Light" : "Dark"; };
// A browser may forbid pages from files to remember anything.
try { const kept = localStorage.getItem("theme"); if (kept) root.dataset.theme = kept; } catch (error) { root.dataset.theme = ""; }
theme.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  name();
  try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { return; }
});
prefers.addEventListener("change", name);
name();

for (const hidden of document.querySelectorAll(".tools, .keys")) hidden.hidden = !nodes.length;
theme.hidden = false;
draw();
})();
"""
