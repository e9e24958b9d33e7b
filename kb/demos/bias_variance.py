"""Bias and variance — too simple a model misses the curve, too flexible a one follows the noise.

Polynomials are fitted by least squares to 1,000 noisy samples of 20 points on one curve. Against the true curve
the error splits into squared bias (the mean fit is off) and variance (the fits differ): degree 1 underfits, its
error is mostly bias; degree 13 overfits, its error is mostly variance; degree 5 beats both. Then a model with random
cosine features is fitted to 40 points in five dimensions while its number of weights grows past the number of
points; of all fits that reach the points it takes the one of smallest norm. Its error peaks at 40 weights, and with
1,000 it is lower than with any smaller number tried below the peak, or with a linear fit (double descent).

Needs:  torch
Source: S. Geman, E. Bienenstock, R. Doursat, Neural Networks and the Bias/Variance Dilemma, Neural
        Computation 4, 1992; M. Belkin et al., Reconciling Modern Machine-Learning Practice and the Classical
        Bias-Variance Trade-Off, PNAS 116, 2019
"""

import math

import torch
from torch import Tensor

POINTS, NOISE, SAMPLES, DEGREES = 20, 0.4, 10, range(1, 14)
EXAMPLES, TESTS, DIM, FINE_NOISE, WIDTHS = 40, 500, 5, 0.1, (2, 5, 10, 20, 30, 40, 50, 80, 150, 300, 1000)

# %% the concept


def split(fits: Tensor, truth: Tensor) -> dict[str, float]:  # (S, m), (m,)
    """Mean squared error over S fits and what it consists of: E(f - t)^2 = (Ef - t)^2 + E(f - Ef)^2."""
    mean = fits.mean(0)
    parts = {
        "error": (fits - truth) ** 2,
        "squared bias": (mean - truth) ** 2,
        "variance": (fits - mean) ** 2,
    }
    return {name: part.mean().item() for name, part in parts.items()}


def least_squares(features: Tensor, y: Tensor) -> Tensor:  # (n, p), (n, S) -> (p, S)
    """The weights of smallest norm among those with the smallest squared error."""
    u, s, vh = torch.linalg.svd(features, full_matrices=False)
    return vh.T @ ((u.T @ y) / s[:, None])  # features = u diag(s) vh


def polynomial(x: Tensor, degree: int) -> Tensor:  # (n,) -> (n, degree + 1)
    return torch.stack([(k * x.acos()).cos() for k in range(degree + 1)], 1)  # Chebyshev's: well conditioned


# %% the experiment


def curve(x: Tensor) -> Tensor:
    return (3 * x).sin()


def smoother(x: Tensor, fresh: Tensor, degree: int) -> Tensor:  # (n,), (m,) -> (m, n)
    """What a polynomial fit does to the answers, by torch alone: fit = smoother @ y."""
    known, wanted = (
        torch.stack([torch.special.chebyshev_polynomial_t(t, k) for k in range(degree + 1)], 1) for t in (x, fresh)
    )
    return wanted @ torch.linalg.lstsq(known, torch.eye(len(x), dtype=x.dtype), driver="gelsd").solution


def exact_error(x: Tensor, fresh: Tensor, degree: int, noise: float = NOISE) -> float:
    """Squared bias and variance of a polynomial fit in closed form, added."""
    a = smoother(x, fresh, degree)
    return ((a @ curve(x) - curve(fresh)) ** 2).mean().item() + noise**2 * (a**2).sum(1).mean().item()


def examples(train: torch.Generator, test: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs in five dimensions and a wave of their projection, noisy; and others without noise, to test."""
    direction, x = (torch.randn(n, DIM, generator=train, dtype=torch.float64) for n in (1, EXAMPLES))
    x_test = torch.randn(TESTS, DIM, generator=test, dtype=torch.float64)
    y, y_test = ((1.5 * t @ direction.T / direction.norm()).sin() for t in (x, x_test))
    return x, y + FINE_NOISE * torch.randn(y.shape, generator=train, dtype=torch.float64), x_test, y_test


def feature_sets(x: Tensor, generator: torch.Generator) -> dict[int, Tensor]:
    """Random cosine features by their number, and 0: the inputs themselves, for a linear fit."""
    directions = 0.5 * torch.randn(DIM, max(WIDTHS), generator=generator, dtype=torch.float64)
    phases = 2 * math.pi * torch.rand(max(WIDTHS), generator=generator, dtype=torch.float64)
    cosines = (x @ directions + phases).cos()
    return {0: torch.cat([x, torch.ones_like(x[:, :1])], 1)} | {width: cosines[:, :width] for width in WIDTHS}


def run(device="cpu", seed=0, steps=100):
    noise, train, test, chance = (torch.Generator().manual_seed(4 * seed + k) for k in range(4))
    x, fresh = (torch.linspace(-1, 1, n, dtype=torch.float64) for n in (POINTS, 101))  # tiny: all stays on the CPU
    fits, errors, same, fit_gaps = {degree: [] for degree in DEGREES}, [], [0, 0], [0.0]
    for step in range(steps):
        y = curve(x)[:, None] + NOISE * torch.randn(POINTS, SAMPLES, generator=noise, dtype=torch.float64)
        for degree, held in fits.items():
            held.append(polynomial(fresh, degree) @ least_squares(polynomial(x, degree), y))  # (101, SAMPLES)
        known, answers, unseen, truth = examples(train, test)
        errors.append([])
        for features in feature_sets(torch.cat([known, unseen]), chance).values():
            fitted = features[len(known) :] @ least_squares(features[: len(known)], answers)
            errors[-1].append(((fitted - truth) ** 2).mean().item())
            if step == 0:
                reference = torch.linalg.lstsq(features[: len(known)], answers, driver="gelsd").solution
                gap = (features[len(known) :] @ reference - fitted).abs().max() / fitted.abs().max()
                fit_gaps.append(gap.item())  # as a share: at the peak the fits are huge
        rows = [set(map(tuple, part.tolist())) for part in (known, unseen)]
        same = [count + len(part & rows[1]) for count, part in zip(same, rows, strict=True)]
        if step % 10 == 9 or step == steps - 1:
            parts = {degree: split(torch.cat(held, 1).T, curve(fresh)) for degree, held in fits.items()}
            yield (step + 1) / steps, {f"degree {degree}": parts[degree]["error"] for degree in (1, 5, 13)}

    medians = torch.tensor(errors).median(0).values.tolist()
    by_width = dict(zip((0, *WIDTHS), medians, strict=True))
    fit_gaps += [(smoother(x, fresh, degree) @ y - held[-1]).abs().max().item() for degree, held in fits.items()]
    wrong_gap = (smoother(x, fresh, 4) @ y - fits[5][-1]).abs().max().item()
    off = [
        max(abs(part["error"] / exact_error(x, fresh, degree, noise) - 1) for degree, part in parts.items())
        for noise in (NOISE, NOISE / 2)
    ]
    return {
        "good_error": parts[5]["error"],
        "other_error": min(parts[1]["error"], parts[13]["error"]),
        "underfit_bias_share": parts[1]["squared bias"] / parts[1]["error"],
        "overfit_bias_share": parts[13]["squared bias"] / parts[13]["error"],
        "wide_error": by_width[max(WIDTHS)],
        "cheap_error": min(error for width, error in by_width.items() if width < EXAMPLES),
        "linear_error": by_width[0],
        "peak_error": by_width[EXAMPLES],
        "split_gap": max(abs(p["error"] - p["squared bias"] - p["variance"]) for p in parts.values()),
        "unsquared_gap": min(abs(p["error"] - p["squared bias"] ** 0.5 - p["variance"]) for p in parts.values()),
        "exact_gap": off[0],
        "half_noise_gap": off[1],
        "fit_gap": max(fit_gaps),
        "wrong_degree_gap": wrong_gap,
        "shared_examples": same[0],
        "own_examples": same[1],
    }, {
        "error of polynomials by degree": {
            "kind": "lines",
            "series": {name: (DEGREES, [part[name] for part in parts.values()]) for name in parts[1]},
            "x": "degree",
            "y": "squared error",
        },
        "double descent: 40 examples, more and more weights": {
            "kind": "lines",
            "series": {
                "median test error": (WIDTHS, medians[1:]),
                "of a linear fit": (WIDTHS, medians[:1] * len(WIDTHS)),
            },
            "x": "number of weights",
            "y": "squared error",
            "log": "xy",
        },
    }


# %% what is claimed

TITLE = {"en": "Underfitting, overfitting and double descent", "zh": "欠拟合、过拟合与双重下降"}
CURVES = "squared error"
CPU_SECONDS = 2
CLAIMS = {
    "trained good_error <= 0.05 < other_error": {
        "en": "error of degree 5 against the true curve; the control is the better one of degrees 1 and 13",
        "zh": "5 次多项式相对真实曲线的误差；对照为 1 次与 13 次中较好者",
    },
    "trained underfit_bias_share >= 0.9 > overfit_bias_share": {
        "en": "share of squared bias in the error of degree 1, which underfits; the control is degree 13",
        "zh": "欠拟合的 1 次多项式误差中偏差平方的占比；对照为 13 次",
    },
    "trained wide_error <= 0.23 < cheap_error <= 0.35": {
        "en": "median test error with 1,000 weights for 40 points; the control: the best of 2 to 30, or a linear fit",
        "zh": "40 个样本、1000 个权重时的测试误差中位数；对照取 2 到 30 个权重与线性拟合中最好者",
    },
    "trained peak_error >= 10 > wide_error": {
        "en": "median test error with as many weights as points, 40: the peak; the control has 1,000 weights",
        "zh": "权重数等于样本数 40 时的测试误差中位数，即峰值；对照为 1000 个权重",
    },
    "trained exact_gap <= 0.06 < half_noise_gap": {
        "en": "errors of all degrees against their closed form, in shares; the control expects half the noise",
        "zh": "各次多项式的误差与闭式解的相对差距；对照的闭式解只计一半噪声",
    },
    "parity split_gap <= 1e-10 < unsquared_gap": {
        "en": "gap between the error and squared bias + variance; the control does not square the bias",
        "zh": "误差与偏差平方加方差之差；对照未对偏差取平方",
    },
    "parity fit_gap <= 1e-10 < wrong_degree_gap": {
        "en": "largest gap of a fit, polynomial (torch's Chebyshev) or on features, to torch.linalg.lstsq; "
        "control: a degree less",
        "zh": "各拟合（多项式用 torch 的切比雪夫多项式，或用特征）与 torch.linalg.lstsq 的最大差距；对照低一次",
    },
    "parity shared_examples <= 0 < own_examples": {
        "en": "test inputs that are among the training inputs; the control counts those among the test's",
        "zh": "同时出现在训练集中的测试输入数；对照数的是测试集自身中的输入",
    },
}
ZH = {
    "squared error": "平方误差",
    "degree 1": "1 次",
    "degree 5": "5 次",
    "degree 13": "13 次",
    "error of polynomials by degree": "多项式的误差随次数的变化",
    "degree": "次数",
    "error": "误差",
    "squared bias": "偏差平方",
    "variance": "方差",
    "double descent: 40 examples, more and more weights": "双重下降：40 个样本，权重越来越多",
    "median test error": "测试误差中位数",
    "of a linear fit": "线性拟合的误差",
    "number of weights": "权重数",
}

if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
