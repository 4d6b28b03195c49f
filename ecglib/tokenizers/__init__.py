"""Core, to be read: five tokenizers, each of which turns an ECG into integer codes and back.

In reading order; the first line of a file says what it does (a table in docs/architecture.md):

of all              `contract`
latents             `window_pca`, `autoencoder`, `strided_autoencoder` (ECG-Tok's)
quantisers          `codebooks`, `rvq`, `vq`, `qinco` (ECG-Tok), `fsq`, `latent`,
                    `leadwise` (HeartLLM)
ECG-Byte            `amplitude_bins`, `bpe`, `bpe_merges`, `bpe_longest_match`, `bpe_released`,
                    `pair_grid`, `even_draw`
steps               `load`, `watch`, `train`, `cached_latents`, `pca_rvq`, `train_quantiser`,
                    `encode`, `encode_again`, `turned_vectors`, `train_decoder`,
                    `tokenizer_parts`
from outside        `plugin`
endless signals     `stream`, `stream_windows`
"""
