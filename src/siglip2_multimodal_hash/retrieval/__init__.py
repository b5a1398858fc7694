"""Binary codes, indexes and votes; no torch."""
