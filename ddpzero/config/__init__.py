"""Converts between Hydra's config or YAML and Settings, strictly."""
