"""`kb demo`: run the experiment behind a concept, or all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from kb.cli.demos.run import Run, run_one
from kb.cli.names import offer_demos
from kb.cli.options import DEVICE, FILE, JSON, both
from kb.cli.session import Session
from kb.errors import KbError
from kb.lab.runner import Demo, all_demos, demo_ids, demo_named
from kb.language.surface import fold
from kb.language.text import Bilingual

APART = (
    ("NAME", "--list"), ("NAME", "--all"), ("--list", "--all"), ("--list", "--code"), ("--list", "--eject"),
    ("--quick", "--steps"), ("--code", "--eject"), ("--all", "--eject"),
    *((way, option) for way in ("--list", "--code", "--eject") for option in ("--plot", "--set", "--steps", "--quick")),
    *((way, "--compare") for way in ("--list", "--code", "--eject", "--all", "--set")),
    *((way, "--scale") for way in ("--list", "--code", "--eject", "--all", "--set", "--compare", "--plot")),
    ("--code", "--json"), ("--eject", "--json"), ("--all", "--plot"), ("--all", "--set"), ("--list", "--seeds"),
)  # fmt: skip
"""Options that say different things."""


def command(
    session: Session,
    name: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=both("NAME…", "名称…"),
            help=both("A concept or a demo id.", "概念名或演示 id。"),
            autocompletion=offer_demos,
        ),
    ] = None,
    device: DEVICE = "",
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=2**31 - 1, help=both("Of data, noise and weights.", "数据、噪声与权重的随机种子。")
        ),
    ] = 0,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            help=both("Effort; the default is what the claims need.", "步数；默认值即论断所需。"),
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help=both("A tenth of the steps; judges only identities.", "只跑十分之一步数，仅判定恒等式。"),
        ),
    ] = False,
    as_json: JSON = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar=FILE,
            help=both("Draw the figures as PNG.", "把图画成 PNG。"),
            show_default=False,
        ),
    ] = None,
    other: Annotated[
        str,
        typer.Option(
            "--compare",
            metavar=both("NAME", "名称"),
            help=both("Beside another demo of its family, in one figure.", "与同族的另一个演示画在一张图中比较。"),
            autocompletion=offer_demos,
            show_default=False,
        ),
    ] = "",
    code: Annotated[bool, typer.Option("--code", help=both("Show the code instead.", "只显示代码。"))] = False,
    eject: Annotated[
        Path | None,
        typer.Option(
            "--eject",
            metavar=FILE,
            help=both("Write the code to a file of yours.", "把代码写到文件。"),
            show_default=False,
        ),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help=both("List the demos.", "列出演示。"))] = False,
    everything: Annotated[bool, typer.Option("--all", help=both("Run every demo.", "运行全部演示。"))] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            help=both(
                "With --all: so many seeds each, and the margins.", "配合 --all：每个演示用多少个种子，并给出余量。"
            ),
            show_default=False,
        ),
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar=both("NAME=VALUE", "名称=值"),
            help=both("Change a constant of the demo; nothing is judged.", "修改演示中的常量；此时不作判定。"),
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale",
            min=1,
            metavar=both("TIMES", "倍数"),
            help=both(
                "So many times as large, for a GPU; tells steps a second.", "放大到 N 倍，适合 GPU；给出每秒步数。"
            ),
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help=both("Processes for --all.", "--all 的进程数。"), show_default=False),
    ] = None,
) -> int:
    given = {
        "NAME": name, "--list": listing, "--all": everything and not (code and name), "--code": code, "--eject": eject,
        "--plot": plot, "--set": constants, "--steps": steps, "--quick": quick, "--json": as_json, "--seeds": seeds,
        "--compare": other, "--scale": scale,
    }  # fmt: skip
    _check(session, given)
    run = Run(device or session.settings.device, seed, steps, quick, seeds or 1, _settings(session, constants or ()))
    if listing:
        return _list(session, as_json)
    if everything and not code:
        from kb.cli.demos.every import run_all

        return run_all(session, run, jobs or os.cpu_count() or 1, as_json=as_json)
    if not name:
        which = session.say(
            "a concept or a demo id; kb demo --list shows them", "请给出概念名或演示 id；kb demo --list 可列出"
        )
        raise typer.BadParameter(which, param_hint="NAME")
    demo, shows = find_demo(session, " ".join(name))
    if code or eject:
        from kb.cli.demos import code as source

        return source.eject(session, demo, eject) if eject else source.show_code(session, demo, whole=everything)
    if other:
        from kb.cli.demos.compare import compare

        return compare(session, demo, find_demo(session, other)[0], run, plot, as_json=as_json)
    if scale:
        from kb.cli.demos.scale import run_scaled

        return run_scaled(session, demo, run, scale, as_json=as_json)
    return run_one(session, demo, run, plot, shows, as_json=as_json)


def _check(session: Session, given: Mapping[str, object]) -> None:
    """Refuse options that say different things."""
    for one, other in APART:
        if given[one] and given[other]:
            wrong = session.say(f"not together with {one}", f"不能与 {one} 同用")
            raise typer.BadParameter(wrong, param_hint=other)
    if given["--seeds"] and not given["--all"]:
        raise typer.BadParameter(session.say("only with --all", "只能与 --all 同用"), param_hint="--seeds")


def _settings(session: Session, said: Sequence[str]) -> dict[str, str]:
    """The constants of `--set`, by name."""
    found = dict(each.partition("=")[::2] for each in said)
    if not all(found.values()):
        raise typer.BadParameter(session.say("write NAME=VALUE", "请写成 名称=值"), param_hint="--set")
    return found


def find_demo(session: Session, name: str) -> tuple[Demo, Bilingual | None]:
    """The demo of that id, or of the concept of that name, and what to look at for that concept.

    Raises:
        KbError: neither is known, or the concept has no demo.
    """
    known = demo_ids()
    for id in known:
        if fold(id) == fold(name):
            return demo_named(id), None
    match = session.base.find(name)
    shown = session.base.row(match.id).demo
    if shown is None or shown not in known:
        raise KbError(
            Bilingual(f"{match.name.en} has no demo", f"{match.name.zh}没有演示"),
            Bilingual("kb demo --list shows those that there are", "kb demo --list 列出现有演示"),
        )
    told = session.base.card(match.id)["demo_shows"]
    return demo_named(shown), told and Bilingual(**told)


def _list(session: Session, as_json: bool) -> int:
    demos = all_demos()
    if as_json:
        session.print_json(
            [
                {
                    "id": d.id,
                    "title": d.title._asdict(),
                    "claims": [c.name for c in d.claims],
                    "cpu_seconds": d.cpu_seconds,
                }
                for d in demos
            ]
        )
        return 0
    from kb.show.report import render_demos

    session.print(render_demos(demos, session.language))
    return 0
