"""Multi-label classifiers on frozen token embeddings, and the floor that never sees the ECG."""
