"""The page of ``sdc serve`` in a real browser."""

import base64
import contextlib
import shutil

import pytest

from tests.support.finished import NASTY

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
# Drop or paste a file, as a person's own would arrive.
GIVE = """([kind, content]) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "photo.png", {type: "image/png"}));
  const event = kind === "drop"
    ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
    : new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
  document.body.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def address(port):
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, address, **options):
    """A page that may ask nobody but the server, and must not complain."""
    context = browser.new_context(**options)
    context.set_default_timeout(60_000)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append("a dialog"))
    here = "http://127.0.0.1:", "data:"
    page.on("request", lambda each: None if each.url.startswith(here) else complaints.append(each.url))
    page.goto(address)
    yield page
    context.close()
    assert complaints == []


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_an_image_shows_its_neighbours(browser, address, folder, way):
    photo = folder / "images/cat/0001.png"
    with opened(browser, address) as page:
        if way == "choose":
            page.set_input_files("input[type=file]", photo)
        else:
            page.evaluate(GIVE, [way, base64.b64encode(photo.read_bytes()).decode()])
        page.wait_for_url("**/?upload=*")
        page.get_by_role("link", name="10", exact=True).click()
        page.wait_for_url("**k=10*")
        assert page.locator("section").count() == 2
        assert page.locator("section >> nth=0 >> .grid li").count() == 10
        first = page.locator(".grid a").first
        first.scroll_into_view_if_needed()
        page.wait_for_function("[...document.images].slice(0, 4).every((each) => each.complete && each.naturalWidth)")


def test_two_methods_rankings_and_bits(browser, address):
    with opened(browser, f"{address}/?item=3&k=10") as page:
        one, two = page.locator("section").all()
        assert two.bounding_box()["x"] > one.bounding_box()["x"] + 100  # side by side
        far = one.locator(".grid a").last
        far.hover()
        distance = int(far.locator(".about").inner_text().split()[1])
        assert one.locator(".differs").count() == distance > 0 and two.locator(".differs").count() == 0
        page.get_by_role("link", name="asymmetric distance").click()
        page.wait_for_url("**by=asymmetric*")
        assert page.locator("[aria-current]").first.inner_text() == "asymmetric distance"
        assert page.locator("li.right").count() + page.locator("li.wrong").count() == 20


def test_keys_alone(browser, address):
    with opened(browser, address) as page:
        page.keyboard.press("r")
        page.wait_for_url("**/?item=*")
        page.keyboard.press("3")
        page.wait_for_url("**by=cosine*")
        before = page.url
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.dataset.code")
        page.keyboard.press("Enter")
        page.wait_for_function("(before) => location.href !== before && location.search.includes('cosine')", arg=before)


# Where on the canvas a point is, and the id of the first that is there.
POINT = """async ([canvas, point]) => {
  const data = await (await fetch(canvas.dataset.map)).arrayBuffer(), count = Number(new BigUint64Array(data, 0, 1)[0]);
  const places = new Uint16Array(data, 8 + 8 * count), size = canvas.clientWidth - 24;
  const at = (each) => [places[2 * each], places[2 * each + 1]], ids = new BigUint64Array(data, 8, count);
  const [x, y] = at(point).map((each) => (each / 65535) * size);
  const first = [...Array(count).keys()].find((each) => String(at(each)) === String(at(point)));
  return {id: String(ids[first]), position: {x: 12 + x, y: canvas.clientHeight - 12 - y}};
}"""


def test_a_point_of_the_map_leads_to_its_neighbours(browser, address):
    with opened(browser, f"{address}/?k=10") as page:
        canvas = page.locator("[data-map]").nth(1)
        canvas.scroll_into_view_if_needed()
        page.wait_for_selector("[data-points='24'] >> nth=1")
        assert page.locator("section").nth(1).locator(".groups li").all_inner_texts() == [f" {NASTY}", " cat"]
        point = page.evaluate(POINT, [canvas.element_handle(), 5])
        canvas.click(position=point["position"])
        page.wait_for_url(f"**item={point['id']}*")
        # The map stays unfolded; by the keys, from the query to the next point.
        canvas = page.locator("[data-map]").first
        canvas.focus()
        page.wait_for_selector("[data-points='24']")
        output = page.locator("output").first
        canvas.press("ArrowLeft")
        assert output.inner_text().endswith(f"id {point['id']}")
        for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
            canvas.press(key)
        chosen = output.inner_text().split()[-1]
        page.keyboard.press("Enter")
        page.wait_for_url(f"**item={chosen}*")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_scrolling_sideways(browser, address, scheme):
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme}
    with opened(browser, f"{address}/?item=3&k=10", **phone) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]
