"""Presets as package data: `<kind>/<name>.yaml`, a short difference from its base, a reason per line."""
