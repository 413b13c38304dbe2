"""The pictures of docs/desk.md: the tuning desk in a headless Chromium, a few steps into its tutorial.

    python docs/draw_desk.py [--out out/desk]

Needs Debian's chromium and chromium-driver.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
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
STEPS = {
    "pipeline": (("smoothing.sigma_space.G", 0.72), ("smoothing.sigma_range.G", 0.77), ("gamma.gamma", 0.42)),
    "libraw": (("fbdd", 1.0), ("gamma_slope", 0.8), ("filter", 0.6)),
}
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


def tuned(page: Browser, address: str, isp: str, shot: int) -> None:
    """The page after the steps, before another shot than the first."""
    page.open(address)
    page.wait(f"{SETTLED} > 0", 120)
    page.wait("[...document.querySelectorAll('#strip img')].every((one) => one.src)", 120)
    time.sleep(1)
    settle(page, "show(arguments[0])", shot)
    for name, share in STEPS[isp]:
        settle(page, SLIDE, name, share)


def figures_and_scores(page: Browser) -> None:
    """A patch is marked, the set is scored."""
    page.run(MARK, [230, 215, 70, 50], 175, 130)
    page.run("document.querySelector('#score').click()")
    page.wait("document.querySelector('#scored')", 120)


def heat_and_files(page: Browser) -> None:
    """Heatmaps over three panes, zoomed; the settings are saved."""
    for name in ("scaled", "as shot"):
        page.run("$('#shown').children[PANES.indexOf(arguments[0])].click()", name)
    page.run("state.view = {zoom: 1.6, x: 190, y: 170}; $('#heat').click(); draw()")
    page.run("$('#name').value = 'night'; $('#save').click()")
    page.wait("document.body.dataset.saved === 'night' && visible().every((one) => panes[one].heat)", 60)
    page.run("$('#right').scrollTop = 1e4")


def photograph(out: Path, isp: str, shot: int, then: Callable[[Browser], None], file: str) -> None:
    """Draw one picture."""
    desk = Desk(
        raws=[], data=None, scenes=None, rig="exlpose-small", shots=6, isp=isp, pose=LEARN_POSE, settings=[], port=0,
        seed=0, out=out,
    )  # fmt: skip
    with open_desk(desk) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser(Path(profile), 1760, 1130) as page:
            tuned(page, server.address, isp, shot)
            then(page)
            time.sleep(0.5)
            window = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            write_atomically(HERE / "pictures" / file, jpeg(np.ascontiguousarray(window), 84))
        server.shutdown()


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/desk"), help="folder of the desk [%(default)s]")
    out = parser.parse_args().out
    photograph(out, "pipeline", 2, figures_and_scores, "desk.jpg")
    photograph(out, "libraw", 1, heat_and_files, "desk_rig.jpg")


if __name__ == "__main__":
    main()
