"""What the claims of early stopping must not forgive."""

MUTANTS = {
    "patience is ignored": ("return self.epoch - self.kept_at >= self.patience", "return False"),
    "it stops an epoch late": ("self.kept_at >= self.patience", "self.kept_at > self.patience"),
    "it stops at a fixed epoch": ("return self.epoch - self.kept_at >= self.patience", "return self.epoch >= 5"),
    "the weights are not copied": ("copy.deepcopy(net.state_dict())", "net.state_dict()"),
    "the last of equal lows is kept": ("if validation_loss < self.lowest:", "if validation_loss <= self.lowest:"),
    "a low is compared with the loss before it": (
        "        return self.epoch - self.kept_at",
        "        self.lowest = validation_loss\n        return self.epoch - self.kept_at",
    ),
    "descent goes on without its rate": ("w = w - rate * x.T", "w = w - 0.5 * rate * x.T"),
    "the test set validates": (
        "slice(TRAIN, TRAIN + VALIDATE), slice(TRAIN + VALIDATE, None)",
        "slice(TRAIN + VALIDATE, None), slice(TRAIN + VALIDATE, None)",
    ),
    "the test holds the training images": ("slice(TRAIN + VALIDATE, None)\n", "slice(TRAIN)\n"),
    "validation has the right labels": (
        "y, y_val, y_test = labels[train].to(device), labels[validate]",
        "y, y_val, y_test = labels[train].to(device), true[validate]",
    ),
    "it watches the training loss": ("says_stop(validation, net)", "says_stop(loss.item(), net)"),
    "it stops by the test": (
        'loss_of(net, x_val, y_val, "validation")',
        'loss_of(net, x_test, y_test, "validation")',
    ),
}
FULL = {"it watches the training loss"}
