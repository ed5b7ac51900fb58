"""Draws Mermaid diagrams when the site is built: a reader's browser needs neither a script nor another host."""

import hashlib
from typing import Any

import mermaidx
from mkdocs.config.defaults import MkDocsConfig

_COLOURS = {  # Mermaid's own: the theme's, which are others in the dark
    "#ECECFF": "var(--md-mermaid-node-bg-color)",
    "#9370DB": "var(--md-mermaid-node-fg-color)",
    "#333333": "var(--md-mermaid-edge-color)",
    "#333": "var(--md-mermaid-label-fg-color)",
    "#ffffde": "var(--md-code-bg-color)",
    "#aaaa33": "var(--md-default-fg-color--lighter)",
    "fill:black": "fill:var(--md-mermaid-label-fg-color)",
    "rgba(232,232,232, 0.8)": "var(--md-mermaid-label-bg-color)",
    "rgba(232, 232, 232, 0.5)": "var(--md-mermaid-label-bg-color)",
}


def on_config(config: MkDocsConfig) -> None:
    """Takes fences of the language `mermaid`."""
    fence = {"name": "mermaid", "class": "diagram", "format": _draw}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}


def _draw(source: str, *_: Any, **__: Any) -> str:
    drawing = str(mermaidx.render(source).svg())
    for mermaids, themes in _COLOURS.items():
        drawing = drawing.replace(mermaids, themes)
    name = hashlib.sha256(source.encode()).hexdigest()[:8]  # ids are unique on the page
    return f'<figure class="diagram">{drawing.replace("my-svg", f"diagram-{name}")}</figure>'
