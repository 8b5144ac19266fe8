"""How log entries become rows: one module per view. A new view is a new module and a line in `views.folds`."""
