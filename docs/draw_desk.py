"""The picture of docs/desk.md: the tuning desk in a headless Chromium, a few steps into its tutorial.

    python docs/draw_desk.py [--out out/desk]

Needs Debian's chromium and chromium-driver.
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from isp_sim.files import write_atomically
from isp_sim.picture_files import jpeg
from models.choices import LEARN_POSE
from models.runs.desk import Desk, open_desk

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from chromium import Browser, browser  # noqa: E402

SETTLED = "Number(document.body.dataset.settled ?? 0)"
SHOT = 2
STEPS = (("smoothing.sigma_space.G", 0.72), ("smoothing.sigma_range.G", 0.77), ("gamma.gamma", 0.42))
"""Sliders, and the share of their range that they are set to."""
SLIDE = """
const slider = document.querySelector(`[data-name='${arguments[0]}']`);
slider.value = arguments[1];
for (const name of ['input', 'change']) slider.dispatchEvent(new Event(name));
"""
MARK = (
    "state.patch = arguments[0]; state.cursor = {x: arguments[1], y: arguments[2]}; draw(); await figures(); loupe();"
)


def settle(page: Browser, script: str, *arguments: object) -> None:
    """Run a script and wait until all that follows from it is shown."""
    before = page.run(f"return {SETTLED}")
    page.run(script, *arguments)
    page.wait(f"{SETTLED} > {before}", 120)


def photograph(page: Browser, address: str) -> np.ndarray:
    """The window after the steps."""
    page.open(address)
    page.wait(f"{SETTLED} > 0", 120)
    settle(page, "show(arguments[0])", SHOT)
    for name, share in STEPS:
        settle(page, SLIDE, name, share)
    page.run(MARK, [230, 215, 70, 50], 175, 130)
    page.run("document.querySelector('#score').click()")
    page.wait("document.querySelector('#scored')", 120)
    time.sleep(0.5)
    window = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(window[..., ::-1])


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/desk"), help="folder of the desk [%(default)s]")
    out = parser.parse_args().out
    desk = Desk(
        raws=[], data=None, rig="exlpose-small", shots=6, isp="pipeline", pose=LEARN_POSE, settings=[], port=0, seed=0,
        out=out,
    )  # fmt: skip
    with open_desk(desk) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser(Path(profile), 1760, 1130) as page:
            write_atomically(HERE / "pictures" / "desk.jpg", jpeg(photograph(page, server.address), 84))
        server.shutdown()


if __name__ == "__main__":
    main()
