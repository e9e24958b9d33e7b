"""What is shown: line breaking, formulas, safety of text, widths, the pager."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from conftest import SAMPLE
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kb.cli.app import main
from kb.cli.card import Style, render_card
from kb.cli.plain import printable
from kb.cli.wrap import wrap
from kb.formula import to_terminal
from kb.prose import chinese, sentences
from kb.store import open_store
from kb.surface import fold, strip_tones
from kb.words import words


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
    ],
)
def test_formulas_read_as_they_mean(latex: str, shown: str) -> None:
    assert to_terminal(latex) == shown


@pytest.mark.parametrize("latex", [r"\unknown{x}", "{", "}", r"\frac{1}", "x^", r"\begin{cases}"])
def test_a_formula_that_cannot_be_read_is_an_error(latex: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        to_terminal(latex)


def test_control_characters_never_reach_a_terminal() -> None:
    assert printable("a\x1b[31mb\x07\u202ec\n\t深") == "a[31mb" + "c\n\t深"
    assert printable("plain") == "plain"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_card_keeps_its_frame_at_every_width(width: int, language: str, tmp_path: Path) -> None:
    store = open_store(SAMPLE, None, tmp_path)
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
