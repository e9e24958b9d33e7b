"""One experiment a file; each stands alone and imports nothing from kb."""
