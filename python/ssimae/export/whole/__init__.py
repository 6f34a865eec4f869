"""Write one graph of fixed size from an image to its calibrated map."""
