"""Create the FASTQ files in this folder: reads of a random genome, reproducible byte for byte."""

from __future__ import annotations

import gzip
import random
import sys
from pathlib import Path

# Sample: number of reads, read length, highest quality of the first base.
SAMPLES = {"sample-a": (240, 75, 38), "sample-b": (200, 100, 33), "sample-c": (320, 50, 27)}
GENOME = 5000
SEED = 2021


def simulate(name: str) -> str:
    """Return the FASTQ text of a sample."""
    count, length, best = SAMPLES[name]
    chance = random.Random(f"{SEED} {name}")  # separate, so that samples are independent
    genome = chance.choices("ACGT", k=GENOME)
    lines = []
    for number in range(1, count + 1):
        start = chance.randrange(GENOME - length)
        bases, qualities = [], []
        for position, base in enumerate(genome[start : start + length]):
            # Quality falls along the read, with some noise.
            quality = max(2, best - 12 * position // length - chance.randrange(6))
            wrong = chance.random() < 10 ** (-quality / 10)  # definition of the Phred score
            bases.append(chance.choice("ACGT".replace(base, "")) if wrong else base)
            qualities.append(chr(33 + quality))
        lines += [f"@{name}.{number} simulated", "".join(bases), "+", "".join(qualities)]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write the file of each sample to a folder."""
    for name in SAMPLES:
        path = folder / f"{name}.fastq.gz"
        # No name or time in the gzip header, which would make the files differ each time.
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            packed.write(simulate(name).encode("ascii"))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
