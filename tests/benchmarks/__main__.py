"""All figures, one part after the other: ``make bench``."""

import subprocess
import sys

PARTS = [
    ["-m", "tests.benchmarks.bench_api", "--large"],
    ["-m", "tests.benchmarks.bench_export"],
    ["-m", "tests.benchmarks.bench_pages"],
    ["-m", "tests.benchmarks.bench_standing"],
    ["-m", "tests.benchmarks.bench_keypress"],
    ["-m", "tests.benchmarks.bench_similarity"],
    ["-m", "tests.benchmarks.bench_search"],
    ["-m", "pytest", "tests/benchmarks/bench_few_shot.py", "--quiet", "--capture=no"],
    ["-m", "pytest", "tests/benchmarks/bench_near.py", "--quiet", "--capture=no"],
    ["-m", "pytest", "tests/benchmarks/bench_llm.py", "--quiet", "--capture=no"],
    ["-m", "pytest", "tests/benchmarks/bench_suggest.py", "--quiet", "--capture=no"],
]


def main() -> int:
    """Each part in a process of its own; 1 when one failed."""
    codes = []
    for part in PARTS:
        print(f"\n== {' '.join(part[1:])}", flush=True)
        codes.append(subprocess.run([sys.executable, *part], check=False).returncode)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
