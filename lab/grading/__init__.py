"""Grading of essays: a score, its interval and traits from a text of any length."""
