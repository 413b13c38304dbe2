"""Train a low-light denoiser from a folder of photographs: python examples/train_denoiser.py PHOTOS [STEPS]."""

import sys
from itertools import pairwise
from pathlib import Path

import cv2
import torch
from safetensors.torch import save_file
from torch import nn

from isp_sim.picture_files import read_picture
from isp_sim.torch import LowLight

SIDE, BATCH = 128, 8


def crop(path):
    picture = cv2.resize(read_picture(path), (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA)
    x, y = torch.randint(0, SIDE, (2,)).tolist()
    return torch.from_numpy(picture[y : y + SIDE, x : x + SIDE]).permute(2, 0, 1)


folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
files = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
if not files:
    sys.exit(f"{folder}: holds no photographs (.jpg, .png)\n{__doc__}")
device = "cuda" if torch.cuda.is_available() else "cpu"
shoot, steps = LowLight("exlpose"), int(sys.argv[2]) if len(sys.argv) > 2 else 2000
widths = (4, 48, 48, 48, 48)
inner = [m for a, b in pairwise(widths) for m in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())]
network = nn.Sequential(nn.PixelUnshuffle(2), *inner, nn.Conv2d(48, 12, 3, padding=1), nn.PixelShuffle(2)).to(device)
optimiser = torch.optim.Adam(network.parameters(), 1e-3)
for step in range(steps):
    chosen = torch.randint(len(files), (BATCH,)).tolist()
    images = torch.stack([crop(files[n]) for n in chosen]).to(device)
    raw, _, truth = shoot(images, range(step * BATCH, (step + 1) * BATCH))
    loss = nn.functional.l1_loss(network(100 * raw), truth)
    optimiser.zero_grad(), loss.backward(), optimiser.step()
    if step % 20 == 0 or step == steps - 1:
        print(f"step {step}: mean error {255 * loss.item():.1f} codes of 255", flush=True)
save_file(network.state_dict(), "denoiser.safetensors")
