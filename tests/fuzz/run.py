"""Ten thousand damaged files, and what came of them: python tests/fuzz/run.py --count 10000 --seed 1."""

import argparse
import collections
import faulthandler
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import TIME_S, faults
from subjects import subjects
from whole_files import make


def main() -> int:
    """Fuzz; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="damaged files together [%(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of the damage [%(default)s]")
    parser.add_argument("--only", default="", help="part of a subject's name [all]")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "whole")
        tried = [one for one in subjects(Path(folder) / "whole") if args.only in one.name]
        each = max(1, args.count // len(tried))
        kinds: collections.Counter[str] = collections.Counter()
        for subject in tried:
            start = time.monotonic()
            print(f"{subject.name} …", end="", flush=True)
            faulthandler.dump_traceback_later(each * 0.5 + 10 * TIME_S, exit=True)  # C code that does not return
            found = list(faults(subject, Path(folder) / "work", each, args.seed))
            faulthandler.cancel_dump_traceback_later()
            print(f"{subject.name}: {len(found)} of {each} failed, {time.monotonic() - start:.1f} s", flush=True)
            for fault in found:
                print(
                    f"    {fault.kind}: {fault.mutation}\n        {fault.detail[-1200:]}".replace("\n", "\n        "),
                    flush=True,
                )
            kinds.update(fault.kind for fault in found)
    print(f"{sum(kinds.values())} of {each * len(tried)} failed: {dict(kinds)}")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
