"""How libica is built and what it needs."""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent
INIT = (ROOT / "libica/openapi/libtes/__init__.py").read_text(encoding="utf-8")

setup(
    name="libica",
    version=re.search(r'__version__ = "(.+?)"', INIT).group(1),
    description="Client for the Task Execution Service of Illumina Connected Analytics v1",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.9",
    install_requires=(ROOT / "requirements.txt").read_text(encoding="utf-8").split(),
    extras_require={
        "excel": ["openpyxl>=3.1"],
        "local": ["starlette>=0.40", "uvicorn>=0.30"],
        "plot": ["matplotlib>=3.6"],
        "progress": ["tqdm>=4.60"],
    },
    # Under the module's own name, so that naming it in pytest_plugins too does no harm.
    entry_points={"pytest11": ["libica.local.pytest_plugin = libica.local.pytest_plugin"]},
    # No __init__.py in libica/ and libica/openapi/: other packages may add to both (PEP 420).
    packages=find_namespace_packages(include=["libica", "libica.*"]),
    package_data={"": ["py.typed", "*.pyi"]},
    keywords=["Illumina", "ICA", "TES", "bioinformatics", "OpenAPI", "client"],
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Bio-Informatics",
        "Typing :: Typed",
    ],
)
