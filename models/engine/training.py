"""One training loop for everything that learns: epochs, checkpoints that resume to the same result, a log, curves.

Random numbers of an epoch are keyed by (seed, epoch) where they are drawn, so a checkpoint needs no generator's state:
weights, the optimiser's moments and the number of the epoch are all there is.
"""

import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.console import Console
from torch import Tensor, nn

from isp_sim.files import lock, remove_remnants, write_atomically
from isp_sim.progress import Progress
from isp_sim.rigfile import first_fault, load_yaml
from models.engine.allocator import keep_freed_memory
from models.engine.distributed import Processes
from models.engine.weights_file import described, fill, read_tensors, write_tensors

_HISTORY = TypeAdapter(list[dict[str, int | float]])
MOMENTS = {"adam": ("step", "exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer",)}
"""What each optimiser keeps of a parameter, by torch's names."""
MOMENTUM = 0.9
MOST_DIGITS = 15
"""Of the number of steps in a checkpoint."""
CHECKPOINT, LOG, CURVES = "checkpoint.safetensors", "log.csv", "curves.png"


class Recipe(BaseModel):
    """How long and how fast.

    Attributes:
        optimiser: `adam`, or `sgd`: gradient descent with a momentum of 0.9.
        learning_rate: at its highest.
        weight_decay: added to the gradient of weights, not of biases and norms.
        decay: `steps` halves the rate every `halve_every` epochs; `cosine` brings it to 0 over all of them, after a
            rise over the first twentieth; `exponential` multiplies it by `factor^(steps / factor_steps)`.
        factor, factor_steps: of that.
        falls: so many whole falls at most, each at once after its `factor_steps`; 0: it falls evenly, without end.
        average: decay of a moving average of the weights, which is judged and written in their place; 0: none.
        bf16: autocast to bfloat16.
        clip_norm: the gradient's norm is cut to this; 0 leaves it.
        seed: of everything that is drawn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(32, ge=1)
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(5e-4, gt=0, le=1, allow_inf_nan=False)
    weight_decay: float = Field(1e-5, ge=0, le=1, allow_inf_nan=False)
    decay: Literal["steps", "cosine", "exponential", "constant"] = "steps"
    halve_every: int = Field(6, ge=1)
    factor: float = Field(0.5, gt=0, le=1, allow_inf_nan=False)
    factor_steps: int = Field(100, ge=1)
    falls: int = Field(0, ge=0)
    average: float = Field(0.0, ge=0, lt=1, allow_inf_nan=False)
    bf16: bool = True
    clip_norm: float = Field(0.0, ge=0, allow_inf_nan=False)
    seed: int = 0

    def rate(self, epoch: float, step: int = 0) -> float:
        """Learning rate at a moment, in epochs and in steps from the start."""
        if self.decay == "constant":
            return self.learning_rate
        if self.decay == "exponential":
            passed = min(step // self.factor_steps, self.falls) if self.falls else step / self.factor_steps
            return float(self.learning_rate * self.factor**passed)
        if self.decay == "steps":
            return self.learning_rate * 0.5 ** (int(epoch) // self.halve_every)
        rise = min(1.0, (epoch + 1e-3) / (0.05 * self.epochs))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(epoch / self.epochs, 1.0)))


def with_options(recipe: Recipe, seed: int, epochs: int | None) -> Recipe:
    """A recipe with the seed and the epochs of the command line.

    Raises:
        ValueError: `--epochs` below 1.
    """
    if epochs is None:
        return recipe.model_copy(update={"seed": seed})
    if epochs < 1:
        raise ValueError(f"--epochs {epochs}: expected a whole number from 1")
    return recipe.model_copy(update={"seed": seed, "epochs": epochs})


RECIPES = Path(__file__).parent.parent / "recipes"
AnyRecipe = TypeVar("AnyRecipe", bound=BaseModel)


def load_recipe(kind: type[AnyRecipe], name: str, known: Mapping[str, str]) -> AnyRecipe:
    """A recipe that comes with the package, or a YAML file.

    Args:
        kind: what the file describes.
        name: one of `known`, or a path.
        known: file names in the package, by the names they go under.

    Raises:
        ValueError: no such file, or every fault of it.
    """
    path = RECIPES / known[name] if name in known else Path(name)
    if not path.is_file():
        raise ValueError(f"--recipe {name}: no such file, expected a file or one of {', '.join(known)}")
    return load_yaml(kind, path)


Batches = Callable[[int], Iterable[tuple[float, Any]]]
"""The number of an epoch → its batches, each with the share of the epoch, 0 … 1, that lies behind it."""
Losses = Callable[[Any], Mapping[str, Tensor]]
"""A batch → terms of the loss; training minimises their sum."""
Scores = Callable[[int], Mapping[str, float]]
"""The number of a finished epoch → figures for the log; empty where nothing is judged then."""


class Training:
    """A module in training, in a folder.

    Args:
        module: whose parameters that require a gradient are trained; its whole state is checkpointed.
        losses: of a batch.
        recipe: how.
        folder: of checkpoint, log and curves.
        device: where.
        about: what else identifies this training; a checkpoint of another is refused.
        processes: that share the work.
    """

    def __init__(
        self,
        module: nn.Module,
        losses: Losses,
        recipe: Recipe,
        folder: Path,
        device: torch.device,
        about: Mapping[str, object],
        processes: Processes | None = None,
    ) -> None:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"--out {folder}: is a file, expected a folder")
        self.module, self.losses, self.recipe, self.folder, self.device = (
            module.to(device),
            losses,
            recipe,
            folder,
            device,
        )
        self.about = json.loads(json.dumps({**recipe.model_dump(), **about}))
        self.processes = processes or Processes()
        self.history: list[dict[str, float]] = []
        self._seconds: list[str] = []  # of each epoch; apart, so that a checkpoint has the same bytes each time
        self._trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        plain = [p for p in self._trained.values() if p.ndim < 2]
        decayed = [p for p in self._trained.values() if p.ndim >= 2]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = (
            torch.optim.Adam(groups, lr=recipe.learning_rate, fused=True)
            if recipe.optimiser == "adam"
            else torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=MOMENTUM, fused=True)
        )
        self.steps = 0
        self.averaged = {n: p.detach().clone() for n, p in self._trained.items()} if recipe.average else {}

    def open(self, resume: bool) -> None:
        """Make the folder, or go on where it stopped.

        Raises:
            ValueError: there is a checkpoint and `resume` is not set, or it is another training's, or one that is
                going on writes there.
        """
        file = self.folder / CHECKPOINT
        if file.exists():
            if not resume:
                raise ValueError(f"{self.folder}: holds a training; add --resume to go on, or give another --out")
            self._load(file)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.processes.first:
            lock(self.folder)
            remove_remnants(self.folder)
            self._report()
        self.processes.agree(self.module)

    def run(self, batches: Batches, scores: Scores, console: Console) -> None:
        """All epochs that are left.

        Args:
            batches: those of an epoch.
            scores: called after each epoch.
            console: for a line an epoch.

        Raises:
            FloatingPointError: the loss is not a number; the last epoch's checkpoint is kept.
        """
        keep_freed_memory()
        for epoch in range(len(self.history), self.recipe.epochs):
            start = time.monotonic()
            with (
                Progress(f"epoch {epoch + 1} of {self.recipe.epochs}", 1.0)
                if self.processes.first
                else nullcontext() as progress
            ):
                row = self._epoch(batches(epoch), epoch, progress.reach if progress else lambda _: None)
            self.processes.agree(self.module)
            self._seconds.append(f"{time.monotonic() - start:.2f}")
            self.module.eval()
            with self._average_in_place():
                row |= scores(epoch)
            self.history.append(row)
            if self.processes.first:
                self._save()
                line = "  ".join(f"{k} {v:.4g}" for k, v in row.items())
                console.print(f"{line}  seconds {self._seconds[-1]}", soft_wrap=True, highlight=False)
            self.processes.wait()
        for name, value in self.averaged.items():
            self._trained[name].data.copy_(value)

    @contextmanager
    def _average_in_place(self) -> Iterator[None]:
        """The averaged weights for a while, where there are any."""
        own = {name: self._trained[name].detach().clone() for name in self.averaged}
        for name, value in self.averaged.items():
            self._trained[name].data.copy_(value)
        yield
        for name, value in own.items():
            self._trained[name].data.copy_(value)

    def _epoch(
        self, batches: Iterable[tuple[float, Any]], epoch: int, progress: Callable[[float], None]
    ) -> dict[str, float]:
        self.module.train()
        sums: dict[str, float] = {}
        count, done = 0, 0.0
        for count, (share, batch) in enumerate(self._while_all_have(batches), start=1):
            rate = self.recipe.rate(epoch + (done + share) / 2, self.steps)  # mid-batch: a cosine ends at 0
            done = share
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            for name, value in self._step(batch, epoch, count).items():
                sums[name] = sums.get(name, 0.0) + value
            progress(share)
        if not count:
            raise ValueError(f"{self.folder}: an epoch has no whole batch; take a smaller batch or more data")
        return {"epoch": epoch + 1, "rate": rate} | {name: value / count for name, value in sums.items()}

    def _while_all_have(self, batches: Iterable[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
        """Batches until the first process runs out of them: a step is taken together or not at all."""
        left = iter(batches)
        while True:
            found = next(left, None)
            if not self.processes.all(found is not None):
                return
            assert found is not None
            yield found

    def _step(self, batch: Any, epoch: int, number: int) -> dict[str, float]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            terms = dict(self.losses(batch))
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        value = float(loss.detach())
        if not self.processes.all(math.isfinite(value)):
            kept = f"; the checkpoint of epoch {epoch} is kept" if epoch else ""
            raise FloatingPointError(
                f"{self.folder}: loss {value} at epoch {epoch + 1}, batch {number}{kept}; "
                "a smaller learning rate may help"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.processes.average_gradients(self._trained.values())
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(self._trained.values(), self.recipe.clip_norm)
        self.optimiser.step()
        self.steps += 1
        for name, value_then in self.averaged.items():
            value_then.lerp_(self._trained[name].detach(), 1 - self.recipe.average)
        return {"loss": value} | {name: float(term.detach()) for name, term in terms.items()}

    def _save(self) -> None:
        """Weights, moments and history in one file, so that they always belong together; then log and curves."""
        tensors = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        for name, parameter in self._trained.items():
            for key, value in self.optimiser.state.get(parameter, {}).items():  # reading would make an empty one
                tensors[f"{self.recipe.optimiser}.{key}.{name}"] = torch.as_tensor(value)
        tensors |= {f"average.{name}": value for name, value in self.averaged.items()}
        metadata = {"about": json.dumps(self.about), "history": json.dumps(self.history), "steps": str(self.steps)}
        write_tensors(self.folder / CHECKPOINT, tensors, metadata)
        self._report()

    def _load(self, file: Path) -> None:
        tensors, metadata = read_tensors(file)
        there = described(metadata, "about", file)
        for field, value in self.about.items():
            if there.get(field) != value:
                raise ValueError(
                    f"{file}: of a training with {field} = {there.get(field)!r}, expected {value!r}; give another --out"
                )
        fill(self.module, {n.removeprefix("module."): t for n, t in tensors.items() if n.startswith("module.")}, file)
        for name, parameter in self._trained.items():
            kept = {f"{self.recipe.optimiser}.{k}.{name}": k for k in MOMENTS[self.recipe.optimiser]}
            moments = {key: tensors.get(key) for key in kept}
            if any(moment is not None for moment in moments.values()):
                laid_out = _moments(moments, parameter, file)
                self.optimiser.state[parameter] = {kept[key]: moment for key, moment in laid_out.items()}
        for name, value in self.averaged.items():
            if f"average.{name}" not in tensors or tensors[f"average.{name}"].shape != value.shape:
                raise ValueError(f"{file}: tensor average.{name}: expected shape {tuple(value.shape)}")
            value.copy_(tensors[f"average.{name}"])
        try:
            self.history = _HISTORY.validate_json(metadata.get("history", ""))
        except ValidationError as fault:
            raise ValueError(f"{file}: metadata history: {first_fault(fault)}; expected a line an epoch") from None
        steps = metadata.get("steps", "")
        if not (steps.isdecimal() and len(steps) <= MOST_DIGITS):
            raise ValueError(f"{file}: metadata steps: {steps!r}, expected a whole number")
        self.steps = int(steps)
        if [row.get("epoch") for row in self.history] != list(range(1, len(self.history) + 1)):
            raise ValueError(f"{file}: metadata history: expected the epochs from 1 on, each once")
        self._seconds = _logged_seconds(self.folder / LOG, len(self.history))

    def _report(self) -> None:
        if not self.history:
            return
        rows = [row | {"seconds": taken} for row, taken in zip(self.history, self._seconds, strict=True)]
        text = io.StringIO()
        table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
        table.writeheader()
        table.writerows(rows)
        write_atomically(self.folder / LOG, text.getvalue().encode())
        write_atomically(self.folder / CURVES, curves(self.history))


def _moments(moments: Mapping[str, Tensor | None], parameter: Tensor, file: Path) -> dict[str, Tensor]:
    """An optimiser's state of a parameter, laid out as that is: the file is contiguous, and fused steps walk memory."""
    found = {}
    for key, moment in moments.items():
        is_count = key.startswith("adam.step.")
        expected = torch.Size() if is_count else parameter.shape
        if moment is None or moment.shape != expected:
            there = "missing" if moment is None else f"of shape {tuple(moment.shape)}"
            raise ValueError(f"{file}: tensor {key}: {there}; expected shape {tuple(expected)}")
        on_device = moment.to(parameter.device)
        found[key] = on_device if is_count else torch.empty_like(parameter, dtype=moment.dtype).copy_(on_device)
    return found


def _logged_seconds(log: Path, epochs: int) -> list[str]:
    """How long the first epochs of a log took; empty where it does not say."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    found = [row.get("seconds") or "" for row in csv.DictReader(io.StringIO(text))]
    return [*found, *[""] * epochs][:epochs]


def print_result(console: Console, weights: Path, after: str) -> None:
    """A training command's last lines: where its weights lie, and the `isp-sim` command to go on with."""
    console.print(f"weights {weights}, log and curves beside them ({CURVES})", soft_wrap=True)
    console.print(f"next: isp-sim {after}", soft_wrap=True)


def curves(history: list[dict[str, float]]) -> bytes:
    """A PNG: terms of the loss on the left, scores on the right, over epochs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [n for n in dict.fromkeys(n for row in history for n in row) if n not in ("epoch", "rate", "seconds")]
    terms = list(history[0])
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name in names:
        points = [(row["epoch"], row[name]) for row in history if name in row and math.isfinite(row[name])]
        is_score = any(mark in name for mark in ("AP", "PSNR", "SSIM", "mIoU", "PCK")) or name not in terms
        if points:
            (right if is_score else left).plot(
                *zip(*points, strict=True), label=name, marker="." if len(points) < 40 else ""
            )
    left.set(title="loss", xlabel="epoch", yscale="log")
    right.set(title="score", xlabel="epoch")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()
