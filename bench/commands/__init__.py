"""The commands of `fluxshard bench`."""
