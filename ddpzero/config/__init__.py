"""From Hydra and YAML to Settings, strictly, and back."""
