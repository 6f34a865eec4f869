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
review, gap = thresholds["review"], max(thresholds["merge_distance"], 2**0.5)  # what is connected, over corners too
steps = [step for step in np.ndindex(*[2 * int(gap) + 1] * 2) if np.hypot(*np.subtract(step, int(gap))) <= gap]
left, regions = set(zip(*np.nonzero(judged > thresholds["hysteresis"] * review), strict=True)), []
while left:
    region = [left.pop()]
    for row, column in region:
        near = {(row + down - int(gap), column + across - int(gap)) for down, across in steps} & left
        left -= near
        region += near
    highest = max(float(judged[pixel]) for pixel in region)
    if len(region) >= thresholds["min_area"] and highest > thresholds["min_contrast"] * review:
        length = max(np.hypot(*(np.array(region) - pixel).T).max() for pixel in region) + 1
        regions += [highest] if length >= thresholds["min_length"] else []
verdict = "review" if regions or reasons else "good"
if regions and max(regions) > thresholds["defective"]:
    verdict = "defective"
print(json.dumps({"verdict": verdict, "regions": len(regions), "reasons": reasons, "highest": float(judged.max())}))
