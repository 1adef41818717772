"""The page in a real browser; skipped where there is no Chromium."""

import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bytecover_tf.audio.decoding import load_audio
from bytecover_tf.data import tunes

for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    pytest.importorskip(package)
pytest.importorskip("lancedb")
playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# `npm install axe-core` brings it.
AXE = Path(os.environ.get("AXE", "node_modules/axe-core/axe.min.js"))
LIMIT = 120_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server of the recordings that come with the package but the last."""
    from bytecover_tf import index

    folder = tmp_path_factory.mktemp("music")
    for file in tunes.audio_files()[:-1]:
        (folder / file.name).write_bytes(file.read_bytes())
    catalogue = str(folder.parent / "page.catalogue")
    assert index.main(["--catalogue", catalogue, str(folder)]) == 0
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bytecover_tf.serve", "--catalogue", catalogue),
            *("--port", "0", "--workers", "1"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process.stdout.readline().split()[-1]
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium, whose microphone hears the recording that the catalogue lacks."""
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    samples = load_audio(tunes.audio_files()[-1], 48000)
    with wave.open(str(heard), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    options = [
        *("--no-sandbox", "--use-fake-device-for-media-stream"),
        *(
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={heard}",
        ),
    ]
    with (
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=CHROMIUM, args=options) as found,
    ):
        yield found


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desk", "phone"])
def page(request, browser, address):
    """The page, which may ask its own server only and must make no error."""
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(LIMIT)
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("h1")
    yield page
    page.close()
    assert not errors
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)


def is_within_its_width(page):
    return page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def problems(page):
    """What axe finds against the page's accessibility; nothing without axe."""
    if not AXE.exists():
        return []
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    return [(one["id"], one["nodes"][0]["html"]) for one in found]


def test_a_file_is_identified_and_both_can_be_heard(page):
    query = tunes.audio_files()[-1]
    page.set_input_files("input[type=file]", str(query))
    page.wait_for_selector("canvas[role=img]")
    work = query.stem.rsplit("-", 1)[0]
    assert page.inner_text(".match .title >> nth=0").startswith(work)
    assert page.locator(".deck").count() == 2
    assert "A version was found" in page.inner_text(".verdict")
    # Read out once; the clocks of the player are not.
    assert page.text_content(".said").startswith(f"A version was found: {work}")
    told = "document.querySelector('.deck').closest('[aria-live], [role=status]')"
    assert page.evaluate(f"{told} === null")
    page.keyboard.press("x")
    assert page.inner_text(".transport button >> nth=0") == "Play B"
    assert is_within_its_width(page)
    assert not problems(page)


def test_what_the_microphone_hears_is_identified(page):
    page.click("button:has-text('Record')")
    page.wait_for_timeout(12_000)
    page.click("button:has-text('Stop')")
    # Matches come before the answer does.
    page.wait_for_selector("ol.matches li")
    page.wait_for_selector("canvas[role=img]")
    work = tunes.audio_files()[-1].stem.rsplit("-", 1)[0]
    assert page.inner_text(".match .title >> nth=0").startswith(work)
    # Space plays; it does not record again.
    page.keyboard.press("Space")
    page.wait_for_selector(".transport button:has-text('Pause')")


def test_one_view_follows_another(page):
    for view in ("Setlist", "Library", "Review", "Identify"):
        page.click(f"nav a:has-text('{view}')")
        page.wait_for_selector(f"nav a[aria-current]:has-text('{view}')")
        page.wait_for_selector("main h1, main h2")


def test_the_skip_link_moves_the_focus_alone(page, address):
    page.goto(f"{address}/#/library")
    page.wait_for_selector(".recording")
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url == f"{address}/#/library"
    assert page.locator(".recording").count()


def test_what_is_taken_out_leaves_the_list_in_order(page, address):
    """Its work may stand elsewhere afterwards."""
    works = {f"a{number:02}": 1 for number in range(60)} | {"z": 2}

    def facts(work):
        versions = [f"{work}-{version}" for version in range(works[work])]
        texts = ("label", "title", "artist", "album", "path")
        return {
            "name": work,
            "is_named": True,
            "recordings": [
                {"id": one, "duration": 60.0, **dict.fromkeys(texts, one)}
                for one in versions
            ],
        }

    def answer(route):
        asked = parse_qs(urlsplit(route.request.url).query)
        start, count = int(asked["start"][0]), int(asked["count"][0])
        order = sorted(works, key=lambda work: (-works[work], work))
        page = [facts(work) for work in order[start : start + count]]
        total = {"total": len(works), "recordings": sum(works.values())}
        route.fulfill(json={"works": page, **total})

    def take_out(route):
        works["z"] -= 1
        route.fulfill(status=204)

    page.route("**/api/works?*", answer)
    page.route("**/api/recordings/z-1", take_out)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{address}/#/library")
    page.wait_for_selector(".count:has-text('2 versions')")
    page.click("[aria-label='Take z-1 out of the catalogue']")
    page.wait_for_selector("[role=status]:has-text('61 works, 61 recordings')")
    page.click("button:has-text('Show more')")
    playwright.expect(page.locator(".work")).to_have_count(61)
    assert page.locator(".work h2").all_inner_texts() == sorted(works)


def test_the_library_is_searched(page, address):
    page.goto(f"{address}/#/library")
    page.wait_for_selector(".recording")
    every = page.locator(".recording").count()
    work = tunes.audio_files()[0].stem.rsplit("-", 1)[0]
    page.fill("input[type=search]", work)
    playwright.expect(page.locator(".recording")).not_to_have_count(every)
    titles = page.locator(".recording .grow > p:first-child").all_inner_texts()
    assert len(titles) == page.locator(".recording").count()
    assert all(title.startswith(work) for title in titles)
    assert is_within_its_width(page)
    assert not problems(page)


@pytest.mark.parametrize("view", ["setlist", "review"])
def test_the_other_views_are_shown(page, address, view):
    page.goto(f"{address}/#/{view}")
    page.wait_for_selector(f'nav a[href="#/{view}"][aria-current]')
    page.wait_for_selector("main button")
    assert is_within_its_width(page)
    assert not problems(page)


def test_what_is_no_music_is_told(page, tmp_path):
    words = tmp_path / "words.mp3"
    words.write_text("no music")
    page.set_input_files("input[type=file]", str(words))
    page.wait_for_selector("[role=alert]")
    assert "words.mp3: cannot be decoded" in page.inner_text("[role=alert]")


def test_a_wrong_token_is_told(page):
    wrong = {"error": "that is not the token"}
    page.route("**/api/session", lambda route: route.fulfill(status=401, json=wrong))
    page.route("**/api/works*", lambda route: route.fulfill(status=401, json={}))
    page.click("nav a:has-text('Library')")
    page.fill("#token", "guess")
    page.click("button:has-text('Go on')")
    page.wait_for_selector("[role=alert]:has-text('that is not the token')")
    assert page.input_value("#token") == "guess"


def question(number):
    sides = {
        side: {"id": f"{number}{side}", "label": side, "duration": 60.0}
        for side in ("first", "second")
    }
    places = dict.fromkeys(("query_start", "recording_start"), 0.0)
    places |= dict.fromkeys(("query_end", "recording_end"), 50.0)
    facts = {"probability": 0.5, "tempo_ratio": 1.0, "transposition": 0}
    return {**sides, **places, **facts, "reason": "unsure", "number": number}


def test_a_key_answers_the_question_that_is_seen(page, address):
    """Neither while it is held nor while the answer is on its way."""
    questions, posted = [question(n) for n in range(5)], []

    def review(route):
        if route.request.method == "POST":
            posted.append(route)
        else:
            route.fulfill(json=questions[len(posted) :])

    page.route("**/api/review", review)
    for path in ("picture*", "recordings/**"):
        page.route(f"**/api/{path}", lambda route: route.fulfill(status=404, json={}))
    page.goto(f"{address}/#/review")
    page.wait_for_selector("[role=status]:has-text('1 of 5')")
    page.keyboard.down("a")
    for _ in range(3):  # repeats
        page.keyboard.down("a")
    page.keyboard.up("a")
    page.keyboard.press("a")
    page.keyboard.press("s")
    page.wait_for_timeout(300)
    (route,) = posted
    assert route.request.post_data_json["first"] == "0first"
    route.fulfill(status=204)
    page.wait_for_selector("[role=status]:has-text('1 of 4')")
    page.keyboard.press("r")
    page.wait_for_timeout(300)
    assert posted[1].request.post_data_json["first"] == "1first"
    posted[1].fulfill(status=204)
    page.wait_for_selector("[role=status]:has-text('1 of 3')")


def test_a_cancelled_upload_ends(page, address):
    asked = []
    page.route("**/api/setlist", lambda route: asked.append(route))
    page.goto(f"{address}/#/setlist")
    page.wait_for_selector("input[type=file]", state="attached")
    page.set_input_files("input[type=file]", str(tunes.audio_files()[0]))
    page.wait_for_selector("button:has-text('Cancel')")
    with page.expect_event("requestfailed") as failed:
        page.click("button:has-text('Cancel')")
    assert failed.value.url.endswith("/api/setlist")
    assert len(asked) == 1


def test_a_set_list_ends_with_its_page(page, address):
    """Nobody could see it, and it would hold up the next one."""
    job = {"id": "7", "kind": "setlist", "state": "running", "progress": {}}
    asked = []

    def follow(route):
        asked.append(route.request.method)
        route.fulfill(json=job)

    page.route("**/api/setlist", lambda route: route.fulfill(json=job))
    page.route("**/api/jobs/7", follow)
    page.goto(f"{address}/#/setlist")
    page.set_input_files("input[type=file]", str(tunes.audio_files()[0]))
    page.wait_for_selector("button:has-text('Cancel')")
    page.wait_for_timeout(1000)
    assert set(asked) == {"GET"}
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    playwright.expect(page.locator("button:has-text('Cancel')")).to_have_count(0)
    page.wait_for_timeout(300)
    assert asked[-1] == "DELETE"


def test_long_names_fit_into_a_set_list(page, address):
    name = "a_very_long_name_of_a_recording_without_tags" * 3
    song = {
        **question(0),
        **{"id": "1", "work": name, "label": name, "duration": 60.0},
        **{"start": 0.0, "end": 50.0, "same_recording": False, "relation": "version"},
    }
    result = {"songs": [song], "duration": 60.0}
    job = {"id": "7", "kind": "setlist", "state": "done", "result": result}
    page.route("**/api/setlist", lambda route: route.fulfill(json=job))
    page.goto(f"{address}/#/setlist")
    page.set_input_files("input[type=file]", str(tunes.audio_files()[0]))
    page.wait_for_selector(f".songs p:has-text('{name}')")
    assert is_within_its_width(page)
    assert page.text_content(".said") == "1 known of 1:00"


def test_what_cannot_be_taken_is_told(page, address):
    files = [str(file) for file in tunes.audio_files()[:3]]
    page.set_input_files("input[type=file]", files)
    page.wait_for_selector("#notice:has-text('At most 2 recordings')")
    # As of a folder that is dropped.
    page.evaluate("void (Blob.prototype.slice = () => { throw new Error(); })")
    page.set_input_files("input[type=file]", files[:1])
    page.wait_for_selector("#notice:has-text('cannot be read')")
    assert page.locator("progress").count() == 0


def test_the_button_follows_what_pauses_elsewhere(page):
    page.evaluate(
        """() => {
            window.played = [];
            const play = HTMLMediaElement.prototype.play;
            HTMLMediaElement.prototype.play = function () {
                played.push(this);
                return play.call(this);
            };
        }"""
    )
    compare_two(page)
    page.wait_for_selector(".listen")
    page.click(".transport button:has-text('Play A')")
    page.wait_for_selector(".transport button:has-text('Pause')")
    page.evaluate("played[0].pause()")
    page.wait_for_selector(".transport button:has-text('Play A')")


def test_one_microphone_is_opened_and_closed(page):
    page.evaluate(
        """() => {
            window.streams = [];
            const devices = navigator.mediaDevices;
            const open = devices.getUserMedia.bind(devices);
            devices.getUserMedia = async (wanted) => {
                await new Promise((resolve) => setTimeout(resolve, 500));
                const stream = await open(wanted);
                streams.push(stream);
                return stream;
            };
        }"""
    )
    record = page.locator("button:has-text('Record')")
    record.dblclick()
    page.wait_for_selector("button:has-text('Stop')")
    assert page.evaluate("streams.length") == 1
    # The view is left while the browser asks.
    page.click("nav a:has-text('Library')")
    page.click("nav a:has-text('Identify')")
    record.click()
    page.click("nav a:has-text('Library')")
    page.wait_for_timeout(1500)
    assert page.evaluate("streams.length") == 2
    live = "streams.flatMap((each) => each.getTracks()).map((each) => each.readyState)"
    assert set(page.evaluate(live)) == {"ended"}


def test_why_a_recording_is_silent_is_told(page, address):
    page.route(
        "**/audio",
        lambda route: route.fulfill(status=404, json={"error": "the file is gone"}),
    )
    page.goto(f"{address}/#/library")
    page.click(".recording button >> nth=0")
    page.wait_for_selector("#notice:has-text('the file is gone')")


def compare_two(page):
    files = [str(file) for file in tunes.audio_files()[:2]]
    page.set_input_files("input[type=file]", files)


def test_what_was_cancelled_does_not_come_back(page):
    asked = []
    page.route("**/api/compare", lambda route: asked.append(route))
    compare_two(page)
    with page.expect_event("requestfailed") as failed:
        page.click("button:has-text('Cancel')")
    assert failed.value.url.endswith("/api/compare")
    page.wait_for_timeout(200)
    assert page.locator(".listen").count() == 0


def test_a_comparison_is_shown_without_its_picture(page):
    page.route(
        "**/api/answers/*/picture",
        lambda route: route.fulfill(status=503, json={"error": "busy"}),
    )
    compare_two(page)
    page.wait_for_selector(".listen:has-text('No picture: busy')")
    assert page.locator(".deck").count() == 2


def test_a_question_that_was_answered_elsewhere_is_gone(page, address):
    questions = [question(n) for n in range(2)]

    def review(route):
        if route.request.method == "POST":
            questions.pop(0)
            route.fulfill(status=422, json={"error": "they have the same work"})
        else:
            route.fulfill(json=questions)

    page.route("**/api/review", review)
    for path in ("picture*", "recordings/**"):
        page.route(f"**/api/{path}", lambda route: route.fulfill(status=404, json={}))
    page.goto(f"{address}/#/review")
    page.wait_for_selector("[role=status]:has-text('1 of 2')")
    page.keyboard.press("r")
    page.wait_for_selector("#notice:has-text('they have the same work')")
    page.wait_for_selector("[role=status]:has-text('1 of 1')")


def test_a_search_is_followed_wherever_its_view_went(page, address):
    """To another question, to another view and back, and over a server's pause."""
    job = {"id": "7", "kind": "group", "name": "", "state": "running", "progress": {}}
    counts = {"groups": 2, "changed": 4, "questions": 1}
    answers, running = [], []

    def follow(route):
        if not answers:
            route.fulfill(json=job)
        elif len(answers) > 1:
            route.fulfill(status=answers.pop(0), json={"error": "busy"})
        else:
            route.fulfill(json=answers[0])

    page.route("**/api/review", lambda route: route.fulfill(json=[question(0)] * 2))
    page.route("**/api/review/search", lambda route: route.fulfill(json=begin()))
    page.route("**/api/jobs", lambda route: route.fulfill(json=running))
    page.route("**/api/jobs/7", follow)
    for path in ("picture*", "recordings/**"):
        page.route(f"**/api/{path}", lambda route: route.fulfill(status=404, json={}))

    def begin():
        running.append(job)
        return job

    page.goto(f"{address}/#/review")
    search = page.locator("button:has-text('Look for versions')")
    search.click()
    page.wait_for_selector("text=Comparing all recordings")
    job["progress"] = {"done": 3, "of": 12}
    page.wait_for_selector("text=Compared 3 of 12 recordings")
    page.keyboard.press("s")
    page.wait_for_selector("[role=status]:has-text('2 of 2')")
    assert search.is_disabled()
    assert page.locator("text=Compared 3 of 12 recordings").count() == 1
    page.goto(f"{address}/#/library")
    page.wait_for_selector("h1:has-text('Library')")
    page.goto(f"{address}/#/review")
    page.wait_for_selector("text=Compared 3 of 12 recordings")
    answers += [503, 502, {**job, "state": "done", "result": counts}]
    page.wait_for_selector("#notice:has-text('2 groups of versions')")
    playwright.expect(search).to_be_enabled()
