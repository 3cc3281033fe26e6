"""How long `import mirage_env` takes after `import torch, gymnasium`: the median over fresh processes."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

SCRIPT = """
import time
import torch, gymnasium
start = time.perf_counter()
import mirage_env
print(time.perf_counter() - start)
"""


def measure(runs: int) -> list[float]:
    """Seconds that the import added, one number per fresh process."""
    command = [sys.executable, "-c", SCRIPT]
    return [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(runs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the report there as well")
    arguments = parser.parse_args()
    seconds = measure(arguments.runs)
    report = {"seconds_median": statistics.median(seconds), "seconds": seconds, "python": sys.version.split()[0]}
    print(f"import mirage_env adds {report['seconds_median'] * 1000:.1f} ms (median of {len(seconds)} runs)")
    if arguments.json:
        from mirage_env.files import atomic_write

        with atomic_write(arguments.json) as path:
            path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
