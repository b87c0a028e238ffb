"""Draw reports of bench/load.py: requests, failures, the longest wait, and the deploys.

    python bench/chart.py --panel "Tornadoes=report.json" --output docs/swap.svg

One panel a report, all on the same scales. Where a report has "deploys": [[start, end],
...] in seconds since 1970, these are bands behind the curves.
"""

import argparse
import json
import math
import sys
from html import escape

WIDTH = 800
LEFT, RIGHT = 52, 52
PLOT = WIDTH - LEFT - RIGHT
TOP, HEIGHT, BOTTOM = 34, 150, 30  # of a panel: its title, its plot, its seconds
LEGEND = 26
COLUMNS = PLOT // 2  # bars narrower than two pixels are no bars
LOWEST, DECADES_TOLD = 1, {1: "1 ms", 10: "10 ms", 100: "0.1 s", 1000: "1 s", 10000: "10 s", 100000: "100 s"}

# Readable on white and, where the reader's system is dark, on black; no background of its own.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-size: 14px; font-weight: 600; fill: #1f2328 }
.grid { stroke: #8c959f; stroke-opacity: .3 }
.deploy { fill: #8250df; fill-opacity: .15 }
.answered, .failed { shape-rendering: crispEdges }
.answered { fill: #54aeff }
.failed { fill: #d1242f }
.latency { fill: none; stroke: #9a6700; stroke-width: 1.5 }
.end { text-anchor: end } .middle { text-anchor: middle }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 } .title { fill: #f0f6fc }
  .answered { fill: #1f6feb } .failed { fill: #ff7b72 } .latency { stroke: #e3b341 }
  .deploy { fill: #ab7df8; fill-opacity: .25 }
}
"""


def step(largest):
    """A round distance of about four lines up to the largest."""
    rough = largest / 4
    power = 10 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)


def number(value):
    """A coordinate, as short as it may be."""
    return f"{value:.1f}".removesuffix(".0")


class Panel:
    """One report, in columns that are wide enough to see."""

    def __init__(self, title, report):
        timeline = report["timeline"]
        self.start = timeline[0]["t"]
        bucket = timeline[1]["t"] - self.start if len(timeline) > 1 else 0.25
        self.seconds = len(timeline) * bucket
        merge = math.ceil(len(timeline) / COLUMNS)
        self.width = merge * bucket
        self.columns = []
        for first in range(0, len(timeline), merge):
            some = timeline[first : first + merge]
            each = len(some) * bucket
            self.columns.append(
                (
                    sum(one["answered"] for one in some) / each,
                    sum(one["failed"] for one in some) / each,
                    max(one["max_ms"] for one in some),
                )
            )
        self.deploys = [(start - self.start, end - self.start) for start, end in report.get("deploys", [])]
        lost = report["failed"] + report["wrong"]
        answered = sum(kind["answered"] for kind in report["kinds"].values())
        longest = max(one["max_ms"] for one in timeline)
        wait = f"{longest / 1000:.1f} s" if longest >= 1000 else f"{longest:.0f} ms"
        self.title = f"{title}: {lost:,} failed, {answered:,} answered, longest wait {wait}"

    def draw(self, top, seconds, most, slowest):
        """The panel's SVG; the scales end at seconds, most (requests a second) and slowest (ms)."""
        base = top + TOP + HEIGHT
        decades = math.log10(slowest / LOWEST)

        def across(second):
            return LEFT + PLOT * min(max(second, 0), seconds) / seconds

        def above(rate):
            return HEIGHT * rate / most

        def waited(ms):
            return base - HEIGHT * math.log10(max(ms, LOWEST) / LOWEST) / decades

        yield f'<text class="title" x="{LEFT}" y="{top + 20}">{escape(self.title)}</text>'
        for start, end in self.deploys:
            x = across(start)
            width = max(across(end) - x, 2)
            place = f'x="{number(x)}" y="{top + TOP}" width="{number(width)}" height="{HEIGHT}"'
            yield f'<rect class="deploy" {place}/>'
        rate = 0
        while rate <= most:
            y = number(base - above(rate))
            yield f'<path class="grid" d="M{LEFT} {y}h{PLOT}"/>'
            yield f'<text class="end" x="{LEFT - 6}" y="{y}" dy="4">{rate:g}</text>'
            rate += step(most)
        for ms, told in DECADES_TOLD.items():
            if ms <= slowest:
                yield f'<text x="{WIDTH - RIGHT + 6}" y="{number(waited(ms))}" dy="4">{told}</text>'
        answered, failed, latency = [], [], []
        for index, (good, bad, ms) in enumerate(self.columns):
            left = across(index * self.width)
            width = across((index + 1) * self.width) - left
            x, right, back = number(left), number(width), number(-width)
            height = above(good)
            if good:
                answered.append(f"M{x} {number(base)}v{number(-height)}h{right}V{number(base)}z")
            if bad:
                # One lost request must be seen.
                tall = number(max(above(bad), 3))
                failed.append(f"M{x} {number(base - height)}v-{tall}h{right}v{tall}h{back}z")
            if ms:
                move = "L" if index and self.columns[index - 1][2] else "M"
                latency.append(f"{move}{number(left + width / 2)} {number(waited(ms))}")
        yield f'<path class="answered" d="{"".join(answered)}"/>'
        yield f'<path class="failed" d="{"".join(failed)}"/>'
        yield f'<path class="latency" d="{"".join(latency)}"/>'
        second = 0
        while second <= seconds:
            x = number(across(second))
            yield f'<text class="middle" x="{x}" y="{base + 18}">{second:g} s</text>'
            second += step(seconds * 0.6)


def legend(top):
    """What is what."""
    entries = [
        ("answered", "answered per second", "v10h14v-10z"),
        ("failed", "failed per second", "v10h14v-10z"),
        ("latency", "longest wait for an answer (right, logarithmic)", "m0 5h14"),
        ("deploy", "deploy", "v10h14v-10z"),
    ]
    x = LEFT
    for name, text, shape in entries:
        yield f'<path class="{name} key" d="M{number(x)} {top + 4}{shape}"/>'
        yield f'<text x="{number(x + 20)}" y="{top + 13}">{text}</text>'
        x += 44 + len(text) * 6.3


def draw(panels):
    """The whole SVG."""
    seconds = max(panel.seconds for panel in panels)
    most = max(max(good + bad for good, bad, _ms in panel.columns) for panel in panels) * 1.05 or 1
    slowest = max(max(ms for _good, _bad, ms in panel.columns) for panel in panels)
    slowest = 10 ** max(2, math.ceil(math.log10(max(slowest, 1))))
    height = len(panels) * (TOP + HEIGHT + BOTTOM) + LEGEND
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
        f"<style>{STYLE}</style>",
    ]
    for index, panel in enumerate(panels):
        lines += panel.draw(index * (TOP + HEIGHT + BOTTOM), seconds, most, slowest)
    lines += legend(height - LEGEND)
    return "\n".join([*lines, "</svg>", ""])


def panel_of(text):
    """An argparse type: TITLE=FILE."""
    title, equals, path = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not like TITLE=FILE")
    try:
        with open(path) as file:
            return Panel(title, json.load(file))
    except (OSError, ValueError, KeyError, IndexError) as problem:
        raise argparse.ArgumentTypeError(f"{path} is no report of load.py: {problem!r}") from None


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--panel", type=panel_of, action="append", required=True, metavar="TITLE=FILE")
    parser.add_argument("--output", required=True, metavar="FILE")
    options = parser.parse_args()
    with open(options.output, "w") as file:
        file.write(draw(options.panel))
    return 0


if __name__ == "__main__":
    sys.exit(main())
