"""Fault injection into real runs, and the time that they take to recover."""
