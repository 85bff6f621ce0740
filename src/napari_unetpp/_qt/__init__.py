"""The panels: forms, workers and widgets; the only code that knows Qt."""
