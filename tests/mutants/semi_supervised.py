"""What the claims of semi-supervised learning must not forgive."""

MUTANTS = {
    "the graph is not balanced": ("return root[:, None] * w * root", "return root[:, None].square() * w"),
    "every image is its own neighbour": ("w = w * (1 - torch.eye(", "w = w * (1 - 0 * torch.eye("),
    "labels go two edges at a time": ("- alpha * s, (1 - alpha)", "- alpha * s @ s, (1 - alpha)"),
    "the unsure are trusted": ("sure = (confidence >= SURE)", "sure = (confidence < SURE)"),
    "the mean is over the sure": ("return (sure * cost).mean()", "return (sure * cost).sum() / sure.sum()"),
    "the pseudo-label is the noisy copy's": ("label = clean.detach()", "label = noisy.detach()"),
    "the label's logit gets no gradient": ("(noisy * F.one_hot", "(noisy.detach() * F.one_hot"),
    "the rest of the logits get no gradient": ("cost = noisy.logsumexp", "cost = noisy.detach().logsumexp"),
    "the answer stands in the pixels": (
        "x, y, x_test, y_test = all_x[:POOL].float(),",
        "x, y, x_test, y_test = all_x[:POOL].float() + F.one_hot(all_y[:POOL], 64),",
    ),
    "four times as many labels": ("[chosen(y, each, split)", "[chosen(y, 4 * each, split)"),
    "the machine sees only near copies": ("SVC(C=10, gamma=0.05)", "SVC(C=10, gamma=5.0)"),
}
FULL = {"the answer stands in the pixels", "four times as many labels", "the machine sees only near copies"}
