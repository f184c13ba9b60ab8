"""The page: what it holds, and how it works in Chromium."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from starlette.testclient import httpx

from espnet_prune.data.turn_formats import TURN_FORMATS
from espnet_prune.service.app import PAGE
from tests.service.conftest import SCRIPT, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def test_it_needs_nothing_else():
    page = PAGE.read_text()
    assert not re.search(r"https?:|src=|<link(?! rel=\"icon\")|import ", page)
    formats = json.loads(re.search(r"FORMATS = (\[.*?\])", page)[1])
    assert {name: TURN_FORMATS[name].suffix for name in formats} == {n: f".{n}" for n in formats}


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(diarizer):
    with running(diarizer, megabytes=2) as address:
        yield address


@pytest.fixture
def page(browser, address):
    """The page in a new window; it asks nobody but the service, and has no errors."""
    page = browser.new_page(viewport={"width": 900, "height": 800})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    page.close()
    assert not errors
    assert all(url.startswith((address, f"blob:{address}", "data:")) for url in asked), asked


def colours(page) -> dict[str, int]:
    """The opaque colours of the canvas, as ``ffbbggrr``, by their number of pixels, in order."""
    return page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas"), found = {};
          const drawn = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          for (const colour of new Uint32Array(drawn.data.buffer))
            if (colour >= 0xff000000) found[colour] = (found[colour] ?? 0) + 1;
          const ordered = Object.entries(found).sort((a, b) => b[1] - a[1]);
          return Object.fromEntries(ordered.map(([colour, n]) => [(+colour).toString(16), n]));
        }"""
    )


def say(page, text: str) -> None:
    page.wait_for_function(f"document.querySelector('#said').textContent.includes({text!r})")


def test_a_file_is_dropped_seen_heard_and_saved(page, address, wav):
    page.evaluate(
        """async (content) => {
          const blob = await (await fetch(`data:;base64,${content}`)).blob();
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([blob], "my meeting.wav"));
          const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector("#drop").dispatchEvent(event);
        }""",
        base64.b64encode(wav.read_bytes()).decode(),
    )
    say(page, "my meeting.wav: 2 speaker(s), 3 turn(s)")
    assert page.locator("#speakers b").all_inner_texts() == ["spk0: 0:02.5", "spk1: 0:02.5"]
    # A waveform, and a colour for each of two who speak equally long, in rows 22 pixels high.
    box, found = page.locator("canvas").bounding_box(), colours(page)
    assert found.pop("ff000000") > box["width"]
    first, second, *_ = found.values()
    assert first == pytest.approx(2.5 / 7 * box["width"] * 22, rel=0.05)
    assert second == pytest.approx(first, rel=0.05)
    # A click at 5.5 s is heard from there, and a turn from its start.
    page.evaluate(
        "() => { const audio = document.querySelector('audio');"
        "audio.onseeking = () => { window.to = audio.currentTime } }"
    )
    page.locator("canvas").click(position={"x": 5.5 / 7 * box["width"], "y": 20})
    page.wait_for_function("Math.abs(window.to - 5.5) < 0.1", timeout=20_000)
    page.wait_for_function("document.querySelector('audio').currentTime > 5.7")
    page.locator("#turns button", has_text="spk1").click()
    page.wait_for_function("Math.abs(window.to - 1.5) < 0.1", timeout=20_000)
    for name in ("json", "rttm", "srt"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name.upper(), exact=True).click()
        assert download.value.suggested_filename == f"my_meeting.{name}"
        files, query = {"file": (wav.name, wav.read_bytes())}, {"format": name}
        text = httpx.post(f"{address}/diarize", files=files, params=query).text
        assert Path(download.value.path()).read_text() == text


def test_a_file_is_chosen_and_its_speakers_told(page, wav):
    page.set_input_files("#file", wav)
    say(page, "2 speaker(s)")
    page.fill("#count", "1")
    page.keyboard.press("Enter")
    say(page, "1 speaker(s)")
    width = page.locator("canvas").bounding_box()["width"]
    page.fill("#zoom", "4")
    assert page.locator("canvas").bounding_box()["width"] == pytest.approx(4 * width, rel=0.01)
    page.set_viewport_size({"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"Dear all,\n", "expected readable audio"), (bytes(2_000_001), "expected an upload of 2 MB")],
)
def test_a_refusal_is_shown(page, wav, content, text):
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": content})
    say(page, text)
    assert page.locator("#said").get_attribute("class") == "failed"
    assert not page.locator("main").is_visible()
    page.set_input_files("#file", wav)
    say(page, "3 turn(s)")
    assert len(SCRIPT) == page.locator("#turns button").count()
