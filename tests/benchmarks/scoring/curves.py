"""The picture of the comparison: throughput and latency of each server over the number of clients."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot  # noqa: E402


def draw(found: dict, file: Path) -> None:
    """Write the curves of one-row requests: a row of axes for each number of processes."""
    figure, rows = pyplot.subplots(len(found), 2, figsize=(12, 4.5 * len(found)), squeeze=False)
    for axes, (title, cells) in zip(rows, found.items(), strict=True):
        one = {int(cell.split(", ")[1].split()[0]): by for cell, by in cells.items() if cell.startswith("1 rows")}
        for name in dict.fromkeys(name for by in one.values() for name in by):
            clients = [number for number in sorted(one) if one[number][name]["p50_ms"]]
            style = {"marker": "o", "linewidth": 3 if name.startswith("ours") else 1.2, "label": name}
            for ax, measure in zip(axes, ("per_second", "p50_ms"), strict=True):
                ax.plot(clients, [one[number][name][measure] for number in clients], **style)
        for ax, what in zip(axes, ("requests a second", "p50, ms"), strict=True):
            ax.set(xscale="log", yscale="log", xlabel="clients", title=f"{what}, {title}", xticks=sorted(one))
            ax.set_xticklabels([str(number) for number in sorted(one)])
            ax.minorticks_off()
            ax.grid(alpha=0.3)
        axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
