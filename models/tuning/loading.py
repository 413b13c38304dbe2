"""An ISP under test by name, file or factory."""

from importlib.resources import files
from pathlib import Path

from models.choices import PROGRAMS
from models.recognisers.plugins import from_factory
from models.tuning.external import load_external
from models.tuning.pipeline import PipelineIsp
from models.tuning.tunable import BlackBoxIsp


def isp_file(name: str) -> Path | None:
    """The YAML that an ISP under test is read from: one's own, or a program's that comes with the package."""
    if name in PROGRAMS:
        return Path(str(files("models.tuning"))) / "programs" / f"{name}.yaml"
    return Path(name) if name.endswith((".yaml", ".yml")) else None


def load_isp(name: str) -> BlackBoxIsp:
    """An ISP under test.

    Args:
        name: `libraw`, `pipeline` (ours, with its usual steps), one of `PROGRAMS`, a YAML file of an external command
            or of a pipeline's steps, or `package.module:factory` whose call gives a `BlackBoxIsp`.

    Raises:
        ValueError: none of these, or its file is faulty.
    """
    if name == "libraw":
        from models.tuning.libraw import LibRawIsp

        return LibRawIsp()
    if name == "pipeline":
        return PipelineIsp()
    if file := isp_file(name):
        return load_external(file)
    if ":" in name:
        return _made(name)
    raise ValueError(f"--isp {name}: expected libraw, pipeline, {', '.join(PROGRAMS)}, a YAML file or module:factory")


def _made(name: str) -> BlackBoxIsp:
    isp = from_factory(name, "--isp", BlackBoxIsp)  # type: ignore[type-abstract]
    try:
        names = [parameter.name for parameter in isp.parameters]
    except Exception as fault:  # third-party code may raise anything
        raise ValueError(f"--isp {name}: {type(fault).__name__} in its parameters: {fault}") from None
    if not names or len(set(names)) < len(names):
        raise ValueError(f"--isp {name}: its parameters are {names}, expected one or more with names that differ")
    return isp
