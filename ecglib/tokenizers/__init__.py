"""From an ECG to codes and back. One file a method; the autoencoder is shared."""
