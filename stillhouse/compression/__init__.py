"""Making a trained student small: export to ONNX and quantisation."""
