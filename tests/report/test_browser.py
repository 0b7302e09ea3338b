"""The page in a real browser: no errors, no requests, tables that sort, nothing cut on a telephone or on paper."""

import re
import shutil
import subprocess

import pytest

from tests.report import told as given
from trabecula.report.page import page

_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--virtual-time-budget=3000",
)  # fmt: skip
pytestmark = pytest.mark.skipif(_BROWSER is None, reason="Chromium is not installed here")

_WATCH = """<script>
const seen = [];
addEventListener("error", (event) => seen.push("error: " + (event.message || event.target.src)), true);
addEventListener("securitypolicyviolation", (event) => seen.push("refused: " + event.blockedURI));
addEventListener("load", () => setTimeout(() => {
  %s
  seen.push(...performance.getEntriesByType("resource").map((each) => "request: " + each.name));
  document.body.innerHTML = "";
  for (const line of seen) document.body.append(Object.assign(document.createElement("p"), { textContent: line }));
}, 100));
</script>"""
_SORT = """
  const table = document.querySelector("#leaderboard table.sortable");
  const column = (n) => [...table.tBodies[0].rows].map((row) => row.cells[n].dataset.value ?? row.cells[n].textContent);
  const head = table.tHead.rows[0].cells[4], button = head.querySelector("button");
  const say = (word) => seen.push(word + ": " + head.ariaSort + " " + column(4).join(" "));
  say("before");
  button.click(); say("once");
  button.focus(); seen.push("focus: " + (document.activeElement === button));
  button.click(); say("twice");
  const who = table.tHead.rows[0].cells[1].querySelector("button");
  who.click(); seen.push("others: " + head.ariaSort);
"""
_NARROW = """
  document.documentElement.style.width = "400px";
  for (const each of document.querySelectorAll("main *, footer *"))
    if (!each.closest(".scroll, svg") && each.getBoundingClientRect().right > 401)
      seen.push("wide: " + each.outerHTML.slice(0, 200));
"""


@pytest.fixture
def browse(tmp_path):
    """Give a function that opens HTML in the browser and returns what it wrote and what it logged."""

    def opened(html, *flags):
        file = tmp_path / "index.html"
        file.write_text(html, encoding="utf-8")
        done = subprocess.run(
            [_BROWSER, *_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, file.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return opened


@pytest.fixture
def watched(browse):
    """Give a function that runs a script in the loaded page and returns what was seen, and what the console said."""

    def seen(html, script="", *flags):
        dom, console = browse(html.replace("<head>", "<head>" + _WATCH % script, 1), "--dump-dom", *flags)
        return re.findall("<p>(.*?)</p>", dom, re.DOTALL), console

    return seen


def test_a_click_and_a_key_sort_a_table_without_errors_or_requests(watched):
    seen, console = watched(page(given.knee()), _SORT)
    assert console == []
    told = dict(line.split(": ", 1) for line in seen)
    assert set(told) == {"before", "once", "twice", "focus", "others"}, seen
    values = {word: told[word].split()[1:] for word in ("before", "once", "twice")}
    ordered = sorted(values["before"], key=float)
    assert values["before"] not in (ordered, ordered[::-1])
    assert values["once"] == ordered
    assert values["twice"] == ordered[::-1]
    assert [told[word].split()[0] for word in ("before", "once", "twice")] == ["none", "ascending", "descending"]
    assert told["focus"] == "true"
    assert told["others"] == "none"


def test_the_watch_would_see_an_error_and_a_request(watched):
    planted = '<!doctype html><html><head></head><body><img src="https://example.org/x.png"></body></html>'
    seen, console = watched(planted, "setTimeout(() => { throw new Error('planted') }, 0); ")
    assert any(line.startswith(("request: https://example.org", "error: https://example.org")) for line in seen)
    assert any("planted" in line for line in console)


@pytest.mark.parametrize("make", [given.knee, given.mixed])
def test_nothing_leaves_a_narrow_screen(watched, make):
    assert watched(page(make()), _NARROW, "--window-size=500,900") == ([], [])


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed here")
def test_print_shows_everything_and_cuts_no_table(browse, tmp_path):
    paper = tmp_path / "page.pdf"
    browse(page(given.knee()), f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    boxes = subprocess.run(["pdftotext", "-bbox", str(paper), "-"], capture_output=True, text=True, check=True).stdout
    words = re.findall(r'xMin="([\d.-]+)" yMin="[\d.-]+" xMax="([\d.-]+)" yMax="[\d.-]+">(.*?)</word>', boxes)
    width = float(re.search(r'page width="([\d.]+)"', boxes)[1])
    shown = {word for *_, word in words}
    assert {"learning_rate", "d.jpg,", "Answered"} <= shown, "closed parts are open on paper"
    cut = [word for left, right, word in words if float(left) < 0 or float(right) > width]
    assert cut == []
