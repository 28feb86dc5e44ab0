"""Compression of a trained student: export to ONNX, a smaller vocabulary, quantisation."""
