"""SVG that takes its colours from the page, in the dark as in the light.

matplotlib knows no CSS variables: it draws in stand-in colours, which are replaced in what it
wrote. Text stays text, in the page's font; names of the user are never read as formulas.
"""

import io
import re
import warnings

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID, NOW, THEN, BAD, PAPER = (f"#{i:02x}{i:02x}0{i}" for i in range(1, 8))
VARIABLES = dict(
    zip(
        (INK, MUTED, GRID, NOW, THEN, BAD, PAPER),
        ("ink", "muted", "line", "now", "then", "bad", "paper"),
        strict=True,
    )
)

mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.edgecolor": GRID,
        "axes.labelcolor": MUTED,
        "axes.titlecolor": INK,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.titlepad": 8,
        "axes.labelsize": 9,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "text.color": INK,
        "xtick.color": GRID,
        "ytick.color": GRID,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "ytick.major.size": 0,
        "xtick.major.size": 3,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
    }
)


def as_svg(figure: Figure, name: str, alt: str) -> Markup:
    """Return the figure as an SVG element; `name` makes its ids unlike those of other plots."""
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # Of letters that the font for measuring lacks; the browser has them.
        warnings.filterwarnings("ignore", "Glyph")
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        settle(figure)
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'( id="|"#|url\(#)', rf"\g<1>{name}-", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    label = Markup(' role="img" aria-label="{}"').format(alt)
    return Markup(text.replace("<svg", f"<svg{label}", 1))  # noqa: S704 - matplotlib escapes


def settle(figure: Figure) -> None:
    """Lay the figure out, and round what came of it.

    The solver's results differ from run to run in their last digits, as it takes its variables in
    the order of their addresses, and matplotlib makes ids of all digits.
    """
    FigureCanvasSVG(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        x, y, width, height = axes.get_position().bounds
        axes.set_position((round(x, 4), round(y, 4), round(width, 4), round(height, 4)))


def brief(text: str, length: int) -> str:
    """Return a text that is not longer than that, and has nothing that cannot be printed."""
    text = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return text if len(text) <= length else f"{text[: length - 1]}…"
