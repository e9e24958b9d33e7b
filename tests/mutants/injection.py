"""What the claims of prompt injection must not forgive."""

MUTANTS = {
    "the first order is obeyed": (
        "(is_order * torch.arange(1, words.shape[1] + 1, device=words.device)).argmax(1)",
        "is_order.int().argmax(1)",
    ),
    "disguised orders are not understood": ("(words >= FORMS[0]) &", "(words >= FORMS[6]) &"),
    "what is not trusted is obeyed too": ("& (words <= REQUEST) & trusted", "& (words <= REQUEST)"),
    "a forged end mark does nothing": ("return opened <= closed", "return opened < 1"),
    "no end mark is ever forged": ("    if forged:", "    if False:"),
    "the split reads two words more": ("expand_as(words) == 0", "expand_as(words) < 9"),
    "the filter does not smooth": ("(self.counts + 1).log() -", "(self.counts + 1e-9).log() -"),
    "the filter forgets how common attacks are": ("+ (self.classes[1] / self.classes[0]).log()", "+ 1"),
    "the filter never stops anything": ('if name in ("filter", "both") else', "if name in () else"),
    "the filter learns clean documents as attacks": ("self.counts[is_attack] +=", "self.counts[1] +="),
    "it was trained on the new orders": ("FORMS[step % (len(FORMS) // 2)]", "FORMS[step % len(FORMS)]"),
    "a team may try one attack again": ("open_to[order[:, :TRIES]]", "open_to[order[:, :1].expand(-1, TRIES)]"),
}
FULL = {"it was trained on the new orders"}
