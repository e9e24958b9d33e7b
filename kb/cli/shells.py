"""The completion that typer installs, mended for zsh.

zsh loads a completion from its file at the first Tab, and takes what it does then for the answer. typer's script only
defines the function that answers, so that the first Tab of every shell would give nothing.
"""

from __future__ import annotations

from typer import _completion_classes, _completion_shared

_LATE = "\ncompdef %(complete_func)s %(prog_name)s\n"
_AT_ONCE = """
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  %(complete_func)s "$@"
else
  compdef %(complete_func)s %(prog_name)s
fi
"""


def mend_zsh() -> None:
    """Have the script answer when it is loaded; one that typer writes otherwise some day stays as it is."""
    scripts = _completion_shared._completion_scripts
    scripts["zsh"] = _completion_classes.ZshComplete.source_template = scripts["zsh"].replace(_LATE, _AT_ONCE)
