"""Trained networks for other programs: ONNX, weights with a card, a page that plays in the browser."""
