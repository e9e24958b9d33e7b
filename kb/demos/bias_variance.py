"""Bias and variance — too simple a model misses the curve, too flexible a one follows the noise.

Polynomials are fitted by least squares to many noisy samples of 20 points on one curve. Against the true
curve the error splits into squared bias (the mean fit is off) and variance (the fits differ). Then a model
with random cosine features is fitted to 40 points in five dimensions while its number of weights grows past
the number of points; of all fits that reach the points it takes the one of smallest norm.

Claim:  degree 1 underfits, its error is mostly bias; degree 13 overfits, its error is mostly variance; degree
        5 beats both; squared bias + variance is the error, exactly. With random features the error peaks at
        40 weights for 40 points and with 1,000 is lower than with any smaller number tried below the peak
        (double descent).
Source: S. Geman, E. Bienenstock, R. Doursat, Neural Networks and the Bias/Variance Dilemma, Neural
        Computation 4, 1992; M. Belkin et al., Reconciling Modern Machine-Learning Practice and the Classical
        Bias-Variance Trade-Off, PNAS 116, 2019
Run:    python kb/demos/bias_variance.py --device cpu --seed 0 --steps 100
"""

import math

import torch
from torch import Tensor

TITLE = {"en": "Underfitting, overfitting and double descent", "zh": "欠拟合、过拟合与双重下降"}
CPU_SECONDS = 2
CLAIMS = {
    "trained good_error <= 0.117 < other_error": {
        "en": "error of degree 5 against the true curve; the control is the better one of degrees 1 and 13",
        "zh": "5 次多项式相对真实曲线的误差；对照为 1 次与 13 次中较好者",
    },
    "trained underfit_bias_share >= 0.46 > overfit_bias_share": {
        "en": "share of squared bias in the error of degree 1, which underfits; the control is degree 13",
        "zh": "欠拟合的 1 次多项式误差中偏差平方的占比；对照为 13 次",
    },
    "trained wide_error <= 0.38 < best_narrow_error": {
        "en": "median test error with 1,000 weights for 40 points; the control is the best of 5, 10, 20, 30",
        "zh": "40 个样本、1000 个权重时的测试误差中位数；对照为 5、10、20、30 个权重中最好者",
    },
    "trained peak_error >= 13.0 > wide_error": {
        "en": "median test error with as many weights as points, 40: the peak; the control has 1,000 weights",
        "zh": "权重数等于样本数 40 时的测试误差中位数，即峰值；对照为 1000 个权重",
    },
    "parity split_gap <= 1e-10 < unsquared_gap": {
        "en": "gap between the error and squared bias + variance; the control does not square the bias",
        "zh": "误差与偏差平方加方差之差；对照未对偏差取平方",
    },
}

POINTS, NOISE, DEGREES = 20, 0.4, {"underfit": 1, "good": 5, "overfit": 13}
EXAMPLES, DIM, WIDTHS = 40, 5, (5, 10, 20, 30, 40, 50, 80, 150, 300, 1000)


def curve(x: Tensor) -> Tensor:
    return (3 * x).sin()


def least_squares(features: Tensor, y: Tensor) -> Tensor:  # (n, p), (n,) -> (p,)
    """The weights of smallest norm among those with the smallest squared error."""
    return torch.linalg.pinv(features) @ y


def polynomial(x: Tensor, degree: int) -> Tensor:  # (n,) -> (n, degree + 1)
    return torch.stack([(k * x.acos()).cos() for k in range(degree + 1)], 1)  # Chebyshev's: well conditioned


def random_features(generator: torch.Generator) -> dict[int, float]:
    """Test error by number of random cosine features, for one draw of data and features."""
    x = torch.randn(EXAMPLES + 500, DIM, generator=generator, dtype=torch.float64)
    projection = x @ torch.randn(DIM, generator=generator, dtype=torch.float64) / DIM**0.5
    y = (1.5 * projection).sin()
    noisy = y + NOISE * torch.randn(len(y), generator=generator, dtype=torch.float64)
    directions = torch.randn(DIM, max(WIDTHS), generator=generator, dtype=torch.float64)
    phases = 2 * math.pi * torch.rand(max(WIDTHS), generator=generator, dtype=torch.float64)
    features = (x @ directions + phases).cos()
    errors = {}
    for width in WIDTHS:
        f = features[:, :width]
        fitted = f[EXAMPLES:] @ least_squares(f[:EXAMPLES], noisy[:EXAMPLES])
        errors[width] = ((fitted - y[EXAMPLES:]) ** 2).mean().item()
    return errors


def split(fits: Tensor, truth: Tensor) -> dict[str, float]:  # (S, m), (m,)
    """Mean squared error over S fits and what it consists of."""
    mean = fits.mean(0)
    parts = {
        "error": (fits - truth) ** 2,
        "bias^2": (mean - truth) ** 2,
        "|bias|": (mean - truth).abs(),
        "variance": (fits - mean) ** 2,
    }
    return {name: part.mean().item() for name, part in parts.items()}


def run(device="cpu", seed=0, steps=100):
    data = torch.Generator().manual_seed(seed)  # tiny float64 systems: all of this stays on the CPU
    x, fresh = (torch.linspace(-1, 1, n, dtype=torch.float64) for n in (POINTS, 101))
    fits, widths = {name: [] for name in DEGREES}, []
    for step in range(steps):
        y = curve(x) + NOISE * torch.randn(POINTS, generator=data, dtype=torch.float64)
        for name, degree in DEGREES.items():
            fits[name].append(polynomial(fresh, degree) @ least_squares(polynomial(x, degree), y))
        widths.append(random_features(data))
        if step % 4 == 3 or step == steps - 1:
            parts = {name: split(torch.stack(fit), curve(fresh)) for name, fit in fits.items()}
            yield (
                (step + 1) / steps,
                {f"degree {DEGREES[name]}": part["error"] for name, part in parts.items()},
            )

    under, good, over = (parts[name] for name in DEGREES)
    medians = torch.tensor([list(draw.values()) for draw in widths]).median(0).values.tolist()
    by_width = dict(zip(WIDTHS, medians, strict=True))
    shown = {"true curve": curve(fresh), **{f"degree {DEGREES[name]}": fit[0] for name, fit in fits.items()}}
    return {
        "good_error": good["error"],
        "underfit_error": under["error"],
        "overfit_error": over["error"],
        "other_error": min(under["error"], over["error"]),
        "underfit_bias_share": under["bias^2"] / under["error"],
        "overfit_bias_share": over["bias^2"] / over["error"],
        "wide_error": by_width[max(WIDTHS)],
        "peak_error": by_width[EXAMPLES],
        "best_narrow_error": min(error for width, error in by_width.items() if width < EXAMPLES),
        "split_gap": max(abs(p["error"] - p["bias^2"] - p["variance"]) for p in parts.values()),
        "unsquared_gap": min(abs(p["error"] - p["|bias|"] - p["variance"]) for p in parts.values()),
    }, {
        "one sample of 20 points, fitted": {
            "kind": "lines",
            "zh": "对同一组 20 个样本点的拟合",
            "series": {name: (fresh.tolist(), ys.tolist()) for name, ys in shown.items()},
            "x": "x",
            "y": "y",
        },
        "double descent: test error by number of weights, 40 examples": {
            "kind": "lines",
            "zh": "双重下降：40 个样本时测试误差随权重数的变化",
            "series": {"median test error": (list(by_width), list(by_width.values()))},
            "x": "number of weights",
            "y": "test error",
            "log": "xy",
        },
    }


if __name__ == "__main__":
    from _exam import sit

    sit(run, CLAIMS)
