"""Language models that read ECGs, one file a system, and the floor that they must beat."""
