// Draw what shall not be inspected over an image, and save it as a mask of the image's own size.

// Shapes of each image by its number, in pixels of the image: rectangles and brush strokes.
const drawings = new Map();

// Canvases of browsers end at 16384 pixels a side, and at 2^28 in all.
const LONGEST_CANVAS = 16384;
const LARGEST_CANVAS = 2 ** 28;

const shapesOf = (index) => {
  if (!drawings.has(index)) drawings.set(index, []);
  return drawings.get(index);
};

function drawShapes(context, shapes, colour) {
  context.fillStyle = context.strokeStyle = colour;
  context.lineCap = context.lineJoin = "round";
  for (const shape of shapes) {
    if (shape.kind === "rectangle") {
      const [x0, x1] = [shape.from[0], shape.to[0]].sort((a, b) => a - b);
      const [y0, y1] = [shape.from[1], shape.to[1]].sort((a, b) => a - b);
      context.fillRect(Math.floor(x0), Math.floor(y0), Math.ceil(x1) - Math.floor(x0), Math.ceil(y1) - Math.floor(y0));
    } else {
      context.lineWidth = shape.width;
      context.beginPath();
      context.moveTo(...shape.points[0]);
      for (const point of shape.points.slice(1)) context.lineTo(...point);
      // A click alone is a dot.
      if (shape.points.length === 1) context.lineTo(...shape.points[0]);
      context.stroke();
    }
  }
}

// The mask as black and white of the image's own size, or null where no canvas can be so large.
function maskCanvas(index) {
  const [width, height] = page.images[index].size;
  if (Math.max(width, height) > LONGEST_CANVAS || width * height > LARGEST_CANVAS) return null;
  const canvas = element("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  drawShapes(context, shapesOf(index), "#fff");
  // Edges of strokes are smooth; a mask has two values.
  const image = context.getImageData(0, 0, width, height);
  for (let place = 0; place < image.data.length; place += 4) {
    const value = image.data[place] > 127 ? 255 : 0;
    image.data[place] = image.data[place + 1] = image.data[place + 2] = value;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// The stem of the image's file, which the mask must bear.
const maskName = (index) => `${page.images[index].path.split(/[\\/]/).pop().replace(/\.[^.]*$/, "")}.png`;

function saveMask(index, told) {
  const canvas = maskCanvas(index);
  if (canvas === null) {
    told(`${page.images[index].size.join(" × ")} pixels are more than a browser can draw: make this mask in an image editor.`);
    return;
  }
  canvas.toBlob((blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: maskName(index) });
    link.click();
    URL.revokeObjectURL(link.href);
    told(`Saved as ${maskName(index)}.`);
  }, "image/png");
}
