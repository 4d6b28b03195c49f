"""The training loop, checkpoints, seeds and the choice of device. Nothing here knows about ECGs."""
