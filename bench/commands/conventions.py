"""Which number is that? The same pictures under every convention of PSNR and SSIM, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from bench.judging.profiles import PROFILES
from bench.store.record import TrialRecord
from bench.text import open_console

_WIDE = 10_000  # columns: numbers and names that break are misread


def print_conventions(records: Sequence[TrialRecord]) -> None:
    """A table with a line for every profile and row: its PSNR, its SSIM, the two metrics and whose convention it is."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="Which number is that?", title_justify="left")
    for title in ("row", "profile", "PSNR dB", "SSIM", "as", "whose"):
        table.add_column(title, justify="right" if title in ("PSNR dB", "SSIM") else "left", no_wrap=True)
    for record in records:
        for name, profile in PROFILES.items():
            if profile.psnr in record.cards or profile.ssim in record.cards:
                psnr, ssim = (record.final.get(spec) for spec in (profile.psnr, profile.ssim))
                numbers = ["–" if psnr is None else f"{psnr:.2f}", "–" if ssim is None else f"{ssim:.4f}"]
                table.add_row(record.label, name, *numbers, f"{profile.psnr}, {profile.ssim}", profile.source)
    open_console(_WIDE).print(table)
