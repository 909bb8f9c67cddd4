#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures of the reports, by headless Chromium:  report-shots.py DIRECTORY NAME=FILE.html...

Each page is shown wide and narrow, light and dark; a page with evidence (section.e) once more with
its first red cell opened. Fails on a message on the page's console of level error, on an exception,
and on a page wider than its window. Speaks the DevTools protocol over a pipe, so the standard library is enough.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

WIDTHS = {"wide": 1280, "narrow": 390}
HEIGHTS = {"wide": 900, "narrow": 844}
SCHEMES = ("light", "dark")
TALLEST = 6000  # a picture ends there: the whole of a matrix is more than anybody looks at
PATIENCE = 60.0
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--remote-debugging-pipe")
# What reaches beyond the window on the right, unless something around it scrolls.
OVERFLOW = """(() => {
  const root = document.documentElement, wide = root.clientWidth;
  if (root.scrollWidth <= wide) return [];
  const scrolls = e => e && (/auto|scroll|hidden/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const out = [...document.body.querySelectorAll('*')].filter(
    e => e.getBoundingClientRect().right > wide + 1 && !scrolls(e.parentElement));
  return [`${root.scrollWidth} > ${wide}`].concat(out.slice(0, 5).map(
    e => e.tagName + '.' + e.className + ': ' + (e.textContent || '').slice(0, 60)));
})()"""


class Browser:
    """One Chromium with one page; commands go out on its descriptor 3, answers come on 4."""

    def __init__(self, program: str, profile: str) -> None:
        to_read, self.to = os.pipe()
        self.from_, from_write = os.pipe()
        # The shell puts the pipes where Chromium looks for them, whatever numbers they have here.
        command = ["sh", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "sh", program, *FLAGS,
                   f"--user-data-dir={profile}", "about:blank"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, pass_fds=(to_read, from_write), stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        os.close(to_read)
        os.close(from_write)
        self.pending = b""
        self.number = 0
        self.session = ""
        self.faults: list[str] = []
        self.loaded = False
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def message(self, deadline: float) -> dict:
        while b"\0" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.from_], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            chunk = os.read(self.from_, 1 << 20)
            if not chunk:
                self.log.seek(0)
                raise EOFError("Chromium ended: " + self.log.read().decode(errors="replace")[-2000:])
            self.pending += chunk
        text, self.pending = self.pending.split(b"\0", 1)
        return json.loads(text)

    def note(self, event: dict) -> None:
        what, how = event.get("method"), event.get("params", {})
        if what == "Page.loadEventFired":
            self.loaded = True
        elif what == "Runtime.exceptionThrown":
            self.faults.append("exception: " + json.dumps(how["exceptionDetails"])[:300])
        elif what == "Runtime.consoleAPICalled" and how["type"] in ("error", "assert"):
            self.faults.append("console: " + json.dumps(how["args"])[:300])
        elif what == "Log.entryAdded" and how["entry"]["level"] == "error":
            self.faults.append("log: " + how["entry"]["text"])

    def ask(self, method: str, **params: object) -> dict:
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        line = json.dumps(request).encode() + b"\0"
        while line:
            line = line[os.write(self.to, line):]
        deadline = time.monotonic() + PATIENCE
        while (answer := self.message(deadline)).get("id") != self.number:
            self.note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def value(self, script: str) -> object:
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError("script: " + json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def show(self, url: str, width: int, height: int, scheme: str) -> None:
        # A change of the fragment alone is no load, so every page begins from an empty one.
        self.ask("Page.navigate", url="about:blank")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.loaded = False
        refused = self.ask("Page.navigate", url=url).get("errorText")
        if refused:
            raise RuntimeError(f"{url}: {refused}")
        deadline = time.monotonic() + PATIENCE
        while not self.loaded or self.value("location.href") == "about:blank":
            if not self.loaded:
                self.note(self.message(deadline))

    def picture(self, path: pathlib.Path, whole: bool) -> None:
        more: dict = {}
        if whole:
            size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
            more = {"captureBeyondViewport": True,
                    "clip": {"x": 0, "y": 0, "width": size["width"],
                             "height": min(size["height"], TALLEST), "scale": 1}}
        data = self.ask("Page.captureScreenshot", format="png", **more)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        try:
            self.session = ""
            self.ask("Browser.close")
        except (OSError, EOFError, TimeoutError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()


def shoot(browser: Browser, directory: pathlib.Path, name: str, file: pathlib.Path) -> list[str]:
    faults = []
    url = file.resolve().as_uri()
    for size, width in WIDTHS.items():
        for scheme in SCHEMES:
            shown = f"{name}-{size}-{scheme}"
            browser.faults.clear()
            browser.show(url, width, HEIGHTS[size], scheme)
            browser.picture(directory / f"{shown}.png", whole=True)
            wide = browser.value(OVERFLOW)
            # The evidence of the first red cell, reached as a reader reaches it: by a click.
            if browser.value("""(() => { const cell = document.querySelector('td.fail a, td.crash a, td.timeout a');
                if (cell) cell.click(); return !!cell; })()"""):
                time.sleep(0.3)
                seen = browser.value("""(() => { const e = document.querySelector(':target');
                    if (!e) return 'the link leads nowhere';
                    if (![...e.querySelectorAll('details')].every(d => d.open)) return 'it does not open';
                    const top = e.getBoundingClientRect().top;
                    return top >= -1 && top < innerHeight ? '' : `it is not in the window, but at ${top}`; })()""")
                if seen:
                    faults.append(f"{shown}: a red cell was clicked, and the evidence: {seen}")
                browser.picture(directory / f"{shown}-evidence.png", whole=False)
                wide = wide or browser.value(OVERFLOW)
            if wide:
                faults.append(f"{shown}: wider than its window: " + "; ".join(wide))
            faults += [f"{shown}: {fault}" for fault in browser.faults]
    return faults


def main() -> int:
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        print("report-shots: no chromium", file=sys.stderr)
        return 1
    faults = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            for page in sys.argv[2:]:
                name, file = page.split("=", 1)
                faults += shoot(browser, directory, name, pathlib.Path(file))
        finally:
            browser.close()
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(list(directory.glob('*.png')))} pictures in {directory}, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
