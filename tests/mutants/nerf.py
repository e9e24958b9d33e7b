"""What the NeRF's claims must not forgive."""

MUTANTS = {
    "nothing hides what is behind": ("seen = (depth - depth.cumsum(1)).exp()", "seen = torch.ones_like(depth)"),
    "a sample hides itself": ("seen = (depth - depth.cumsum(1)).exp()", "seen = (-depth.cumsum(1)).exp()"),
    "what hides passes no gradient": (
        "seen = (depth - depth.cumsum(1)).exp()",
        "seen = (depth - depth.cumsum(1)).exp().detach()",
    ),
    "opacity grows without bound": ("(1 - (-depth).exp()) * light", "depth * light"),
    "the steps are too short": ("step = REACH / SAMPLES\n", "step = REACH / (SAMPLES + 1)\n"),
    "a step has no length": ("depth = density * step", "depth = density"),
    "frequencies do not double": ("math.pi * 2**k * x for k", "math.pi * (k + 1) * x for k"),
    "features are sines alone": ("for wave in (a.sin(), a.cos())", "for wave in (a.sin(), a.sin())"),
    "features pass no gradient": ("return torch.cat([x, *(wave", "return torch.cat([x.detach(), *(wave"),
    "brightness is not bounded": (
        "return F.softplus(density), light.sigmoid()\n\n\ndef render",
        "return F.softplus(density), light\n\n\ndef render",
    ),
    "the judged views are the cameras'": (
        "fresh = rays_of(cameras), rays_of(places)",
        "fresh = rays_of(cameras), rays_of(cameras.repeat(BETWEEN))",
    ),
    "the cameras stand at judged places": (
        "rays, fresh = rays_of(cameras), rays_of(places)",
        "rays, fresh = rays_of(cameras + 0.25), rays_of(places)",
    ),
    "it is trained on the judged views": (
        "known, shot = rays.to(device), pixels.to(device)",
        "known, shot = fresh.to(device), truth.to(device)",
    ),
    "the control has features": ("(Field(0), rate) for", "(Field(OCTAVES), rate) for"),
    "the NeRF has none": ('"NeRF": (Field(OCTAVES), RATE)', '"NeRF": (Field(0), RATE)'),
    "voxels learn nothing": ("(Voxels(), GRID_RATE)", "(Voxels(), 0.0)"),
    "the nearer picture weighs less": (
        "* (1 - share) + pictures[(first + 1) % VIEWS] * share",
        "* share + pictures[(first + 1) % VIEWS] * (1 - share)",
    ),
    "discs are seen from behind": ("clamp(min=0).sqrt(), math.inf).min(1)", "clamp(min=0).sqrt(), -math.inf).max(1)"),
    "pixels and rays are not of one scene": ("photograph(fresh, discs)", "photograph(fresh, scene(world))"),
    "a field's rate does not decay to nothing": ("rate * min(1, 2 - 2 * step / steps)", "10 * rate"),
}
FULL = {
    "the control has features",
    "the NeRF has none",
    "voxels learn nothing",
    "the nearer picture weighs less",
    "discs are seen from behind",
    "pixels and rays are not of one scene",
    "a field's rate does not decay to nothing",
}
