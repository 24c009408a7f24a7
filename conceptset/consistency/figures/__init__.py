"""From counts to figures: sums over images, intervals from their resamples."""
