"""Profiles, data plans, keys and manifests, assets, and the runner that executes the notebooks."""
