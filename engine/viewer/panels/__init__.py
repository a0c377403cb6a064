"""The panels of the viewer, one module each; every one reads ViewerState and calls Actions."""
