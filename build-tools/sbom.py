"""Write the bill of materials of a wheel: what an installation of it with all extras consists of.

    python build-tools/sbom.py FOLDER    # of the wheel; it gets NAME-VERSION.cdx.json

It needs ``cyclonedx-bom`` and ``uv``. The bill is CycloneDX, which tools read that look for known
vulnerabilities.
"""

from __future__ import annotations

import email
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(folder: Path) -> None:
    """Install the only wheel of a folder, and list what is there then."""
    (wheel,) = folder.glob("*.whl")
    name, version = wheel.name.split("-")[:2]
    bill = folder / f"{name}-{version}.cdx.json"
    with tempfile.TemporaryDirectory() as environment:
        run("uv", "venv", "--quiet", "--python", sys.executable, "--clear", environment)
        target = f"{wheel}[{','.join(extras(wheel))}]"
        run("uv", "pip", "install", "--quiet", "--python", environment, target)
        options = ["--output-reproducible", "--pyproject", str(ROOT / "pyproject.toml")]
        run("cyclonedx_py", "environment", *options, "--output-file", str(bill), environment)
    content = json.loads(bill.read_text(encoding="utf-8"))
    content["metadata"]["component"]["version"] = version  # pyproject.toml does not say it
    bill.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"{bill.name}: {len(content['components'])} components")


def run(module: str, *arguments: str) -> None:
    """Run a program that is a module of this Python."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def extras(wheel: Path) -> list[str]:
    """Return the extras of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(path)).get_all("Provides-Extra", [])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
