"""What the claims on one-stage detection must not forgive."""

MUTANTS = {
    "IoU counts the intersection twice": ("intersection / (areas - intersection)", "intersection / areas"),
    "boxes apart overlap": ("sides.clamp(min=0).prod(-1)", "sides.prod(-1)"),
    "IoU passes no gradient through the union": ("(areas - intersection)", "(areas - intersection).detach()"),
    "the boxes learn nothing": (
        "iou(boxes[here], target[here][:, 2:])).mean()",
        "iou(boxes[here].detach(), target[here][:, 2:])).mean()",
    ),
    "rows and columns of the grid are swapped": ('indexing="xy"', 'indexing="ij"'),
    "the object is put into another cell": ("target[row, column] =", "target[column, row] ="),
    "the cell does not hold the centre": ("(corner + parts[2].sigmoid())", "(corner + 2 * parts[2].sigmoid())"),
    "a box is half as large": ("SIDE / 2 * parts[3]", "SIDE / 4 * parts[3]"),
    "only cells with an object learn objectness": (
        "with_logits(objectness, target[..., 0], reduction",
        "with_logits(objectness[here], target[..., 0][here], reduction",
    ),
    "every cell learns a class": (
        "F.cross_entropy(kinds[here], target[here][:, 1].long())",
        "F.cross_entropy(kinds.flatten(0, 2), target[..., 1].flatten().long())",
    ),
    "NMS keeps the worst box": ("scores.argsort(descending=True)\n    while", "scores.argsort()\n    while"),
    "NMS drops the boxes apart": ("boxes[order[1:]]) <= OVERLAP", "boxes[order[1:]]) > OVERLAP"),
    "an object may be found twice": (" and (n, best) not in taken", ""),
    "precision forgets the false alarms": ("(precision * hits).sum() / total", "hits.sum() / total"),
    "the test draws the training scenes": ("for k in (1, 2))", "for k in (1, 1))"),
    "the test scenes are normalized by each other": ("detector.eval()(fresh", "detector(fresh"),
    "the control's boxes are twice as large": (
        "for k in range(len(CLASSES))])[named] / 2",
        "for k in range(len(CLASSES))])[named]",
    ),
}
FULL = {"the control's boxes are twice as large"}
