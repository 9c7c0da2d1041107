"""Make docs/_static/report.png and report_phone.png, pictures of a report.

Crops of the photographs of docs/make_picture.py are clustered and named by the offline
encoder and all nouns of WordNet, and their report is opened in Chromium. It needs `pip
install scikit-image playwright` and a Chromium, whose place CHROMIUM says.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from make_picture import crops, photographs
from PIL import Image
from playwright.sync_api import sync_playwright

from sklearn_vlclust import OfflineEmbedder, VLClustering
from sklearn_vlclust.plotting import ClusterReport

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CACHE = os.environ.get("VLCLUST_CACHE")  # a folder for embeddings, to be quicker
STATIC = Path(__file__).parent / "_static"
CROPS = 24


def make_report(folder):
    """Cluster the crops, and write their report to a folder."""
    rng = np.random.default_rng(0)
    paths = []
    for number, photograph in enumerate(photographs()):
        for i, crop in enumerate(crops(photograph, rng, CROPS, (0.6, 1))):
            paths.append(folder / f"photograph-{number}-crop-{i:02d}.png")
            crop.save(paths[-1])
    embedder = OfflineEmbedder(cache=CACHE)
    model = VLClustering(embedder=embedder, random_state=0).fit(paths)
    report = ClusterReport.from_estimator(
        model,
        paths,
        embeddings=embedder.transform(paths),
        title="Crops of seven photographs",
    )
    return report.save(folder / "report.html")


def shrink(path):
    """Reduce a picture to 256 colors, which takes a third of the space.

    Of maximum coverage: small marks keep their colors.
    """
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        reduced.save(path, optimize=True)


def main():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = make_report(Path(folder))
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1100, "height": 1250})
        page.goto(report.as_uri())
        page.wait_for_timeout(500)
        page.screenshot(path=STATIC / "report.png")
        phone = browser.new_page(
            viewport={"width": 375, "height": 812},
            device_scale_factor=2,
            color_scheme="dark",
        )
        phone.goto(report.as_uri())
        phone.locator(".cluster summary").first.click()
        phone.evaluate("document.querySelector('.cluster').scrollIntoView()")
        phone.wait_for_timeout(500)
        phone.screenshot(path=STATIC / "report_phone.png")
        browser.close()
    for name in ("report.png", "report_phone.png"):
        shrink(STATIC / name)


if __name__ == "__main__":
    main()
