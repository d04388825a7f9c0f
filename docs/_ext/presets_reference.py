"""The directive `presets`: the protocols that have a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

from processpool.wire.framing.presets import PRESETS

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


class Presets(SphinxDirective):
    """A table of the protocols that have a name."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        rows = [
            f"| `{name}` | {preset.about} | `{' '.join(preset.command)}` |"
            for name, preset in PRESETS.items()
        ]
        head = ["| name | speaks to | for example |", "| --- | --- | --- |"]
        return self.parse_text_to_nodes("\n".join(head + rows))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("presets", Presets)
    return {"parallel_read_safe": True}
