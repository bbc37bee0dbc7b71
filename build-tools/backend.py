"""Build backend: setuptools, except that type checkers see an editable install as well.

setuptools points an environment at a checkout by an import hook, which type checkers do not run.
A path in a ``.pth`` file is what they read, but Python finds nothing through it where another
distribution has put ``libica/__init__.py`` into the environment. So an editable install consists
of both: the path, and a finder that comes after all others.
"""

import base64
import hashlib
import tempfile
import zipfile
from pathlib import Path

from setuptools.build_meta import *  # noqa: F403 the other hooks
from setuptools.build_meta import prepare_metadata_for_build_editable

ROOT = Path(__file__).resolve().parent.parent
WHEEL = "Wheel-Version: 1.0\nGenerator: libica-libtes\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FINDER = '''\
"""Finds what is in a checkout of libica-libtes, and not in the libica of this environment.

PYTEST_DONT_REWRITE: pytest would warn that it comes too late for that.
"""

import os.path
import sys
from importlib.machinery import PathFinder


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("libica."):
            return PathFinder.find_spec(name, [os.path.join({root!r}, *name.split(".")[:-1])])


def install():
    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)
'''


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):  # noqa: ARG001
    """Write the wheel that makes an environment use this checkout, and return its name."""
    with tempfile.TemporaryDirectory() as folder:
        info = prepare_metadata_for_build_editable(folder, config_settings)
        files = {
            str(file.relative_to(folder).as_posix()): file.read_text(encoding="utf-8")
            for file in sorted(Path(folder, info).rglob("*"))
            if file.is_file()
        }
    finder = "_libica_libtes_checkout"
    files[f"{info}/WHEEL"] = WHEEL
    files[f"{finder}.py"] = FINDER.format(root=str(ROOT))
    files["libica_libtes.pth"] = f"{ROOT}\nimport {finder}; {finder}.install()\n"
    files["libica_libtes.start"] = f"{finder}:install\n"  # instead of that line from 3.15 on
    files["libica/py.typed"] = ""  # as in the real wheel
    record = [f"{info}/RECORD,,\n"]
    name = f"{info.removesuffix('.dist-info')}-0.editable-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, name), "w") as wheel:
        for path, text in files.items():
            data = text.encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}\n")
            wheel.writestr(path, data)
        wheel.writestr(f"{info}/RECORD", "".join(record))
    return name
