"""Configuration: sections, presets, overrides, error messages, the registry of kinds and verbs."""
