# SPDX-License-Identifier: Apache-2.0
"""A report's page in headless Chromium: rendered document, messages on the console, screenshot."""
import html.parser
import os
import re
import signal
import subprocess
import tempfile

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr", "--v=0")
LIMIT_SECONDS = 60


def browser():
    for name in BROWSERS:
        for folder in os.environ.get("PATH", "").split(":"):
            if os.access(os.path.join(folder, name), os.X_OK):
                return name
    raise SystemExit(f"none of {', '.join(BROWSERS)} is installed; tools/install does it")


def _run(path, *more):
    with tempfile.TemporaryDirectory(prefix="pando-browser.") as profile:
        command = [browser(), *OPTIONS, f"--user-data-dir={profile}", *more, "file://" + os.path.abspath(path)]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = child.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise SystemExit(f"the browser did not end within {LIMIT_SECONDS} s") from None
        if child.returncode != 0:
            raise SystemExit(f"the browser ended with {child.returncode}:\n{err.decode(errors='replace')}")
        return out.decode(errors="replace"), err.decode(errors="replace")


def render(path):
    """The document after its script ran, and what was written to the console."""
    dom, log = _run(path, "--dump-dom")
    return dom, re.findall(r"CONSOLE[^\]]*\] (.*)", log)


def screenshot(path, picture, width=1280, height=2200):
    _run(path, f"--screenshot={os.path.abspath(picture)}", f"--window-size={width},{height}")


class Reader(html.parser.HTMLParser):
    """Texts and numbers of elements by the section that they are in."""

    def __init__(self, dom):
        super().__init__()
        self.rendered = False
        self.text = {}
        self.count = {}
        self.badges = []
        self._section = None
        self._badge = False
        self.feed(dom)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "html":
            self.rendered = attrs.get("data-rendered") == "yes"
        if tag == "section":
            self._section = attrs.get("id")
        key = (self._section, tag)
        self.count[key] = self.count.get(key, 0) + 1
        self._badge = tag == "span" and attrs.get("class") == "badge"

    def handle_endtag(self, tag):
        if tag == "section":
            self._section = None

    def handle_data(self, data):
        self.text[self._section] = self.text.get(self._section, "") + data
        if self._badge:
            self.badges.append(data)
            self._badge = False


SECTIONS = ("advice", "nodes", "heat", "legs", "traffic", "symbols", "places")


def check(path):
    """Renders without a word on the console, shows every part, needs nothing from elsewhere. Returns the Reader."""
    with open(path, encoding="utf-8") as file:
        source = file.read()
    foreign = re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?(?:https?:)?//[^"')\s]*""", source)
    assert not foreign, f"{path} refers to {foreign}"
    dom, console = render(path)
    assert not console, f"the console says: {console}"
    page = Reader(dom)
    assert page.rendered, "the page's script did not come to its end"
    for section in SECTIONS:
        assert page.text.get(section), f"section '{section}' is missing"
    assert page.count.get(("heat", "rect"), 0) > 10, "the heat map is empty"
    assert page.count.get(("legs", "svg"), 0) >= 3, "there are no histograms"
    return page


def prove_that_errors_are_seen():
    """The check of the console means nothing unless an error gets there."""
    with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="pando-page.") as file:
        file.write("<!DOCTYPE html><script>undefined_function()</script>")
        file.flush()
        _, console = render(file.name)
        assert any("undefined_function" in line for line in console), "an error of a page is not seen on the console"
