"""Recurrent networks in every configuration, on sequences generated or read from files."""
