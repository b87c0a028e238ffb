"""Draw figures of docs/figures as bars: python bench/bars.py throughput > docs/throughput.svg

For each cell the tutorial's bar and ours, on one scale; a thin line from the least to the
most that was seen.
"""

import json
import sys
from html import escape
from pathlib import Path

FIGURES = Path(__file__).resolve().parent.parent / "docs/figures"
WIDTH, LEFT, RIGHT = 800, 190, 150
PLOT = WIDTH - LEFT - RIGHT
BAR, GAP, TOP = 16, 12, 40
# For each measurement: its title, and what the bars of a cell are called there.
CHARTS = {
    "throughput": (
        "GET / through nginx, requests a second",
        {"tutorial": "the tutorial's", "tornadoes": "Tornadoes"},
    ),
    "handshakes": ("New TLS connections a second", {"tutorial": "the tutorial's", "tornadoes": "Tornadoes"}),
    "static": ("Files from disk", {"tornado": "Tornado's own handler", "http": "Tornadoes' nginx"}),
    "cached": (
        "A page that the app marks, requests a second",
        {"uncached": "asked of the app", "cached": "cached by nginx"},
    ),
    "websocket_capacity": (
        "WebSockets held of 10,000",
        {"the tutorial's": "the tutorial's", "Tornadoes": "Tornadoes"},
    ),
}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-size: 14px; font-weight: 600; fill: #1f2328 }
.bar0 { fill: #8c959f } .bar1 { fill: #54aeff }
.range { stroke: #1f2328; stroke-width: 1.5 }
.end { text-anchor: end }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title { fill: #f0f6fc } .range { stroke: #f0f6fc }
  .bar0 { fill: #656c76 } .bar1 { fill: #1f6feb }
}
"""


def cells(name, series):
    """{cell: {series: line}} of a measurement."""
    found = {}
    for text in (FIGURES / f"{name}.jsonl").read_text().splitlines()[1:]:
        line = json.loads(text)
        who, _comma, cell = line["what"].partition(", ")
        if who in series and "of" in line and not cell.endswith(("memory", "new requests", "workers")):
            found.setdefault(cell, {})[who] = line
    return {cell: bars for cell, bars in found.items() if len(bars) == len(series)}


def draw(name):
    """The SVG."""
    title, series = CHARTS[name]
    found = cells(name, series)
    height = TOP + len(found) * (len(series) * BAR + GAP) + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="10" y="22">{escape(title)}</text>',
    ]
    y = TOP
    for cell, bars in found.items():
        # Cells have units of their own.
        most = max(line["max"] for line in bars.values())
        if name == "static":
            cell += ", " + next(iter(bars.values()))["unit"]
        lines.append(f'<text class="end" x="{LEFT - 8}" y="{y + BAR + 4}">{escape(cell)}</text>')
        for number, (who, label) in enumerate(series.items()):
            line = bars[who]
            width = PLOT * line["median"] / most
            low, high = (LEFT + PLOT * line[end] / most for end in ("min", "max"))
            middle = y + BAR / 2
            lines.append(
                f'<rect class="bar{number}" x="{LEFT}" y="{y + 1}" width="{width:.1f}" height="{BAR - 2}"/>'
            )
            if low != high:
                lines.append(f'<path class="range" d="M{low:.1f} {middle}H{high:.1f}"/>')
            lines.append(
                f'<text x="{LEFT + PLOT + 8}" y="{y + 12}">{line["median"]:,.0f} {escape(label)}</text>'
            )
            y += BAR
        y += GAP
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    sys.stdout.write(draw(sys.argv[1]))
