"""What `kb demo` does: one run, all of them, the code."""
