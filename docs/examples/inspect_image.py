"""Inspect an image with what `ssimae export --whole HEIGHTxWIDTH` wrote: NumPy, Pillow and ONNX Runtime, no ssimae.

python inspect_image.py FOLDER IMAGE
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

folder, file = sys.argv[1:3]
model = json.loads(Path(folder, "inspect.json").read_text())
whole, thresholds, limits = model["whole"], model["thresholds"], model["whole_image"]
_, channels, height, width = whole["shape"]
image = np.asarray(Image.open(file).convert("L" if channels == 1 else "RGB"), np.float32)
if image.shape[:2] != (height, width):
    sys.exit(f"{file}: must be {height} x {width} pixels, is {image.shape[0]} x {image.shape[1]}")
session = onnxruntime.InferenceSession(Path(folder, whole["file"]))
planes = np.ascontiguousarray(np.moveaxis(image.reshape(height, width, channels), 2, 0)[None])
found = dict(zip(whole["outputs"], session.run(whole["outputs"], {whole["input"]: planes}), strict=True))
judged, reasons = found["judged"][0, 0], []
if limits is not None:  # is the image as a whole unlike the good ones?
    level = float(np.log(np.median(found["calibrated"])))
    rows = zip(limits["low"], limits["high"], limits["below"], limits["above"], strict=True)
    for value, (low, high, below, above) in zip([*found["measures"], level], rows, strict=True):
        if high is not None and value > high:
            reasons.append(above)
        elif low is not None and value < low and below:
            reasons.append(below)
    if limits["high"][3] is not None:  # where its surface is, single places shall still stand out
        judged = judged / np.exp(max(level - limits["high"][3], 0) / 2)
left, regions = set(zip(*np.nonzero(judged > thresholds["review"]), strict=True)), []
while left:  # what is connected, over corners too
    region = [left.pop()]
    for row, column in region:
        near = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
        left -= near
        region += near
    if len(region) >= thresholds["min_area"]:
        regions.append(max(float(judged[pixel]) for pixel in region))
verdict = "review" if regions or reasons else "good"
if regions and max(regions) > thresholds["defective"]:
    verdict = "defective"
print(json.dumps({"verdict": verdict, "regions": len(regions), "reasons": reasons, "highest": float(judged.max())}))
