"""What the claims of the PINN must not forgive."""

MUTANTS = {
    "the speed passes no gradient": ("residual = a + law[0] * v +", "residual = a + law[0] * v.detach() +"),
    "the acceleration passes no gradient": ("residual = a + law[0] * v", "residual = a.detach() + law[0] * v"),
    "friction drives": ("residual = a + law[0] * v", "residual = a - law[0] * v"),
    "the constants change places": ("law[0] * v + law[1] * u  #", "law[1] * v + law[0] * u  #"),
    "the residual is not squared": ("residual.square()", "residual.abs()"),
    "the constants get no gradient": ("physics_loss(net, net.law, every", "physics_loss(net, net.law.detach(), every"),
    "the law is asked for at the readings only": ("net.law, everywhere) if", "net.law, t) if"),
    "the readings are lost": ("loss = (net(t) - reading)", "loss = (net(t) - 0 * reading)"),
    "the law weighs too little": ("loss + weight * physics", "loss + weight**2 * physics"),
    "the true motions fall too fast": ("(-c * t / 2).exp()", "(-c * t).exp()"),
    "the true motions swing too fast": ("(k - c * c / 4)", "(k - 0 * c / 4)"),
    "the second half is read as well": ("* KNOWN / READINGS", "* END / READINGS"),
    "the control knows the law": ('WEIGHT if name == "with the law" else 0', "WEIGHT"),
    "the control's law is turned round": ("torch.cat([v, u], -1), -a)", "torch.cat([v, u], -1), a)"),
    "the first half is judged": ("(KNOWN, END, 101)", "(0, KNOWN, 101)"),
}
FULL = {"the control knows the law", "the control's law is turned round", "the first half is judged"}
