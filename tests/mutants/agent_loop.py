"""What the claims of the agent loop must not forgive."""

MUTANTS = {
    "only the first observation is read": ("for _, seen in history]", "for _, seen in history[:1]]"),
    "the first result is used again and again": ("left, right = known[-1] if known", "left, right = known[0] if known"),
    "it answers with the last result but one": ('{"answer": known[-1]}', '{"answer": known[-2]}'),
    "the limit is one call short": ("if len(history) == limit:", "if len(history) == limit - 1:"),
    "out of calls, it guesses": ("return None  # the harness stops", "return question[0][0]  # the harness stops"),
    "an observation is forgotten": ("history.append((action, tool(action)))", "limit, _ = limit - 1, tool(action)"),
    "the tool subtracts the wrong way round": ('"subtract": a - b', '"subtract": b - a'),
    "the tool fails less than is said": ("failed = next(faults)", "failed = next(faults) and asked['id'] != 1"),
    "the workflow's last try is not made": ("for _ in range(tries):", "for _ in range(max(1, tries - 1)):"),
    "errors are not hidden in the control": ('.replace("true", "false")', ""),
    "the asked questions were solved before": (
        "(t.to(device) for t in encode(asked))",
        "(t.to(device) for t in encode(solved[: len(asked)]))",
    ),
    "the network learns nothing": ("loss.backward()", "(0 * loss).backward()"),
    "the network sees the answer": (
        "x, y = (t.to(device) for t in encode(solved))",
        "x, y = (t.to(device) for t in encode(asked * 4))",
    ),
}
FULL = {"the asked questions were solved before", "the network learns nothing", "the network sees the answer"}
