"""Photograph the page of `sdc serve` in Chromium, light and dark: what README and docs/search.md show.

    make screenshot

makes the indexes of digits by SDC and by GreedyHash, and writes docs/page-light.png and docs/page-dark.png.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

# Pixels.
WIDTH, HEIGHT = 1240, 1300
# An item, and its ten nearest neighbours.
QUERY = "/?item={item}&k=10"


def photograph(address: str, out: Path, item: int) -> None:
    """Write both files."""
    browsers = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=next(filter(None, browsers)), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            page.goto(address + QUERY.format(item=item))
            page.evaluate("() => document.querySelectorAll('details.fold').forEach((each) => { each.open = true; })")
            page.wait_for_function(
                "() => [...document.querySelectorAll('[data-map]')].every((each) => each.dataset.points)"
            )
            page.wait_for_function("() => [...document.images].every((each) => each.complete && each.naturalWidth)")
            path = out / f"page-{scheme}.png"
            page.screenshot(path=path)
            # Colours are few: a palette is a third of the bytes.
            with Image.open(path) as image:
                image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
            print(f"{path}: {path.stat().st_size / 1e3:.0f} KB")
        browser.close()


def main() -> None:
    """Serve the indexes, and photograph them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", nargs="+", type=Path)
    parser.add_argument("--item", type=int, default=106)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    command = [sys.executable, "-m", "sdc", "serve", "--port", "0", "--device", "cpu", "--index", *options.index]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            lines = iter(server.stderr or ())
            address = next((found[0] for line in lines if (found := re.match(r"http://\S+:\d+", line))), None)
            if address is None:
                raise SystemExit("sdc serve did not start")
            photograph(address, options.out, options.item)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
