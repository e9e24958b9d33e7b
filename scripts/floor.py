"""The least that a typer command with one rich panel costs: what `scripts/bench.py` measures against."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.panel import Panel

app = typer.Typer()


@app.command()
def show(name: str = "LSTM") -> None:
    Console().print(Panel(f"{name}: a gated recurrent network.", title=name))


if __name__ == "__main__":
    app()
