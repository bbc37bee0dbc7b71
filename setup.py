"""For tools that know no pyproject.toml, which holds all metadata."""

from setuptools import setup

setup()
