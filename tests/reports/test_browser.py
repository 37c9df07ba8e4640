"""The page in a real browser, driven over the WebDriver protocol by the standard library alone."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from reports import published
from reports.render import render, tables_of

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class _Browser:
    def __init__(self, base, profile):
        self.base = base
        options = {"args": [*QUIET, f"--user-data-dir={profile}"], "binary": CHROMIUM}
        always = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self.session = f"/session/{self.call('POST', '/session', {'capabilities': {'alwaysMatch': always}})['sessionId']}"

    def call(self, verb, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=verb)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def size(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("POST", f"{self.session}/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def run(self, script):
        return self.call("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def logs(self, kind):
        return self.call("POST", f"{self.session}/se/log", {"type": kind})


@pytest.fixture(scope="module")
def browser(records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    tables = published.load(published.FOLDER / "deblur.toml")
    index = render(tables_of(records, sort="psnr"), records, folder / "report", title="Deblur", published=tables)[0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):  # a cold start on a busy machine
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        window = _Browser(f"http://127.0.0.1:{port}", folder / "profile")
        window.size(1280, 900)
        window.call("POST", f"{window.session}/url", {"url": "about:blank"})
        for kind in ("browser", "performance"):
            window.logs(kind)  # what the browser's own start page did
        window.call("POST", f"{window.session}/url", {"url": index.as_uri()})
        yield window
        window.call("DELETE", window.session)
    finally:
        driver.terminate()
        driver.wait()


def _names(browser):
    return browser.run("return [...document.querySelectorAll('.board tbody th')].map(e => e.dataset.value)")


def test_clicking_a_heading_sorts_and_clicking_again_reverses(browser):
    press = "[...document.querySelectorAll('.board thead button')].find(b => b.textContent.startsWith('{}')).click()"
    assert _names(browser)[:2] == ["wiener", "deblurgan"]
    browser.run(press.format("PSNR"))
    assert _names(browser)[0] == "cyclegan"
    browser.run(press.format("LPIPS"))
    assert _names(browser)[0] == "wiener"
    assert browser.run("return [...document.querySelectorAll('.board [aria-sort]')].map(e => e.textContent.trim() + e.ariaSort)") == [
        "LPIPS-like ↓ascending"
    ]
    browser.run(press.format("speed"))  # three rows have none: last either way
    assert set(_names(browser)[-3:]) == {"wiener", "unsharp", "identity"}
    browser.run(press.format("speed"))
    assert set(_names(browser)[-3:]) == {"wiener", "unsharp", "identity"}
    browser.run(press.format("method"))
    assert _names(browser)[1:3] == ["cyclegan", "deblurgan"]


def test_the_curves_follow_the_chosen_axis(browser):
    shown = "return [...document.querySelectorAll('.curves [data-x]')].filter(e => e.offsetParent).map(e => e.dataset.x)"
    assert set(browser.run(shown)) == {"step"}
    browser.run("document.querySelector('.choice button[value=seconds]').click()")
    assert set(browser.run(shown)) == {"seconds"}


def test_detections_can_be_hidden_and_the_lens_is_shared(browser):
    boxes = "return [...document.querySelectorAll('.frame svg')].filter(e => getComputedStyle(e).display !== 'none').length"
    assert browser.run(boxes) == 8
    browser.run("document.querySelector('.show-boxes').click()")
    assert browser.run(boxes) == 0
    browser.run("document.querySelector('.strip .frame').click()")
    frames = "[...document.querySelector('.strip').querySelectorAll('.frame > div')]"
    scaled = f"return {frames}.filter(e => getComputedStyle(e).transform !== 'none').length"
    assert browser.run(scaled) == 9
    assert browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")


@pytest.mark.parametrize("width", [1280, 400])
def test_only_tables_and_strips_scroll_sideways(browser, width):
    browser.size(width, 900)
    assert browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_nothing_hostile_ran_nothing_failed_and_no_request_left(browser):
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.querySelectorAll('script').length") == 1
    assert [entry["message"] for entry in browser.logs("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.logs("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert any(url.startswith("file://") for url in asked)
    assert [url for url in asked if not url.startswith(("file://", "data:"))] == []
