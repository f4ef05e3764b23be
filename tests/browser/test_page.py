# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader of the page sees and can do, with a mouse and without, and what the page never does."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import groups
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, cluster, report, row
from playwright.sync_api import expect

CASE = {case[1]: case for _weight, case in CASES}
HOSTILE = [
    "</script><script>window.stolen=1</script>",
    "<img src=x onerror=window.stolen=1>",
    '"><svg onload=window.stolen=1>',
    "' onfocus='window.stolen=1' autofocus='",
    "javascript:window.stolen=1",
    "{{constructor.constructor('window.stolen=1')()}}",
]


def cells(page):
    return page.locator(".map button")


def focused(page):
    """The name of the node whose cell has the focus; None where none has."""
    return page.evaluate("document.activeElement.node ? document.activeElement.node.node : null")


def overflows(page):
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def small():
    rows = [row("control-plane", pool="control-plane"), row("worker-1", CASE["ImageNotFound"]), row("worker-2", zone="eu-central-1b")]
    return report(rows)


@pytest.mark.parametrize("count", [0, 3, 5000])
def test_every_node_has_its_cell_and_nothing_leaves_the_page(show, count):
    made = cluster(count)
    page = show(made)
    assert cells(page).count() == count
    labels = cells(page).evaluate_all("buttons => buttons.map(button => button.ariaLabel.split(': '))")
    assert {label[0] for label in labels} == {each["node"] for each in made["nodes"]}
    assert Counter(label[1].split(",")[0] for label in labels) == made["summary"]["states"]
    chips = page.locator(".chip").evaluate_all("chips => chips.map(chip => [chip.childNodes[1].textContent, chip.querySelector('b').textContent])")
    assert {name: int(number.replace(",", "")) for name, number in chips} == made["summary"]["states"]
    assert page.requests == [page.url] and page.errors == []
    assert not overflows(page)


@pytest.fixture
def elsewhere():
    """A web server; what it was asked for is in .seen."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.seen.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments):
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


TRY = """async url => {
    const script = document.createElement("script");
    script.textContent = "window.stolen = 1";
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", "<button id=try onclick='window.stolen = 1'>x</button>");
    document.querySelector("#try").click();
    const image = document.createElement("img");
    const ended = new Promise(resolve => { image.onload = image.onerror = resolve; });
    image.src = url + "/image";
    document.body.append(image);
    await ended;
    await fetch(url + "/fetch", {mode: "no-cors"}).catch(() => null);
}"""


def test_nothing_can_be_loaded_or_run_even_by_who_tries(show, chromium, elsewhere):
    url = f"http://127.0.0.1:{elsewhere.server_address[1]}"
    page = show(small())
    page.evaluate(TRY, url)
    assert page.evaluate("window.stolen") is None and elsewhere.seen == []
    # Without the page's policy the same attempts succeed.
    bare = chromium.new_context()
    unguarded = bare.new_page()
    unguarded.evaluate(TRY, url)
    assert unguarded.evaluate("window.stolen") == 1 and set(elsewhere.seen) == {"/image", "/fetch"}
    bare.close()


@pytest.mark.parametrize("text", HOSTILE)
def test_what_comes_from_the_cluster_is_shown_as_it_is(show, text):
    fields = ("pool", "zone", "detail", "fix", "version", "kernel", "runtime", "os", "arch", "daemon_set", "pod", "created", "confidence")
    hostile = row(f"node {text}", CASE["ImageNotFound"], **dict.fromkeys(fields, text))
    hostile |= {"reason": text, "pods": [text], "blockers": [{"kind": "taint", "detail": text, "since": text, "passing": False}]}
    hostile |= {"evidence": {"source": text, "text": f"{text}!", "first": text, "last": f"{text}!", "count": 2}}
    hostile |= {"proof": {"proven": False, "reason": text, "latency_ms": None, "round_trip_ms": None}}
    made = report([hostile, row("plain")], cluster={"server": text, "version": text}, daemon_sets=[text])
    page = show(made)
    page.get_by_role("group", name="Group by").get_by_text("Zone").click()
    page.locator(".tile", has_text=f"node {text}").click()
    page.locator(".cause").click()
    page.locator(".search").fill(text)
    assert page.evaluate("window.stolen") is None
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert page.evaluate("document.querySelectorAll('img, svg, iframe, [onfocus], [onerror], [onload]').length") == 0
    assert page.locator(".details h3").inner_text() == f"node {text}"
    assert page.locator(".details p").nth(1).inner_text() == text
    assert text in page.locator(".causes").inner_text() and text in page.locator(".place").inner_text()
    assert cells(page).count() == 1 and page.requests == [page.url] and page.errors == []


def test_groups_by_pool_zone_and_state(show):
    made = cluster(300)
    page = show(made)
    for by in ("Pool", "Zone", "State"):
        page.get_by_role("group", name="Group by").get_by_text(by).click()
        titles = page.locator(".group h3").evaluate_all("titles => titles.map(title => title.firstChild.textContent)")
        counts = [group.locator("button").count() for group in page.locator(".group").all()]
        assert dict(zip(titles, counts)) == Counter(each[by.lower()] for each in made["nodes"])
    page.get_by_role("group", name="Group by").get_by_text("Pool").click()
    heading = page.locator(".group h3", has_text="general").inner_text()
    general = [each for each in made["nodes"] if each["pool"] == "general"]
    ready, wanted = sum(1 for each in general if each["state"] == "ready"), sum(1 for each in general if each["eligible"])
    assert heading.split("\n")[-1].strip().endswith(f"{ready} of {wanted} ready, {len(general) - wanted} not eligible")


def test_filters_by_state_cause_and_words(show):
    made = cluster(300)
    names = {state: {each["node"] for each in made["nodes"] if each["state"] == state} for state in made["summary"]["states"]}
    page = show(made)

    def shown():
        return set(cells(page).evaluate_all("buttons => buttons.map(button => button.node.node)"))

    blocked, rolling = page.locator(".chip", has_text="blocked"), page.locator(".chip", has_text="rolling")
    blocked.click()
    assert shown() == names["blocked"] and blocked.get_attribute("aria-pressed") == "true"
    rolling.click()
    assert shown() == names["blocked"] | names["rolling"]
    assert page.locator(".shown").inner_text() == f"{len(shown())} of 300 nodes"
    blocked.click()
    rolling.click()
    page.get_by_role("button", name="ImageNotFound", exact=True).click()
    assert shown() == {each["node"] for each in made["nodes"] if each["reason"] == "ImageNotFound"}
    page.get_by_role("button", name="ImageNotFound", exact=True).click()
    page.locator(".search").fill("EDGE arm64")
    expect(page.locator(".shown")).not_to_be_empty()
    assert shown() == {each["node"] for each in made["nodes"] if each["pool"] == "edge"}
    page.locator(".search").fill("no such node")
    page.locator(".map .none").wait_for()
    assert page.locator(".map").inner_text() == "No node is like that."
    page.locator(".search").fill("")
    expect(cells(page)).to_have_count(300)


def test_details_say_what_happened_and_what_to_do(show):
    page = show(small())
    page.get_by_role("button", name="worker-1: blocked, ImageNotFound").click()
    text = page.locator(".details").inner_text()
    for said in ("worker-1", "blocked, ImageNotFound", "not found", "push the image first", "9 times", "failed: no pod is ready there", "6.18.7-cloud-amd64"):
        assert said in text
    page.get_by_role("button", name="worker-2: ready").click()
    assert "its event came back in 21.3 ms" in page.locator(".details").inner_text()
    page.get_by_role("button", name="Close details").click()
    assert page.locator(".details").is_hidden() and focused(page) == "worker-2"


def test_a_ready_agent_without_its_proof_is_no_green_cell(show):
    proof = {"proven": False, "latency_ms": None, "round_trip_ms": None, "reason": "no event within 10 s"}
    rows = [row("proven"), row("silent", proof=proof)]
    made = report(rows)
    made["groups"] = groups(rows, made)
    page = show(made)
    fills = {
        name: page.locator(".tile", has_text=name).locator("i").evaluate("each => getComputedStyle(each).backgroundColor") for name in ("proven", "silent")
    }
    assert fills["proven"] != fills["silent"]
    assert [chip.locator("b").inner_text() for chip in page.locator(".chip").all()] == ["1", "1"]
    assert page.locator(".chip", has_text="not proven").count() == 1
    page.locator(".cause", has_text="NoProof").click()
    assert cells(page).count() == 1
    page.get_by_role("button", name="silent: not proven, NoProof").click()
    assert "failed: no event within 10 s" in page.locator(".details").inner_text()
    page.get_by_role("group", name="Group by").get_by_text("State").click()
    assert page.locator(".group h3").first.inner_text().startswith("not proven")


def test_all_of_it_works_with_a_keyboard(show):
    page = show(cluster(400))
    assert page.locator(".map button[tabindex='0']").count() == 1
    for _press in range(60):
        page.keyboard.press("Tab")
        if focused(page):
            break
    names = cells(page).evaluate_all("buttons => buttons.map(button => button.node.node)")
    assert focused(page) == names[0]
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowRight")
    assert focused(page) == names[1]
    page.keyboard.press("Enter")
    assert page.locator(".details h3").inner_text() == names[1]
    page.keyboard.press("ArrowRight")
    assert page.locator(".details h3").inner_text() == names[2] and focused(page) == names[2]
    before = page.evaluate("(({left, top}) => ({left, top}))(document.activeElement.getBoundingClientRect())")
    page.keyboard.press("ArrowDown")
    after = page.evaluate("(({left, top}) => ({left, top}))(document.activeElement.getBoundingClientRect())")
    assert after["left"] == before["left"] and focused(page) not in names[:3]
    page.keyboard.press("ArrowUp")
    assert focused(page) == names[2]
    page.keyboard.press("Escape")
    assert page.locator(".details").is_hidden() and focused(page) == names[2]
    page.keyboard.press("End")
    assert focused(page) == names[-1]
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert focused(page) == names[0]
    page.keyboard.press("/")
    page.keyboard.type("gpu")
    expect(page.locator(".shown")).not_to_be_empty()
    assert page.locator(".map button[tabindex='0']").count() == 1
    assert page.errors == []


@pytest.mark.parametrize("prefers", ["light", "dark"])
def test_light_and_dark_follow_the_system_until_somebody_chooses(show, prefers):
    page = show(small(), color_scheme=prefers)
    other = {"light": "dark", "dark": "light"}[prefers]

    def brightness():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return "light" if int(colour.removeprefix("rgb(").split(",")[0]) > 127 else "dark"

    assert brightness() == prefers and page.locator(".theme").inner_text() == other.capitalize()
    page.locator(".theme").click()
    assert brightness() == other
    page.reload()
    assert brightness() == other
    page.locator(".theme").click()
    assert brightness() == prefers


def test_on_paper_the_causes_name_their_nodes_and_the_tools_are_gone(show):
    page = show(cluster(300), color_scheme="dark")
    assert page.locator(".names").first.is_hidden()
    page.emulate_media(media="print")
    assert page.locator(".tools").is_hidden() and page.locator(".theme").is_hidden()
    assert page.locator(".names").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 248)"
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_javascript_the_verdict_and_the_causes_stand_there(show, chromium):
    url = show(small()).url
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    text = page.locator("body").inner_text()
    context.close()
    assert "Not accepted: 1 of 3 eligible nodes is not ready and proven" in text
    assert "ImageNotFound" in text and "push the image first" in text and "needs JavaScript" in text


def test_everything_has_a_name_for_those_who_cannot_see_it(show):
    page = show(cluster(80))
    cells(page).first.click()
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, aside, section[aria-label], ul")]
            .filter(each => !(each.ariaLabel || each.textContent.trim() || (each.labels && each.labels[0] && each.labels[0].textContent.trim()))
                && !each.hidden).map(each => each.outerHTML)"""
    )
    assert unnamed == []
    assert page.locator("html").get_attribute("lang") == "en" and page.locator("h1").count() == 1
    assert page.locator(".details").get_attribute("aria-live") == "polite"


PICTURES = {
    "3-nodes": (lambda: cluster(3), {}, False),
    "3-nodes-dark-details": (small, {"color_scheme": "dark"}, True),
    "40-nodes-details": (lambda: cluster(40, seed=5), {}, True),
    "5000-nodes": (lambda: cluster(5000), {}, False),
    "5000-nodes-dark-details": (lambda: cluster(5000), {"color_scheme": "dark"}, True),
    "40-nodes-phone": (lambda: cluster(40, seed=5), {"viewport": {"width": 390, "height": 844}}, True),
    "5000-nodes-phone": (lambda: cluster(5000), {"viewport": {"width": 390, "height": 844}}, False),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_to_look_at(show, pictures, name):
    make, context, opened = PICTURES[name]
    page = show(make(), **context)
    if opened:
        cells(page).first.click()
        assert page.locator(".details").is_visible()
    page.screenshot(path=pictures / f"report-{name}.png", full_page="phone" not in name or not opened)
    assert not overflows(page)
