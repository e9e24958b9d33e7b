"""What is shown: line breaking, formulas, safety of text, widths, narrow encodings, the pager."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SAMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kb.cli.app import main
from kb.concepts.formula import DEEPEST, to_terminal
from kb.concepts.source import Source, load
from kb.language.hidden import HIDDEN
from kb.language.prose import chinese, sentences
from kb.language.surface import fold, strip_tones
from kb.language.text import Bilingual
from kb.language.words import words
from kb.search.hybrid import Hit, Served
from kb.search.similar import Near, Neighbour
from kb.show.card import Style, render_brief, render_card
from kb.show.hits import headline, render_hits, render_near
from kb.show.narrow import install, narrow, narrow_text
from kb.show.plain import escaped, one_line, printable
from kb.show.rows import plain_rows, render_rows
from kb.show.wrap import wrap
from kb.snapshot.lookup import Match
from kb.snapshot.store import Row, open_store


def broken(text: str, width: int) -> list[str]:
    return [line.plain for line in wrap(Text(text), width)]


@pytest.mark.parametrize("width", range(6, 40))
def test_no_line_is_too_wide_and_nothing_is_lost(width: int) -> None:
    text = "梯度消失（vanishing gradient）是深层网络的老问题，“早期”的层几乎学不到东西。Pneumonoultramicroscopic 词。"
    lines = broken(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_punctuation_never_starts_a_line() -> None:
    for width in range(8, 30):
        for line in broken("一二三，四五六。七八九（十）甲乙丙；丁戊己：庚辛", width):
            assert line[0] not in "，。；：）"
            assert line[-1] not in "（"


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        (r"\frac{a+b}{2}", "(a + b)/2"),
        (r"x_i^2", "xᵢ²"),
        (r"\frac{1}{n}\sum_{i=1}^n x_i", "1/n Σᵢ₌₁ⁿ xᵢ"),
        (r"\sqrt{d_k}", "√dₖ"),
        (r"\mathrm{softmax}\left(\frac{QK^\top}{\sqrt{d_k}}\right)V", "softmax(QKᵀ/√dₖ)V"),
        (r"\nabla_\theta L", "∇_θ L"),
        (r"W^{(l)}", "W^((l))"),
        (r"-\log p", "−log p"),
        (r"e^{-x}", "e⁻ˣ"),
        (r"\frac{\partial L}{\partial w}", "∂L/∂w"),
        (r"\mathbb{E}_{x \sim p}[x]", "𝔼_(x ∼ p)[x]"),
        (r"2\max(a, b)", "2 max(a, b)"),
        (r"\tfrac{1}{2} x + \dfrac{a + b}{2}", "1/2 x + (a + b)/2"),
    ],
)
def test_formulas_read_as_they_mean(latex: str, shown: str) -> None:
    assert to_terminal(latex) == shown


@pytest.mark.parametrize("latex", [r"\unknown{x}", "{", "}", r"\frac{1}", "x^", r"\begin{cases}"])
def test_a_formula_that_cannot_be_read_is_an_error(latex: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_terminal(latex)


@pytest.mark.parametrize(
    ("latex", "said"),
    [
        (r"\argmin_x f", r"\\argmin is not known"),
        (r"\argmax_x f", r"\\argmax is not known"),
        (r"\bm{x}", r"\\bm is not known"),
        ("95% x", r"write \\% for %"),
        ("a & b", r"write \\& for &"),
        ("n^#", r"write \\# for #"),
        ("x^2^3", r"two \^ after one another"),
        ("x_i ^2 _j", "two _ after one another"),
        (r"\left( x", r"\\left and \\right are not in pairs"),
    ],
)
def test_what_the_renderer_of_notes_refuses_is_an_error(latex: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        to_terminal(latex)


def test_scripts_of_different_things_are_no_error() -> None:
    assert to_terminal(r"x_i^2 y ^2 {x^2}^3 \left(z\right) 5\%") == "xᵢ² y² x²³ (z) 5%"


@pytest.mark.parametrize("opening", ["{", r"\sqrt{", r"\frac{1}{", "x^{", r"\hat "])
def test_a_formula_is_nested_no_deeper_than_people_read(opening: str) -> None:
    closing = "}" * opening.endswith("{")
    assert to_terminal(opening * DEEPEST + "x" + closing * DEEPEST)
    for depth in (DEEPEST + 1, 100_000):
        with pytest.raises(ValueError, match="levels deep"):
            to_terminal(opening * depth + "x" + closing * depth)


def test_control_characters_never_reach_a_terminal() -> None:
    assert printable("a\x1b[31mb\x07\u202ec\n\t深") == "a[31mb" + "c\n\t深"
    assert printable("plain") == "plain"


def test_what_nobody_sees_never_reaches_a_terminal() -> None:
    assert printable("a\u200b\u200e\ufeff\u00ad\u2060\u3164\ufe00\U000e0041\U000e0100深") == "a深"
    assert printable("one\u2028two\u2029three") == "one two three"
    acting = {code for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp")}
    assert acting - set(b"\n\t") <= {code for code in range(0x110000) if HIDDEN.match(chr(code))}


@pytest.mark.parametrize(
    "text", ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧", "⭐\ufe0f", "\u00a0é\u3000ﷺ", "h\u0303"]
)
def test_what_a_script_or_an_emoji_needs_is_kept(text: str) -> None:
    assert printable(text) == text


def test_a_name_stays_on_its_line() -> None:
    assert one_line("a\n\nb\tc\x07\u2028d") == "a b c d"


def test_json_with_odd_characters_is_printable_and_the_same_value(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"x": "深\u2028\x9b\u202e\U000e0041\ud800\n\t“θ”\u200d"}
    document = escaped(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(document) == value
    assert "深" in document
    assert printable(document) == document
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="gbk"))
    document = escaped(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value
    assert document.isascii()


ODD = Row("odd", "model", (), Bilingual("Al\n\npha\tone\x1b", "甲\u2028乙\n丙"), Bilingual("S\n\n.\t", "句\n。"), None)


def test_a_row_is_one_line_and_a_cell_holds_no_tab() -> None:
    assert plain_rows([ODD], ("en", "zh")) == "odd\tmodel\tAl pha one\t甲 乙 丙"
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    console.print(render_rows([ODD, ODD], ("zh", "en"), console))
    first, second = (line.rstrip() for line in out.getvalue().splitlines())
    assert first == second
    assert first.split() == ["甲", "乙", "丙", "Al", "pha", "one", "模型", "句", "。"]
    assert headline(1, ODD, "en").plain == " 1  Al pha one  甲 乙 丙"


def odd_card(store_of: Path) -> dict[str, Any]:
    """A card with something odd in every text."""

    def odd(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: odd(child, name) for name, child in value.items()}
        if isinstance(value, list):
            return [odd(child, key) for child in value]
        fixed = key in ("type", "area", "rel", "to", "id", "demo") or not isinstance(value, str)
        return value if fixed else f"{value}\x1b]0;title\x07\u202e\U000e0041\n\t."

    card: dict[str, Any] = odd(open_store([SAMPLE], store_of).card("long-short-term-memory"))
    return card


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("render", [render_card, render_brief])
def test_no_field_of_a_card_reaches_the_terminal_raw(language: str, render: Any, tmp_path: Path) -> None:
    note = Bilingual("'\x1b[31mx' is a misnomer", "“\x1b[31mx”是误称")
    for framed in (True, False):
        out = io.StringIO()
        console = Console(file=out, width=90, force_terminal=True, color_system=None)
        console.print(render(odd_card(tmp_path), Style((language,), "x", note, framed)))  # type: ignore[arg-type]
        shown = out.getvalue()
        assert HIDDEN.search(shown) is None
        assert "\t" not in shown
        if framed:
            assert {cell_len(line) for line in shown.splitlines()} == {90}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_card_keeps_its_frame_at_every_width(width: int, language: str, tmp_path: Path) -> None:
    store = open_store([SAMPLE], tmp_path)
    for row in store.rows():
        card = store.card(row.id)
        card["summary"]["en"] = "[bold]not markup[/bold] \x1b]0;title\x07 :smile: " + card["summary"]["en"]
        out = io.StringIO()
        console = Console(file=out, width=width, force_terminal=True, color_system=None)
        console.print(render_card(card, Style((language,))))  # type: ignore[arg-type]  # a Language
        lines = out.getvalue().splitlines()
        assert {cell_len(line) for line in lines if not line.startswith("\x1b")} == {width}
        if language == "en":
            assert "[bold]not markup[/bold]" in out.getvalue()
        assert "\x1b]0;" not in out.getvalue()


@pytest.mark.parametrize("width", [10, 60, 100])
@pytest.mark.parametrize("framed", [True, False])
def test_a_card_reads_the_same_without_colours(width: int, framed: bool, tmp_path: Path) -> None:
    store = open_store([SAMPLE], tmp_path)
    for row in store.rows():
        shown = []
        for console in (
            Console(width=width, force_terminal=True, color_system="truecolor"),
            Console(width=width, force_terminal=True, color_system=None),
        ):
            with console.capture() as capture:
                console.print(render_card(store.card(row.id), Style(("zh", "en"), framed=framed)))
            shown.append(Text.from_ansi(capture.get()).plain.splitlines())
        assert shown[0] == shown[1]
        assert len(shown[0]) > 10


def test_an_address_cannot_end_its_link_early(tmp_path: Path) -> None:
    card = open_store([SAMPLE], tmp_path).card("adam")
    card["sources"][0]["url"] = "https://x/\x1b\\y\x07\x9c深;z"
    out = io.StringIO()
    Console(file=out, width=90, force_terminal=True, color_system="standard").print(render_card(card, Style(("en",))))
    assert ";https://x/%1B%5Cy%07%C2%9C%E6%B7%B1;z\x1b\\" in out.getvalue()
    assert "https://x/\\y深;z" in out.getvalue()


GRU = "hₜ = zₜ ⊙ hₜ₋₁ + (1 − zₜ) ⊙ h̃ₜ"


def written(text: str, encoding: str) -> str:
    """What a stream of an encoding is given, read back."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    install(stream)
    stream.write(text)
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        (GRU, "gbk", "h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ h~_t"),
        (GRU, "ascii", r"h_t = z_t \odot h_{t-1} + (1 - z_t) \odot h~_t"),
        (GRU, "cp1252", r"h_t = z_t \odot h_{t-1} + (1 - z_t) \odot h~_t"),
        (GRU, "gb18030", GRU),
        ("‖x‖² ≤ αx + √dₖ, ∂L/∂θ₁", "ascii", r"||x||^2 <= \alpha x + \sqrt d_k, \partial L/\partial \theta_1"),
        ("1/n Σᵢ₌₁ⁿ x̂ᵢ 10⁻³", "latin-1", r"1/n \sum_{i=1}^n x^_i 10^{-3}"),
        ("“a—b”… • 3×3 → ½, é ø", "ascii", '"a-b"... * 3x3 -> 1/2, e o'),
        ("“a—b”… é", "cp1252", "“a—b”… é"),
        ("╭─┬╮│┄┆━", "ascii", "+-++|-|-"),
        ("《深》（a）：😀\ud800", "ascii", "<?>(a):??"),
        ("≠ ∉ ≮", "ascii", r"!= \notin ?"),
        ("深度学习 θ", "gbk", "深度学习 θ"),
        ("Schölkopf، ﬁ Ⅳ", "gbk", "Scholkopf? fi Ⅳ"),
    ],
)
def test_a_narrow_encoding_writes_what_it_lacks_otherwise(text: str, encoding: str, shown: str) -> None:
    assert written(text, encoding) == shown
    assert narrow(text, encoding) == shown


def test_a_script_is_written_as_one_where_the_encoding_has_a_part_of_it() -> None:
    assert narrow("x¹⁰ y² z¹", "latin-1") == "x^{10} y² z¹"
    assert narrow("x₁₀ y₁", "euc-kr") == "x_{10} y₁"
    assert written("x⁻¹", "latin-1") == "x^{-1}"


@pytest.mark.parametrize("encoding", ["gbk", "big5", "shift_jis", "euc-kr", "cp1252", "latin-1", "cp437", "ascii"])
def test_no_formula_loses_a_sign_in_a_narrow_encoding(encoding: str) -> None:
    latex = [line for c in load([Source.open(ROOT / "data" / "concepts.yaml")]) for line in c.formula]
    formulas = [to_terminal(formula) for formula in latex]
    assert len(formulas) > 60
    for formula in formulas:
        assert "?" not in narrow(formula, encoding), formula
        assert "?" not in written(formula, encoding), formula


def test_a_narrowed_text_keeps_its_styles() -> None:
    text = Text.assemble(("h̃ₜ₋₁", "bold"), " ≤ ", ("θ", "red"), style="dim")
    narrowed = narrow_text(text, "ascii")
    assert narrowed.markup == r"[dim][bold]h~_{t-1}[/bold] <= [red]\theta[/red][/dim]"


@pytest.mark.parametrize("encoding", ["gbk", "ascii", "cp1252"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_card_on_a_narrow_terminal_has_no_frame_to_break(encoding: str, language: str, tmp_path: Path) -> None:
    store = open_store([SAMPLE], tmp_path)
    for row in store.rows():
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        install(stream)
        console = Console(file=stream, width=60, force_terminal=True, color_system=None)
        card = store.card(row.id)
        card |= {"formula": ["x"], "formula_text": [" + ".join([GRU] * 3)], "symbols": {}}
        console.print(render_card(card, Style((language,))))  # type: ignore[arg-type]  # a Language
        stream.flush()
        lines = raw.getvalue().decode(encoding).splitlines()
        assert lines[0].rstrip() and not set("+|╭│") & {line[0] for line in lines if line}
        assert max(map(cell_len, lines)) <= 60
        assert sum(line.count("h_{t-1}") for line in lines) == 3


def test_a_tall_answer_goes_through_the_pager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kb.cli.session import page

    seen = tmp_path / "seen"
    monkeypatch.setenv("PAGER", f"tee {seen}")
    page("line\n" * 50, height=24)
    assert seen.read_text("utf-8") == "line\n" * 50
    seen.unlink()
    page("line\n" * 5, height=24)
    assert not seen.exists()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Long-Short Term_Memory", "longshorttermmemory"),
        ("ＬＳＴＭ", "lstm"),
        ("《深度學習》", "深度学习"),
        ("F1 分数", "f1分数"),
        ("C++", "c++"),
        ("—", "—"),
    ],
)
def test_names_fold_to_one_key(text: str, key: str) -> None:
    assert fold(text) == key


def test_words_and_tones() -> None:
    assert words("梯度消失 in RNNs, C++ 詞") == ["梯度", "度消", "消失", "in", "rnns", "c++", "词"]
    assert strip_tones("tī dù lǜ") == "ti du lv"


def test_typography_is_watched() -> None:
    assert list(chinese("全角标点，以及 Latin 与 3 个数字。")) == []
    assert len(list(chinese("半角,标点"))) == 1
    assert sentences("It holds, e.g. here, in Fig. 2. Then 0.5 more. Yes!", "en") == 3
    assert sentences("一句。两句！三句？", "zh") == 3


@pytest.mark.parametrize(
    "query", ["", " ", "\x00", "😀" * 50, "x" * 10_000, "ﷺ", "a" * 300 + "梯度", "'; DROP TABLE card; --", '"', "%_"]
)
def test_any_name_gets_an_answer(
    query: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_DATA", str(SAMPLE))
    with pytest.raises(SystemExit) as ended:
        main(["explain", query])
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert shown.startswith("kb: no concept named" if query.strip() else "kb: an empty name")
    assert "\x00" not in shown


def test_a_link_in_a_summary_shows_its_text_wherever_that_is_shown() -> None:
    row = Row(
        "x", "concept", (), Bilingual("X", "某"), Bilingual("It uses [[adam|Adam]].", "用到 [[adam|Adam]]。"), None
    )
    hit = Hit(row, 1.0, {}, exact=True, weak=False)
    near = Near(Match("y", "Y", "name", row.name), [Neighbour(row, 0.5, ("uses",))], Served())
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render_rows([row], ("en", "zh"), console))
    console.print(*render_hits([hit], ("en", "zh"), console), *render_near(near, ("en", "zh"), console))
    shown = console.export_text()
    assert shown.count("It uses Adam.") == 3
    assert shown.count("用到 Adam。") == 2
    assert "[[" not in shown
