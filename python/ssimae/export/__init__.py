"""Write a trained model for programs without torch: graphs in ONNX, and all a reader needs beside them."""
