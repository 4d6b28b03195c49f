"""Core, to be read: five tokenizers, each of which turns an ECG into integer codes and back.

In reading order:

- `contract`: what every tokenizer offers, and the relation between its codes and its flat ids.
- `autoencoder`: the convolutional encoder and decoder that VQ, RVQ and QINCo share.
- `codebooks`: k-means initialisation of codebooks, their shared loss, revival of dead codewords.
- `rvq`, `vq`, `qinco`: quantisers with several, one and input-dependent codebooks (ECG-Tok).
- `fsq`: finite scalar quantisation, a fixed grid of levels (HeartLLM).
- `latent`: the autoencoder with one of these quantisers between encoder and decoder.
- `leadwise`: HeartLLM's tokenizer, whose encoder reads each lead alone.
- `amplitude_bins`: voltages as 26 letters (ECG-Byte).
- `bpe`: ECG-Byte's tokenizer, byte-pair encoding of these letters.
- `bpe_merges`, `bpe_longest_match`: learning and applying of merges, and the released encoder.
- `bpe_released`: a reader of released tokenizer files.
- `load`: a saved tokenizer of any kind from its folder.
- `watch`: use of the codebooks and error, at several times of a training.
- `train`: the training steps, with one protocol for all latent quantisers.
- `tokenizer_parts`: the steps of notebook 02, from a profile.
- `encode`: the codes and the frozen embeddings of a whole cohort.
- `fidelity`: reconstructions and latent errors, for the comparison of tokenizers.
- `small_waves`: P, Q, delta waves and pacing spikes, seen or not.
- `faithfulness`: measurements of reconstructions beside those of the originals.
- `noise_response`: what becomes of a noisy ECG whose signal without noise is known.
- `wave_error`: errors in the QRS complex and in the ST segment, for curves of rate and distortion.
- `change_rate`: a jointly trained VQ or RVQ at another rate, to be trained further.
- `training_flops`: floating-point operations of a training step.
"""
