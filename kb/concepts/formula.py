r"""LaTeX formulas in a form that a terminal can show: `\frac{a+b}{2}` -> `(a + b)/2`, `x_i^2` -> `xᵢ²`.

Written here because the libraries at hand render `\frac{a+b}{c}` as `a+b/c`, which says something else, or have
not been kept for years. Only what entries use is known, and nothing that MathJax, which renders the notes, does not
define; an unknown command is an error that `kb lint` reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kb.language.text import short

SUPERSCRIPTS = dict(zip("0123456789+−=()aeijknotTx*'", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵉⁱʲᵏⁿᵒᵗᵀˣ*′", strict=True)) | {
    "⊤": "ᵀ",
    "′": "′",
}
SUBSCRIPTS = dict(zip("0123456789+−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "vec": "\u20d7", "dot": "\u0307"}
ACCENTS |= {"widehat": "\u0302", "widetilde": "\u0303", "overline": "\u0304"}


def _pairs(table: str) -> dict[str, str]:
    words = table.split()
    return dict(zip(words[::2], words[1::2], strict=True))


SYMBOLS = _pairs(
    "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ iota ι kappa κ lambda λ mu μ nu ν"
    " xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ"
    " Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω ell ℓ cdot · times × odot ⊙ otimes ⊗ oplus ⊕ circ ∘ ast ∗ star ⋆ pm ±"
    " in ∈ notin ∉ subset ⊂ cup ∪ cap ∩ le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ approx ≈ sim ∼ propto ∝ equiv ≡ to →"
    " rightarrow → leftarrow ← gets ← mapsto ↦ Rightarrow ⇒ ll ≪ gg ≫ sum Σ prod Π int ∫ nabla ∇ partial ∂ infty ∞"
    " forall ∀ exists ∃ mid | vert | Vert ‖ | ‖ lVert ‖ rVert ‖ lvert | rvert | langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋"
    " lceil ⌈ rceil ⌉ ldots … cdots ⋯ dots … vdots ⋮ top ⊤ prime ′ colon : { { } } % % & & # # _ _ dagger †"
    " perp ⊥ setminus ∖ emptyset ∅ triangleq ≜"
)
_SPACES = {",": " ", ";": " ", ":": " ", " ": " ", "quad": "  ", "qquad": "  "}
_SILENT = {"!", "left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "limits", "nolimits", "displaystyle"}
_WORDS = {"log", "ln", "exp", "sin", "cos", "tan", "tanh", "max", "min", "arg", "det", "dim", "sup", "inf", "lim", "Pr"}
_FONTS = {"mathrm", "text", "mathbf", "boldsymbol", "mathit", "mathsf", "textbf", "textit", "mathcal"}
_FONTS |= {"operatorname", "operatorname*"}
_BLACKBOARD = dict(zip("ENRZPQ1", "𝔼ℕℝℤℙℚ𝟙", strict=True))
_RELATION = re.compile(r"\s*([=≤≥≠≈∼∝≡→←↦⇒≪≫∈∉≜])\s*")
_BINARY = re.compile(r"(?<=[^\s(\[{⟨|,=+−·×^_Σ∂∇])\s*([+−])\s*(?=[^\s)])")
_TOKEN = re.compile(r"\\(?:operatorname\*|[A-Za-z]+|.)|\s+|.", re.DOTALL)
DEEPEST = 50
"""Levels of braces and arguments within each other; formulas that people read have five."""


def to_terminal(latex: str) -> str:
    """One line of Unicode for a LaTeX formula.

    Raises:
        ValueError: a command that is not known, what LaTeX itself refuses, or more than DEEPEST levels of braces.
    """
    tokens = _TOKEN.findall(latex)
    if tokens.count("\\left") != tokens.count("\\right"):
        raise ValueError("\\left and \\right are not in pairs")
    line = re.sub(r"\s+", " ", _Reader(tokens).until(""))  # first, for the patterns below take long over long runs
    line = _BINARY.sub(r" \1 ", _RELATION.sub(r" \1 ", line))
    line = re.sub(r" +(?=[)\]}⟩,])|(?<=[∂∇]) +", "", line)
    return re.sub(r"\s+", " ", line).strip()


class _Reader:
    """A cursor over the tokens of one formula."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0

    def until(self, end: str) -> str:
        """Everything up to the token `end`, which is consumed; "" reads to the end of the formula."""
        out: list[str] = []
        scripts = ""  # those that the last thing has
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if token == end:
                return "".join(out)
            if token in "^_":
                if token in scripts:
                    raise ValueError(f"two {token} after one another; use braces")
                scripts += token
                _strip_end(out)
                shown = _script(self.argument(), token)
            else:
                scripts = scripts if token.isspace() else ""
                shown = self.one(token, out[-1] if out else "")
            out += [shown] * bool(shown)
        if end:
            raise ValueError(f"no {end}")
        return "".join(out)

    def argument(self) -> str:
        """The next group or single token, as an argument of a command."""
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        if self.at == len(self.tokens):
            raise ValueError("an argument is missing")
        token = self.tokens[self.at]
        self.at += 1
        return self.deeper(lambda: self.until("}").strip() if token == "{" else self.one(token, ""))

    def deeper(self, read: Callable[[], str]) -> str:
        """What is read one level down."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} levels deep")
        shown = read()
        self.depth -= 1
        return shown

    def one(self, token: str, before: str) -> str:
        """One token that is no script; `before` is what stands left of it."""
        if token == "{":
            return self.deeper(lambda: self.until("}"))
        if token == "}":
            raise ValueError("a } too many")
        if token in ("&", "#", "%"):
            raise ValueError(f"write \\{token} for {token}")
        if not token.startswith("\\"):
            return {"-": "−", "~": " ", "'": "′"}.get(token, " " if token.isspace() else token)
        return self.command(token[1:], before)

    def command(self, name: str, before: str) -> str:
        if name == "frac" or name == "tfrac" or name == "dfrac":
            above, below = self.argument(), self.argument()
            return f"{_grouped(above)}/{_grouped(below)} "
        if name == "sqrt":
            return f"√{_grouped(self.argument())}"
        if name in ACCENTS:
            base = self.argument()
            return base + ACCENTS[name] if len(base) == 1 else f"{base}{ACCENTS[name]}"
        if name == "mathbb":
            return "".join(_BLACKBOARD.get(letter, letter) for letter in self.argument())
        if name in _FONTS:
            return _word(self.argument(), before)
        if name in _WORDS:
            return _word(name, before)
        if name in _SILENT:
            return ""
        if name == "\\":
            return "; "
        if name in _SPACES:
            return _SPACES[name]
        if name in SYMBOLS:
            return SYMBOLS[name]
        raise ValueError(f"\\{short(name)} is not known")


def _strip_end(parts: list[str]) -> None:
    """Take the blanks off the end of what has been shown so far."""
    while parts:
        parts[-1] = parts[-1].rstrip()
        if parts[-1]:
            return
        parts.pop()


def _word(word: str, before: str) -> str:
    """A name stands apart from a letter before it."""
    return f" {word}" if before[-1:].isalnum() and len(word) > 1 else word


def _grouped(text: str) -> str:
    """In parentheses unless it reads as one thing."""
    text = text.strip().replace("∂ ", "∂")
    return text if re.fullmatch(r"[\w.′∂∇√\u0300-\u036f⁰-₟ᵀ²³¹]+|\([^()]*\)|‖[^‖]*‖|\|[^|]*\|", text) else f"({text})"


def _script(text: str, mark: str) -> str:
    """A superscript or subscript: in Unicode where every character has one, else `^(…)` or `_(…)`."""
    table = SUPERSCRIPTS if mark == "^" else SUBSCRIPTS
    tight = text.replace(" ", "")
    if tight and all(character in table for character in tight):
        return "".join(table[character] for character in tight)
    return f"{mark}{text}" if re.fullmatch(r"\w+", text) else f"{mark}({text})"
