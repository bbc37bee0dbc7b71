"""Versions as documents of other standards, to run them elsewhere.

::

    from libica import export

    exported = export.to_cwl(version)
    Path("align.cwl").write_text(exported.text(), encoding="utf-8")
    for note in exported.notes:  # what could not be carried over
        print(note)
"""

from .cwl import to_cwl as to_cwl
from .exported import Export as Export
from .ga4gh import to_ga4gh as to_ga4gh

__all__ = ["Export", "to_cwl", "to_ga4gh"]
