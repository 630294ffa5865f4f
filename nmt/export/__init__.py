"""Export to ONNX: a translator that runs with onnxruntime, without torch."""
