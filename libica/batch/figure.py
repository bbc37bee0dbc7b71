"""Figures that notebooks show in the text colour of the page around them."""

from __future__ import annotations

import re
from base64 import b64encode
from html import escape
from io import BytesIO, StringIO
from typing import Optional

from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

INK = "#7c7c7c"
"""Colour of text and lines in a picture, with equal contrast on white and on dark pages."""

LIGHTER_INK = "#808080"
"""Of the labels of runs. Where all labels are darker, or all are lighter, than middle grey,
notebooks put a transparent picture on a white or a black background."""

# Notebooks that are not trusted lose the drawing and the style, and show the picture.
_HTML = """\
<style>.libtes-figure > img {{ display: none }} .libtes-figure > svg {{ max-width: 100%; height: auto }}</style>
<div class="libtes-figure">
<svg role="img" aria-label="{label}" fill="currentColor" stroke-linejoin="round" {drawing}
<img alt="{label}" src="data:image/png;base64,{picture}">
</div>
"""  # noqa: E501


class ThemedFigure(Figure):
    """In a notebook, what is drawn in `INK` or in black has the colour of the text around it."""

    def _repr_html_(self) -> Optional[str]:
        shown: Optional[str] = super()._repr_html_()
        *_, opacity = to_rgba(self.patch.get_facecolor())
        if shown or opacity > 0:  # it has a background of its own
            return shown
        picture = BytesIO()
        self.savefig(picture, format="png", bbox_inches="tight")
        encoded, label = b64encode(picture.getvalue()).decode(), escape(str(self.get_label()))
        return _HTML.format(label=label, drawing=_drawing(self), picture=encoded)


def _drawing(figure: Figure) -> str:
    """Return the figure as SVG, without the beginning of the tag."""
    file = StringIO()
    unknown = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # leaves out the metadata
    figure.savefig(file, format="svg", bbox_inches="tight", metadata=unknown)
    _, _, svg = file.getvalue().partition("<svg ")
    svg = re.sub(r"<style.*?</style>", "", svg)  # it would style all drawings of the page
    svg = re.sub(f"(?i){INK}|{LIGHTER_INK}", "currentColor", svg)
    used = set(re.findall(r"#([\w-]+)", svg))
    return re.sub(r'\s+id="([^"]+)"', lambda found: found[0] * (found[1] in used), svg)
