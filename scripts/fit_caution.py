"""Fit the rule by which a search says that it has no answer, and measure it on questions that it did not see.

python scripts/fit_caution.py            # prints the rule for kb/search/caution.py, and its curve
python scripts/fit_caution.py --measure  # the rule as it is: what is marked weak on the frozen sets

A logistic regression a language on the signs of `kb.search.caution`. It is fitted on the training queries, which have
an answer, and on scripts/no_answer_training.jsonl: questions about other things, and questions of the field whose
concept is not here. Its bias is set so that ALARMS of the training queries are marked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs in a checkout with nothing installed

import numpy as np
from eval_search import FROZEN, TRAINING, interval, read_queries

from kb.base import open as open_base
from kb.search import caution
from kb.search.hybrid import Semantic, is_chinese, search_all
from kb.search.side import open_semantic
from kb.snapshot.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_ANSWER = {
    "training": ROOT / "scripts" / "no_answer_training.jsonl",
    "frozen": ROOT / "tests/data/no_answer_queries.jsonl",
}
ALARMS = 0.016
"""Share of the training queries that are marked although they have an answer."""
KINDS = ("offtopic", "absent")


def sets(store: Store, which: str) -> dict[str, list[str]]:
    """Questions by kind: answerable, and those of KINDS."""
    lines = [json.loads(line) for line in NO_ANSWER[which].read_text("utf-8").splitlines()]
    found = {kind: [line["q"] for line in lines if line["kind"] == kind] for kind in KINDS}
    answerable = read_queries(FROZEN if which == "frozen" else TRAINING, store)
    return {"answerable": [query.text for query in answerable], **found}


def seen(store: Store, side: Semantic, queries: Sequence[str]) -> list[tuple[bool, caution.Signs | None]]:
    """Whether each query is compared as Chinese, and its signs; None where a name decides."""
    judged: list[tuple[bool, caution.Signs | None]] = []

    def look(*given: Any) -> caution.Signs:
        found = original(*given)
        judged[-1] = judged[-1][0], found
        return found

    original = caution.signs
    caution.signs = look  # type: ignore[assignment]  # it is one function for another, whose arguments it only passes on
    try:
        for query in queries:
            judged.append((False, None))
            answer = next(search_all(store, [query], semantic=lambda: side))
            judged[-1] = is_chinese(answer.reading.text), judged[-1][1]
    finally:
        caution.signs = original
    return judged


def fit(rows: dict[str, NDArray[np.float64]]) -> caution.Rule:
    """A rule from signs by kind: (n, signs). The kinds weigh alike, and the answerable as much as both."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    signs = np.concatenate([rows["answerable"], *(rows[kind] for kind in KINDS)])
    labels = np.concatenate([np.ones(len(rows["answerable"])), np.zeros(sum(len(rows[kind]) for kind in KINDS))])
    total = len(rows["answerable"])
    weights = np.concatenate(
        [np.ones(total), *(np.full(len(rows[kind]), total / 2 / len(rows[kind])) for kind in KINDS)]
    )
    scale = StandardScaler().fit(signs)
    model = LogisticRegression(max_iter=1000).fit(scale.transform(signs), labels, weights)
    slopes = model.coef_[0] / scale.scale_
    bias = -float(np.quantile(rows["answerable"] @ slopes, ALARMS))
    return caution.Rule(round(bias, 4), caution.Signs(*(round(float(slope), 4) for slope in slopes)))


def marked(judged: Sequence[tuple[bool, caution.Signs | None]], *, chinese: bool, shift: float = 0.0) -> list[bool]:
    """Of the queries of a language, which are said to have no answer."""
    bias, weights = caution.RULES["zh" if chinese else "en"]
    return [
        signs is not None and bias + shift + float(np.dot(signs, weights)) < 0
        for is_zh, signs in judged
        if is_zh == chinese
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="do not fit: measure the rule that stands there")
    options = parser.parse_args()
    store = open_base().store
    side = open_semantic(store, device="cpu")
    if not options.measure:
        training = {kind: seen(store, side, queries) for kind, queries in sets(store, "training").items()}
        for key, chinese in (("en", False), ("zh", True)):
            rows = {
                kind: np.array([signs for is_zh, signs in judged if signs is not None and is_zh == chinese])
                for kind, judged in training.items()
            }
            caution.RULES[key] = fit(rows)
            print(f'    "{key}": {caution.RULES[key]},')
    frozen = {kind: seen(store, side, queries) for kind, queries in sets(store, "frozen").items()}
    print(f"\n{'bias +':>8}" + "".join(f"{kind + ', ' + key:>26}" for kind in frozen for key in ("en", "zh")))
    for shift in (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 1.0, 1.5):
        line = f"{shift:>8}"
        for judged in frozen.values():
            for chinese in (False, True):
                share = [float(is_marked) for is_marked in marked(judged, chinese=chinese, shift=shift)]
                low, high = interval(share)
                line += f"{np.mean(share):>10.3f} ({low:.3f}, {high:.3f})"
        print(line)


if __name__ == "__main__":
    main()
