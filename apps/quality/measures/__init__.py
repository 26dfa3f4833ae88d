"""How good answers are, measured against others: numpy only, nothing from the database."""
