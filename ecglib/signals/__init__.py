"""Leads and units, resampling, recording devices, the simulated heart. No labels, text, torch."""
