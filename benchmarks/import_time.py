"""How long `import mirage_env` takes after `import torch, gymnasium`: the median over fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks import reporting

TARGET = 300.0
"""Milliseconds that the issue allows."""
SCRIPT = """
import time
import torch, gymnasium
start = time.perf_counter()
import mirage_env
print(time.perf_counter() - start)
"""


def measure(runs: int) -> list[float]:
    """Milliseconds that the import added, one number per fresh process."""
    command = [sys.executable, "-c", SCRIPT]
    return [
        1000 * float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(runs)
    ]


def main(argv: list[str] | None = None) -> None:
    parser = reporting.parser(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="fresh processes (5; with --quick 1)")
    arguments = parser.parse_args(argv)
    times = measure(1 if arguments.quick else arguments.runs)
    median = statistics.median(times)
    print(reporting.goal(f"import mirage_env adds, median of {len(times)}", median, "ms", at_most=TARGET))
    reporting.write(arguments, "import_time", {"median": median, "milliseconds": times})


if __name__ == "__main__":
    main()
