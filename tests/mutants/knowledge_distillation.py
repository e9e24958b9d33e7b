"""What the claims of knowledge distillation must not forgive."""

MUTANTS = {
    "the factor T squared is forgotten": ("return TEMPERATURE**2 * kl", "return kl"),
    "the teacher is not softened": ("log_p = (teacher / TEMPERATURE)", "log_p = (teacher)"),
    "the divergence is turned round": ("log_p.exp() * (log_p - log_q)", "log_q.exp() * (log_q - log_p)"),
    "the softmax runs over the batch": (
        "(student / TEMPERATURE).log_softmax(-1)",
        "(student / TEMPERATURE).log_softmax(-2)",
    ),
    "the hidden layer gets no gradient": ("x = (x.relu() if i else x)", "x = (x.relu().detach() if i else x)"),
    "the student is linear": ("x = (x.relu() if i else x)", "x = (x)"),
    "the teacher only repeats the labels": (
        "answers, spoken = teacher(x)[0],",
        "answers, spoken = 20.0 * F.one_hot(y),",
    ),
    "the answers are to other images": ("taught(x[rows]), answers[rows])", "taught(x[rows]), answers[rows.flip(1)])"),
    "test images are among those to learn from": ("x[TRAIN:], y[TRAIN:]", "x[:497], y[:497]"),
    "no digit is left out": ("if other != digit]) for", "if True]) for"),
    "the students of soft answers see all images": (
        "taught(x[rows]), answers[rows])",
        "taught(x[rows[-1].expand_as(rows)]), answers[rows[-1].expand_as(rows)])",
    ),
}
FULL = {"the answers are to other images", "the teacher only repeats the labels"}
