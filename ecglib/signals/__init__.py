"""One ECG: leads and units, resampling, cleaning, quality, waves and intervals."""
