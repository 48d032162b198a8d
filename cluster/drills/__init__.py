"""Drills: faults injected into real runs, and how long recovery takes."""
