"""The saturation figures: each measured beside its reference, in one run, on one machine."""
